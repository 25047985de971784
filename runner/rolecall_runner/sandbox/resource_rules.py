"""Resource ARNs by hand, for the services where likeness of names is not enough.

Each rule gives ARNs with `${Partition}` and `${Account}` open, nothing where the resource cannot be told, or None to leave
the call to the general way. Sources: "Actions, resources, and condition keys" of each service, November 2026.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

CALLER = "arn:${Partition}:iam::${Account}:user/${Caller}"
"""Stands for the caller itself: IAM's operations on users take it when no name is given."""


@dataclass(frozen=True)
class Asked:
    """What a request says: its operation, parameters, the names that its model knows (lower case), its Region."""

    operation: str
    parameters: Mapping[str, object]
    members: frozenset[str]
    region: str

    @cached_property
    def _by_lower_name(self) -> Mapping[str, object]:
        return {name.lower(): value for name, value in self.parameters.items()}

    def texts(self, name: str) -> tuple[str, ...]:
        """Values of a parameter, by its name in lower case, that are texts or lists of texts; none when it is not said."""
        value = self._by_lower_name.get(name)
        items = value if isinstance(value, list) else [value]
        return tuple(item for item in items if isinstance(item, str) and item)

    def text(self, name: str) -> str:
        """The first value of a parameter, empty when it is not said."""
        return next(iter(self.texts(name)), "")

    def inside(self, *path: str) -> Iterator[object]:
        """What stands at a path of names through nested parameters; lists on the way are walked."""
        return _walk(self.parameters, path)


Rule = Callable[[str, Asked], tuple[str, ...] | None]


def _walk(value: object, path: tuple[str, ...]) -> Iterator[object]:
    if isinstance(value, list):
        for item in value:
            yield from _walk(item, path)
    elif not path:
        yield value
    elif isinstance(value, Mapping) and path[0] in value:
        yield from _walk(value[path[0]], path[1:])


def _regional(service: str, asked: Asked, resource: str) -> str:
    return f"arn:${{Partition}}:{service}:{asked.region}:${{Account}}:{resource}"


_OF_OBJECTS = ("Object", "MultipartUpload")


def s3(action: str, asked: Asked) -> tuple[str, ...] | None:
    """Buckets and objects; access points are not told apart from their buckets, so they are unknown."""
    bucket = asked.text("bucket")
    if not bucket or bucket.startswith("arn:"):
        return ()
    whole = f"arn:${{Partition}}:s3:::{bucket}"
    if asked.operation == "DeleteObjects":
        return tuple(f"{whole}/{key}" for key in asked.inside("Delete", "Objects", "Key"))
    key = asked.text("key")
    of_object = key and (any(name in action for name in _OF_OBJECTS)) and "bucket" not in action.lower()
    return (f"{whole}/{key}",) if of_object else (whole,)


def sqs(_action: str, asked: Asked) -> tuple[str, ...] | None:
    """Queues by URL (its last two parts are account and name) or by name."""
    if name := asked.text("queuename"):
        return (_regional("sqs", asked, name),)
    parts = urlsplit(asked.text("queueurl")).path.strip("/").split("/")
    if len(parts) < 2:  # noqa: PLR2004 - account and name
        return None
    return (f"arn:${{Partition}}:sqs:{asked.region}:{parts[-2]}:{parts[-1]}",)


def kms(action: str, asked: Asked) -> tuple[str, ...] | None:
    """Keys by id or ARN. An alias stands for a key that the request does not name, so it is unknown."""
    if action in {"CreateAlias", "DeleteAlias", "UpdateAlias"}:
        alias, key = asked.text("aliasname"), asked.text("targetkeyid")
        return (_regional("kms", asked, alias), _key(asked, key)) if key else ()
    names = {"ReEncryptFrom": "sourcekeyid"}
    key = asked.text(names.get(action, "keyid"))
    return () if not key or "alias/" in key else (_key(asked, key),)


def _key(asked: Asked, key: str) -> str:
    return key if key.startswith("arn:") else _regional("kms", asked, f"key/{key}")


def secretsmanager(_action: str, asked: Asked) -> tuple[str, ...] | None:
    """Secrets by ARN, or by name and six characters that the request does not say."""
    names = asked.texts("secretid") or asked.texts("name")
    arns = (
        name if name.startswith("arn:") else _regional("secretsmanager", asked, f"secret:{name}-??????") for name in names
    )
    return tuple(arns)


def function(_action: str, asked: Asked) -> tuple[str, ...] | None:
    """Lambda functions by name, by ACCOUNT:function:NAME or by ARN, with the version or alias that is asked for."""
    name = asked.text("functionname")
    if not name:
        return None
    if not name.startswith("arn:"):
        account, separator, plain = name.rpartition("function:")
        owner = account.strip(":") if separator and account else "${Account}"
        name = f"arn:${{Partition}}:lambda:{asked.region}:{owner}:function:{plain}"
    qualifier = asked.text("qualifier")
    return (f"{name}:{qualifier}" if qualifier else name,)


def dynamodb(_action: str, asked: Asked) -> tuple[str, ...] | None:
    """Tables by name or ARN, also those of batches and transactions; an index where one is read."""
    tables: list[object] = [*asked.inside("TableName"), *asked.inside("TransactItems", "Get", "TableName")]
    for items in asked.inside("RequestItems"):
        tables += list(items) if isinstance(items, Mapping) else []
    names = [str(table) for table in tables]
    arns = [name if name.startswith("arn:") else _regional("dynamodb", asked, f"table/{name}") for name in names]
    index = asked.text("indexname")
    if index and asked.operation in {"Query", "Scan"}:
        return tuple(f"{arn}/index/{index}" for arn in arns)
    return tuple(arns) or None


_NAMED = (
    ("role", "rolename"), ("user", "username"), ("group", "groupname"), ("policy", "policyname"),
    ("instance-profile", "instanceprofilename"),
)  # fmt: skip
_OF_THE_CALLER = {
    "ChangePassword", "CreateAccessKey", "DeleteAccessKey", "GetUser", "ListAccessKeys", "ListMFADevices", "UpdateAccessKey",
}  # fmt: skip


def iam(action: str, asked: Asked) -> tuple[str, ...] | None:
    """Principals by name; with the path for those that the request makes (`by_stored_path` finds it for the others)."""
    if action in _OF_THE_CALLER and not asked.text("username"):
        return (CALLER,)
    path = (asked.text("path") or "/") if action.startswith("Create") else "/"
    for kind, parameter in _NAMED:
        name = asked.text(parameter)
        if name and _is_about(action, kind):
            return (f"arn:${{Partition}}:iam::${{Account}}:{kind}{path}{name}",)
    policy = asked.text("policyarn")
    return (policy,) if policy and "Policy" in action and not _is_attachment(action) else None


def _is_about(action: str, kind: str) -> bool:
    """Whether the action works on that kind: AddUserToGroup on the group, AddRoleToInstanceProfile on the profile, policies
    of a principal on the principal.
    """
    if action in {"AddUserToGroup", "RemoveUserFromGroup"}:
        return kind == "group"
    if action in {"AddRoleToInstanceProfile", "RemoveRoleFromInstanceProfile"}:
        return kind == "instance-profile"
    if kind == "policy":
        return action == "CreatePolicy"
    return True


def _is_attachment(action: str) -> bool:
    return action.startswith(("Attach", "Detach"))


def sts(_action: str, asked: Asked) -> tuple[str, ...] | None:
    """Roles by the ARN that the request names; other operations concern the caller's session alone."""
    role = asked.text("rolearn")
    return (role,) if role else ("*",)


_BY_ID: Mapping[str, str] = {
    "i": "instance", "vol": "volume", "vpc": "vpc", "subnet": "subnet", "sg": "security-group", "eni": "network-interface",
    "rtb": "route-table", "igw": "internet-gateway", "eipalloc": "elastic-ip", "lt": "launch-template", "ami": "image",
    "snap": "snapshot", "nat": "natgateway", "acl": "network-acl", "dopt": "dhcp-options", "key": "key-pair",
    "vpce": "vpc-endpoint", "pcx": "vpc-peering-connection", "tgw": "transit-gateway",
}  # fmt: skip
_WITHOUT_ACCOUNT = {"image", "snapshot"}


def ec2(action: str, asked: Asked) -> tuple[str, ...] | None:
    """Tags name resources by id alone; the prefix says of which type they are."""
    if action not in {"CreateTags", "DeleteTags"}:
        return None
    arns = []
    for identifier in asked.texts("resources"):
        kind = _BY_ID.get(identifier.partition("-")[0])
        if kind is None:
            return ()
        account = "" if kind in _WITHOUT_ACCOUNT else "${Account}"
        arns.append(f"arn:${{Partition}}:ec2:{asked.region}:{account}:{kind}/{identifier}")
    return tuple(arns)


RULES: Mapping[str, Rule] = {
    "dynamodb": dynamodb,
    "ec2": ec2,
    "iam": iam,
    "kms": kms,
    "lambda": function,
    "s3": s3,
    "secretsmanager": secretsmanager,
    "sqs": sqs,
    "sts": sts,
}
"""Rules by botocore's service name."""
