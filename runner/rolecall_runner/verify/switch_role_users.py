"""Checks of switch roles: whether users can switch, and whether the trust policy enforces MFA.

A run cannot switch roles in place of a user. The configuration is read in both accounts, where the run has credentials that
may read IAM, and the evaluator decides on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rolecall_generator.iam import Access, Group, ManagedPolicy, Role, User
from rolecall_generator.iam.difference import Change, differences
from rolecall_generator.iam.evaluation import Caller, Effect, Evaluator, IdentitySide, Request
from rolecall_runner.aws import DeadlineExceededError, Status, account
from rolecall_runner.inventory import Target
from rolecall_runner.live import (
    GONE,
    NotCheckable,
    RoleReading,
    UserReading,
    read_group,
    read_policy,
    read_role,
    read_user,
)
from rolecall_runner.verify.context import VerifyContext
from rolecall_runner.verify.drift import compare, mark_drift
from rolecall_runner.verify.verdict import Check, Mark, Step

MFA = "aws:MultiFactorAuthPresent"


@dataclass(frozen=True, slots=True)
class _Live:
    """The configuration of both accounts; parts in an account without credentials are missing."""

    role: RoleReading | None
    groups: Mapping[str, Group | NotCheckable]
    policies: Mapping[str, ManagedPolicy | NotCheckable]
    people: Mapping[str, UserReading]


def check_switch_role(target: Target, context: VerifyContext) -> Iterator[Check]:
    """One check each for the role, every group and every user; SKIPPED with the reason if a part cannot be read.

    `context.readers` may lack one of the two accounts or both. Errors of IAM are never raised.
    """
    yield Check(
        Step.CONFIGURATION,
        Mark.SKIPPED,
        "switching is not checkable: only a user can sign in to the console and switch roles",
    )
    intended = context.intended.get(target.role_arn)
    if intended is None or target.role_arn not in intended.roles:
        yield Check(Step.CONFIGURATION, Mark.SKIPPED, "not checkable: the manifest has no agreed access for this role")
        return
    try:
        live = _read(target, intended, context)
    except DeadlineExceededError as error:
        yield Check(Step.CONFIGURATION, Mark.INCONCLUSIVE, f"the configuration could not be read this time: {error}")
        return
    yield _role_check(target, intended, live)
    for arn, group in sorted(intended.groups.items()):
        yield _group_check(group, live.groups.get(arn), intended, live)
    for arn, user in sorted(intended.users.items()):
        yield _user_check(target, intended, live, user, live.people.get(arn))


def _read(target: Target, intended: Access, context: VerifyContext) -> _Live:
    iam = context.clients.client("iam", context.assumer.caller.region)
    groups: dict[str, Group | NotCheckable] = {}
    policies: dict[str, ManagedPolicy | NotCheckable] = {}
    people: dict[str, UserReading] = {}
    role = None
    for account_id, credentials in context.readers.items():
        with account(credentials):
            if account_id == target.account_id:
                role = read_role(iam, target.role_arn.rpartition("/")[2])
            groups |= {arn: read_group(iam, each) for arn, each in intended.groups.items() if _account(arn) == account_id}
            people |= {arn: read_user(iam, each) for arn, each in intended.users.items() if _account(arn) == account_id}
            owners: list[Group | User] = [*intended.groups.values(), *intended.users.values()]
            attached = {arn for owner in owners for arn in owner.attached}
            policies |= {
                arn: read_policy(iam, each)
                for arn, each in intended.policies.items()
                if arn in attached and _account(arn) == account_id
            }
    return _Live(role, groups, policies, people)


def _account(arn: str) -> str:
    return arn.split(":")[4]


def _role_check(target: Target, intended: Access, live: _Live) -> Check:
    if live.role is None:
        return _no_reader("the role", target.account_id)
    drift = compare(live.role, intended, target.role_arn)
    mark, what = mark_drift(live.role, drift)
    problem = _without_mfa(target, intended, live.role)
    if problem:
        mark, what = Mark.FAILED, f"{problem}; {what}" if drift.changes else problem
    return Check(Step.CONFIGURATION, mark, what, evidence=drift.evidence)


def _without_mfa(target: Target, intended: Access, reading: RoleReading) -> str:
    """The problem if the deployed trust policy allows an assume without the required MFA; empty otherwise."""
    if not target.require_mfa or not isinstance(reading.settings, Role) or reading.missing:
        return ""
    evaluator = Evaluator(reading.merged_with(intended, target.role_arn))
    for arn in (*sorted(intended.users), target.backend_role_arn):
        request = Request(Caller(arn, IdentitySide.ALLOWS_ALL), target.role_arn, context={MFA: ()})
        if evaluator.may_assume(request).allowed:
            return f"the role's trust policy allows {arn} without MFA"
    return ""


def _group_check(wanted: Group, found: Group | NotCheckable | None, intended: Access, live: _Live) -> Check:
    """The group with its agreed policies, among them the one that allows its members to switch."""
    name = f"group {wanted.arn.rpartition('/')[2]}"
    if found is None:
        return _no_reader(name, _account(wanted.arn))
    if isinstance(found, NotCheckable):
        return _unreadable(name, found)
    agreed = {arn: intended.policies[arn] for arn in wanted.attached & found.attached if arn in intended.policies}
    read = {arn: live.policies.get(arn) for arn in agreed}
    as_read = {arn: policy for arn, policy in read.items() if isinstance(policy, ManagedPolicy)}
    changes = differences(Access(groups={wanted.arn: wanted}), Access(groups={wanted.arn: found}))
    documents = differences(Access(policies={arn: agreed[arn] for arn in as_read}), Access(policies=as_read))
    unread = [policy for policy in read.values() if isinstance(policy, NotCheckable)]
    return _compared(name, [*_counting(changes, existing=wanted.existing), *documents], unread)


def _user_check(target: Target, intended: Access, live: _Live, wanted: User, found: UserReading | None) -> Check:
    name = f"user {wanted.arn.rpartition('/')[2]}"
    if found is None:
        return _no_reader(name, _account(wanted.arn))
    if isinstance(found.user, NotCheckable):
        return _unreadable(name, found.user)
    changes = differences(Access(users={wanted.arn: wanted}), Access(users={found.user.arn: found.user}))
    # Tags and additional groups belong to the account and do not reduce the user's access.
    notes = [change for change in changes if _is_note(change, found.user, wanted)]
    counting = _counting([change for change in changes if change not in notes], existing=wanted.existing)
    problems = [change.text for change in counting]
    no_device = f"{name} has no MFA device, which the role requires"
    if target.require_mfa and found.mfa_devices == ():
        problems.append(no_device)
    problems += _cannot_switch(target, intended, live, found.user)
    evidence: dict[str, Any] = {"problems": problems, "notes": [change.text for change in notes]}
    if no_device in problems:
        evidence["mfa"] = no_device
    if isinstance(found.mfa_devices, NotCheckable):
        evidence["not_checkable"] = [str(found.mfa_devices)]
    evidence = {key: items for key, items in evidence.items() if items}
    if problems:
        return Check(Step.CONFIGURATION, Mark.FAILED, "; ".join(problems), evidence=evidence)
    missing = f"; not checkable: MFA devices ({found.mfa_devices})" if "not_checkable" in evidence else ""
    return Check(Step.CONFIGURATION, Mark.OK, f"{name} can switch{missing}", evidence=evidence)


def _is_note(change: Change, found: User, wanted: User) -> bool:
    return " tag " in change.text or (change.widens is True and " joins " in change.text and found.groups > wanted.groups)


def _cannot_switch(target: Target, intended: Access, live: _Live, user: User) -> Iterator[str]:
    """The problem if the user may not switch, with unread parts as agreed."""
    groups = {**intended.groups, **{arn: group for arn, group in live.groups.items() if isinstance(group, Group)}}
    own = live.role.merged_with(intended, target.role_arn) if live.role is not None else intended
    read = {arn: policy for arn, policy in live.policies.items() if isinstance(policy, ManagedPolicy)}
    policies = {**intended.policies, **own.policies, **read}
    access = Access(roles=own.roles, policies=policies, groups=groups, users={user.arn: user})
    evaluator = Evaluator(access)
    with_mfa = evaluator.may_assume(Request(Caller(user.arn), target.role_arn, context={MFA: "true"}))
    # Other groups of the user are not read and may allow more, so only a definite denial counts.
    if with_mfa.effect in {Effect.EXPLICIT_DENY, Effect.IMPLICIT_DENY} and not with_mfa.unknown_policies:
        yield f"user {user.arn.rpartition('/')[2]} may not switch: {with_mfa.reason}"


def _counting(changes: Sequence[Change], *, existing: bool) -> list[Change]:
    """The changes that are problems: of an existing group or user only those that reduce the agreed access."""
    return [change for change in changes if not existing or change.widens is False]


def _compared(name: str, changes: Sequence[Change], unread: Sequence[NotCheckable]) -> Check:
    problems = [change.text for change in changes]
    parts = [str(part) for part in unread]
    evidence = {key: found for key, found in (("problems", problems), ("not_checkable", parts)) if found}
    if problems:
        return Check(Step.CONFIGURATION, Mark.FAILED, "; ".join(problems), evidence=evidence)
    but = f" as far as it can be read; not checkable: {'; '.join(parts)}" if parts else ""
    return Check(Step.CONFIGURATION, Mark.OK, f"{name} is as agreed{but}", evidence=evidence)


def _no_reader(what: str, account_id: str) -> Check:
    reason = f"{what} is not checkable: this run has no credentials that may read IAM in account {account_id}"
    return Check(Step.CONFIGURATION, Mark.SKIPPED, reason)


def _unreadable(name: str, part: NotCheckable) -> Check:
    evidence = {"not_checkable": [str(part)]}
    if part.code in GONE:
        return Check(Step.CONFIGURATION, Mark.FAILED, f"{name} does not exist", part.code, evidence=evidence)
    mark = Mark.SKIPPED if Status.from_code(part.code) is Status.REFUSED else Mark.INCONCLUSIVE
    return Check(Step.CONFIGURATION, mark, f"{name} is not checkable: {part}", part.code, evidence=evidence)
