"""SCPs and RCPs as organizations have them, in the form that the AWS documentation and aws-samples describe."""

from __future__ import annotations

import json
from typing import Any

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
ONLY_TLS = policy(deny("DenyPlain", "sts:*", Principal="*", Condition={"BoolIfExists": {"aws:SecureTransport": "false"}}))
ALLOW_LIST = policy({"Effect": "Allow", "Action": ["ec2:*", "iam:*", "sts:*"], "Resource": "*"})


def text(body: object) -> str:
    """The JSON of a policy."""
    return json.dumps(body, indent=2)
