"""IAM of moto's accounts, read with boto3 into the access model: what Terraform really made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import boto3

from rolecall_generator.iam.access import (
    Access,
    ConsolePassword,
    Group,
    InstanceProfile,
    ManagedPolicy,
    Role,
    User,
    access_of,
)
from rolecall_generator.iam.policy import PolicyDocument, policy_from_json

ASSUMED = "OrganizationAccountAccessRole"


def iam_client(endpoint: str, account_id: str) -> Any:
    """An IAM client inside one of moto's accounts."""
    common: dict[str, Any] = {"endpoint_url": endpoint, "region_name": "us-east-1"}
    sts = boto3.client("sts", aws_access_key_id="test", aws_secret_access_key="test", **common)
    answer = sts.assume_role(RoleArn=f"arn:aws:iam::{account_id}:role/{ASSUMED}", RoleSessionName="reader")["Credentials"]
    return boto3.client(
        "iam",
        aws_access_key_id=answer["AccessKeyId"],
        aws_secret_access_key=answer["SecretAccessKey"],
        aws_session_token=answer["SessionToken"],
        **common,
    )


def read_access(endpoint: str, account_id: str) -> Access:
    """Everything in one account's IAM."""
    iam = iam_client(endpoint, account_id)
    parts: list[Role | ManagedPolicy | Group | User | InstanceProfile] = [
        *(_role(iam, item["RoleName"]) for item in _all(iam, "list_roles", "Roles") if item["RoleName"] != ASSUMED),
        *(_policy(iam, item) for item in _all(iam, "list_policies", "Policies", Scope="Local")),
        *(_group(iam, item) for item in _all(iam, "list_groups", "Groups")),
        *(_user(iam, item["UserName"]) for item in _all(iam, "list_users", "Users")),
        *(
            InstanceProfile(item["Arn"], item["Roles"][0]["Arn"], _tags(item.get("Tags", [])))
            for item in _all(iam, "list_instance_profiles", "InstanceProfiles")
        ),
    ]
    return access_of(*parts)


def _all(iam: Any, operation: str, key: str, **arguments: str) -> list[Any]:
    return [item for page in iam.get_paginator(operation).paginate(**arguments) for item in page[key]]


def _tags(tags: Iterable[Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags}


def _role(iam: Any, name: str) -> Role:
    role = iam.get_role(RoleName=name)["Role"]
    return Role(
        role["Arn"],
        trust=policy_from_json(role["AssumeRolePolicyDocument"]),
        inline=_inline(iam, "role", name),
        attached=_attached(iam, "role", name),
        boundary=_boundary(role),
        max_session_seconds=role["MaxSessionDuration"],
        description=role.get("Description", ""),
        tags=_tags(role.get("Tags", [])),
    )


def _policy(iam: Any, item: Any) -> ManagedPolicy:
    arn = item["Arn"]
    policy = iam.get_policy(PolicyArn=arn)["Policy"]
    version = iam.get_policy_version(PolicyArn=arn, VersionId=policy["DefaultVersionId"])["PolicyVersion"]
    return ManagedPolicy(
        arn, policy_from_json(version["Document"]), policy.get("Description", ""), _tags(policy.get("Tags", []))
    )


def _group(iam: Any, item: Any) -> Group:
    name = item["GroupName"]
    return Group(item["Arn"], inline=_inline(iam, "group", name), attached=_attached(iam, "group", name))


def _user(iam: Any, name: str) -> User:
    user = iam.get_user(UserName=name)["User"]  # list_users leaves out tags and boundary
    try:
        profile = iam.get_login_profile(UserName=name)["LoginProfile"]
    except iam.exceptions.NoSuchEntityException:
        profile = None
    return User(
        user["Arn"],
        groups=frozenset(group["Arn"] for group in _all(iam, "list_groups_for_user", "Groups", UserName=name)),
        inline=_inline(iam, "user", name),
        attached=_attached(iam, "user", name),
        console_password=ConsolePassword(profile["PasswordResetRequired"]) if profile else None,
        boundary=_boundary(user),
        tags=_tags(user.get("Tags", [])),
    )


def _inline(iam: Any, kind: str, name: str) -> dict[str, PolicyDocument]:
    """Inline policies of a role, group or user; boto3 has decoded the documents already."""
    owner = {f"{kind.capitalize()}Name": name}
    names = _all(iam, f"list_{kind}_policies", "PolicyNames", **owner)
    get = getattr(iam, f"get_{kind}_policy")
    return {policy: policy_from_json(get(**owner, PolicyName=policy)["PolicyDocument"]) for policy in names}


def _attached(iam: Any, kind: str, name: str) -> frozenset[str]:
    found = _all(iam, f"list_attached_{kind}_policies", "AttachedPolicies", **{f"{kind.capitalize()}Name": name})
    return frozenset(policy["PolicyArn"] for policy in found)


def _boundary(principal: Any) -> str | None:
    arn: str | None = principal.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    return arn
