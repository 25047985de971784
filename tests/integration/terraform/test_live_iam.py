"""The IAM reader returns all that Access can contain: anything it missed would count as correct."""

from __future__ import annotations

import json

from live_iam import iam_client, read_access
from rolecall_generator.iam.model import Access, ConsolePassword, Group, InstanceProfile, ManagedPolicy, Role, User
from rolecall_generator.iam.policy import PolicyDocument, Statement

ACCOUNT = "210000000001"
ARN = f"arn:aws:iam::{ACCOUNT}"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
DOCUMENT = PolicyDocument((Statement("Allow", ("s3:GetObject",), ("arn:aws:s3:::b/${aws:username}/*",)),))
TEXT = json.dumps(DOCUMENT.to_json())
TRUST = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*"}]}
)
TAGS = [{"Key": "team", "Value": "a b"}]


def make_everything(endpoint: str) -> None:
    """One of each kind with every option, created by boto3 and not by Terraform.

    Without what moto 5.2.5 does not store: a user's boundary, and whether a password set at creation must be changed.
    """
    iam = iam_client(endpoint, ACCOUNT)
    policy = iam.create_policy(PolicyName="p", Path="/x/", PolicyDocument=TEXT, Description="d", Tags=TAGS)["Policy"]["Arn"]
    iam.create_role(
        RoleName="r",
        Path="/x/",
        AssumeRolePolicyDocument=TRUST,
        Description="d",
        MaxSessionDuration=7200,
        PermissionsBoundary=READ_ONLY,
        Tags=TAGS,
    )
    iam.put_role_policy(RoleName="r", PolicyName="in", PolicyDocument=TEXT)
    iam.attach_role_policy(RoleName="r", PolicyArn=policy)
    iam.create_instance_profile(InstanceProfileName="i", Tags=TAGS)
    iam.add_role_to_instance_profile(InstanceProfileName="i", RoleName="r")
    iam.create_group(GroupName="g")
    iam.put_group_policy(GroupName="g", PolicyName="in", PolicyDocument=TEXT)
    iam.attach_group_policy(GroupName="g", PolicyArn=policy)
    iam.create_user(UserName="u", Tags=TAGS)
    iam.put_user_policy(UserName="u", PolicyName="in", PolicyDocument=TEXT)
    iam.attach_user_policy(UserName="u", PolicyArn=policy)
    iam.add_user_to_group(GroupName="g", UserName="u")
    iam.create_login_profile(UserName="u", Password="Pass-word-1")
    iam.update_login_profile(UserName="u", Password="Pass-word-2", PasswordResetRequired=True)


def test_reader_returns_every_field_of_access(endpoint: str) -> None:
    """Role, policy, group, user and instance profile with every field; documents are decoded once."""
    inline, attached, tags = {"in": DOCUMENT}, frozenset({f"{ARN}:policy/x/p"}), {"team": "a b"}
    expected = Access.of(
        ManagedPolicy(f"{ARN}:policy/x/p", DOCUMENT, "d", tags),
        Role(f"{ARN}:role/x/r", PolicyDocument.from_json(json.loads(TRUST)), inline, attached, READ_ONLY, 7200, "d", tags),
        InstanceProfile(f"{ARN}:instance-profile/i", f"{ARN}:role/x/r", tags),
        Group(f"{ARN}:group/g", inline, attached),
        User(f"{ARN}:user/u", frozenset({f"{ARN}:group/g"}), inline, attached, ConsolePassword(True), None, tags),
    )

    make_everything(endpoint)

    assert expected == read_access(endpoint, ACCOUNT)


def test_new_account_is_empty(endpoint: str) -> None:
    """AWS managed policies and the role that the reader assumes do not count as access."""
    assert Access() == read_access(endpoint, "210000000002")
