"""Verify runs: select the targets, verify them, record every verdict in a journal, and resume an earlier run."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from rolecall_generator._version import __version__
from rolecall_generator.records import status_path
from rolecall_runner.aws import CallerIdentity, Status, utc_now
from rolecall_runner.execution import (
    ExecutionOptions,
    Journal,
    JournalError,
    ProcessLocal,
    Result,
    RunRecord,
    Runtime,
    find_run,
    narrow_targets,
    new_run_id,
    read_results,
    record_results,
    stops_on_ctrl_c,
)
from rolecall_runner.inventory import Selection, Target, read_inventory, select
from rolecall_runner.specification import build
from rolecall_runner.status import OutputDigests, StatusError, read_module_history, read_output_digests
from rolecall_runner.verify import (
    Check,
    Mark,
    ModuleHistory,
    RunConfig,
    RunInfo,
    Step,
    Verdict,
    VerifySpec,
    VerifyTask,
)

TASK = "verify"
_MARK_OF_STATUS = {
    Status.OK: Mark.OK,
    Status.REFUSED: Mark.FAILED,
    Status.FAILED: Mark.FAILED,
    Status.INCONCLUSIVE: Mark.INCONCLUSIVE,
    Status.UNREACHABLE: Mark.UNREACHABLE,
    Status.SKIPPED: Mark.SKIPPED,
}


@dataclass(slots=True)
class VerifyRun:
    """A verify run. Iterating over it executes the run; `info` and `verdicts` then describe the whole run."""

    record: RunRecord
    caller: CallerIdentity
    targets: tuple[Target, ...]
    waiting: tuple[Target, ...]
    """The targets without a result: all of them, except in a resumed run."""
    execution: ExecutionOptions
    journal: Journal
    task: VerifyTask
    runtime: Runtime
    output_digests: OutputDigests
    """Digests of the modules in the output folder when the run started."""
    clock: Callable[[], datetime] = utc_now
    _rehearsed: bool = False

    def __iter__(self) -> Iterator[Verdict]:
        """Verify the waiting targets; each verdict is recorded, then yielded. Raises InterruptedRunError."""
        by_key = {target.key: target for target in self.waiting}
        results = self.execution.run(self.task, self.waiting, self.runtime)
        with stops_on_ctrl_c(self.runtime.stop), self.journal as journal:
            for result in record_results(results, journal, self.runtime.stop):
                verdict = verdict_of(result, by_key[result.key], rehearsal=self.record.rehearsal)
                self._rehearsed = self._rehearsed or verdict.rehearsal
                yield verdict
            journal.end(self.clock())
            self.record = journal.record

    def info(self) -> RunInfo:
        """The metadata of the run, for reports."""
        ended = datetime.fromisoformat(self.record.ended) if self.record.ended else self.clock()
        return RunInfo(
            self.record.run_id,
            self.record.manifest,
            self.record.selection,
            datetime.fromisoformat(self.record.started),
            ended,
            self.caller.arn,
            self.record.rolecall,
            self.record.total,
            self.rehearsal,
        )

    @property
    def rehearsal(self) -> bool:
        """Whether a sandbox was used instead of AWS, for any of the accounts."""
        return self.record.rehearsal or self._rehearsed

    def verdicts(self) -> Iterator[Verdict]:
        """All verdicts of the run from its journal, in manifest order; only the last one of each target."""
        found = {result.key: result for result in read_results(self.execution.runs, self.record.run_id)}
        for target in self.targets:
            result = found.get(target.key)
            if result is not None:
                yield verdict_of(result, target, rehearsal=self.record.rehearsal)


def verdict_of(result: Result, target: Target, *, rehearsal: bool = False) -> Verdict:
    """Convert a result to a verdict. If the task itself failed, the verdict has a single check with its error."""
    if isinstance(result.data, dict):
        return Verdict.from_json({key: value for key, value in result.data.items() if key != "mark"})
    check = Check(Step.ASSUME, _MARK_OF_STATUS[result.status], "The verification itself failed.", result.code, result.error)
    return Verdict(
        target.name,
        str(target.kind),
        target.account_id,
        target.role_arn,
        (replace(check, seconds=result.seconds),),
        rehearsal=rehearsal,
    )


def prepare_verify_run(
    start: RunConfig,
    selection: Selection,
    execution: ExecutionOptions,
    *,
    resume: str | None = None,
    clock: Callable[[], datetime] = utc_now,
    token: Callable[[int], str] = secrets.token_hex,
    runtime: Runtime | None = None,
) -> VerifyRun:
    """Select the targets, find the caller and open the journal, without calls to the accounts.

    `resume`: the run to resume, in any form that `find_run` accepts; its selection and options are used then.

    Raises ManifestError, PlanError, OutputError, SelectionError, CallerError, JournalError.
    """
    inventory = read_inventory(start.manifest, out=start.out)
    start = replace(start, aws=start.aws.for_partition(inventory.manifest.partition))
    if resume is not None:
        resumed = find_run(execution.runs, resume, task=TASK)
        resume = resumed.run_id
        selection, options = options_from_record(resumed)
        start = replace(start, options=options)
    targets, selection = narrow_targets(select(inventory.targets, selection.limit), selection, execution.runs, task=TASK)
    # Before the journal is created, so that a run without credentials leaves no files.
    caller = start.aws.find_caller(start.aws.clients())
    record = RunRecord(
        resume or new_run_id(clock(), token),
        TASK,
        str(start.manifest),
        inventory.fingerprint,
        selection.summary,
        len(targets),
        clock().isoformat(),
        json.dumps({"selection": asdict(selection), "options": asdict(start.options)}),
        __version__,
        rehearsal=caller.rehearsal,
    )
    journal = Journal.open(execution.runs, record, resume=resume is not None)
    waiting = tuple(target for target in targets if target.key not in journal.done)
    history = ModuleHistory()
    with suppress(StatusError):  # not required for the run; `record_verdicts` reports a damaged file
        history = read_module_history(status_path(start.out, rehearsal=caller.rehearsal), targets)
    config = replace(start, run_id=journal.record.short_id, history=history)
    task = VerifyTask(ProcessLocal(config.make_context))
    found = read_output_digests(start.out)
    return VerifyRun(journal.record, caller, targets, waiting, execution, journal, task, runtime or Runtime(), found, clock)


def options_from_record(record: RunRecord) -> tuple[Selection, VerifySpec]:
    """Return the selection and options in the record of a run. Raises JournalError."""
    try:
        body = json.loads(record.options)
        options = body["options"]
        if "probe_actions" in options:  # older records have two flags instead of `actions`
            probed, every_action = options.pop("probe_actions"), options.pop("all_actions")
            options["actions"] = ("all" if every_action else "sample") if probed else "none"
        return build(Selection, body["selection"]), build(VerifySpec, options)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise JournalError(
            f"the record of run {record.run_id} does not contain its options", where=record.manifest, hint="start a new run"
        ) from error
