"""Updates of the status file: hand-overs, applied modules and verdicts.

Functions that update one entry are pure: dates and digests are arguments. Does not import boto3.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rolecall_generator.iam import Access, ModuleKind
from rolecall_generator.output import BUNDLES, LockedModule, read_lock
from rolecall_generator.planning import customer_path, switch_role_path
from rolecall_generator.records import SUMS_NAME, TERRAFORM, bundle_path, external_id_digest, status_path
from rolecall_runner.inventory import Target, TargetKind
from rolecall_runner.redact import redact
from rolecall_runner.status.status_file import (
    Confirmation,
    HandoverRecord,
    LastProblem,
    LastRun,
    ModuleVersion,
    PastRun,
    Pending,
    RunOutcome,
    SeenId,
    StatusEntry,
    StatusFile,
    StatusKey,
    VerifiedEntry,
    change_status,
    stamp,
)
from rolecall_runner.verify import (
    Check,
    Mark,
    RotationState,
    Step,
    Verdict,
    before_applying,
    encode_access,
    refused_by_own_side,
)

if TYPE_CHECKING:
    from rolecall_runner.verify import VerifyContext

VERSIONS_KEPT = 5
"""Number of modules kept per entry. Modules that may still be applied are always kept, so there can be more."""


def with_version(versions: tuple[ModuleVersion, ...], added: ModuleVersion) -> tuple[ModuleVersion, ...]:
    """Append a version. Removes the oldest ones that are gone if there are more than VERSIONS_KEPT."""
    last = versions[-1] if versions else None
    if last is not None and not last.gone and last.access == added.access:
        return (*versions[:-1], replace(last, module=added.module))
    known = (*(each for each in versions if not (each.gone and each.access == added.access)), added)
    removed = [each for each in known if each.gone][: max(0, len(known) - VERSIONS_KEPT)]
    return tuple(each for each in known if each not in removed)


HISTORY_KEPT = 30
"""Number of verifications kept per entry: a month of nightly runs."""

_README = "README.md"


@dataclass(frozen=True, slots=True)
class OutputDigests:
    """Digests of the modules and bundles in an output folder."""

    out: Path
    modules: Mapping[str, LockedModule] = field(default_factory=dict)

    def module(self, target: Target) -> str:
        """SHA-256 (hex) of the target's modules: of file names and hashes in the lock file; empty if none is written."""
        known = [(path, self.modules[path].files) for path in module_paths(target) if path in self.modules]
        lines = [f"{path}/{name} {sha}" for path, files in known for name, sha in sorted(files.items())]
        return _digest("\n".join(lines).encode()) if lines else ""

    def bundle(self, target: Target) -> str:
        """SHA-256 (hex) of the target's bundles: of their SHA256SUMS files; empty if there is none."""
        sums = [text for text in (_read_or_empty(folder / SUMS_NAME) for folder in bundle_folders(self.out, target)) if text]
        return _digest(b"\0".join(sums)) if sums else ""

    def bundle_is_old(self, target: Target) -> bool:
        """Whether a bundle of the target contains an older module than the output folder; False without a bundle."""
        folders = zip(module_paths(target), bundle_folders(self.out, target), strict=True)
        return any(
            (sums := _read_or_empty(folder / SUMS_NAME))
            and path in self.modules
            and _hashes_differ(sums, self.modules[path].files)
            for path, folder in folders
        )


def read_output_digests(out: Path) -> OutputDigests:
    """Read the digests of an output folder. Raises OutputError for an invalid lock file."""
    return OutputDigests(out, read_lock(out).modules)


def bundle_folders(out: Path, target: Target) -> tuple[Path, ...]:
    """The folders of a target's bundles, one for each account; they may not exist."""
    return tuple(out / BUNDLES / bundle_path(path) for path in module_paths(target))


def module_paths(target: Target) -> tuple[str, ...]:
    """The paths of a target's modules, relative to the output folder."""
    if target.kind is TargetKind.CUSTOMER:
        return (customer_path(target.name),)
    return tuple(switch_role_path(target.name, side) for side in (ModuleKind.TRUSTING, ModuleKind.TRUSTED))


def _hashes_differ(sums: bytes, files: Mapping[str, str]) -> bool:
    """Whether a SHA256SUMS file has other hashes for the files of a module. Ignores README.md, which differs in bundles."""
    bundled = {name: sha for sha, _, name in (line.partition("  ") for line in sums.decode("utf-8", "replace").splitlines())}
    known = {name: bundled.get(f"{TERRAFORM}/{name}", sha) for name, sha in files.items() if name != _README}
    return any(files[name] != sha for name, sha in known.items())


def _read_or_empty(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def store_handover(
    out: Path,
    targets: Iterable[Target],
    *,
    now: datetime,
    rehearsal: bool,
    access: Callable[[Target], Access | None],
    form: str = "",
) -> StatusFile:
    """Record that the current content of the output folder was handed over to the targets.

    A target is skipped if nothing is written for it, or if its bundle is older than its module, since the customer then has
    another module. `access` returns the access of a target's written module, None if it cannot be read. `form`: how the
    customers apply modules; empty if not known. Raises StatusError, or OutputError for an invalid lock file.
    """
    found = read_output_digests(out)

    def change(entry: StatusEntry, target: Target) -> StatusEntry:
        return _handed_over(_with_form(entry, form), target, found, stamp(now), access)

    return _change_each(out, targets, change, rehearsal=rehearsal)


def store_confirmation(out: Path, targets: Iterable[Target], *, now: datetime, rehearsal: bool) -> StatusFile:
    """Record a user's statement that the targets' written modules are applied. Raises the errors of `store_handover`.

    It is used only for changes that no check can detect.
    """
    found = read_output_digests(out)

    def change(entry: StatusEntry, target: Target) -> StatusEntry:
        pending = None if entry.pending is not None and entry.pending.unseen else entry.pending
        return replace(entry, confirmed=Confirmation(stamp(now), found.module(target)), pending=pending)

    return _change_each(out, targets, change, rehearsal=rehearsal)


def store_form(out: Path, targets: Iterable[Target], form: str, *, rehearsal: bool) -> StatusFile:
    """Record how these customers apply modules. Raises StatusError."""
    return _change_each(out, targets, lambda entry, _target: _with_form(entry, form), rehearsal=rehearsal)


def _change_each(
    out: Path, targets: Iterable[Target], change: Callable[[StatusEntry, Target], StatusEntry], *, rehearsal: bool
) -> StatusFile:
    """Update the entries of these targets in one write."""
    return change_status(
        status_path(out, rehearsal=rehearsal),
        lambda before: {target.key: change(before.entry(target), target) for target in targets},
    )


def _with_form(entry: StatusEntry, form: str) -> StatusEntry:
    return replace(entry, form=form) if form else entry


def _handed_over(
    entry: StatusEntry, target: Target, found: OutputDigests, date: str, access: Callable[[Target], Access | None]
) -> StatusEntry:
    """The entry after a hand-over; the date is not changed if the same content was handed over before."""
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
    return replace(entry, handed_over=HandoverRecord(date, bundle, module), versions=versions)


_MAX_WHAT_LENGTH = 300
_UNKNOWN = (
    "whether the newest module is applied could not be determined: "
    "the status file does not have the access of the earlier module"
)

Snapshot = Mapping[str, Any]


def mark_applied(entry: StatusEntry, target: Target, date: str) -> StatusEntry:
    """The entry after the role was assumed with the target's external ID."""
    applied = replace(entry, applied=entry.applied or date)
    if target.external_id is None:
        return applied
    sha256 = external_id_digest(target.external_id)
    if entry.external_id_seen is not None and entry.external_id_seen.sha256 == sha256:
        return applied
    return replace(applied, external_id_seen=SeenId(sha256, date))


def apply_verdict(
    entry: StatusEntry,
    target: Target,
    verdict: Verdict,
    *,
    date: str,
    run: str,
    module: str,
    access: Callable[[], Snapshot | None] = lambda: None,
) -> StatusEntry:
    """The entry after a verification. A skipped target leaves it unchanged.

    An inconclusive verdict, or a refusal by the vendor's own policies, updates only the last run and whether the role could
    be assumed. `module`: digest of the module that was written when the run started; empty if the manifest was newer.
    `access` returns a snapshot of the newest module's access. The newest module is recorded as applied only if the run
    detected all its changes, or a user has confirmed it.
    """
    if verdict.mark is Mark.SKIPPED:
        return entry
    after = _after_checks(entry, target, verdict, date=date, run=run, module=module, access=access)
    return replace(after, history=_with_run(entry, run, str(PastRun(date, _outcome(verdict, after)))))


def _with_run(entry: StatusEntry, run: str, added: str) -> tuple[str, ...]:
    """The history with one more verification; a resumed run replaces its own."""
    resumed = bool(run) and entry.last_run is not None and entry.last_run.run == run
    return (*(entry.history[:-1] if resumed else entry.history), added)[-HISTORY_KEPT:]


def _outcome(verdict: Verdict, after: StatusEntry) -> RunOutcome:
    """The outcome of a verification. `after`: the entry after it."""
    if verdict.mark is not Mark.FAILED:
        return RunOutcome(verdict.mark)
    if refused_by_own_side(verdict):
        return RunOutcome.INCONCLUSIVE
    steps = {check.step for check in _unexplained_failures(verdict)}
    if steps == {Step.ASSUME} and after.applied is None:
        return RunOutcome.NOT_APPLIED
    if not steps:
        return RunOutcome.OUTDATED
    return RunOutcome.DRIFTING if steps == {Step.DRIFT} else RunOutcome.FAILED


def _unexplained_failures(verdict: Verdict) -> list[Check]:
    """The failed checks that an earlier module, which may still be applied, does not explain."""
    return [
        check
        for check in verdict.checks
        if check.mark is Mark.FAILED and check.step is not Step.MODULE and not check.older_module
    ]


def _after_checks(
    entry: StatusEntry,
    target: Target,
    verdict: Verdict,
    *,
    date: str,
    run: str,
    module: str,
    access: Callable[[], Snapshot | None],
) -> StatusEntry:
    """The entry after a verification, with its previous history."""
    after = replace(entry, last_run=LastRun(date, run, str(verdict.mark)))
    if verdict.current_id_accepted:
        after = mark_applied(after, target, date)
    waiting = verdict.rotation is RotationState.WAITING
    if waiting:
        after = mark_applied(after, before_applying(target), date)
    newest = next((check for check in verdict.checks if check.step is Step.MODULE), None)
    if verdict.mark is Mark.OK:
        after = replace(
            after, failed=_unless_resolved(entry.failed, verdict), drifting=_unless_resolved(entry.drifting, verdict)
        )
        if waiting:
            return replace(after, verified=VerifiedEntry(date, run, _module_before(entry, module)))
        confirmed = entry.confirmed is not None and module != "" and entry.confirmed.module == module
        unknown = newest is None and _unknown_before(entry, module) and not verdict.read_in_full
        if unknown and not confirmed:
            newest = Check.of_unseen(["all of them"], _UNKNOWN)
        if newest is None or newest.mark is Mark.OK or confirmed:
            versions = _with_newest(entry.versions, module, date, access)
            return replace(after, verified=VerifiedEntry(date, run, module), pending=None, versions=versions)
        return replace(
            after,
            verified=VerifiedEntry(date, run, entry.verified.module if entry.verified is not None else ""),
            pending=_pending(entry, newest, date, run, module),
        )
    if verdict.mark is not Mark.FAILED or refused_by_own_side(verdict):
        return after
    failed = _unexplained_failures(verdict)
    drift = [check for check in failed if check.step is Step.DRIFT]
    others = [check for check in failed if check.step is not Step.DRIFT]
    if newest is not None and newest.mark is Mark.FAILED:
        after = replace(after, pending=_pending(entry, newest, date, run, module), confirmed=None)
    return replace(
        after,
        failed=_problem(entry.failed, others, verdict, date, run) if others else _unless_resolved(entry.failed, verdict),
        drifting=_problem(entry.drifting, drift, verdict, date, run) if drift else _unless_resolved(entry.drifting, verdict),
    )


def _unknown_before(entry: StatusEntry, module: str) -> bool:
    """Whether the customer may have another module of which only the digest is known (an entry without `versions`)."""
    if entry.versions:
        return False
    verified, handover = entry.verified, entry.handed_over
    newer = handover is not None and (verified is None or handover.date > verified.date)
    recorded = [verified.module if verified is not None else "", handover.module if handover is not None and newer else ""]
    return any(each and each != module for each in recorded)


def _with_newest(
    versions: tuple[ModuleVersion, ...], module: str, date: str, access: Callable[[], Snapshot | None]
) -> tuple[ModuleVersion, ...]:
    """The versions once the newest module is applied: all others are marked as gone."""
    last = versions[-1] if versions else None
    if last is not None and module and last.module == module and not last.gone and all(each.gone for each in versions[:-1]):
        return versions
    snapshot = access()
    if snapshot is None:
        return versions
    others = tuple(replace(each, gone=each.gone or date) for each in versions if each.access != snapshot)
    return with_version(others, ModuleVersion(module, date, snapshot))


def _pending(entry: StatusEntry, newest: Check, date: str, run: str, module: str) -> Pending:
    before = entry.pending
    since = before.since if before is not None and before.module == module else date
    return Pending(since, date, run, _shorten(newest.what), module, newest.unseen)


def _shorten(text: str) -> str:
    what = redact(" ".join(text.split()))
    return what if len(what) <= _MAX_WHAT_LENGTH else f"{what[: _MAX_WHAT_LENGTH - 1]}…"


def _module_before(entry: StatusEntry, module: str) -> str:
    """Digest of the module that a customer still has during a rotation; empty if not known."""
    if entry.verified is not None and entry.verified.module:
        return entry.verified.module  # also if gen terraform was not run since, and the written module is unchanged
    handed = entry.handed_over
    return handed.module if handed is not None and handed.module != module else ""


def _unless_resolved(problem: LastProblem | None, verdict: Verdict) -> LastProblem | None:
    """The earlier problem, or None if the checks that failed then were completed in this run.

    With verdict OK, skipped checks count as completed, since they can no longer be tried; otherwise they were not reached.
    """
    if problem is None:
        return None
    settled = {Mark.OK, Mark.REFUSED} | ({Mark.SKIPPED} if verdict.mark is Mark.OK else set())
    tried = {str(check.step) for check in verdict.checks if check.mark in settled}
    return None if set(problem.steps) <= tried else problem


def _problem(before: LastProblem | None, checks: list[Check], verdict: Verdict, date: str, run: str) -> LastProblem:
    return LastProblem(
        before.since if before is not None else date,
        date,
        run,
        _shorten(checks[0].what),
        tuple(dict.fromkeys(diagnosis.cause for diagnosis in verdict.diagnoses)),
        tuple(dict.fromkeys(str(check.step) for check in checks)),
    )


def record_verdicts(
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
    """Record the verdicts of a run in one write; `verdicts` are iterated once. Raises StatusError.

    `context`: has the access of the newest modules. `modules`: digests of the modules when the run started.
    """
    date = stamp(now)
    by_key = {target.key: target for target in targets}

    def change(before: StatusFile) -> Mapping[StatusKey, StatusEntry]:
        found: dict[StatusKey, StatusEntry] = {}
        for verdict in verdicts:
            key = (verdict.kind, verdict.name)
            target = by_key[key]
            found[key] = apply_verdict(
                before.entry(target),
                target,
                verdict,
                date=date,
                run=run,
                module=modules.module(target) if context.output_is_current(target) else "",
                access=lambda target=target: _snapshot(target, context),  # type: ignore[misc]
            )
        return found

    return change_status(status_path(out, rehearsal=rehearsal), change)


def _snapshot(target: Target, context: VerifyContext) -> dict[str, Any] | None:
    access = context.intended.get(target.role_arn)
    return None if access is None else encode_access(access)
