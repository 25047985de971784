"""Everything in one account's IAM -> `Access`, with as few calls as IAM allows.

GetAccountAuthorizationDetails has the policies of all users, groups and roles in one paged answer. It leaves out what the
three reads beside it bring: a role's description and session length (ListRoles), tags of policies and instance profiles
(one read each), console passwords (one read for each user). Source: botocore 1.44.5, service model iam; November 2026.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

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
from rolecall_generator.iam.policy import PolicyDocument
from rolecall_runner.deployed.documents import attached_of, boundary_of, document_of, partition_of, tags_of

SERVICE_LINKED_PATH = "/aws-service-role/"
"""Roles below this path are AWS's own: nobody in the account writes or deletes them. (IAM user guide, November 2026.)"""

_OWN_KINDS = ["User", "Role", "Group", "LocalManagedPolicy"]


def read_account(iam: Any, *, leave_out: Iterable[str] = ()) -> Access:
    """Everything in the account of `iam` (a boto3 IAM client), but for AWS's own policies and service-linked roles.

    `leave_out`: names of roles that do not count, as the one that the reader itself assumes. Comparable with intended
    access after `canonical()`; what is only a plan's knowledge (`existing`, PGP keys) is not in it. Raises botocore's
    ClientError and BotoCoreError, and UnreadableDocumentError.
    """
    details = _details(iam)
    hidden = frozenset(leave_out)
    own_roles = [
        item
        for item in details["RoleDetailList"]
        if item["RoleName"] not in hidden and not item["Path"].startswith(SERVICE_LINKED_PATH)
    ]
    listed = {item["RoleName"]: item for item in _pages(iam, "list_roles", "Roles")} if own_roles else {}
    groups = {item["GroupName"]: item["Arn"] for item in details["GroupDetailList"]}
    parts: list[Role | ManagedPolicy | Group | User | InstanceProfile] = [
        *(_role(item, listed.get(item["RoleName"], {})) for item in own_roles),
        *(_policy(iam, item) for item in details["Policies"]),
        *(_group(item) for item in details["GroupDetailList"]),
        *(_user(iam, item, groups) for item in details["UserDetailList"]),
        *_instance_profiles(iam),
    ]
    return access_of(*parts)


def _details(iam: Any) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {key: [] for key in ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")}
    for page in iam.get_paginator("get_account_authorization_details").paginate(Filter=_OWN_KINDS):
        for key, items in found.items():
            items.extend(page.get(key) or ())
    return found


def _pages(iam: Any, operation: str, key: str) -> Iterator[Any]:
    for page in iam.get_paginator(operation).paginate():
        yield from page[key]


def _inline(item: Mapping[str, Any], key: str) -> dict[str, PolicyDocument]:
    arn = item["Arn"]
    return {
        policy["PolicyName"]: document_of(
            policy["PolicyDocument"], where=f"{arn}, inline policy {policy['PolicyName']}", partition=partition_of(arn)
        )
        for policy in item.get(key) or ()
    }


def _role(item: Mapping[str, Any], listed: Mapping[str, Any]) -> Role:
    arn = item["Arn"]
    return Role(
        arn,
        trust=document_of(item["AssumeRolePolicyDocument"], where=f"{arn}, trust policy", partition=partition_of(arn)),
        inline=_inline(item, "RolePolicyList"),
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


def _group(item: Mapping[str, Any]) -> Group:
    return Group(item["Arn"], inline=_inline(item, "GroupPolicyList"), attached=attached_of(item["AttachedManagedPolicies"]))


def _user(iam: Any, item: Mapping[str, Any], groups: Mapping[str, str]) -> User:
    return User(
        item["Arn"],
        groups=frozenset(groups[name] for name in item["GroupList"]),
        inline=_inline(item, "UserPolicyList"),
        attached=attached_of(item["AttachedManagedPolicies"]),
        console_password=_console_password(iam, item["UserName"]),
        boundary=boundary_of(item),
        tags=tags_of(item),
    )


def _console_password(iam: Any, name: str) -> ConsolePassword | None:
    try:
        profile = iam.get_login_profile(UserName=name)["LoginProfile"]
    except iam.exceptions.NoSuchEntityException:
        return None
    return ConsolePassword(reset_required=bool(profile.get("PasswordResetRequired", False)))


def _instance_profiles(iam: Any) -> Iterator[InstanceProfile]:
    for listed in _pages(iam, "list_instance_profiles", "InstanceProfiles"):
        profile = iam.get_instance_profile(InstanceProfileName=listed["InstanceProfileName"])["InstanceProfile"]
        roles = profile.get("Roles") or ()
        yield InstanceProfile(profile["Arn"], roles[0]["Arn"] if roles else "", tags_of(profile))
