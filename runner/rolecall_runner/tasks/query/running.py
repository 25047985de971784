"""A query over a manifest's accounts as one call: select, foresee, ask, write down what comes."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

from rolecall_generator.generate import previous_slots
from rolecall_generator.lock import read_lock
from rolecall_generator.plan import make_plan
from rolecall_runner import __version__
from rolecall_runner.clients import Clients, ClientSettings
from rolecall_runner.credentials import Assumer, Sessions, utc_now
from rolecall_runner.engine.interface import DEFAULT_WORKERS, Outside, Settings
from rolecall_runner.engine.per_process import PerProcess
from rolecall_runner.engine.run import EngineName, run
from rolecall_runner.inventory import Inventory, read_inventory
from rolecall_runner.results.journal import RUNS, Journal, RunRecord, new_run_id, recorded
from rolecall_runner.selection import sample, select
from rolecall_runner.source import find_caller
from rolecall_runner.targets import Target, TargetKind
from rolecall_runner.tasks.query.answers import Answer, answer_of
from rolecall_runner.tasks.query.asked import described
from rolecall_runner.tasks.query.levels import Judgement
from rolecall_runner.tasks.query.placeholders import check_targets
from rolecall_runner.tasks.query.preflight import Forecast, Intended, forecasts
from rolecall_runner.tasks.query.question import Question
from rolecall_runner.tasks.query.task import QueryTask

TASK = "query"
EVERYBODY = "all"


@dataclass(frozen=True, slots=True)
class Chosen:
    """Whom a query asks: the inventory, the targets selected from it, and the pattern that did so."""

    inventory: Inventory
    targets: tuple[Target, ...]
    limit: str
    manifest: Path
    out: Path


@dataclass(frozen=True, slots=True)
class Reach:
    """How a process gets at AWS; picklable, and without secrets. `endpoint_url`: all services there (the sandbox)."""

    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    workers: int = DEFAULT_WORKERS


@dataclass(frozen=True, slots=True)
class How:
    """How to ask: engine, workers a process, processes, seconds for one target, where runs are kept."""

    engine: EngineName = "threads"
    processes: int = 2
    settings: Settings = field(default_factory=Settings)
    runs: Path = RUNS


@dataclass(slots=True)
class QueryRun:
    """A run of a query: iterate it for the answers as they come."""

    record: RunRecord
    targets: tuple[Target, ...]
    task: QueryTask
    how: How
    journal: Journal
    outside: Outside
    clock: Callable[[], datetime] = utc_now

    def __iter__(self) -> Iterator[Answer]:
        """Ask all targets; each answer is in the journal before it is handed on. Raises InterruptedRunError."""
        accounts = {(str(target.kind), target.name): target.account_id for target in self.targets}
        results = run(
            self.task,
            self.targets,
            engine=self.how.engine,
            settings=self.how.settings,
            outside=self.outside,
            processes=self.how.processes,
        )
        with self.journal as journal:
            for result in recorded(results, journal):
                yield answer_of(result, accounts[result.key])
            journal.end(self.clock())
            self.record = journal.record


def choose(manifest: Path, out: Path, *, limit: str = EVERYBODY, count: int | None = None, seed: int = 0) -> Chosen:
    """The targets that a pattern means; `all` means the customers: switch roles are for people.

    Raises ManifestError, PlanError, OutputError, SelectionError.
    """
    inventory = read_inventory(manifest, out=out)
    targets = select(inventory.targets, limit)
    if limit == EVERYBODY:
        targets = tuple(target for target in targets if target.kind is TargetKind.CUSTOMER) or targets
    if count is not None:
        targets = sample(targets, count, seed)
    return Chosen(inventory, targets, limit, manifest, out)


def foresee(question: Question, chosen: Chosen) -> Iterator[Forecast]:
    """Who can answer, by the permissions that the manifest grants. Sends nothing. Raises PlanError, OutputError."""
    plan = make_plan(chosen.inventory.manifest, previous_slots(read_lock(chosen.out)))
    return forecasts(question, chosen.targets, Intended(plan))


def prepare(
    question: Question,
    judged: tuple[Judgement, ...],
    chosen: Chosen,
    *,
    reach: Reach,
    how: How,
    outside: Outside | None = None,
    clock: Callable[[], datetime] = utc_now,
    token: Callable[[int], str] = secrets.token_hex,
) -> QueryRun:
    """Find out who calls and open the journal. No customer's account is asked yet.

    Raises QueryError for placeholders that some account has no value for, CallerError, JournalError.
    """
    check_targets(question.parameters, chosen.targets)
    run_id = new_run_id(clock(), token)
    record = RunRecord(
        run_id,
        TASK,
        str(chosen.manifest),
        chosen.inventory.fingerprint,
        chosen.limit,
        len(chosen.targets),
        clock().isoformat(),
        json.dumps(described(question) | {"levels": [each.level for each in judged]}),
        __version__,
    )
    means = PerProcess(partial(make_means, reach, record.short_id))
    means.get()  # before the journal: a run that nobody can start leaves nothing behind
    task = QueryTask(question, means, clock)
    return QueryRun(record, chosen.targets, task, how, Journal.start(how.runs, record), outside or Outside(), clock)


def make_means(reach: Reach, short_id: str) -> tuple[Clients, Sessions]:
    """The clients and sessions of one process; it finds the caller's credentials by itself. Raises CallerError."""
    clients = Clients(ClientSettings(endpoint_url=reach.endpoint_url, connections=reach.workers))
    caller = find_caller(clients, profile=reach.profile, region=reach.region)
    return clients, Sessions(Assumer(clients, caller, short_id))
