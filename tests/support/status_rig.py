"""Targets, verdicts and dates for tests of the status file and its views."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from rolecall_runner.inventory.targets import Target, TargetKind
from rolecall_runner.status.status_file import StatusEntry
from rolecall_runner.status.update import apply_verdict
from rolecall_runner.verify.verdict import Check, Diagnosis, Mark, Step, Verdict
from verdict_worlds import verdict

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
MONDAY, TUESDAY, WEDNESDAY = (f"2026-11-{day}T12:00:00+00:00" for day in (16, 17, 18))
OLD, NEW = "0" * 64, "1" * 64
"""Digests of modules."""


def target(name: str = "account1", **changes: object) -> Target:
    """The customer of `verdict_worlds.verdict`."""
    plain = Target(name, "222222222222", "aws", "arn:aws:iam::222222222222:role/role1", "the-id-of-account1")
    return replace(plain, **changes)  # type: ignore[arg-type]


def switch_role(name: str = "reena-in-sumesh") -> Target:
    """A role that users switch to."""
    arn = "arn:aws:iam::507074252730:role/reena-assumedRole"
    return Target(name, "507074252730", "aws", arn, kind=TargetKind.SWITCH_ROLE)


def drifted() -> Verdict:
    """A verdict with drift and no other failure."""
    found = verdict(drift="failed")
    return replace(found, diagnoses=(Diagnosis("drift", "Apply it again.", ""),))


def not_there() -> Verdict:
    """A verdict for a role that denies AssumeRole."""
    check = Check(Step.ASSUME, Mark.FAILED, "The role could not be assumed.", "AccessDenied", "User: ... is not authorized")
    rest = tuple(replace(each, mark=Mark.SKIPPED) for each in verdict().checks[1:])
    causes = ("role-missing", "external-id-differs", "other-principal", "backend-role-recreated")
    diagnoses = tuple(Diagnosis(cause, "Have it applied.", "please apply it.") for cause in causes)
    return replace(verdict(), checks=(check, *rest), diagnoses=diagnoses)


def after(
    *verdicts: tuple[str, Verdict], entry: StatusEntry | None = None, module: str = NEW, of: Target | None = None
) -> StatusEntry:
    """An entry after verify runs, each with its date."""
    who = of or target()
    found = entry or StatusEntry(who.role_arn)
    for date, each in verdicts:
        found = apply_verdict(found, who, each, date=date, run=f"run-of-{date[:10]}", module=module)
    return found
