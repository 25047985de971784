"""Reads access from IAM: whole accounts, and single roles, users, groups and policies.

An account is read with as few calls as possible. GetAccountAuthorizationDetails returns the policies of all users, groups,
and roles in one paginated reply. It lacks the description and session duration of roles (read with ListRoles), the tags of
policies and instance profiles (one call each), and console passwords (one call per user). Source: botocore 1.44.5, service
model iam; November 2026.

What cannot be read of a single part is `NotCheckable` with IAM's error code. A role can read itself only if its policies
allow `iam:GetRole` and five more actions on itself. Parts that it cannot read are never reported as unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from rolecall_generator.iam import (
    Access,
    Arn,
    ConsolePassword,
    Group,
    InstanceProfile,
    ManagedPolicy,
    PolicyDocument,
    Role,
    User,
)
from rolecall_generator.iam_replies import (
    SERVICE_LINKED_PATH,
    UnreadableDocumentError,
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
        *(_listed_role(item, listed.get(item["RoleName"], {})) for item in own_roles),
        *(_listed_policy(iam, item) for item in details["Policies"]),
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


def _role(item: Mapping[str, Any]) -> Role:
    """A role without its policies. `item`: from GetRole, or from lists of roles."""
    arn = item["Arn"]
    return Role(
        arn,
        trust=document_of(item["AssumeRolePolicyDocument"], where=f"{arn}, trust policy", partition=partition_of(arn)),
        boundary=boundary_of(item),
        max_session_seconds=item.get("MaxSessionDuration", 3600),
        description=item.get("Description", ""),
        tags=tags_of(item),
    )


def _listed_role(item: Mapping[str, Any], listed: Mapping[str, Any]) -> Role:
    inline, attached = inline_of(item, "RolePolicyList"), attached_of(item["AttachedManagedPolicies"])
    return replace(_role({**listed, **item}), inline=inline, attached=attached)


def _listed_policy(iam: Any, item: Mapping[str, Any]) -> ManagedPolicy:
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


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NotCheckable:
    """A part that could not be read. `action`: as in `iam:GetRole`. `code`: IAM's error code, or an exception name."""

    action: str
    code: str

    def __str__(self) -> str:
        return f"{self.action}: {self.code}"


@dataclass(frozen=True, slots=True)
class RoleReading:
    """A role as read. `settings`: the role without its policies, from GetRole.

    `policies`: attached customer managed policies, by ARN; AWS managed policies are not read.
    """

    name: str
    settings: Role | NotCheckable
    inline: Mapping[str, PolicyDocument | NotCheckable] | NotCheckable
    attached: frozenset[str] | NotCheckable
    policies: Mapping[str, ManagedPolicy | NotCheckable] = field(default_factory=dict)

    @property
    def not_checkable(self) -> tuple[NotCheckable, ...]:
        """All parts that could not be read; empty if everything was read."""
        parts: list[object] = [self.settings, self.inline, self.attached, *self.policies.values()]
        if not isinstance(self.inline, NotCheckable):
            parts.extend(self.inline.values())
        return tuple(dict.fromkeys(part for part in parts if isinstance(part, NotCheckable)))

    @property
    def missing(self) -> bool:
        """Whether the role does not exist."""
        return isinstance(self.settings, NotCheckable) and self.settings.code == "NoSuchEntity"

    def merged_with(self, intended: Access, arn: str) -> Access:
        """Return the intended role and its policies, updated with everything that was read; empty if the role is missing.

        The difference from `intended` is the drift that could be detected. Parts that could not be read stay as intended,
        so report `not_checkable` too. Raises KeyError if `intended` has no role `arn`.
        """
        wanted = intended.roles[arn]
        if self.missing:
            return Access()
        role = self._over_role(wanted)
        known = {policy: intended.policies[policy] for policy in role.attached if policy in intended.policies}
        known |= {policy: found for policy, found in self.policies.items() if isinstance(found, ManagedPolicy)}
        return Access(roles={role.arn: role}, policies=known)

    def _over_role(self, wanted: Role) -> Role:
        role = wanted
        if isinstance(self.settings, Role):
            role = replace(self.settings, inline=wanted.inline, attached=wanted.attached, existing=wanted.existing)
        if not isinstance(self.attached, NotCheckable):
            role = replace(role, attached=self.attached)
        if not isinstance(self.inline, NotCheckable):
            inline = {
                name: wanted.inline.get(name) if isinstance(document, NotCheckable) else document
                for name, document in self.inline.items()
            }
            role = replace(role, inline={name: document for name, document in inline.items() if document is not None})
        return role


def read_role(iam: Any, name: str) -> RoleReading:
    """Read one role with a boto3 IAM client. Errors of IAM and of the connection are in the result, not raised."""
    settings = attempt("GetRole", lambda: _role(iam.get_role(RoleName=name)["Role"]))
    inline = _inline(iam, name)
    attached = attempt(
        "ListAttachedRolePolicies",
        lambda: attached_of(pages_of(iam, "list_attached_role_policies", "AttachedPolicies", RoleName=name)),
    )
    own = (
        []
        if isinstance(attached, NotCheckable)
        else sorted(arn for arn in attached if (parsed := Arn.parse(arn)) is not None and parsed.account_id != "aws")
    )
    return RoleReading(name, settings, inline, attached, {arn: _policy(iam, arn) for arn in own})


def attempt(action: str, read: Callable[[], T]) -> T | NotCheckable:
    """Return the result of `read`, or its error as NotCheckable. `action`: the first IAM action that `read` calls."""
    try:
        return read()
    except ClientError as error:
        # The operation names the missing permission if one read makes several calls.
        code = str(error.response.get("Error", {}).get("Code", "Unknown"))
        return NotCheckable(f"iam:{error.operation_name or action}", code)
    except (BotoCoreError, UnreadableDocumentError) as error:
        return NotCheckable(f"iam:{action}", type(error).__name__)


def _inline(iam: Any, name: str) -> Mapping[str, PolicyDocument | NotCheckable] | NotCheckable:
    names = attempt("ListRolePolicies", lambda: list(pages_of(iam, "list_role_policies", "PolicyNames", RoleName=name)))
    if isinstance(names, NotCheckable):
        return names

    def read(policy: str) -> PolicyDocument:
        reply = iam.get_role_policy(RoleName=name, PolicyName=policy)
        return document_of(reply["PolicyDocument"], where=f"role {name}, inline policy {policy}")

    return {policy: attempt("GetRolePolicy", partial(read, policy)) for policy in names}


def _policy(iam: Any, arn: str) -> ManagedPolicy | NotCheckable:
    policy = attempt("GetPolicy", lambda: iam.get_policy(PolicyArn=arn)["Policy"])
    if isinstance(policy, NotCheckable):
        return policy

    def read() -> ManagedPolicy:
        version = iam.get_policy_version(PolicyArn=arn, VersionId=policy["DefaultVersionId"])["PolicyVersion"]
        document = document_of(version["Document"], where=arn, partition=partition_of(arn))
        return ManagedPolicy(arn, document, policy.get("Description", ""), tags_of(policy))

    return attempt("GetPolicyVersion", read)


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
            inline=_inline_documents(iam, "group", "GroupName", name),
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
            inline=_inline_documents(iam, "user", "UserName", name),
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
    found = _policy(iam, wanted.arn)
    return found if isinstance(found, NotCheckable) else replace(wanted, document=found.document)


def _inline_documents(iam: Any, kind: str, parameter: str, name: str) -> dict[str, PolicyDocument]:
    names = pages_of(iam, f"list_{kind}_policies", "PolicyNames", **{parameter: name})
    read = getattr(iam, f"get_{kind}_policy")
    return {
        policy: document_of(
            read(**{parameter: name}, PolicyName=policy)["PolicyDocument"], where=f"{kind} {name}, inline policy {policy}"
        )
        for policy in names
    }
