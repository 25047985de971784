"""Run a query over the selected accounts: prepare, execute, record, and replay an earlier run."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from rolecall_generator.generate import previous_slots
from rolecall_generator.lock import read_lock
from rolecall_generator.plan import make_plan
from rolecall_runner import __version__
from rolecall_runner.choice import EVERYBODY, Choice, How
from rolecall_runner.credentials import utc_now
from rolecall_runner.engine.interface import Outside
from rolecall_runner.engine.per_process import PerProcess
from rolecall_runner.inventory import Inventory, read_inventory
from rolecall_runner.results.journal import (
    RUNS,
    Journal,
    JournalError,
    RunRecord,
    find_run,
    keys_to_retry,
    new_run_id,
    read_results,
    recorded,
)
from rolecall_runner.selection import only, sample, select
from rolecall_runner.targets import Target, TargetKind
from rolecall_runner.tasks.query.answers import Answer, answer_of
from rolecall_runner.tasks.query.asked import Wanted, described, make_question, shown_parameters
from rolecall_runner.tasks.query.execute import QueryTask
from rolecall_runner.tasks.query.parameters import check_targets
from rolecall_runner.tasks.query.preflight import Forecast, Intended, Judgement, forecasts
from rolecall_runner.tasks.query.question import FollowUp, QueryError, Question, RegionChoice
from rolecall_runner.tasks.query.reach import Reach, make_means


def kept(question: Question, judged: tuple[Judgement, ...], choice: Choice) -> str:
    """What a run's record says in `what`: the question for people and SQL, and all that it takes to ask it again."""
    wanted = {
        **asdict(question),
        "parameters": shown_parameters(question.parameters),
        "follow_ups": [{**asdict(each), "parameters": shown_parameters(each.parameters)} for each in question.follow_ups],
    }
    body = described(question) | {"levels": [each.level for each in judged]}
    return json.dumps(body | {"choice": asdict(choice), "wanted": wanted})


def recalled(record: RunRecord) -> tuple[Choice, Question]:
    """Choice and question of an earlier run, checked anew. Raises JournalError where its record does not hold them."""
    try:
        said = json.loads(record.what)
        return Choice(**said["choice"]), make_question(_wanted(said["wanted"]))
    except (ValueError, TypeError, KeyError, AttributeError, QueryError) as error:
        raise JournalError(
            f"run {record.run_id} does not say what it asked", where=record.manifest, mend="start a new run"
        ) from error


def check_alone(choice: Choice, resume: str | None, *, questioned: bool) -> None:
    """Raise QueryError where more is said than a run to resume or to retry; `questioned`: a question is.

    A retry may be of fewer accounts; a resumed run is that run to the end.
    """
    option, name = ("--retry", choice.retry) if resume is None else ("--resume", resume)
    if questioned or (resume is not None and choice != Choice()):
        raise QueryError(
            f"{option} asks what run {name} asked; nothing else can be asked with it",
            where=option,
            mend=f"runner query {option} {name}, or leave out {option}",
        )


def _wanted(body: Mapping[str, Any]) -> Wanted:
    regions = body["regions"]
    return Wanted(
        **{
            **body,
            "regions": tuple(regions) if isinstance(regions, list) else RegionChoice(regions),
            "columns": tuple(body["columns"]),
            "follow_ups": tuple(FollowUp(**{**each, "missing": tuple(each["missing"])}) for each in body["follow_ups"]),
        }
    )


TASK = "query"


@dataclass(frozen=True, slots=True)
class Chosen:
    """Whom a query asks: the inventory, the targets selected from it, and the choice that did so.

    `resume`: the id of the run that is gone on with; None for a new one.
    """

    inventory: Inventory
    targets: tuple[Target, ...]
    choice: Choice
    manifest: Path
    out: Path
    resume: str | None = None


@dataclass(slots=True)
class QueryRun:
    """A run of a query: iterate it for the answers as they come, those of a resumed run's earlier part first."""

    record: RunRecord
    targets: tuple[Target, ...]
    waiting: tuple[Target, ...]
    """Those that have no result yet: all of them but in a resumed run."""
    task: QueryTask
    how: How
    journal: Journal
    outside: Outside
    clock: Callable[[], datetime] = utc_now

    @property
    def rehearsal(self) -> bool:
        """Whether a sandbox answers instead of AWS, for any service that was asked so far."""
        means = self.task.means
        return self.record.rehearsal or (means.made and means.get()[0].rehearsal)

    def __iter__(self) -> Iterator[Answer]:
        """Ask those that wait; each answer is in the journal before it is handed on.

        Raises InterruptedRunError when `outside.stop` was set: after what was being asked then.
        """
        accounts = {_key(target): target.account_id for target in self.targets}
        for result in read_results(self.how.runs, self.record.run_id):
            yield replace(answer_of(result, accounts.get(result.key, "")), rehearsal=self.record.rehearsal)
        results = self.how.ask(self.task, self.waiting, self.outside)
        with self.journal as journal:
            for result in recorded(results, journal):
                yield replace(answer_of(result, accounts[result.key]), rehearsal=self.rehearsal)
            journal.end(self.clock())
            self.record = journal.record


def choose(
    manifest: Path,
    out: Path,
    *,
    limit: str = EVERYBODY,
    count: int | None = None,
    seed: int = 0,
    retry: str | None = None,
    runs: Path = RUNS,
) -> Chosen:
    """The targets that a pattern means; `all` means the customers: switch roles are for people.

    `retry`: only what did not end well in that run, kept below `runs`. Raises ManifestError, PlanError, OutputError,
    SelectionError, JournalError.
    """
    inventory = read_inventory(manifest, out=out)
    targets = select(inventory.targets, limit)
    if limit == EVERYBODY and retry is None:
        targets = tuple(target for target in targets if target.kind is TargetKind.CUSTOMER) or targets
    if retry is not None:
        retry = find_run(runs, retry, task=TASK).run_id
        targets = tuple(only(targets, keys_to_retry(runs, retry), retry))
    if count is not None:
        targets = sample(targets, count, seed)
    return Chosen(inventory, targets, Choice(limit, count, seed, retry), manifest, out)


def asked_again(
    name: str, choice: Choice | None, manifest: Path, out: Path, *, runs: Path = RUNS
) -> tuple[Question, Chosen]:
    """The question of an earlier run. With a choice: for those that did not end well in it; None: for the rest of that run.

    `name` as `journal.find_run` takes it. Raises what `choose` raises.
    """
    record = find_run(runs, name, task=TASK)
    before, question = recalled(record)
    again = before if choice is None else replace(choice, retry=record.run_id)
    chosen = choose(manifest, out, limit=again.limit, count=again.sample, seed=again.seed, retry=again.retry, runs=runs)
    return question, replace(chosen, resume=record.run_id if choice is None else None)


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
    run_id = chosen.resume or new_run_id(clock(), token)
    means = PerProcess(partial(make_means, reach, run_id.rpartition("-")[2]))
    clients, _ = means.get()  # before the journal: a run that nobody can start leaves nothing behind
    fingerprint = chosen.inventory.fingerprint
    if chosen.resume is not None:
        journal = Journal.resume(how.runs, run_id, fingerprint=fingerprint, rehearsal=clients.rehearsal)
    else:
        record = RunRecord(
            run_id,
            TASK,
            str(chosen.manifest),
            fingerprint,
            chosen.choice.words,
            len(chosen.targets),
            clock().isoformat(),
            kept(question, judged, chosen.choice),
            __version__,
            rehearsal=clients.rehearsal,
        )
        journal = Journal.start(how.runs, record)
    waiting = tuple(target for target in chosen.targets if _key(target) not in journal.done)
    task = QueryTask(question, means, clock)
    return QueryRun(journal.record, chosen.targets, waiting, task, how, journal, outside or Outside(), clock)


def _key(target: Target) -> tuple[str, str]:
    return str(target.kind), target.name
