"""The modules that a customer has or had, as an entry of the status file keeps them.

Which bundle and which module a customer has: digests of what stands in the output folder now. Nothing else is read.

A hand-over, into the status file. Loads nothing of AWS: `runner status` uses it.

What a verdict or a first assume changes in an entry. Pure: dates and digests come in.

A run's verdicts into the status file: one write, however many accounts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from rolecall_generator.iam import Access, ModuleKind
from rolecall_generator.output import BUNDLES, LockedModule, read_lock
from rolecall_generator.planning import customer_path, switch_role_path
from rolecall_generator.records import SUMS, TERRAFORM, bundle_path, external_id_digest, status_path
from rolecall_runner.inventory import Target, TargetKind
from rolecall_runner.redact import redact
from rolecall_runner.status.status_file import (
    Confirmed,
    HandedOver,
    HandOverRequest,
    LastProblem,
    ModuleVersion,
    Pending,
    SeenId,
    StatusEntry,
    StatusFile,
    StatusKey,
    VerifiedEntry,
    change_status,
    key_of,
    stamp,
)
from rolecall_runner.verify import (
    OLDER_MODULE,
    OWN_SIDE,
    UNSEEN,
    Check,
    Mark,
    RotationState,
    Step,
    Verdict,
    VerifyContext,
    before_applying,
    current_id_seen,
    encode_access,
    read_in_full,
    rotation_of,
    same_access,
)

VERSIONS_KEPT = 5
"""Modules that are kept of one customer: all that the customer may have, and the newest of those that are gone."""


def with_version(versions: tuple[ModuleVersion, ...], added: ModuleVersion) -> tuple[ModuleVersion, ...]:
    """The versions with another one at their end; of those that are gone the newest are kept."""
    same = versions[-1] if versions else None
    if same is not None and not same.gone and same.access == added.access:
        return (*versions[:-1], replace(same, module=added.module))
    known = (*(each for each in versions if not (each.gone and each.access == added.access)), added)
    spare = [each for each in known if each.gone][: max(0, len(known) - VERSIONS_KEPT)]
    return tuple(each for each in known if each not in spare)


_README = "README.md"


@dataclass(frozen=True, slots=True)
class OutputDigests:
    """What `gen terraform` and `gen bundle` wrote into a folder."""

    out: Path
    modules: Mapping[str, LockedModule] = field(default_factory=dict)

    def module(self, target: Target) -> str:
        """SHA-256 (hex) of the target's modules: of their files' names and hashes in the lock; "" when none is written."""
        known = [(path, self.modules[path].files) for path in module_paths(target) if path in self.modules]
        lines = [f"{path}/{name} {sha}" for path, files in known for name, sha in sorted(files.items())]
        return _digest("\n".join(lines).encode()) if lines else ""

    def bundle(self, target: Target) -> str:
        """SHA-256 (hex) of the target's bundles: of their SHA256SUMS; "" when there is none."""
        sums = [text for text in (_read(folder / SUMS) for folder in bundle_folders(self.out, target)) if text]
        return _digest(b"\0".join(sums)) if sums else ""

    def bundle_is_old(self, target: Target) -> bool:
        """Whether a bundle of the target holds another module than is written now; False where there is none."""
        folders = zip(module_paths(target), bundle_folders(self.out, target), strict=True)
        return any(
            (sums := _read(folder / SUMS)) and path in self.modules and _other(sums, self.modules[path].files)
            for path, folder in folders
        )


def written(out: Path) -> OutputDigests:
    """What was written into an output folder. Raises OutputError for a broken lock."""
    return OutputDigests(out, read_lock(out).modules)


def bundle_folders(out: Path, target: Target) -> tuple[Path, ...]:
    """The folders of a target's bundles, whether they are there or not: one for each account."""
    return tuple(out / BUNDLES / bundle_path(path) for path in module_paths(target))


def module_paths(target: Target) -> tuple[str, ...]:
    """The paths of a target's modules below the output folder."""
    if target.kind is TargetKind.CUSTOMER:
        return (customer_path(target.name),)
    return tuple(switch_role_path(target.name, side) for side in (ModuleKind.TRUSTING, ModuleKind.TRUSTED))


def _other(sums: bytes, files: Mapping[str, str]) -> bool:
    """Whether a SHA256SUMS has other files of a module than these; README.md has a form of its own in a bundle."""
    bundled = {name: sha for sha, _, name in (line.partition("  ") for line in sums.decode("utf-8", "replace").splitlines())}
    known = {name: bundled.get(f"{TERRAFORM}/{name}", sha) for name, sha in files.items() if name != _README}
    return any(files[name] != sha for name, sha in known.items())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def note_hand_over(
    out: Path,
    targets: Iterable[Target],
    *,
    now: datetime,
    rehearsal: bool,
    access: Callable[[Target], Access | None],
    form: str = "",
) -> StatusFile:
    """Note that these were handed what is in the output folder now. Nothing is noted where nothing is written, or where the
    bundle is older than the module: then the customer got something else than what is written.

    `access` gives what a target's module grants as it is written, None where it cannot be read. `form`: the way by which the
    customers apply it, "" when it is not known. Raises StatusError and OutputError (a broken lock).
    """
    found = written(out)
    chosen = tuple(targets)

    def change(before: StatusFile) -> Mapping[StatusKey, StatusEntry]:
        return {
            key_of(target): _handed_over(_with_form(before.of(target), form), target, found, stamp(now), access)
            for target in chosen
        }

    return change_status(status_path(out, rehearsal=rehearsal), change)


def note_applied(out: Path, targets: Iterable[Target], *, now: datetime, rehearsal: bool) -> StatusFile:
    """Note that a person says that these have applied their modules as they are written now. Raises as `note_hand_over`.

    It counts for changes that no roll call can see; what a roll call can see has to be seen all the same.
    """
    found = written(out)
    chosen = tuple(targets)

    def change(before: StatusFile) -> Mapping[StatusKey, StatusEntry]:
        return {
            key_of(target): replace(
                entry := before.of(target),
                confirmed=Confirmed(stamp(now), found.module(target)),
                pending=None if entry.pending is not None and entry.pending.unseen else entry.pending,
            )
            for target in chosen
        }

    return change_status(status_path(out, rehearsal=rehearsal), change)


def note_form(out: Path, targets: Iterable[Target], form: str, *, rehearsal: bool) -> StatusFile:
    """Note by which way these customers apply modules. Raises StatusError."""
    chosen = tuple(targets)
    return change_status(
        status_path(out, rehearsal=rehearsal),
        lambda before: {key_of(target): _with_form(before.of(target), form) for target in chosen},
    )


def _with_form(entry: StatusEntry, form: str) -> StatusEntry:
    return replace(entry, form=form) if form else entry


def _handed_over(
    entry: StatusEntry, target: Target, found: OutputDigests, date: str, access: Callable[[Target], Access | None]
) -> StatusEntry:
    """The entry after the hand-over; what a customer had already keeps its first date."""
    bundle, module = found.bundle(target), found.module(target)
    known = entry.handed_over
    if not (bundle or module) or found.bundle_is_old(target):
        return entry
    if known is not None and (known.bundle, known.module) == (bundle, module):
        return entry
    granted = access(target)
    versions = entry.versions
    if granted is not None and module:
        versions = with_version(versions, ModuleVersion(module, date, encode_access(granted)))
    return replace(entry, handed_over=HandedOver(date, bundle, module), versions=versions)


_WHAT_CHARACTERS = 300
_UNKNOWN = (
    "whether the newest module is applied cannot be seen: what was noted before does not say what the earlier module granted"
)

Snapshot = Mapping[str, Any]


def let_in(entry: StatusEntry, target: Target, date: str) -> StatusEntry:
    """The entry after the role let us in with the target's external id."""
    applied = replace(entry, applied=entry.applied or date)
    if target.external_id is None:
        return applied
    sha256 = external_id_digest(target.external_id)
    if entry.external_id_seen is not None and entry.external_id_seen.sha256 == sha256:
        return applied
    return replace(applied, external_id_seen=SeenId(sha256, date))


def heard(
    entry: StatusEntry,
    target: Target,
    verdict: Verdict,
    *,
    date: str,
    run: str,
    module: str,
    access: Callable[[], Snapshot | None] = lambda: None,
) -> StatusEntry:
    """The entry after a roll call. Skipped, or refused by our own side, it says nothing new of the customer.

    `module`: the digest of the module that was written when the run began; "" where the manifest was newer than that one.
    `access` gives what the newest module grants, as a snapshot. The customer counts as having the newest module only where
    the roll call saw all that it changed, or a person has confirmed it.
    """
    if verdict.mark is Mark.SKIPPED:
        return entry
    after = replace(entry, asked=HandOverRequest(date, run, str(verdict.mark)))
    if current_id_seen(verdict):
        after = let_in(after, target, date)
    waiting = rotation_of(verdict) is RotationState.WAITING
    if waiting:
        after = let_in(after, before_applying(target), date)
    newest = next((check for check in verdict.checks if check.step is Step.MODULE), None)
    if verdict.mark is Mark.OK:
        after = replace(after, failed=_left(entry.failed, verdict), drifting=_left(entry.drifting, verdict))
        if waiting:
            return replace(after, verified=VerifiedEntry(date, run, _module_before(entry, module)))
        confirmed = entry.confirmed is not None and module != "" and entry.confirmed.module == module
        unknown = newest is None and _unknown_before(entry, module) and not read_in_full(verdict.checks)
        if unknown and not confirmed:
            newest = Check(Step.MODULE, Mark.SKIPPED, _UNKNOWN, evidence={UNSEEN: ["all of them"]})
        if newest is None or newest.mark is Mark.OK or confirmed:
            versions = _with_newest(entry.versions, module, date, access)
            return replace(after, verified=VerifiedEntry(date, run, module), pending=None, versions=versions)
        unseen = tuple(str(each) for each in newest.evidence.get(UNSEEN, ()))
        return replace(
            after,
            verified=VerifiedEntry(date, run, entry.verified.module if entry.verified is not None else ""),
            pending=_pending(entry, newest, date, run, module, unseen),
        )
    if verdict.mark is not Mark.FAILED or _by_our_side(verdict):
        return after
    failed = [
        check
        for check in verdict.checks
        if check.mark is Mark.FAILED and check.step is not Step.MODULE and not check.evidence.get(OLDER_MODULE)
    ]
    drift = [check for check in failed if check.step is Step.DRIFT]
    others = [check for check in failed if check.step is not Step.DRIFT]
    if newest is not None and newest.mark is Mark.FAILED:
        after = replace(after, pending=_pending(entry, newest, date, run, module, ()), confirmed=None)
    return replace(
        after,
        failed=_trouble(entry.failed, others, verdict, date, run) if others else _left(entry.failed, verdict),
        drifting=_trouble(entry.drifting, drift, verdict, date, run) if drift else _left(entry.drifting, verdict),
    )


def _unknown_before(entry: StatusEntry, module: str) -> bool:
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
    versions: tuple[ModuleVersion, ...], module: str, date: str, access: Callable[[], Snapshot | None]
) -> tuple[ModuleVersion, ...]:
    """The versions once it is known that the customer has the newest one: all others are gone."""
    last = versions[-1] if versions else None
    if last is not None and module and last.module == module and not last.gone and all(each.gone for each in versions[:-1]):
        return versions
    snapshot = access()
    if snapshot is None:
        return versions
    others = tuple(replace(each, gone=each.gone or date) for each in versions if each.access != snapshot)
    return with_version(others, ModuleVersion(module, date, snapshot))


def _pending(entry: StatusEntry, newest: Check, date: str, run: str, module: str, unseen: tuple[str, ...]) -> Pending:
    before = entry.pending
    since = before.since if before is not None and before.module == module else date
    return Pending(since, date, run, _short(newest.what), module, unseen)


def _short(text: str) -> str:
    what = redact(" ".join(text.split()))
    return what if len(what) <= _WHAT_CHARACTERS else f"{what[: _WHAT_CHARACTERS - 1]}…"


def _module_before(entry: StatusEntry, module: str) -> str:
    """The module that a customer has who has not applied its rotation yet; "" where that is not known."""
    if entry.verified is not None and entry.verified.module:
        return entry.verified.module  # also where the written one is no newer: gen terraform is yet to be run
    handed = entry.handed_over
    return handed.module if handed is not None and handed.module != module else ""


def _left(trouble: LastProblem | None, verdict: Verdict) -> LastProblem | None:
    """What is left of an earlier trouble: all of it, if this roll call did not try again what failed then.

    In a good roll call a step that was skipped is one that cannot be tried any more; in a bad one it was only not reached.
    """
    if trouble is None:
        return None
    settled = {Mark.OK, Mark.REFUSED} | ({Mark.SKIPPED} if verdict.mark is Mark.OK else set())
    tried = {str(check.step) for check in verdict.checks if check.mark in settled}
    return None if set(trouble.steps) <= tried else trouble


def _trouble(before: LastProblem | None, checks: list[Check], verdict: Verdict, date: str, run: str) -> LastProblem:
    return LastProblem(
        before.since if before is not None else date,
        date,
        run,
        _short(checks[0].what),
        tuple(dict.fromkeys(diagnosis.cause for diagnosis in verdict.diagnoses)),
        tuple(dict.fromkeys(str(check.step) for check in checks)),
    )


def note_verdicts(
    out: Path,
    targets: Iterable[Target],
    verdicts: Iterable[Verdict],
    *,
    now: datetime,
    run: str,
    rehearsal: bool,
    context: VerifyContext,
    modules: OutputDigests,
) -> StatusFile:
    """Note what a roll call found. `verdicts` are taken once. Raises StatusError.

    `context` is the run's: it has what the newest modules grant. `modules` are those that were written when the run began.
    """
    date = stamp(now)
    by_key = {key_of(target): target for target in targets}

    def change(before: StatusFile) -> Mapping[StatusKey, StatusEntry]:
        found: dict[StatusKey, StatusEntry] = {}
        for verdict in verdicts:
            key = (verdict.kind, verdict.name)
            target = by_key[key]
            found[key] = heard(
                before.of(target),
                target,
                verdict,
                date=date,
                run=run,
                module=modules.module(target) if _is_current(target, context) else "",
                access=lambda target=target: _snapshot(target, context),  # type: ignore[misc]
            )
        return found

    return change_status(status_path(out, rehearsal=rehearsal), change)


def _is_current(target: Target, context: VerifyContext) -> bool:
    """Whether the written module grants what the manifest says: a roll call is held against the manifest."""
    found, wanted = context.written.get(target.role_arn), context.intended.get(target.role_arn)
    if found is None or wanted is None:
        return True
    return found == wanted or same_access(found, wanted)


def _snapshot(target: Target, context: VerifyContext) -> dict[str, Any] | None:
    access = context.intended.get(target.role_arn)
    return None if access is None else encode_access(access)
