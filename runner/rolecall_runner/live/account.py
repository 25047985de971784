"""Reads the access of one account from IAM with as few calls as possible.

GetAccountAuthorizationDetails returns the policies of all users, groups, and roles in one paginated reply. It lacks the
description and session duration of roles (read with ListRoles), the tags of policies and instance profiles (one call each),
and console passwords (one call per user). Source: botocore 1.44.5, service model iam; November 2026.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rolecall_generator.iam import Access, ConsolePassword, Group, InstanceProfile, ManagedPolicy, Role, User
from rolecall_generator.iam_replies import (
    SERVICE_LINKED_PATH,
    attached_of,
    boundary_of,
    document_of,
    inline_of,
    partition_of,
    tags_of,
)

_DETAILS_FILTER = ["User", "Role", "Group", "LocalManagedPolicy"]


def read_account(iam: Any, *, leave_out: Iterable[str] = ()) -> Access:
    """Read the access of an account with a boto3 IAM client, except AWS managed policies and service-linked roles.

    `leave_out`: names of roles to ignore, such as the role of the caller. Compare the result with intended access after
    `canonical()`; fields that only a plan has (`existing`, PGP keys) are not set. Raises botocore's ClientError and
    BotoCoreError, and UnreadableDocumentError.
    """
    details = _details(iam)
    hidden = frozenset(leave_out)
    own_roles = [
        item
        for item in details["RoleDetailList"]
        if item["RoleName"] not in hidden and not item["Path"].startswith(SERVICE_LINKED_PATH)
    ]
    listed = {item["RoleName"]: item for item in pages_of(iam, "list_roles", "Roles")} if own_roles else {}
    groups = {item["GroupName"]: item["Arn"] for item in details["GroupDetailList"]}
    parts: list[Role | ManagedPolicy | Group | User | InstanceProfile] = [
        *(_role(item, listed.get(item["RoleName"], {})) for item in own_roles),
        *(_policy(iam, item) for item in details["Policies"]),
        *(
            Group(item["Arn"], inline_of(item, "GroupPolicyList"), attached_of(item["AttachedManagedPolicies"]))
            for item in details["GroupDetailList"]
        ),
        *(_user(iam, item, groups) for item in details["UserDetailList"]),
        *_instance_profiles(iam),
    ]
    return Access.of(*parts)


def _details(iam: Any) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {key: [] for key in ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")}
    for page in iam.get_paginator("get_account_authorization_details").paginate(Filter=_DETAILS_FILTER):
        for key, items in found.items():
            items.extend(page.get(key) or ())
    return found


def pages_of(iam: Any, operation: str, key: str, **names: str) -> Iterator[Any]:
    """Yield the items of a paginated IAM operation."""
    for page in iam.get_paginator(operation).paginate(**names):
        yield from page[key]


def _role(item: Mapping[str, Any], listed: Mapping[str, Any]) -> Role:
    arn = item["Arn"]
    return Role(
        arn,
        trust=document_of(item["AssumeRolePolicyDocument"], where=f"{arn}, trust policy", partition=partition_of(arn)),
        inline=inline_of(item, "RolePolicyList"),
        attached=attached_of(item["AttachedManagedPolicies"]),
        boundary=boundary_of(item),
        max_session_seconds=listed.get("MaxSessionDuration", 3600),
        description=listed.get("Description", ""),
        tags=tags_of(item),
    )


def _policy(iam: Any, item: Mapping[str, Any]) -> ManagedPolicy:
    arn = item["Arn"]
    version = next(each for each in item["PolicyVersionList"] if each["IsDefaultVersion"])
    policy = iam.get_policy(PolicyArn=arn)["Policy"]
    document = document_of(version["Document"], where=arn, partition=partition_of(arn))
    return ManagedPolicy(arn, document, policy.get("Description", ""), tags_of(policy))


def _user(iam: Any, item: Mapping[str, Any], groups: Mapping[str, str]) -> User:
    return User(
        item["Arn"],
        groups=frozenset(groups[name] for name in item["GroupList"]),
        inline=inline_of(item, "UserPolicyList"),
        attached=attached_of(item["AttachedManagedPolicies"]),
        console_password=console_password_of(iam, item["UserName"]),
        boundary=boundary_of(item),
        tags=tags_of(item),
    )


def console_password_of(iam: Any, name: str) -> ConsolePassword | None:
    """The console password of a user, with the attributes that IAM returns; None if there is none."""
    try:
        profile = iam.get_login_profile(UserName=name)["LoginProfile"]
    except iam.exceptions.NoSuchEntityException:
        return None
    return ConsolePassword(reset_required=bool(profile.get("PasswordResetRequired", False)))


def _instance_profiles(iam: Any) -> Iterator[InstanceProfile]:
    for listed in pages_of(iam, "list_instance_profiles", "InstanceProfiles"):
        profile = iam.get_instance_profile(InstanceProfileName=listed["InstanceProfileName"])["InstanceProfile"]
        roles = profile.get("Roles") or ()
        yield InstanceProfile(profile["Arn"], roles[0]["Arn"] if roles else "", tags_of(profile))
