"""SCPs and RCPs as organizations have them, in the form that the AWS documentation and aws-samples describe."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rolecall_generator.iam import PolicyDocument
from rolecall_generator.iam.evaluation import Compiler, PolicyOutcome, PolicyType, scan_documents

Body = dict[str, Any]
ROLE = "arn:aws:iam::222222222222:role/role1"
BACKEND = "arn:aws:iam::111111111111:role/backend_role"
ORGANIZATION = "o-customer01"


def policy(*statements: Body) -> Body:
    """A policy document with these statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def deny(sid: str, actions: object = "*", resource: object = "*", **more: Any) -> Body:
    """A Deny statement."""
    return {"Sid": sid, "Effect": "Deny", "Action": actions, "Resource": resource, **more}


FULL = policy({"Effect": "Allow", "Action": "*", "Resource": "*"})
REGIONS = policy(
    {
        "Sid": "DenyOutsideRegions",
        "Effect": "Deny",
        "NotAction": ["iam:*", "sts:*", "organizations:*", "route53:*", "cloudfront:*", "support:*", "budgets:*"],
        "Resource": "*",
        "Condition": {
            "StringNotEquals": {"aws:RequestedRegion": ["eu-central-1", "eu-west-1"]},
            "ArnNotLike": {"aws:PrincipalARN": ["arn:aws:iam::*:role/OrganizationAccountAccessRole"]},
        },
    }
)
ROOT_USER = policy(deny("DenyRootUser", Condition={"StringLike": {"aws:PrincipalArn": ["arn:aws:iam::*:root"]}}))
MFA = policy(
    deny(
        "DenyStopWithoutMfa",
        ["ec2:StopInstances", "ec2:TerminateInstances", "s3:GetObject"],
        Condition={"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}},
    )
)
LEAVING = policy(deny("DenyLeaving", "organizations:LeaveOrganization"))
IAM_WRITES = policy(
    deny(
        "DenyIamWrites",
        ["iam:Attach*", "iam:Create*", "iam:Delete*", "iam:Put*", "iam:Update*"],
        Condition={"ArnNotLike": {"aws:PrincipalARN": "arn:aws:iam::*:role/pipeline/*"}},
    )
)
LOCKED_ROLES = policy(deny("DenyLockedRoles", "iam:*", ["arn:aws:iam::*:role/locked/*", "arn:aws:iam::*:role/role1"]))
PERIMETER = policy(
    deny(
        "EnforceOrgIdentities",
        ["s3:*", "sqs:*", "kms:*", "secretsmanager:*", "sts:AssumeRole", "sts:SetContext"],
        Principal="*",
        Condition={
            "StringNotEqualsIfExists": {
                "aws:PrincipalOrgID": ORGANIZATION,
                "aws:PrincipalAccount": ["999988887777"],
                "aws:ResourceTag/dp:exclude:identity": "true",
            },
            "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
        },
    )
)
ASSUME_BY_OUTSIDERS = policy(
    deny(
        "DenyOutsiders",
        "sts:AssumeRole",
        Principal="*",
        Condition={
            "StringNotEqualsIfExists": {"aws:PrincipalOrgID": ORGANIZATION},
            "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
        },
    )
)
ONLY_NETWORK = policy(
    deny("DenyOthers", "sts:*", Principal="*", Condition={"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}})
)
ONLY_TLS = policy(deny("DenyPlain", "sts:*", Principal="*", Condition={"BoolIfExists": {"aws:SecureTransport": "false"}}))
CONFUSED_DEPUTY = policy(
    deny(
        "EnforceConfusedDeputyProtection",
        ["s3:*", "sqs:*", "kms:*", "secretsmanager:*", "sts:*"],
        Principal="*",
        Condition={
            "StringNotEqualsIfExists": {
                "aws:SourceOrgID": ORGANIZATION,
                "aws:SourceAccount": ["999988887777"],
                "aws:ResourceTag/dp:exclude:identity": "true",
            },
            "Null": {"aws:SourceAccount": "false"},
            "Bool": {"aws:PrincipalIsAWSService": "true"},
        },
    )
)
NETWORK = policy(
    deny(
        "EnforceNetworkPerimeter",
        ["s3:*", "sts:AssumeRole"],
        Principal="*",
        Condition={
            "NotIpAddressIfExists": {"aws:SourceIp": "192.0.2.0/24"},
            "StringNotEqualsIfExists": {
                "aws:SourceVpc": "vpc-1",
                "aws:PrincipalTag/dp:exclude:network": "true",
                "aws:PrincipalAccount": ["999988887777"],
                "aws:ResourceTag/dp:exclude:network": "true",
            },
            "BoolIfExists": {"aws:PrincipalIsAWSService": "false", "aws:ViaAWSService": "false"},
            "ArnNotLikeIfExists": {"aws:PrincipalArn": ["arn:aws:iam::*:role/aws:ec2-infrastructure"]},
        },
    )
)
RESOURCE_PERIMETER = policy(
    {
        "Sid": "EnforceResourcePerimeter",
        "Effect": "Deny",
        "Action": "*",
        "NotResource": ["arn:aws:iam::aws:policy/*", "arn:aws:ssm:*::document/*"],
        "Condition": {
            "StringNotEqualsIfExists": {
                "aws:ResourceOrgID": ORGANIZATION,
                "ec2:Owner": "amazon",
                "aws:PrincipalTag/dp:exclude:resource": "true",
            }
        },
    }
)
ORGANIZATION_RESOURCES = policy(
    deny("OutsideOrganization", Condition={"StringNotEquals": {"aws:ResourceOrgID": "${aws:PrincipalOrgID}"}})
)
ACCOUNT_RESOURCES = policy(
    deny("OutsideAccount", Condition={"StringNotEquals": {"aws:ResourceAccount": "${aws:PrincipalAccount}"}})
)
SESSION_TAGS = policy(
    deny(
        "ProtectDataPerimeterSessionTags",
        "sts:TagSession",
        Principal="*",
        Condition={
            "Null": {"SAML:aud": "true"},
            "StringNotEqualsIfExists": {"aws:PrincipalTag/team": "admin", "aws:PrincipalOrgID": ORGANIZATION},
            "ForAnyValue:StringLike": {"aws:TagKeys": ["dp:*", "team"]},
        },
    )
)
ALLOW_LIST = policy({"Effect": "Allow", "Action": ["ec2:*", "iam:*", "sts:*"], "Resource": "*"})


def text(body: object) -> str:
    """The JSON of a policy."""
    return json.dumps(body, indent=2)


class Judge:
    """The evaluator on levels of policies."""

    def __init__(self) -> None:
        self._compiler = Compiler()

    def outcome(
        self, documents: Sequence[PolicyDocument], action: str, resource: str, context: dict[str, tuple[str, ...]]
    ) -> PolicyOutcome:
        named = [("policy", self._compiler.compile(document, PolicyType.IDENTITY)) for document in documents]
        return scan_documents(named, action.lower(), resource, context).outcome

    def allowed(
        self, levels: Sequence[Sequence[PolicyDocument]], action: str, resource: str, context: dict[str, tuple[str, ...]]
    ) -> bool | None:
        """Whether every level allows the request; None if the evaluator leaves it open."""
        found = {self.outcome(level, action, resource, context) for level in levels}
        if found & {PolicyOutcome.DENY, PolicyOutcome.NOTHING}:
            return False
        return True if found == {PolicyOutcome.ALLOW} else None
