"""What a verdict or a first assume changes in an entry. Pure: dates and digests come in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from rolecall_generator.status_file import external_id_digest
from rolecall_runner.redact import redact
from rolecall_runner.status.entry import Asked, Entry, Pending, SeenId, Trouble, Verified, Version
from rolecall_runner.status.versions import with_version
from rolecall_runner.targets import Target
from rolecall_runner.tasks.verify.causes import OWN_SIDE
from rolecall_runner.tasks.verify.newest import UNSEEN, read_in_full
from rolecall_runner.tasks.verify.rotation import RotationState, before_applying, current_id_seen, rotation_of
from rolecall_runner.tasks.verify.verdict import OLDER_MODULE, Mark, Rung, Step, Verdict

_WHAT_CHARACTERS = 300
_UNKNOWN = (
    "whether the newest module is applied cannot be seen: what was noted before does not say what the earlier module granted"
)

Snapshot = Mapping[str, Any]


def let_in(entry: Entry, target: Target, date: str) -> Entry:
    """The entry after the role let us in with the target's external id."""
    applied = replace(entry, applied=entry.applied or date)
    if target.external_id is None:
        return applied
    sha256 = external_id_digest(target.external_id)
    if entry.external_id_seen is not None and entry.external_id_seen.sha256 == sha256:
        return applied
    return replace(applied, external_id_seen=SeenId(sha256, date))


def heard(
    entry: Entry,
    target: Target,
    verdict: Verdict,
    *,
    date: str,
    run: str,
    module: str,
    access: Callable[[], Snapshot | None] = lambda: None,
) -> Entry:
    """The entry after a roll call. Skipped, or refused by our own side, it says nothing new of the customer.

    `module`: the digest of the module that was written when the run began; "" where the manifest was newer than that one.
    `access` gives what the newest module grants, as a snapshot. The customer counts as having the newest module only where
    the roll call saw all that it changed, or a person has confirmed it.
    """
    if verdict.mark is Mark.SKIPPED:
        return entry
    after = replace(entry, asked=Asked(date, run, str(verdict.mark)))
    if current_id_seen(verdict):
        after = let_in(after, target, date)
    waiting = rotation_of(verdict) is RotationState.WAITING
    if waiting:
        after = let_in(after, before_applying(target), date)
    newest = next((rung for rung in verdict.rungs if rung.step is Step.MODULE), None)
    if verdict.mark is Mark.OK:
        after = replace(after, failed=_left(entry.failed, verdict), drifting=_left(entry.drifting, verdict))
        if waiting:
            return replace(after, verified=Verified(date, run, _module_before(entry, module)))
        confirmed = entry.confirmed is not None and module != "" and entry.confirmed.module == module
        unknown = newest is None and _unknown_before(entry, module) and not read_in_full(verdict.rungs)
        if unknown and not confirmed:
            newest = Rung(Step.MODULE, Mark.SKIPPED, _UNKNOWN, evidence={UNSEEN: ["all of them"]})
        if newest is None or newest.mark is Mark.OK or confirmed:
            versions = _with_newest(entry.versions, module, date, access)
            return replace(after, verified=Verified(date, run, module), pending=None, versions=versions)
        unseen = tuple(str(each) for each in newest.evidence.get(UNSEEN, ()))
        return replace(
            after,
            verified=Verified(date, run, entry.verified.module if entry.verified is not None else ""),
            pending=_pending(entry, newest, date, run, module, unseen),
        )
    if verdict.mark is not Mark.FAILED or _by_our_side(verdict):
        return after
    failed = [
        rung
        for rung in verdict.rungs
        if rung.mark is Mark.FAILED and rung.step is not Step.MODULE and not rung.evidence.get(OLDER_MODULE)
    ]
    drift = [rung for rung in failed if rung.step is Step.DRIFT]
    others = [rung for rung in failed if rung.step is not Step.DRIFT]
    if newest is not None and newest.mark is Mark.FAILED:
        after = replace(after, pending=_pending(entry, newest, date, run, module, ()), confirmed=None)
    return replace(
        after,
        failed=_trouble(entry.failed, others, verdict, date, run) if others else _left(entry.failed, verdict),
        drifting=_trouble(entry.drifting, drift, verdict, date, run) if drift else _left(entry.drifting, verdict),
    )


def _unknown_before(entry: Entry, module: str) -> bool:
    """Whether the customer may have another module of which only the digest is known: an older rolecall kept no more."""
    if entry.versions:
        return False
    verified, handed = entry.verified, entry.handed_over
    newer = handed is not None and (verified is None or handed.date > verified.date)
    had = [verified.module if verified is not None else "", handed.module if handed is not None and newer else ""]
    return any(each and each != module for each in had)


def _by_our_side(verdict: Verdict) -> bool:
    """Whether our own policies or credentials refused: that says nothing of the customer's role."""
    causes = {diagnosis.cause for diagnosis in verdict.diagnoses}
    return "wrong-caller" in causes or (bool(causes) and causes <= OWN_SIDE)


def _with_newest(
    versions: tuple[Version, ...], module: str, date: str, access: Callable[[], Snapshot | None]
) -> tuple[Version, ...]:
    """The versions once it is known that the customer has the newest one: all others are gone."""
    last = versions[-1] if versions else None
    if last is not None and module and last.module == module and not last.gone and all(each.gone for each in versions[:-1]):
        return versions
    snapshot = access()
    if snapshot is None:
        return versions
    others = tuple(replace(each, gone=each.gone or date) for each in versions if each.access != snapshot)
    return with_version(others, Version(module, date, snapshot))


def _pending(entry: Entry, newest: Rung, date: str, run: str, module: str, unseen: tuple[str, ...]) -> Pending:
    before = entry.pending
    since = before.since if before is not None and before.module == module else date
    return Pending(since, date, run, _short(newest.what), module, unseen)


def _short(text: str) -> str:
    what = redact(" ".join(text.split()))
    return what if len(what) <= _WHAT_CHARACTERS else f"{what[: _WHAT_CHARACTERS - 1]}…"


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
    return Trouble(
        before.since if before is not None else date,
        date,
        run,
        _short(rungs[0].what),
        tuple(dict.fromkeys(diagnosis.cause for diagnosis in verdict.diagnoses)),
        tuple(dict.fromkeys(str(rung.step) for rung in rungs)),
    )
