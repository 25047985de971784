"""Provisions the sandbox's accounts from `Access` as their administrator (operator), and removes what was added.

`creation_steps` are the IAM calls that add what an account lacks, `removal_steps` those that remove what was added.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from rolecall_generator.errors import RolecallError
from rolecall_generator.iam import (
    PARTITIONS,
    Access,
    Arn,
    Group,
    InstanceProfile,
    ManagedPolicy,
    PolicyDocument,
    Principal,
    Role,
    Statement,
    User,
    role_arn,
)
from rolecall_runner.aws import AccountSession, Clients, ClientSettings, Credentials, account, utc_now
from rolecall_runner.live import read_account
from rolecall_runner.sandbox.protocol.aws_protocol import OPERATOR_KEY, OPERATOR_ROLE
from rolecall_runner.sandbox.server.state_dir import operator_secret


@dataclass(frozen=True, slots=True)
class IamStep:
    """One IAM call: boto3 method, ARN of its subject, arguments (left out of the repr: they may contain a password)."""

    operation: str
    subject: str
    arguments: Mapping[str, Any] = field(repr=False)


def creation_steps(found: Access, wanted: Access, *, new_password: Callable[[], str]) -> Iterator[IamStep]:
    """The calls from `found` to `wanted`, in dependency order; extra parts of `found` are kept.

    Missing parts marked `existing` are created empty, roles with a trust policy for EC2; others keep their trust policy.
    """
    for policy in wanted.policies.values():
        yield from _policy(found.policies.get(policy.arn), policy)
    for group in wanted.groups.values():
        yield from _group(found.groups.get(group.arn), group)
    for user in wanted.users.values():
        yield from _user(found.users.get(user.arn), user, new_password)
    for role in wanted.roles.values():
        yield from _role(found.roles.get(role.arn), role)
    for profile in wanted.instance_profiles.values():
        yield from _instance_profile(found.instance_profiles.get(profile.arn), profile)


def _policy(old: ManagedPolicy | None, new: ManagedPolicy) -> Iterator[IamStep]:
    if old is None:
        content = {"PolicyDocument": _text(new.document), "Description": new.description, "Tags": _tags(new.tags)}
        yield IamStep("create_policy", new.arn, _named("Policy", new.arn) | content)
        return
    if old.document.canonical() != new.document.canonical():
        arguments = {"PolicyArn": new.arn, "PolicyDocument": _text(new.document), "SetAsDefault": True}
        yield IamStep("create_policy_version", new.arn, arguments)
    yield from _tag_steps("policy", {"PolicyArn": new.arn}, new.arn, old.tags, new.tags)


def _group(old: Group | None, new: Group) -> Iterator[IamStep]:
    if old is None:
        yield IamStep("create_group", new.arn, _named("Group", new.arn))
    yield from _permissions("group", old, new)


def _user(old: User | None, new: User, new_password: Callable[[], str]) -> Iterator[IamStep]:
    name = {"UserName": arn_of(new.arn).name}
    if old is None:
        yield IamStep("create_user", new.arn, _named("User", new.arn) | {"Tags": _tags(new.tags)})
    else:
        yield from _tag_steps("user", name, new.arn, old.tags, new.tags)
    yield from _boundary("user", old, new)
    yield from _permissions("user", old, new)
    for group in sorted(new.groups - (old.groups if old else frozenset())):
        yield IamStep("add_user_to_group", new.arn, {**name, "GroupName": arn_of(group).name})
    if new.console_password is not None:
        had = old.console_password if old else None
        profile = {**name, "PasswordResetRequired": new.console_password.reset_required, "Password": new_password()}
        if had is None:
            yield IamStep("create_login_profile", new.arn, profile)
        if had is None or had.reset_required != new.console_password.reset_required:
            # moto 5.2.5 ignores PasswordResetRequired at creation, and drops the profile at an update without password.
            yield IamStep("update_login_profile", new.arn, profile)


def _role(old: Role | None, new: Role) -> Iterator[IamStep]:
    name = {"RoleName": arn_of(new.arn).name}
    if old is None:
        arguments: dict[str, Any] = _named("Role", new.arn) | {
            "AssumeRolePolicyDocument": _text(new.trust or _instances_trust(new.arn)),
            "Description": new.description,
            "MaxSessionDuration": new.max_session_seconds,
            "Tags": _tags(new.tags),
        }
        if new.boundary:
            arguments["PermissionsBoundary"] = new.boundary
        yield IamStep("create_role", new.arn, arguments)
    elif not new.existing:
        if new.trust is not None and (old.trust is None or old.trust.canonical() != new.trust.canonical()):
            yield IamStep("update_assume_role_policy", new.arn, {**name, "PolicyDocument": _text(new.trust)})
        if (old.description, old.max_session_seconds) != (new.description, new.max_session_seconds):
            settings = {"Description": new.description, "MaxSessionDuration": new.max_session_seconds}
            yield IamStep("update_role", new.arn, name | settings)
        yield from _boundary("role", old, new)
        yield from _tag_steps("role", name, new.arn, old.tags, new.tags)
    yield from _permissions("role", old, new)


def _instance_profile(old: InstanceProfile | None, new: InstanceProfile) -> Iterator[IamStep]:
    name = {"InstanceProfileName": arn_of(new.arn).name}
    if old is None:
        arguments = {**name, "Path": arn_of(new.arn).path, "Tags": _tags(new.tags)}
        yield IamStep("create_instance_profile", new.arn, arguments)
    else:
        yield from _tag_steps("instance_profile", name, new.arn, old.tags, new.tags)
    if old is not None and old.role not in {"", new.role}:
        yield IamStep("remove_role_from_instance_profile", new.arn, {**name, "RoleName": arn_of(old.role).name})
    if old is None or old.role != new.role:
        yield IamStep("add_role_to_instance_profile", new.arn, {**name, "RoleName": arn_of(new.role).name})


def _permissions(kind: str, old: Role | Group | User | None, new: Role | Group | User) -> Iterator[IamStep]:
    name = {f"{kind.capitalize()}Name": arn_of(new.arn).name}
    for policy, document in sorted(new.inline.items()):
        had = old.inline.get(policy) if old else None
        if had is None or had.canonical() != document.canonical():
            arguments = {**name, "PolicyName": policy, "PolicyDocument": _text(document)}
            yield IamStep(f"put_{kind}_policy", new.arn, arguments)
    for arn in sorted(new.attached - (old.attached if old else frozenset())):
        yield IamStep(f"attach_{kind}_policy", new.arn, {**name, "PolicyArn": arn})


def _boundary(kind: str, old: Role | User | None, new: Role | User) -> Iterator[IamStep]:
    if new.boundary is not None and (old is None or old.boundary != new.boundary):
        arguments = {f"{kind.capitalize()}Name": arn_of(new.arn).name, "PermissionsBoundary": new.boundary}
        yield IamStep(f"put_{kind}_permissions_boundary", new.arn, arguments)


def _tag_steps(
    kind: str, name: Mapping[str, Any], subject: str, old: Mapping[str, str], new: Mapping[str, str]
) -> Iterator[IamStep]:
    if missing := {key: value for key, value in new.items() if old.get(key) != value}:
        yield IamStep(f"tag_{kind}", subject, {**name, "Tags": _tags(missing)})


def _named(kind: str, arn: str) -> dict[str, Any]:
    parsed = arn_of(arn)
    return {f"{kind}Name": parsed.name, "Path": parsed.path}


def arn_of(text: str) -> Arn:
    """Parse an ARN. Raises ValueError."""
    parsed = Arn.parse(text)
    if parsed is None:
        raise ValueError(f"{text} is not an ARN")
    return parsed


def _tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def _text(document: PolicyDocument) -> str:
    return json.dumps(_without_empty_sids(document.to_json()), separators=(",", ":"))


def _without_empty_sids(body: dict[str, Any]) -> dict[str, Any]:
    # IAM rejects duplicate Sids, empty ones included ("Statement IDs must be unique").
    statements = [{key: value for key, value in item.items() if (key, value) != ("Sid", "")} for item in body["Statement"]]
    return body | {"Statement": statements}


def _instances_trust(arn: str) -> PolicyDocument:
    """A trust policy for EC2, which has another service principal in the China Regions."""
    service = "ec2.amazonaws.com.cn" if arn_of(arn).partition == "aws-cn" else "ec2.amazonaws.com"
    return PolicyDocument((Statement("Allow", ("sts:AssumeRole",), principals=(Principal("Service", service),)),))


Holder = Role | Group | User


def removal_steps(found: Access, before: Access) -> Iterator[IamStep]:
    """The calls that remove everything in `found` that is not in `before`, in an order that IAM accepts."""
    for arn, profile in found.instance_profiles.items():
        if arn not in before.instance_profiles:
            name = {"InstanceProfileName": arn_of(arn).name}
            if profile.role:
                role = arn_of(profile.role).name
                yield IamStep("remove_role_from_instance_profile", arn, {**name, "RoleName": role})
            yield IamStep("delete_instance_profile", arn, name)
    yield from _users(found.users, before.users)
    yield from _holders("group", found.groups, before.groups)
    yield from _holders("role", found.roles, before.roles)
    for arn in found.policies:
        if arn not in before.policies:
            yield IamStep("delete_policy", arn, {"PolicyArn": arn})


def _users(found: Mapping[str, User], before: Mapping[str, User]) -> Iterator[IamStep]:
    for arn, user in found.items():
        old = before.get(arn)
        name = {"UserName": arn_of(arn).name}
        for group in sorted(user.groups - (old.groups if old else frozenset())):
            yield IamStep("remove_user_from_group", arn, {**name, "GroupName": arn_of(group).name})
        if user.console_password is not None and (old is None or old.console_password is None):
            yield IamStep("delete_login_profile", arn, name)
    yield from _holders("user", found, before)


def _holders(kind: str, found: Mapping[str, Holder], before: Mapping[str, Holder]) -> Iterator[IamStep]:
    for arn, holder in found.items():
        old = before.get(arn)
        name = {f"{kind.capitalize()}Name": arn_of(arn).name}
        for policy in sorted(holder.attached - (old.attached if old else frozenset())):
            yield IamStep(f"detach_{kind}_policy", arn, {**name, "PolicyArn": policy})
        for inline in sorted(holder.inline.keys() - (old.inline.keys() if old else set())):
            yield IamStep(f"delete_{kind}_policy", arn, {**name, "PolicyName": inline})
        if old is None:
            yield IamStep(f"delete_{kind}", arn, name)


WORKERS = 4
"""Default number of threads. The sandbox is in the same process, so more threads do not help."""

_CONNECTIONS = 8
_NEVER = datetime.max.replace(tzinfo=UTC)


class AdminClient:
    """boto3 clients that act as administrator of the account selected with `acting_in`. Thread-safe."""

    def __init__(self, url: str, *, partition: str = "aws") -> None:
        self._own = Credentials(OPERATOR_KEY, operator_secret(url), None, _NEVER)
        self._partition = partition
        self._region = PARTITIONS[partition].default_region
        self._clients = Clients(ClientSettings(endpoint_url=url, connections=_CONNECTIONS, max_attempts=3))
        self._sessions: dict[str, AccountSession] = {}

    def client(self, service: str) -> Any:
        """The shared client of a service, for use inside `acting_in`. Calls outside of it raise OutsideAccountError."""
        return self._clients.client(service, self._region)

    @contextmanager
    def acting_in(self, account_id: str) -> Iterator[None]:
        """Act as administrator of the account in this block and thread. Raises botocore's errors."""
        with account(self.session(account_id).get_frozen_credentials()):
            yield

    def session(self, account_id: str) -> AccountSession:
        """The operator's session in an account, renewed automatically."""
        # setdefault is atomic: concurrent threads share one session.
        return self._sessions.setdefault(account_id, AccountSession(lambda: self._assume(account_id), utc_now))

    def _assume(self, account_id: str) -> Credentials:
        arn = role_arn(self._partition, account_id, "/", OPERATOR_ROLE)
        with account(self._own):
            reply = self._clients.client("sts", self._region).assume_role(RoleArn=arn, RoleSessionName="rolecall-sandbox")
        return Credentials.from_reply(reply)


UPSTREAM_ERRORS = (ClientError, BotoCoreError, ResponseParserError, RolecallError)


@dataclass(frozen=True, slots=True)
class AccountProvisioned:
    """Result for one account: the number of IAM calls that changed it, and the errors of failed calls."""

    account_id: str
    changes: int = 0
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Provisioned:
    """Results of all accounts, in the given order."""

    accounts: tuple[AccountProvisioned, ...]

    @property
    def changes(self) -> int:
        """The number of changing IAM calls in all accounts."""
        return sum(account.changes for account in self.accounts)

    @property
    def failed(self) -> tuple[AccountProvisioned, ...]:
        """Accounts with errors."""
        return tuple(account for account in self.accounts if account.problems)


def split_by_account(access: Access) -> dict[str, Access]:
    """Split an Access into one per account, by account ID, in order of first appearance."""
    parts: dict[str, dict[str, dict[str, Any]]] = {}
    kinds = ("roles", "policies", "groups", "users", "instance_profiles")
    for kind in kinds:
        for arn, part in getattr(access, kind).items():
            parts.setdefault(arn_of(arn).account_id, {name: {} for name in kinds})[kind][arn] = part
    return {account_id: Access(**found) for account_id, found in parts.items()}


def provision(
    accesses: Mapping[str, Access],
    *,
    operator: AdminClient,
    workers: int = WORKERS,
    progress: Callable[[str], None] = lambda _account_id: None,
) -> Provisioned:
    """Create what each account lacks through the IAM API. Idempotent; existing extra resources are kept.

    A trust policy can name only existing principals, so accounts are filled in waves: first what names no principal, then
    the roles whose principals exist. `progress` is called with each account ID after each wave. Errors of one account are in
    its result and do not stop the others.
    """
    outcomes = {account_id: AccountProvisioned(account_id) for account_id in accesses}

    pool = ThreadPoolExecutor(workers)
    try:
        for wave in _waves(accesses):
            for done in pool.map(partial(_change_account, operator, partial(_fill, wave)), wave):
                known = outcomes[done.account_id]
                outcomes[done.account_id] = AccountProvisioned(
                    done.account_id, known.changes + done.changes, known.problems + done.problems
                )
                progress(done.account_id)
    finally:
        # On Ctrl-C, do not start the remaining accounts.
        pool.shutdown(cancel_futures=True)
    return Provisioned(tuple(outcomes.values()))


def remove_added(before: Mapping[str, Access], *, operator: AdminClient) -> Provisioned:
    """Remove everything that accounts did not have `before`. Errors are in the results."""

    def remove(account_id: str, change: AccountChange) -> None:
        found = read_account(change.iam, leave_out=[OPERATOR_ROLE])
        change.run(removal_steps(found, before[account_id]))

    return Provisioned(tuple(_change_account(operator, remove, account_id) for account_id in before))


@dataclass(slots=True)
class AccountChange:
    """The IAM client of an account, and the calls made so far with their errors."""

    iam: Any
    made: int = 0
    problems: list[str] = field(default_factory=list)

    def run(self, steps: Iterator[IamStep], *, new: bool = False) -> bool:
        """Run the calls. With `new`, stop with False when something exists already."""
        for step in steps:
            try:
                getattr(self.iam, step.operation)(**step.arguments)
                self.made += 1
            except UPSTREAM_ERRORS as error:
                if new and isinstance(error, ClientError) and error.response["Error"]["Code"] == "EntityAlreadyExists":
                    return False
                self.problems.append(f"{step.subject}: {_one_line(error)}")
        return True


def _new_password() -> str:
    return f"Aa1!{secrets.token_urlsafe(24)}"


def _fill(wanted: Mapping[str, Access], account_id: str, change: AccountChange) -> None:
    """Create what an account lacks. Only an account that turns out not to be new is read, because most are new."""
    if not change.run(creation_steps(Access(), wanted[account_id], new_password=_new_password), new=True):
        change.problems.clear()
        found = read_account(change.iam, leave_out=[OPERATOR_ROLE])
        change.run(creation_steps(found, wanted[account_id], new_password=_new_password))


def _change_account(
    operator: AdminClient, work: Callable[[str, AccountChange], None], account_id: str
) -> AccountProvisioned:
    change = AccountChange(operator.client("iam"))
    try:
        with operator.acting_in(account_id):
            work(account_id, change)
    except UPSTREAM_ERRORS as error:
        change.problems.append(_one_line(error))
    return AccountProvisioned(account_id, change.made, tuple(change.problems))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:500]


def _waves(accesses: Mapping[str, Access]) -> Iterator[dict[str, Access]]:
    """The parts that can be created together, in order. Every account is in the first wave, so that all accounts exist."""
    remaining = {arn: role for access in accesses.values() for arn, role in access.roles.items()}
    users = {arn for access in accesses.values() for arn in access.users}
    missing = {*remaining, *users}
    first = True
    while first or remaining:
        ready = {arn for arn, role in remaining.items() if not _required_principals(role) & missing}
        # Roles that trust each other in a cycle cannot be created: IAM's error reports it.
        ready = ready or (set() if first else set(remaining))
        wave = {account_id: _part(access, ready, rest=first) for account_id, access in accesses.items()}
        yield {account_id: part for account_id, part in wave.items() if first or part.roles}
        missing -= {*ready, *users}
        remaining = {arn: role for arn, role in remaining.items() if arn not in ready}
        first = False


def _part(access: Access, ready: Collection[str], *, rest: bool) -> Access:
    roles = {arn: role for arn, role in access.roles.items() if arn in ready}
    profiles = {arn: each for arn, each in access.instance_profiles.items() if each.role in roles}
    if not rest:
        return Access(roles=roles, instance_profiles=profiles)
    profiles |= {arn: each for arn, each in access.instance_profiles.items() if each.role not in access.roles}
    return replace(access, roles=roles, instance_profiles=profiles)


def _required_principals(role: Role) -> set[str]:
    """Principals that must exist before the role: those of its trust policy, except users of its account."""
    if role.trust is None:
        return set()
    own_users = f"::{arn_of(role.arn).account_id}:user/"
    named = {principal.identifier for statement in role.trust.statements for principal in statement.principals}
    return {arn for arn in named if own_users not in arn} - {role.arn}
