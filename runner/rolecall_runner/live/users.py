"""Users and groups in IAM, as far as they can be read: each is known, or not checkable with IAM's error code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from rolecall_generator.iam import ConsolePassword, Group, ManagedPolicy, PolicyDocument, User
from rolecall_runner.live.account import UnreadableDocumentError, attached_of, boundary_of, document_of, tags_of
from rolecall_runner.live.role import NotCheckable

T = TypeVar("T")
GONE = frozenset({"NoSuchEntity", "NoSuchEntityException"})


@dataclass(frozen=True, slots=True)
class UserReading:
    """A user as read; `mfa_devices` are serial numbers. The code NoSuchEntity in `user` says that there is none."""

    user: User | NotCheckable
    mfa_devices: tuple[str, ...] | NotCheckable


def attempt(action: str, read: Callable[[], T]) -> T | NotCheckable:
    """What `read` answers, or why it could not: `action` is the first permission that it needs."""
    try:
        return read()
    except ClientError as error:
        # IAM's message names the action; the operation is the next best, where one read makes several calls.
        return NotCheckable(f"iam:{error.operation_name or action}", str(error.response.get("Error", {}).get("Code", "")))
    except (BotoCoreError, UnreadableDocumentError) as error:
        return NotCheckable(f"iam:{action}", type(error).__name__)


def read_group(iam: Any, wanted: Group) -> Group | NotCheckable:
    """The group with the policies on it. Never raises what IAM or the connection refuse."""
    name = wanted.arn.rpartition("/")[2]

    def read() -> Group:
        iam.get_group(GroupName=name, MaxItems=1)
        return replace(
            wanted,
            inline=_inline(iam, "group", "GroupName", name),
            attached=attached_of(_pages(iam, "list_attached_group_policies", "AttachedPolicies", GroupName=name)),
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
            groups=frozenset(item["Arn"] for item in _pages(iam, "list_groups_for_user", "Groups", UserName=name)),
            inline=_inline(iam, "user", "UserName", name),
            attached=attached_of(_pages(iam, "list_attached_user_policies", "AttachedPolicies", UserName=name)),
            console_password=_console_password(iam, name, wanted.console_password),
            boundary=boundary_of(user),
            tags=tags_of(user),
        )

    def devices() -> tuple[str, ...]:
        return tuple(item["SerialNumber"] for item in _pages(iam, "list_mfa_devices", "MFADevices", UserName=name))

    return UserReading(attempt("GetUser", read), attempt("ListMFADevices", devices))


def read_policy(iam: Any, wanted: ManagedPolicy) -> ManagedPolicy | NotCheckable:
    """The text of one of the account's own policies. Never raises what IAM or the connection refuse."""

    def read() -> ManagedPolicy:
        version = iam.get_policy(PolicyArn=wanted.arn)["Policy"]["DefaultVersionId"]
        answer = iam.get_policy_version(PolicyArn=wanted.arn, VersionId=version)["PolicyVersion"]
        return replace(wanted, document=document_of(answer["Document"], where=wanted.arn))

    return attempt("GetPolicy", read)


def _pages(iam: Any, operation: str, key: str, **names: str) -> list[Any]:
    return [item for page in iam.get_paginator(operation).paginate(**names) for item in page[key]]


def _inline(iam: Any, kind: str, parameter: str, name: str) -> dict[str, PolicyDocument]:
    names = _pages(iam, f"list_{kind}_policies", "PolicyNames", **{parameter: name})
    read = getattr(iam, f"get_{kind}_policy")
    return {
        policy: document_of(
            read(**{parameter: name}, PolicyName=policy)["PolicyDocument"], where=f"{kind} {name}, inline policy {policy}"
        )
        for policy in names
    }


def _console_password(iam: Any, name: str, wanted: ConsolePassword | None) -> ConsolePassword | None:
    try:
        profile = iam.get_login_profile(UserName=name)["LoginProfile"]
    except iam.exceptions.NoSuchEntityException:
        return None
    if wanted is not None:
        return wanted  # whether it must still be changed says only whether its owner has signed in already
    return ConsolePassword(reset_required=bool(profile.get("PasswordResetRequired", False)))
