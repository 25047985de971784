"""Reads users, groups and policies from IAM. Those that cannot be read are `NotCheckable` with IAM's error code."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from rolecall_generator.iam import Group, ManagedPolicy, PolicyDocument, User
from rolecall_generator.iam_replies import attached_of, boundary_of, document_of, tags_of
from rolecall_runner.live.account import console_password_of, pages_of
from rolecall_runner.live.role import NotCheckable, attempt

GONE = frozenset({"NoSuchEntity", "NoSuchEntityException"})


@dataclass(frozen=True, slots=True)
class UserReading:
    """A user as read; `mfa_devices` are serial numbers. If the user does not exist, `user` has the code NoSuchEntity."""

    user: User | NotCheckable
    mfa_devices: tuple[str, ...] | NotCheckable


def read_group(iam: Any, wanted: Group) -> Group | NotCheckable:
    """Read a group with its policies. Errors of IAM and of the connection are in the result, not raised."""
    name = wanted.arn.rpartition("/")[2]

    def read() -> Group:
        iam.get_group(GroupName=name, MaxItems=1)
        return replace(
            wanted,
            inline=_inline(iam, "group", "GroupName", name),
            attached=attached_of(pages_of(iam, "list_attached_group_policies", "AttachedPolicies", GroupName=name)),
        )

    return attempt("GetGroup", read)


def read_user(iam: Any, wanted: User) -> UserReading:
    """Read a user with groups, policies, console password and MFA devices. Errors are in the result, not raised.

    Attributes that IAM does not return (the PGP key of the first password) are copied from `wanted`.
    """
    name = wanted.arn.rpartition("/")[2]

    def read() -> User:
        user = iam.get_user(UserName=name)["User"]
        return replace(
            wanted,
            arn=user["Arn"],
            groups=frozenset(item["Arn"] for item in pages_of(iam, "list_groups_for_user", "Groups", UserName=name)),
            inline=_inline(iam, "user", "UserName", name),
            attached=attached_of(pages_of(iam, "list_attached_user_policies", "AttachedPolicies", UserName=name)),
            # Compared only for existence: the reset flag changes when the user first signs in.
            console_password=(password := console_password_of(iam, name)) and (wanted.console_password or password),
            boundary=boundary_of(user),
            tags=tags_of(user),
        )

    def devices() -> tuple[str, ...]:
        return tuple(item["SerialNumber"] for item in pages_of(iam, "list_mfa_devices", "MFADevices", UserName=name))

    return UserReading(attempt("GetUser", read), attempt("ListMFADevices", devices))


def read_policy(iam: Any, wanted: ManagedPolicy) -> ManagedPolicy | NotCheckable:
    """Read the default version of a customer managed policy. Errors are in the result, not raised."""

    def read() -> ManagedPolicy:
        version = iam.get_policy(PolicyArn=wanted.arn)["Policy"]["DefaultVersionId"]
        reply = iam.get_policy_version(PolicyArn=wanted.arn, VersionId=version)["PolicyVersion"]
        return replace(wanted, document=document_of(reply["Document"], where=wanted.arn))

    return attempt("GetPolicy", read)


def _inline(iam: Any, kind: str, parameter: str, name: str) -> dict[str, PolicyDocument]:
    names = pages_of(iam, f"list_{kind}_policies", "PolicyNames", **{parameter: name})
    read = getattr(iam, f"get_{kind}_policy")
    return {
        policy: document_of(
            read(**{parameter: name}, PolicyName=policy)["PolicyDocument"], where=f"{kind} {name}, inline policy {policy}"
        )
        for policy in names
    }
