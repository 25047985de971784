"""Users and groups in IAM, as far as they can be read: each is known, or not checkable with IAM's error code."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from rolecall_generator.iam import Group, ManagedPolicy, PolicyDocument, User
from rolecall_runner.live.account import attached_of, boundary_of, console_password_of, document_of, pages_of, tags_of
from rolecall_runner.live.role import NotCheckable, attempt

GONE = frozenset({"NoSuchEntity", "NoSuchEntityException"})


@dataclass(frozen=True, slots=True)
class UserReading:
    """A user as read; `mfa_devices` are serial numbers. The code NoSuchEntity in `user` says that there is none."""

    user: User | NotCheckable
    mfa_devices: tuple[str, ...] | NotCheckable


def read_group(iam: Any, wanted: Group) -> Group | NotCheckable:
    """The group with the policies on it. Never raises what IAM or the connection refuse."""
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
    """The user with groups, policies, console password and MFA devices. Never raises what IAM or the connection refuse.

    What IAM does not show (how the first password was encrypted) is as wanted.
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
            # Whether it must still be changed shows only whether the user has signed in already.
            console_password=(password := console_password_of(iam, name)) and (wanted.console_password or password),
            boundary=boundary_of(user),
            tags=tags_of(user),
        )

    def devices() -> tuple[str, ...]:
        return tuple(item["SerialNumber"] for item in pages_of(iam, "list_mfa_devices", "MFADevices", UserName=name))

    return UserReading(attempt("GetUser", read), attempt("ListMFADevices", devices))


def read_policy(iam: Any, wanted: ManagedPolicy) -> ManagedPolicy | NotCheckable:
    """The text of one of the account's own policies. Never raises what IAM or the connection refuse."""

    def read() -> ManagedPolicy:
        version = iam.get_policy(PolicyArn=wanted.arn)["Policy"]["DefaultVersionId"]
        answer = iam.get_policy_version(PolicyArn=wanted.arn, VersionId=version)["PolicyVersion"]
        return replace(wanted, document=document_of(answer["Document"], where=wanted.arn))

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
