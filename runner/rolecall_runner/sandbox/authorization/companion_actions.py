"""The permissions that a call needs besides its own action, and calls whose effect the sandbox cannot enforce.

Sources: "Required permissions for Amazon S3 API operations" (S3 User Guide), "Grant a user permissions to pass a role to an
AWS service" (IAM User Guide), "Grant permission to tag Amazon EC2 resources during creation" (EC2 User Guide), "ReEncrypt"
(KMS API reference); November 2026.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

from rolecall_generator.iam import Access
from rolecall_runner.sandbox.protocol.http_types import ApiCall, ContextValues

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
class RequiredPermission:
    """A permission that a call needs: the action on each of the resources; none when they are not known."""

    action: str
    resources: tuple[str, ...]
    context: ContextValues = field(default_factory=dict)


def required_permissions(call: ApiCall, access: Access, account_id: str) -> tuple[RequiredPermission, ...]:
    """The permissions that a call needs, starting with its own action. `access` contains the roles of instance profiles."""
    own = RequiredPermission(call.action, call.resources, call.context)
    further: list[RequiredPermission] = []
    if call.service == "s3":
        own = _for_version(call, own)
        further += _s3_needs(call)
    elif call.action == "kms:ReEncryptFrom":
        further.append(replace(own, action="kms:ReEncryptTo", resources=_destination_key(call)))
    elif call.service == "ec2":
        further += _ec2_tag_needs(call)
    elif call.service == "iam" and call.operation in _TAGS_OF_IAM and call.parameters.get("Tags"):
        further.append(replace(own, action=f"iam:{_TAGS_OF_IAM[call.operation]}"))
    return (own, *further, *_pass_role_needs(call, access, account_id))


def _for_version(call: ApiCall, own: RequiredPermission) -> RequiredPermission:
    if call.operation not in _VERSIONED or not call.parameters.get("VersionId"):
        return own
    return replace(own, action=own.action.replace("Object", "ObjectVersion", 1))


def _s3_needs(call: ApiCall) -> Iterator[RequiredPermission]:
    source = call.parameters.get("CopySource")
    if call.operation in {"CopyObject", "UploadPartCopy"}:
        path, _, version = str(source).partition("?versionId=")
        plain = unquote(path).lstrip("/")
        known = () if plain.startswith("arn:") else (f"arn:${{Partition}}:s3:::{plain}",)
        yield RequiredPermission("s3:GetObjectVersion" if version else "s3:GetObject", known, call.context)
    if call.action == "s3:PutObject":
        if call.parameters.get("ACL"):
            yield RequiredPermission("s3:PutObjectAcl", call.resources, call.context)
        if call.parameters.get("Tagging"):
            yield RequiredPermission("s3:PutObjectTagging", call.resources, call.context)


def _destination_key(call: ApiCall) -> tuple[str, ...]:
    key = str(call.parameters.get("DestinationKeyId", ""))
    if "alias/" in key:
        return ()
    return (key if key.startswith("arn:") else f"arn:${{Partition}}:kms:{call.region}:${{Account}}:key/{key}",)


def _ec2_tag_needs(call: ApiCall) -> Iterator[RequiredPermission]:
    specifications = call.parameters.get("TagSpecifications")
    for specification in specifications if isinstance(specifications, list) else ():
        if isinstance(specification, Mapping) and specification.get("Tags"):
            kind = specification.get("ResourceType", "*")
            account = "" if kind in {"image", "snapshot"} else "${Account}"
            arn = f"arn:${{Partition}}:ec2:{call.region}:{account}:{kind}/*"
            yield RequiredPermission("ec2:CreateTags", (arn,), {**call.context, "ec2:createaction": (call.operation,)})


def _pass_role_needs(call: ApiCall, access: Access, account_id: str) -> Iterator[RequiredPermission]:
    """`iam:PassRole` for each role that the call passes to a service.

    The Service Authorization Reference does not list it, so it follows from the parameters: a role ARN in a parameter whose
    name ends in "role" or "role ARN", in an operation that changes something.
    """
    if call.operation.startswith(("Describe", "Get", "List")) or call.service == "sts":
        return
    roles = [] if call.service == "iam" else list(_roles_in(call.parameters))
    if call.operation == "AddRoleToInstanceProfile":
        roles.append(f"arn:${{Partition}}:iam::${{Account}}:role/{call.parameters.get('RoleName')}")
    profile = call.parameters.get("IamInstanceProfile")
    if isinstance(profile, Mapping):
        # A missing profile passes no role; the service reports it.
        name = str(profile.get("Arn") or profile.get("Name")).rpartition("/")[2]
        roles += [stored.role for stored in access.instance_profiles.values() if _is_named(stored.arn, account_id, name)]
    service = _PASSED_TO.get(call.action.partition(":")[0])
    context = {**call.context, **({"iam:passedtoservice": (service,)} if service else {})}
    for role in dict.fromkeys(roles):
        yield RequiredPermission("iam:PassRole", (role,), context)


def _is_named(arn: str, account_id: str, name: str) -> bool:
    return arn.split(":")[4] == account_id and arn.rpartition("/")[2] == name


def _roles_in(value: object, name: str = "") -> Iterator[str]:
    """Role ARNs in parameters with the name of a role, nested ones included."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _roles_in(inner, str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from _roles_in(inner, name)
    elif isinstance(value, str) and _ROLE_PARAMETER.search(name) and _ROLE.match(value):
        yield value


UNSUPPORTED_ACTIONS: Mapping[str, str] = {
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
"""Actions that store something that the sandbox does not enforce, with a description of it."""


def unsupported_reason(call: ApiCall) -> str | None:
    """Why the sandbox refuses a call that stores something that it does not enforce; None for other calls."""
    what = UNSUPPORTED_ACTIONS.get(call.action)
    if what is None and "Policy" in _attribute_names(call):
        what = "policies on queues and topics"
    return None if what is None else f"The sandbox does not enforce {what} and refuses {call.action}."


def _attribute_names(call: ApiCall) -> tuple[str, ...]:
    """Names of the attributes that a call to SQS or SNS sets, with an empty name among them."""
    if call.service not in {"sqs", "sns"} or not call.operation.startswith(("Create", "Set")):
        return ()
    attributes = call.parameters.get("Attributes")
    names = tuple(attributes) if isinstance(attributes, Mapping) else ()
    return (*names, str(call.parameters.get("AttributeName", "")))
