"""Drift: compares the deployed role with the agreed access, as far as the role may read itself."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from rolecall_generator.iam import Access, ManagedPolicy, Role
from rolecall_generator.iam.difference import Change, differences, plain_label
from rolecall_generator.proof import access_changes
from rolecall_runner.aws import DeadlineExceededError, SigningCredentials, Status, account
from rolecall_runner.inventory import Target
from rolecall_runner.live import GONE, NotCheckable, RoleReading, read_role
from rolecall_runner.verify.agreed_access import hash_external_ids
from rolecall_runner.verify.context import VerifyContext
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
    intended = context.intended.get(target.role_arn)
    if intended is None or target.role_arn not in intended.roles:
        what = "drift is not checkable: the manifest has no agreed access for this role"
        return Check(Step.DRIFT, Mark.SKIPPED, what), ()
    begin = context.ticks()
    iam = context.clients.client("iam", context.assumer.caller.region)
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
