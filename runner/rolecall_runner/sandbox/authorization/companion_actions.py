"""All permissions that a call needs: next to its own action those on sources, passed roles and tags.

Sources: "Required permissions for Amazon S3 API operations" (S3 User Guide), "Grant a user permissions to pass a role to an
AWS service" (IAM User Guide), "Grant permission to tag Amazon EC2 resources during creation" (EC2 User Guide), "ReEncrypt"
(KMS API reference); November 2026.

What the sandbox does not enforce, by the calls that would ask for it: they are refused, so that no one relies on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

from rolecall_generator.iam import Access
from rolecall_runner.sandbox.protocol.http_types import ApiCall

_ROLE = re.compile(r"^arn:[^:]+:iam::\d{12}:role/.+$")
_ROLE_PARAMETER = re.compile(r"role(?:arn)?$", re.IGNORECASE)
_VERSIONED = {
    "DeleteObject", "DeleteObjectTagging", "GetObject", "GetObjectAcl", "GetObjectAttributes", "GetObjectTagging",
    "HeadObject", "PutObjectAcl", "PutObjectTagging",
}  # fmt: skip
_PASSED_TO: Mapping[str, str] = {
    "ec2": "ec2.amazonaws.com",
    "lambda": "lambda.amazonaws.com",
    "states": "states.amazonaws.com",
}
_TAGS_OF_IAM: Mapping[str, str] = {
    "CreateInstanceProfile": "TagInstanceProfile",
    "CreatePolicy": "TagPolicy",
    "CreateRole": "TagRole",
    "CreateUser": "TagUser",
}


@dataclass(frozen=True, slots=True)
class Need:
    """One permission that a call needs: the action on every one of the resources (empty: they cannot be told)."""

    action: str
    resources: tuple[str, ...]
    context: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def needs(call: ApiCall, access: Access, account_id: str) -> tuple[Need, ...]:
    """The permissions that a call needs, its own first. `access` tells the role inside an instance profile."""
    own = Need(call.action, call.resources, call.context)
    further: list[Need] = []
    if call.service == "s3":
        own = _versioned(call, own)
        further += _of_s3(call)
    elif call.action == "kms:ReEncryptFrom":
        further.append(replace(own, action="kms:ReEncryptTo", resources=_destination_key(call)))
    elif call.service == "ec2":
        further += _of_new_tags(call)
    elif call.service == "iam" and call.operation in _TAGS_OF_IAM and call.parameters.get("Tags"):
        further.append(replace(own, action=f"iam:{_TAGS_OF_IAM[call.operation]}"))
    return (own, *further, *_passed_roles(call, access, account_id))


def _versioned(call: ApiCall, own: Need) -> Need:
    if call.operation not in _VERSIONED or not call.parameters.get("VersionId"):
        return own
    return replace(own, action=own.action.replace("Object", "ObjectVersion", 1))


def _of_s3(call: ApiCall) -> Iterator[Need]:
    source = call.parameters.get("CopySource")
    if call.operation in {"CopyObject", "UploadPartCopy"}:
        path, _, version = str(source).partition("?versionId=")
        plain = unquote(path).lstrip("/")
        known = () if plain.startswith("arn:") else (f"arn:${{Partition}}:s3:::{plain}",)
        yield Need("s3:GetObjectVersion" if version else "s3:GetObject", known, call.context)
    if call.action == "s3:PutObject":
        if call.parameters.get("ACL"):
            yield Need("s3:PutObjectAcl", call.resources, call.context)
        if call.parameters.get("Tagging"):
            yield Need("s3:PutObjectTagging", call.resources, call.context)


def _destination_key(call: ApiCall) -> tuple[str, ...]:
    key = str(call.parameters.get("DestinationKeyId", ""))
    if "alias/" in key:
        return ()
    return (key if key.startswith("arn:") else f"arn:${{Partition}}:kms:{call.region}:${{Account}}:key/{key}",)


def _of_new_tags(call: ApiCall) -> Iterator[Need]:
    specifications = call.parameters.get("TagSpecifications")
    for specification in specifications if isinstance(specifications, list) else ():
        if isinstance(specification, Mapping) and specification.get("Tags"):
            kind = specification.get("ResourceType", "*")
            account = "" if kind in {"image", "snapshot"} else "${Account}"
            arn = f"arn:${{Partition}}:ec2:{call.region}:{account}:{kind}/*"
            yield Need("ec2:CreateTags", (arn,), {**call.context, "ec2:createaction": (call.operation,)})


def _passed_roles(call: ApiCall, access: Access, account_id: str) -> Iterator[Need]:
    """Roles that the call hands to a service: `iam:PassRole` is a permission of its own, on the role.

    The Service Authorization Reference says it for no action, so it is read off the parameters: a role's ARN under a name
    that ends in "role" or "role ARN", in an operation that changes something.
    """
    if call.operation.startswith(("Describe", "Get", "List")) or call.service == "sts":
        return
    roles = [] if call.service == "iam" else list(_roles_in(call.parameters))
    if call.operation == "AddRoleToInstanceProfile":
        roles.append(f"arn:${{Partition}}:iam::${{Account}}:role/{call.parameters.get('RoleName')}")
    profile = call.parameters.get("IamInstanceProfile")
    if isinstance(profile, Mapping):
        # A profile that is not there passes no role: the service then says that it is not there.
        name = str(profile.get("Arn") or profile.get("Name")).rpartition("/")[2]
        roles += [stored.role for stored in access.instance_profiles.values() if _is_named(stored.arn, account_id, name)]
    service = _PASSED_TO.get(call.action.partition(":")[0])
    context = {**call.context, **({"iam:passedtoservice": (service,)} if service else {})}
    for role in dict.fromkeys(roles):
        yield Need("iam:PassRole", (role,), context)


def _is_named(arn: str, account_id: str, name: str) -> bool:
    return arn.split(":")[4] == account_id and arn.rpartition("/")[2] == name


def _roles_in(value: object, name: str = "") -> Iterator[str]:
    """ARNs of roles below names that say "role"."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _roles_in(inner, str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from _roles_in(inner, name)
    elif isinstance(value, str) and _ROLE_PARAMETER.search(name) and _ROLE.match(value):
        yield value


UNENFORCED: Mapping[str, str] = {
    "dynamodb:PutResourcePolicy": "policies on tables",
    "ecr:SetRepositoryPolicy": "policies on repositories",
    "iam:CreateServiceLinkedRole": "service-linked roles",
    "kms:CreateGrant": "grants on keys",
    "kms:PutKeyPolicy": "policies on keys",
    "lambda:AddPermission": "policies on functions",
    "organizations:AttachPolicy": "service and resource control policies",
    "organizations:CreatePolicy": "service and resource control policies",
    "s3:PutAccessPointPolicy": "policies on access points",
    "s3:PutAccountPublicAccessBlock": "public access",
    "s3:PutBucketPolicy": "policies on buckets",
    "secretsmanager:PutResourcePolicy": "policies on secrets",
    "sns:AddPermission": "policies on topics",
    "sqs:AddPermission": "policies on queues",
}
"""Actions that write what the sandbox does not enforce, with the words for it."""


def unenforced(call: ApiCall) -> str | None:
    """Why the sandbox refuses to store what the call asks for; None when it enforces what the call can ask for."""
    what = UNENFORCED.get(call.action)
    if what is None and "Policy" in _attributes(call):
        what = "policies on queues and topics"
    return None if what is None else f"The sandbox does not enforce {what}, so it refuses {call.action}."


def _attributes(call: ApiCall) -> tuple[str, ...]:
    """Names of the attributes that a call to SQS or SNS sets."""
    if call.service not in {"sqs", "sns"} or not call.operation.startswith(("Create", "Set")):
        return ()
    attributes = call.parameters.get("Attributes")
    names = tuple(attributes) if isinstance(attributes, Mapping) else ()
    return (*names, str(call.parameters.get("AttributeName", "")))
