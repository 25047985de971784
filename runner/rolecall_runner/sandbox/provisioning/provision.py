"""Provisions the sandbox's accounts from `Access` as their administrator (operator), and removes what was added."""

from __future__ import annotations

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
from rolecall_generator.iam import PARTITIONS, Access, Role, role_arn
from rolecall_runner.aws import AccountSession, Clients, ClientSettings, Credentials, account
from rolecall_runner.live import read_account
from rolecall_runner.sandbox.protocol.http_types import OPERATOR_KEY, OPERATOR_ROLE
from rolecall_runner.sandbox.provisioning.reconcile import IamStep, arn_of, creation_steps, removal_steps
from rolecall_runner.sandbox.server.state_dir import operator_secret

WORKERS = 4
"""Default number of threads. The sandbox is in the same process, so more threads do not help."""

_NEVER = datetime.max.replace(tzinfo=UTC)


class AdminClient:
    """boto3 clients that act as administrator of the account selected with `acting_in`. Thread-safe."""

    def __init__(
        self,
        url: str,
        *,
        partition: str = "aws",
        workers: int = 8,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._url = url
        self._own = Credentials(OPERATOR_KEY, operator_secret(url), None, _NEVER)
        self._partition = partition
        self._region = PARTITIONS[partition].default_region
        self._clients = Clients(ClientSettings(endpoint_url=url, connections=workers, max_attempts=3))
        self._clock = clock
        self._sessions: dict[str, AccountSession] = {}

    @property
    def url(self) -> str:
        """The URL of the sandbox."""
        return self._url

    @property
    def partition(self) -> str:
        """The partition of the accounts."""
        return self._partition

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
        return self._sessions.setdefault(account_id, AccountSession(lambda: self._assume(account_id), self._clock))

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
    new_password: Callable[[], str] = lambda: f"Aa1!{secrets.token_urlsafe(24)}",
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
            for done in pool.map(partial(_change_account, operator, partial(_fill, wave, new_password)), wave):
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


def _fill(wanted: Mapping[str, Access], new_password: Callable[[], str], account_id: str, change: AccountChange) -> None:
    """Create what an account lacks. Only an account that turns out not to be new is read, because most are new."""
    if not change.run(creation_steps(Access(), wanted[account_id], new_password=new_password), new=True):
        change.problems.clear()
        found = read_account(change.iam, leave_out=[OPERATOR_ROLE])
        change.run(creation_steps(found, wanted[account_id], new_password=new_password))


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
