"""Run a query over the selected accounts: prepare, execute, record, and replay an earlier run."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from rolecall_generator._version import __version__
from rolecall_generator.output import read_lock
from rolecall_generator.planning import make_plan, previous_slots
from rolecall_runner.aws import AwsConfig, utc_now
from rolecall_runner.execution import (
    RUNS,
    ExecutionOptions,
    Journal,
    JournalError,
    ProcessLocal,
    RunRecord,
    Runtime,
    find_run,
    narrow_targets,
    new_run_id,
    read_results,
    record_results,
)
from rolecall_runner.inventory import (
    ALL_TARGETS,
    Inventory,
    Selection,
    Target,
    TargetKind,
    read_inventory,
    select,
)
from rolecall_runner.query.execute import QueryResult, QueryTask
from rolecall_runner.query.parameters import check_targets
from rolecall_runner.query.spec import QueryError, QuerySpec
from rolecall_runner.query.validate import (
    Forecast,
    OperationAccess,
    Preview,
    count_calls,
    describe,
    forecast_permissions,
    parameters_json,
    validate_query,
)
from rolecall_runner.specification import build

TASK = "query"


def to_record(spec: QuerySpec, access_levels: tuple[OperationAccess, ...], selection: Selection) -> str:
    """The `options` of a run record: a readable description, and the query and selection for a replay, as JSON."""
    settings = {
        **asdict(spec),
        "parameters": parameters_json(spec.parameters),
        "for_each": [{**asdict(each), "parameters": parameters_json(each.parameters)} for each in spec.for_each],
    }
    body = describe(spec) | {"levels": [each.level for each in access_levels]}
    return json.dumps(body | {"selection": asdict(selection), "settings": settings})


def from_record(record: RunRecord) -> tuple[Selection, QuerySpec]:
    """Read the selection and the query of an earlier run, and validate them. Raises JournalError if that fails."""
    try:
        body = json.loads(record.options)
        settings = body["settings"]
        if "follow_ups" in settings:  # name of `for_each` in records of earlier versions
            settings["for_each"] = settings.pop("follow_ups")
        return build(Selection, body["selection"]), validate_query(build(QuerySpec, settings))
    except (ValueError, TypeError, KeyError, AttributeError, QueryError) as error:
        raise JournalError(
            f"the record of run {record.run_id} does not contain its query", where=record.manifest, hint="start a new run"
        ) from error


def _check_replay(selection: Selection, resume: str | None, *, has_query: bool) -> None:
    option, name = ("--retry", selection.retry) if resume is None else ("--resume", resume)
    if has_query or (resume is not None and selection != Selection()):
        raise QueryError(
            f"{option} repeats the query of run {name} and cannot be combined with another query"
            + ("" if resume is None else " or selection"),
            where=option,
            hint=f"runner query {option} {name}, or omit {option}",
        )


@dataclass(frozen=True, slots=True)
class QueryTargets:
    """The targets of a query, with their inventory and selection.

    `resume`: ID of the run to continue; None: a new run.
    """

    inventory: Inventory
    targets: tuple[Target, ...]
    selection: Selection
    manifest: Path
    out: Path
    resume: str | None = None

    def forecasts(self, spec: QuerySpec) -> Iterator[Forecast]:
        """Yield whether each account can answer, based on the permissions in the manifest. Sends no request.

        Raises PlanError, OutputError.
        """
        plan = make_plan(self.inventory.manifest, previous_slots(read_lock(self.out)))
        return forecast_permissions(spec, self.targets, plan)


@dataclass(slots=True)
class QueryRun:
    """A run of a query. Iteration yields answers as they arrive; for a resumed run, the recorded answers first."""

    record: RunRecord
    targets: tuple[Target, ...]
    waiting: tuple[Target, ...]
    """Targets without a result: all of them, except in a resumed run."""
    task: QueryTask
    options: ExecutionOptions
    journal: Journal
    runtime: Runtime
    clock: Callable[[], datetime] = utc_now

    @property
    def rehearsal(self) -> bool:
        """Whether any call so far went to a sandbox instead of AWS."""
        connections = self.task.connections
        return self.record.rehearsal or (connections.is_created and connections.get()[0].rehearsal)

    def __iter__(self) -> Iterator[QueryResult]:
        """Execute the query for the waiting targets. Each answer is written to the journal before it is yielded.

        Raises InterruptedRunError if `runtime.stop` is set, after completing the targets in progress.
        """
        accounts = {target.key: target.account_id for target in self.targets}
        for result in read_results(self.options.runs, self.record.run_id):
            yield replace(QueryResult.from_result(result, accounts.get(result.key, "")), rehearsal=self.record.rehearsal)
        results = self.options.run(self.task, self.waiting, self.runtime)
        with self.journal as journal:
            for result in record_results(results, journal, self.runtime.stop):
                yield replace(QueryResult.from_result(result, accounts[result.key]), rehearsal=self.rehearsal)
            journal.end(self.clock())
            self.record = journal.record


def load_targets(manifest: Path, out: Path, selection: Selection, *, runs: Path = RUNS) -> QueryTargets:
    """Select the targets of a query. The pattern `all` selects only customers, if there are any, and no switch roles.

    `runs`: the folder of the run in `selection.retry`. Raises ManifestError, PlanError, OutputError, SelectionError,
    JournalError.
    """
    inventory = read_inventory(manifest, out=out)
    targets = select(inventory.targets, selection.limit)
    if selection.limit == ALL_TARGETS and selection.retry is None:
        targets = tuple(target for target in targets if target.kind is TargetKind.CUSTOMER) or targets
    targets, selection = narrow_targets(targets, selection, runs, task=TASK)
    return QueryTargets(inventory, targets, selection, manifest, out)


def replay(
    selection: Selection,
    manifest: Path,
    out: Path,
    *,
    resume: str | None = None,
    runs: Path = RUNS,
    has_query: bool = False,
) -> tuple[QuerySpec, QueryTargets]:
    """The query of an earlier run, and the targets to query. The run is `resume` or `selection.retry`, as in `find_run`.

    `resume` continues the run with its own selection; a retry queries the accounts of `selection` that did not succeed.
    Raises QueryError for `has_query`, or `resume` with a selection; also the errors of `find_run` and `load_targets`.
    """
    _check_replay(selection, resume, has_query=has_query)
    record = find_run(runs, resume or str(selection.retry), task=TASK)
    recorded_selection, spec = from_record(record)
    new_selection = recorded_selection if resume else replace(selection, retry=record.run_id)
    targets = load_targets(manifest, out, new_selection, runs=runs)
    return spec, replace(targets, resume=record.run_id if resume else None)


def preview(spec: QuerySpec, access_levels: tuple[OperationAccess, ...], chosen: QueryTargets) -> Preview:
    """The calls that the query would send, and the accounts that can answer. Sends no request.

    Raises QueryError if an account has no value for a placeholder, PlanError, OutputError.
    """
    check_targets(spec.parameters, chosen.targets)
    return count_calls(spec, access_levels, chosen.targets, chosen.forecasts(spec))


def prepare(
    spec: QuerySpec,
    access_levels: tuple[OperationAccess, ...],
    chosen: QueryTargets,
    *,
    aws: AwsConfig,
    options: ExecutionOptions,
    runtime: Runtime | None = None,
    clock: Callable[[], datetime] = utc_now,
    token: Callable[[int], str] = secrets.token_hex,
) -> QueryRun:
    """Connect to AWS and open the journal. Sends no request to the selected accounts.

    Raises QueryError if an account has no value for a placeholder, CallerError, JournalError.
    """
    check_targets(spec.parameters, chosen.targets)
    run_id = chosen.resume or new_run_id(clock(), token)
    aws = aws.for_partition(chosen.inventory.manifest.partition)
    connections = ProcessLocal(partial(aws.connect, run_id.rpartition("-")[2]))
    clients, _ = connections.get()  # before the journal, so that a run without a caller leaves no record
    record = RunRecord(
        run_id,
        TASK,
        str(chosen.manifest),
        chosen.inventory.fingerprint,
        chosen.selection.summary,
        len(chosen.targets),
        clock().isoformat(),
        to_record(spec, access_levels, chosen.selection),
        __version__,
        rehearsal=clients.rehearsal,
    )
    journal = Journal.open(options.runs, record, resume=chosen.resume is not None)
    waiting = tuple(target for target in chosen.targets if target.key not in journal.done)
    task = QueryTask(spec, connections, clock)
    return QueryRun(journal.record, chosen.targets, waiting, task, options, journal, runtime or Runtime(), clock)
