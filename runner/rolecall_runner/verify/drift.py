"""Compares deployed configuration with the agreed access: drift of roles that may read themselves, and switch roles.

A run cannot switch roles in place of a user. The configuration is read in both accounts of a switch role, where the run has
credentials that may read IAM, and the evaluator decides whether users can switch, and whether the trust policy enforces MFA.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from rolecall_generator.iam import Access, Group, ManagedPolicy, Role, User
from rolecall_generator.iam.difference import Change, differences, plain_label
from rolecall_generator.iam.evaluation import Caller, Effect, Evaluator, IdentitySide, Request
from rolecall_generator.proof import access_changes
from rolecall_runner.aws import DeadlineExceededError, SigningCredentials, Status, account
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
from rolecall_runner.verify.context import NOT_AGREED, VerifyContext, hash_external_ids
from rolecall_runner.verify.verdict import OLDER_MODULE, Check, Mark, Step

_UNIQUE_ID = re.compile(r"^A(?:ROA|IDA)[A-Z0-9]{12,}$")
"""Unique IDs of roles and users, which IAM shows for deleted principals of a trust policy ("IAM identifiers", IAM User
Guide, November 2026)."""

Labelled = TypeVar("Labelled", Role, ManagedPolicy)


@dataclass(frozen=True, slots=True)
class Drift:
    """Differences from the agreed access. `changes` affect access; `notes` are tags and descriptions.

    `not_checkable`: parts that could not be read. `stale`: unique IDs of deleted principals in the trust policy. `gone`: the
    role does not exist.
    """

    changes: tuple[Change, ...] = ()
    notes: tuple[Change, ...] = ()
    not_checkable: tuple[NotCheckable, ...] = ()
    stale: tuple[str, ...] = ()
    gone: bool = False

    @property
    def evidence(self) -> dict[str, Any]:
        """The differences as JSON values for reports and diagnoses, without empty ones."""
        found: dict[str, list[str]] = {
            "wider": [change.text for change in self.changes if change.widens],
            "narrower": [change.text for change in self.changes if change.widens is False],
            "other": [change.text for change in self.changes if change.widens is None],
            "notes": [change.text for change in self.notes],
            "not_checkable": [str(part) for part in self.not_checkable],
            "stale_principals": list(self.stale),
        }
        return {name: items for name, items in found.items() if items}


def drift_of(target: Target, credentials: SigningCredentials, context: VerifyContext) -> tuple[Check, tuple[Change, ...]]:
    """The check of drift and every change of access. Wider access fails as well as narrower access.

    SKIPPED if the role may not read itself. Errors of IAM are never raised.
    """
    intended = context.agreed(target)
    if intended is None:
        return Check(Step.DRIFT, Mark.SKIPPED, f"drift is {NOT_AGREED}"), ()
    begin = context.ticks()
    iam = context.client("iam")
    try:
        with account(credentials):
            reading = read_role(iam, target.role_arn.rpartition("/")[2])
    except DeadlineExceededError as error:
        what = f"drift could not be checked this time: {error}"
        return Check(Step.DRIFT, Mark.INCONCLUSIVE, what, seconds=context.ticks() - begin), ()
    drift = compare(reading, intended, target.role_arn)
    mark, what = mark_drift(reading, drift)
    code = next((part.code for part in drift.not_checkable), "") if mark in {Mark.SKIPPED, Mark.INCONCLUSIVE} else ""
    evidence = drift.evidence
    if mark is Mark.FAILED and _matches_earlier(reading, target, context):
        evidence[OLDER_MODULE] = True
    return Check(Step.DRIFT, mark, what, code, evidence=evidence, seconds=context.ticks() - begin), drift.changes


def _matches_earlier(reading: RoleReading, target: Target, context: VerifyContext) -> bool:
    """Whether the role is exactly as in an earlier module that may still be applied."""
    if isinstance(reading.settings, Role) and reading.settings.trust is not None:
        reading = replace(reading, settings=replace(reading.settings, trust=hash_external_ids(reading.settings.trust)))
    earlier = [each.access for each in context.earlier(target) if not each.gone and target.role_arn in each.access.roles]
    return any(not (drift := compare(reading, access, target.role_arn)).changes and not drift.gone for access in earlier)


def compare(reading: RoleReading, intended: Access, role_arn: str) -> Drift:
    """Compare a reading of the role with the agreed access. Raises KeyError if `intended` does not have the role."""
    wanted = _part(intended, role_arn)
    if reading.missing:
        return Drift(differences(wanted, Access()), gone=True)
    found = _without_unmanaged_documents(reading.merged_with(wanted, role_arn), wanted)
    stale = _stale(reading)
    plain = Access(  # with the agreed tags and descriptions, so that only access differs
        roles={arn: _labelled(role, wanted.roles.get(arn)) for arn, role in found.roles.items()},
        policies={arn: _labelled(policy, wanted.policies.get(arn)) for arn, policy in found.policies.items()},
    )
    every, access = differences(wanted, found), access_changes(wanted.canonical(), plain.canonical()).changes
    of_access = {(each.kind, each.text) for each in access}
    # Of an unreadable inline policy at least the name is known.
    unread = tuple(
        Change(
            "added", role_arn, f"{plain_label(role_arn)} gains inline policy {name}, whose document may not be read", True
        )
        for name in _unread_inline(reading, wanted.roles[role_arn])
    )
    changes = (*_broken_trust(role_arn, stale), *access, *unread)
    notes = tuple(each for each in every if (each.kind, each.text) not in of_access)
    return Drift(changes, notes, reading.not_checkable, stale)


def _part(intended: Access, role_arn: str) -> Access:
    """The agreed access of this role only, with its policies, since nothing else is read."""
    role = intended.roles[role_arn]
    return Access(
        roles={role_arn: role}, policies={arn: intended.policies[arn] for arn in role.attached if arn in intended.policies}
    )


def _without_unmanaged_documents(found: Access, wanted: Access) -> Access:
    """The deployed access without documents of policies that the manifest only names: those belong to the account."""
    named = {arn for role in wanted.roles.values() for arn in role.attached} - wanted.policies.keys()
    return replace(found, policies={arn: policy for arn, policy in found.policies.items() if arn not in named})


def _labelled(found: Labelled, wanted: Labelled | None) -> Labelled:
    return found if wanted is None else replace(found, tags=wanted.tags, description=wanted.description)


def _stale(reading: RoleReading) -> tuple[str, ...]:
    if not isinstance(reading.settings, Role) or reading.settings.trust is None:
        return ()
    principals = (principal for statement in reading.settings.trust.statements for principal in statement.principals)
    return tuple(sorted({each.identifier for each in principals if _UNIQUE_ID.match(each.identifier)}))


def _broken_trust(role_arn: str, stale: Iterable[str]) -> tuple[Change, ...]:
    return tuple(
        Change(
            "changed",
            role_arn,
            f"{plain_label(role_arn)} trusts {each}, the unique ID of a deleted role or user: no principal can have it"
            " again, so the trust policy must be saved again",
            False,
        )
        for each in stale
    )


def _unread_inline(reading: RoleReading, wanted: Role) -> tuple[str, ...]:
    if isinstance(reading.inline, NotCheckable):
        return ()
    return tuple(
        name for name, document in reading.inline.items() if isinstance(document, NotCheckable) and name not in wanted.inline
    )


def mark_drift(reading: RoleReading, drift: Drift) -> tuple[Mark, str]:
    """Mark and sentence for a comparison. Parts that could not be read are never reported as agreed."""
    if drift.gone:
        return Mark.FAILED, "the role no longer exists"
    if drift.changes:
        return Mark.FAILED, _differs(drift)
    parts = "; ".join(map(str, drift.not_checkable))
    passing = [
        part for part in drift.not_checkable if Status.from_code(part.code) is not Status.REFUSED and part.code not in GONE
    ]
    if passing:
        return Mark.INCONCLUSIVE, f"drift could not be checked this time: {parts}"
    if all(isinstance(part, NotCheckable) for part in (reading.settings, reading.inline, reading.attached)):
        return Mark.SKIPPED, f"drift is not checkable: the role may not read itself ({parts})"
    if drift.not_checkable:
        return Mark.OK, f"the parts that the role may read of itself are as agreed; not checkable: {parts}"
    return Mark.OK, "the role is as agreed"


def _differs(drift: Drift) -> str:
    effects = []
    if any(change.widens for change in drift.changes):
        effects.append("allows more than was agreed")
    if any(change.widens is False for change in drift.changes):
        effects.append("allows less than was agreed")
    if not effects:
        effects.append("differs from what was agreed")
    first = drift.changes[0].text
    rest = len(drift.changes) - 1
    return f"the role {' and '.join(effects)}: {first}" + (f" (and {rest} more)" if rest else "")


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
    intended = context.agreed(target)
    if intended is None:
        yield Check(Step.CONFIGURATION, Mark.SKIPPED, NOT_AGREED)
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
    iam = context.client("iam")
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
