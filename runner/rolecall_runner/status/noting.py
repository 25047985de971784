"""What a verdict or a first assume changes in an entry. Pure: dates and digests come in."""

from __future__ import annotations

from dataclasses import replace

from rolecall_generator.status_file import external_id_digest
from rolecall_runner.redact import redact
from rolecall_runner.status.entry import Asked, Entry, SeenId, Trouble, Verified
from rolecall_runner.targets import Target
from rolecall_runner.tasks.verify.rotation import RotationState, before_applying, current_id_seen, rotation_of
from rolecall_runner.tasks.verify.verdict import Mark, Rung, Step, Verdict

_WHAT_CHARACTERS = 300
_NOT_WE = "wrong-caller"
"""The cause of a refusal that speaks of whoever ran the roll call, and not of the customer's role."""


def let_in(entry: Entry, target: Target, date: str) -> Entry:
    """The entry after the role let us in with the target's external id."""
    applied = replace(entry, applied=entry.applied or date)
    if target.external_id is None:
        return applied
    sha256 = external_id_digest(target.external_id)
    if entry.external_id_seen is not None and entry.external_id_seen.sha256 == sha256:
        return applied
    return replace(applied, external_id_seen=SeenId(sha256, date))


def heard(entry: Entry, target: Target, verdict: Verdict, *, date: str, run: str, module: str) -> Entry:
    """The entry after a roll call. Skipped, not asked, or under credentials that are not ours, it says nothing new."""
    if verdict.mark is Mark.SKIPPED:
        return entry
    after = replace(entry, asked=Asked(date, run, str(verdict.mark)))
    if current_id_seen(verdict):
        after = let_in(after, target, date)
    waiting = rotation_of(verdict) is RotationState.WAITING
    if waiting:
        after = let_in(after, before_applying(target), date)
    if verdict.mark is Mark.OK:
        return replace(
            after,
            verified=Verified(date, run, _module_before(entry, module) if waiting else module),
            failed=_left(entry.failed, verdict),
            drifting=_left(entry.drifting, verdict),
        )
    if verdict.mark is not Mark.FAILED or any(diagnosis.cause == _NOT_WE for diagnosis in verdict.diagnoses):
        return after
    drift = [rung for rung in verdict.rungs if rung.mark is Mark.FAILED and rung.step is Step.DRIFT]
    others = [rung for rung in verdict.rungs if rung.mark is Mark.FAILED and rung.step is not Step.DRIFT]
    return replace(
        after,
        failed=_trouble(entry.failed, others, verdict, date, run) if others else _left(entry.failed, verdict),
        drifting=_trouble(entry.drifting, drift, verdict, date, run) if drift else _left(entry.drifting, verdict),
    )


def _module_before(entry: Entry, module: str) -> str:
    """The module that a customer has who has not applied its rotation yet; "" where that is not known."""
    if entry.verified is not None and entry.verified.module:
        return entry.verified.module  # also where the written one is no newer: gen terraform is yet to be run
    handed = entry.handed_over
    return handed.module if handed is not None and handed.module != module else ""


def _left(trouble: Trouble | None, verdict: Verdict) -> Trouble | None:
    """What is left of an earlier trouble: all of it, if this roll call did not try again what failed then.

    In a good roll call a step that was skipped is one that cannot be tried any more; in a bad one it was only not reached.
    """
    if trouble is None:
        return None
    settled = {Mark.OK, Mark.REFUSED} | ({Mark.SKIPPED} if verdict.mark is Mark.OK else set())
    tried = {str(rung.step) for rung in verdict.rungs if rung.mark in settled}
    return None if set(trouble.steps) <= tried else trouble


def _trouble(before: Trouble | None, rungs: list[Rung], verdict: Verdict, date: str, run: str) -> Trouble:
    what = redact(" ".join(rungs[0].what.split()))
    return Trouble(
        before.since if before is not None else date,
        date,
        run,
        what if len(what) <= _WHAT_CHARACTERS else f"{what[: _WHAT_CHARACTERS - 1]}…",
        tuple(dict.fromkeys(diagnosis.cause for diagnosis in verdict.diagnoses)),
        tuple(dict.fromkeys(str(rung.step) for rung in rungs)),
    )
