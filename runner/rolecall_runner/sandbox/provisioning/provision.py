"""Access -> the sandbox's accounts, through IAM's own API: everything that is wanted and not yet there.

A trust policy that names a role or user can be saved only when that principal stands, so accounts are filled in waves: first
what names no one, then the roles whose trust names what the wave before has made.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from rolecall_generator.errors import RolecallError
from rolecall_generator.iam import Access, Arn, Role
from rolecall_runner.live import read_account
from rolecall_runner.sandbox.provisioning.admin_client import AdminClient
from rolecall_runner.sandbox.provisioning.reconcile import IamStep, removal_steps, steps
from rolecall_runner.sandbox.sts.sandbox_sessions import OPERATOR_ROLE

WORKERS = 4
"""Threads. The sandbox answers in the same process, so more threads only wait for one another."""

UPSTREAM_ERRORS = (ClientError, BotoCoreError, ResponseParserError, RolecallError)


@dataclass(frozen=True, slots=True)
class AccountProvisioned:
    """One account's outcome: how many IAM calls changed it (0: all was there), and what was refused, in sentences."""

    account_id: str
    changes: int = 0
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Provisioned:
    """All accounts in the given order."""

    accounts: tuple[AccountProvisioned, ...]

    @property
    def changes(self) -> int:
        """IAM calls that changed something, in all accounts."""
        return sum(account.changes for account in self.accounts)

    @property
    def failed(self) -> tuple[AccountProvisioned, ...]:
        """Accounts in which something was refused."""
        return tuple(account for account in self.accounts if account.problems)


def by_account(access: Access) -> dict[str, Access]:
    """An Access of many accounts as one of each account, by account id, in the order of first mention."""
    parts: dict[str, dict[str, dict[str, Any]]] = {}
    kinds = ("roles", "policies", "groups", "users", "instance_profiles")
    for kind in kinds:
        for arn, part in getattr(access, kind).items():
            parts.setdefault(_account_of(arn), {name: {} for name in kinds})[kind][arn] = part
    return {account_id: Access(**found) for account_id, found in parts.items()}


def provision(
    accesses: Mapping[str, Access],
    *,
    operator: AdminClient,
    workers: int = WORKERS,
    progress: Callable[[str], None] = lambda _account_id: None,
    new_password: Callable[[], str] = lambda: f"Aa1!{secrets.token_urlsafe(24)}",
) -> Provisioned:
    """Bring every account to its access; a second run changes nothing. `progress` hears each account that a wave finished.

    Never raises what one account refuses: that is in its result, and the others go on.
    """
    outcomes = {account_id: AccountProvisioned(account_id) for account_id in accesses}

    pool = ThreadPoolExecutor(workers)
    try:
        for wave in _waves(accesses):
            for done in pool.map(partial(_fill, operator, wave, new_password), wave):
                known = outcomes[done.account_id]
                outcomes[done.account_id] = AccountProvisioned(
                    done.account_id, known.changes + done.changes, known.problems + done.problems
                )
                progress(done.account_id)
    finally:
        # On Ctrl-C the accounts that wait are not begun.
        pool.shutdown(cancel_futures=True)
    return Provisioned(tuple(outcomes.values()))


def withdraw(before: Mapping[str, Access], *, operator: AdminClient) -> Provisioned:
    """Bring accounts back to what they had `before`: everything that came since is taken away, refusals are values."""
    return Provisioned(tuple(_empty(operator, access, account_id) for account_id, access in before.items()))


def _fill(
    operator: AdminClient, wanted: Mapping[str, Access], new_password: Callable[[], str], account_id: str
) -> AccountProvisioned:
    """Make what an account lacks. Most are new: only one that turns out not to be is read first."""
    made: list[str] = []
    problems: list[str] = []
    try:
        with operator.acting_in(account_id):
            iam = operator.client("iam")
            if not _take_all(iam, steps(Access(), wanted[account_id], new_password=new_password), made, problems, new=True):
                problems.clear()
                found = read_account(iam, leave_out=[OPERATOR_ROLE])
                _take_all(iam, steps(found, wanted[account_id], new_password=new_password), made, problems)
    except UPSTREAM_ERRORS as error:
        problems.append(_one_line(error))
    return AccountProvisioned(account_id, len(made), tuple(problems))


def _empty(operator: AdminClient, before: Access, account_id: str) -> AccountProvisioned:
    made: list[str] = []
    problems: list[str] = []
    try:
        with operator.acting_in(account_id):
            iam = operator.client("iam")
            found = read_account(iam, leave_out=[OPERATOR_ROLE])
            _take_all(iam, removal_steps(found, before), made, problems)
    except UPSTREAM_ERRORS as error:
        problems.append(_one_line(error))
    return AccountProvisioned(account_id, len(made), tuple(problems))


def _take_all(iam: Any, todo: Iterator[IamStep], made: list[str], problems: list[str], *, new: bool = False) -> bool:
    """Make the calls, note what was changed and what was refused. `new`: end with False where something stands already."""
    for step in todo:
        try:
            getattr(iam, step.operation)(**step.arguments)
            made.append(step.operation)
        except UPSTREAM_ERRORS as error:
            if new and _code(error) == "EntityAlreadyExists":
                return False
            problems.append(f"{step.subject}: {_one_line(error)}")
    return True


def _code(error: Exception) -> str:
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else ""


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:500]


def _waves(accesses: Mapping[str, Access]) -> Iterator[dict[str, Access]]:
    """What can be made at once, wave after wave. Every account is in the first wave, so that it exists for the others."""
    remaining = {arn: role for access in accesses.values() for arn, role in access.roles.items()}
    users = {arn for access in accesses.values() for arn in access.users}
    missing = {*remaining, *users}
    first = True
    while first or remaining:
        ready = {arn for arn, role in remaining.items() if not _others_named(role) & missing}
        # Roles that name one another in a circle cannot be made by anybody; IAM's refusal says so better than we could.
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


def _others_named(role: Role) -> set[str]:
    """Who must stand before the role: principals of its trust policy, but for users of its own account, made just before."""
    if role.trust is None:
        return set()
    own_users = f"::{_account_of(role.arn)}:user/"
    named = {principal.identifier for statement in role.trust.statements for principal in statement.principals}
    return {arn for arn in named if own_users not in arn} - {role.arn}


def _account_of(arn: str) -> str:
    parsed = Arn.parse(arn)
    if parsed is None:
        raise ValueError(f"{arn} is not an ARN")
    return parsed.account_id
