"""Plays over accounts, Ansible's linear way: a task in all accounts of a batch, then the next task."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from rolecall_generator.errors import SelectionError
from rolecall_runner.engine.interface import Outside, Settings
from rolecall_runner.fleet import Fleet
from rolecall_runner.play.errors import PlayError, TemplateError
from rolecall_runner.play.events import BAD, Ending, Event, PlayBegins, PlayStops, TaskBegins, TaskEnded
from rolecall_runner.play.models import Play, PlayTask
from rolecall_runner.play.names import account_variables
from rolecall_runner.play.one_host import TaskInHost
from rolecall_runner.play.performers import Performer, Workshop
from rolecall_runner.play.record import Key, NoRecord, Record
from rolecall_runner.play.serial import batches
from rolecall_runner.redact import redact
from rolecall_runner.results.result import Result, Status
from rolecall_runner.retry import RetryPolicy
from rolecall_runner.selection import select
from rolecall_runner.targets import Target, TargetKind

Chosen = Sequence[tuple[Play, tuple[Target, ...]]]
"""Plays with their accounts."""

_ALL = 100
_ENDINGS = {
    Status.OK: Ending.OK,
    Status.SKIPPED: Ending.SKIPPED,
    Status.FAILED: Ending.FAILED,
    Status.REFUSED: Ending.FAILED,
    Status.UNREACHABLE: Ending.UNREACHABLE,
    Status.INCONCLUSIVE: Ending.INCONCLUSIVE,
}


def accounts_of(play: Play, fleet: Fleet) -> tuple[Target, ...]:
    """The accounts of a play: its pattern, within those of the fleet. Raises PlayError for a pattern that is wrong."""
    try:
        found = select(fleet.chosen.inventory.targets, play.hosts)
    except SelectionError as error:
        raise PlayError(error.what, where=f"{play.place}: hosts", mend=error.mend) from error
    if play.hosts == "all":
        found = tuple(target for target in found if target.kind is TargetKind.CUSTOMER) or found
    mine = {_key(target) for target in fleet.accounts}
    return tuple(target for target in found if _key(target) in mine)


@dataclass(slots=True)
class _Batch:
    """The accounts of a batch: those that still take part, and who is to be told at its end."""

    play: Play
    size: int
    alive: dict[Key, Target]
    notified: dict[str, set[Key]] = field(default_factory=dict)

    @property
    def failed_percent(self) -> float:
        return _ALL * (self.size - len(self.alive)) / self.size


@dataclass(slots=True)
class Runner:
    """One run of plays. `check`: what may change something is left out."""

    fleet: Fleet
    workshop: Workshop
    check: bool = False
    settings: Settings = field(default_factory=Settings)
    outside: Outside = field(default_factory=Outside)
    record: Record = field(default_factory=NoRecord)
    _lost: set[Key] = field(default_factory=set)
    _kept: dict[Key, dict[str, Any]] = field(default_factory=dict)
    """What was registered, by account; it lasts over plays."""
    _places: dict[int, str] = field(default_factory=dict)
    """Where each task stands: number of the play, `tasks` or `handlers`, number of the task."""

    def run(self, plays: Sequence[Play]) -> Iterator[Event]:
        """What happens, as it does; what an earlier part of the run did comes again, but is not done again.

        Raises PlayError, CallerError, SandboxError and JournalError before the first account is asked, InterruptedRunError
        when the run is stopped.
        """
        if self.fleet.execution.reach != "process":
            raise PlayError("plays run in one process", where="--engine", mend="use threads or serial")
        chosen = [(play, accounts_of(play, self.fleet)) for play in plays]
        performers = {
            id(task): self.workshop.performer(task)
            for play, accounts in chosen
            for task in (*play.tasks, *play.handlers)
            if accounts and not (self.check and task.acts)
        }
        self._places = {
            id(task): f"{number}.{part}.{index}"
            for number, play in enumerate(plays)
            for part, tasks in (("tasks", play.tasks), ("handlers", play.handlers))
            for index, task in enumerate(tasks)
        }
        everybody = {_key(target) for _, accounts in chosen for target in accounts}
        if everybody:
            self.fleet.means.get()  # before the record: a run that nobody can start leaves nothing behind
        self.record.begin(len(everybody))
        yield from self._plays(chosen, performers)
        self.record.end()

    def _plays(self, chosen: Chosen, performers: dict[int, Performer]) -> Iterator[Event]:
        for play, accounts in chosen:
            left = [target for target in accounts if _key(target) not in self._lost]
            yield PlayBegins(play, len(left))
            if accounts and not left:
                yield PlayStops(play, "no account is left")
                return
            for batch in batches(left, play.serial):
                why = yield from self._batch(_Batch(play, len(batch), {_key(each): each for each in batch}), performers)
                if why:
                    yield PlayStops(play, why)
                    return

    def _batch(self, batch: _Batch, performers: dict[int, Performer]) -> Generator[Event, None, str]:
        """Run a batch; returns why the run is to stop, "" when it goes on."""
        play = batch.play
        for task in play.tasks:
            if not batch.alive:
                break
            yield from self._task(task, batch, list(batch.alive.values()), performers.get(id(task)))
            if play.max_fail_percentage is not None and batch.failed_percent > play.max_fail_percentage:
                share = f"{batch.failed_percent:.0f} % of the batch failed"
                return f"{share}, more than max_fail_percentage: {play.max_fail_percentage:g}"
        for handler in play.handlers:
            told = batch.notified.pop(handler.name, set())
            accounts = [target for key, target in batch.alive.items() if key in told]
            if accounts:
                yield from self._task(handler, batch, accounts, performers.get(id(handler)), handler=True)
        return "" if batch.alive else "every account of the batch failed"

    def _task(
        self, task: PlayTask, batch: _Batch, accounts: list[Target], performer: Performer | None, *, handler: bool = False
    ) -> Iterator[Event]:
        yield TaskBegins(task, handler)
        at = self._places[id(task)]
        variables, waiting = {}, {}
        for target in accounts:
            key = _key(target)
            before = self.record.done(at, key)
            if before is not None:
                yield self._ended(task, batch, target, before)
                continue
            try:
                variables[key] = self._variables(batch.play, task, target)
                waiting[key] = target
            except TemplateError as error:
                yield self._unready(at, task, batch, target, error)
        if not waiting:
            return
        one = TaskInHost(task, performer or _nothing, variables, self.outside, self.check)
        results = self.fleet.run(one, waiting.values(), settings=self._settings(task), outside=self.outside)
        for result in results:
            event = self._ended(task, batch, waiting[result.key], result)
            self.record.add(at, result, event)
            yield event

    def _unready(self, at: str, task: PlayTask, batch: _Batch, target: Target, error: TemplateError) -> TaskEnded:
        """An account whose variables have no value: it has failed, and nothing was asked of it."""
        key = _key(target)
        batch.alive.pop(key)
        self._lost.add(key)
        data = {"failed": True, "error": str(error)}
        event = TaskEnded(target.name, target.account_id, task, Ending.FAILED, data, redact(str(error)))
        result = Result(target.name, task.name, Status.FAILED, self.outside.now(), error=event.error, kind=key[0])
        self.record.add(at, result, event)
        return event

    def _ended(self, task: PlayTask, batch: _Batch, target: Target, result: Result) -> TaskEnded:
        data = result.data if isinstance(result.data, dict) else {"failed": True, "error": result.error}
        if task.register:
            self._kept.setdefault(result.key, {})[task.register] = data
        ending = _ENDINGS[result.status]
        if ending in BAD and task.ignore_errors and ending is Ending.FAILED:
            ending = Ending.IGNORED
        elif ending is Ending.OK and data.get("changed") is True:
            ending = Ending.CHANGED
            for name in task.notify:
                batch.notified.setdefault(name, set()).add(result.key)
        if ending in BAD:
            batch.alive.pop(result.key, None)
            self._lost.add(result.key)
        where = target.name if target.kind is TargetKind.CUSTOMER else f"{target.name} ({target.kind})"
        return TaskEnded(where, target.account_id, task, ending, data, redact(result.error), result.code, result.seconds)

    def _variables(self, play: Play, task: PlayTask, target: Target) -> dict[str, Any]:
        """Account, what was registered, and those of the play's variables that the task needs. Raises TemplateError."""
        found = account_variables(target, check=self.check) | self._kept.get(_key(target), {})
        needed = set(task.names)
        for name, each in reversed(tuple(play.variables.items())):  # a variable may need those before it
            if name in needed:
                needed |= each.names
        for name, each in play.variables.items():
            if name in needed:
                found[name] = each.render(found)
        return found

    def _settings(self, task: PlayTask) -> Settings:
        """What acts, or tries by itself, is not repeated as a whole; tries need their time."""
        settings = self.settings
        tries = task.retries + 1 if task.until else 1
        if settings.timeout_seconds is not None:
            waits = task.delay * (tries - 1)
            settings = replace(settings, timeout_seconds=settings.timeout_seconds * tries + waits)
        return replace(settings, retry=RetryPolicy(1)) if task.acts or task.until else settings


def _key(target: Target) -> Key:
    return str(target.kind), target.name


def _nothing(target: Target, variables: Mapping[str, Any]) -> NoReturn:
    raise AssertionError(f"what is not run under --check was run: {target.name}, {len(variables)} variables")
