"""Runs plays over accounts with Ansible's linear strategy: each task in all accounts of a batch, then the next task.

In one account, a task has a condition, a loop, and attempts.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from rolecall_generator.errors import SelectionError
from rolecall_runner.api import Fleet
from rolecall_runner.aws import RetryPolicy, Status, failure_of
from rolecall_runner.execution import EngineSettings, Outcome, Outside, Result
from rolecall_runner.inventory import Target, TargetKind, select
from rolecall_runner.plays.action_handlers import ActionHandler, HandlerFactory
from rolecall_runner.plays.play_fields import account_variables
from rolecall_runner.plays.play_file import batches
from rolecall_runner.plays.play_model import (
    BAD,
    Event,
    JsonObject,
    Play,
    PlayBegins,
    PlayError,
    PlayStops,
    PlayTask,
    TaskBegins,
    TaskEnded,
    TaskEnding,
)
from rolecall_runner.plays.play_session import Key, RunFolder
from rolecall_runner.plays.templating import TemplateError
from rolecall_runner.redact import redact

_WORST = (Status.FAILED, Status.REFUSED, Status.UNREACHABLE, Status.INCONCLUSIVE)
NOT_IN_CHECK = "not run under --check"


@dataclass(frozen=True, slots=True)
class TaskInHost:
    """A play's task as engines take it. The outcome's data are what is registered, with flags; see `registered`."""

    task: PlayTask
    performer: ActionHandler
    variables: Mapping[tuple[str, str], Mapping[str, Any]]
    """Of every account of the batch, by kind and name."""
    outside: Outside
    check: bool = False

    @property
    def name(self) -> str:
        """The task's name."""
        return self.task.name

    def __call__(self, target: Target) -> Outcome:
        """Never raises for what the account or the play's expressions do: that is the outcome."""
        variables = self.variables[str(target.kind), target.name]
        if self.task.loop is None:
            return self._item(target, variables)
        try:
            items = self.task.loop.render(variables)
        except TemplateError as error:
            # As in Ansible, a task that is skipped does not need its list.
            skipped = self._skipped(variables) if self.task.when else None
            return skipped if skipped is not None and skipped.status is Status.SKIPPED else _failed(error)
        if not isinstance(items, list | tuple):
            what = f"loop gave {type(items).__name__}, not a list"
            return _failed(TemplateError(what, where="loop", hint="give a list"))
        done = [(item, self._item(target, {**variables, "item": item})) for item in items]
        return _together(done)

    def _skipped(self, variables: Mapping[str, Any]) -> Outcome | None:
        try:
            for condition in self.task.when:
                if not condition.true(variables):
                    return Outcome(Status.SKIPPED, registered(Outcome(Status.SKIPPED)), f"when: {condition.text}")
        except TemplateError as error:
            return _failed(error)
        if self.check and self.task.acts:
            return Outcome(Status.SKIPPED, registered(Outcome(Status.SKIPPED)), NOT_IN_CHECK)
        return None

    def _item(self, target: Target, variables: Mapping[str, Any]) -> Outcome:
        skipped = self._skipped(variables)
        if skipped is not None:
            return skipped
        tries = self.task.retries + 1 if self.task.until else 1
        for attempt in range(1, tries + 1):
            outcome = self._try(target, variables, attempt)
            if not self.task.until:
                return outcome
            try:
                if all(each.true(self._with_result(variables, outcome)) for each in self.task.until):
                    return outcome
            except TemplateError as error:
                if outcome.status is Status.OK:
                    return _failed(error)  # a try that failed lacks what is waited for: that is no mistake
            if self.outside.stop.is_set() or attempt == tries:
                break
            self.outside.wait(self.task.delay)
        words = " and ".join(each.text for each in self.task.until)
        text = f"still not true after {attempt} tries: {words}"
        said = f"{text}; {outcome.error}" if outcome.error else text
        status = Status.FAILED if outcome.status is Status.OK else outcome.status
        return replace(outcome, status=status, error=said, data={**outcome.data, "failed": True, "error": said})

    def _try(self, target: Target, variables: Mapping[str, Any], attempt: int) -> Outcome:
        try:
            outcome = self.performer(target, variables)
        except Exception as error:  # whatever a task raises is this account's result, not the play's end
            failure = failure_of(error)
            outcome = Outcome(failure.status, None, failure.message, failure.code)
        outcome = replace(outcome, data={**registered(outcome), "attempts": attempt})
        try:
            return self._judged(outcome, variables)
        except TemplateError as error:
            return _failed(error)

    def _judged(self, outcome: Outcome, variables: Mapping[str, Any]) -> Outcome:
        """The outcome after `failed_when` and `changed_when`."""
        task, data = self.task, dict(outcome.data)
        if task.failed_when is not None:
            failed = any(each.true(self._with_result(variables, outcome)) for each in task.failed_when)
            words = outcome.error or f"failed_when: {' or '.join(each.text for each in task.failed_when)}"
            status = (Status.FAILED if outcome.status is Status.OK else outcome.status) if failed else Status.OK
            data |= {"failed": failed, "status": str(status), "error": words if failed else ""}
            outcome = replace(outcome, status=status, error=words if failed else "", data=data)
        if task.changed_when is not None and outcome.status is Status.OK:  # what failed has no result to judge
            changed = all(each.true(self._with_result(variables, outcome)) for each in task.changed_when)
            outcome = replace(outcome, data={**data, "changed": changed})
        return outcome

    def _with_result(self, variables: Mapping[str, Any], outcome: Outcome) -> dict[str, Any]:
        own = {self.task.register: outcome.data} if self.task.register else {}
        return {**variables, **own, "result": outcome.data}


def registered(outcome: Outcome) -> JsonObject:
    """What `register` keeps: status, changed, failed, skipped, error, code, and what the action adds (rows, data, ...)."""
    body: JsonObject = {
        "status": str(outcome.status),
        "changed": False,
        "failed": outcome.status not in {Status.OK, Status.SKIPPED},
        "skipped": outcome.status is Status.SKIPPED,
        "error": outcome.error,
        "code": outcome.code,
    }
    return body | (dict(outcome.data) if isinstance(outcome.data, Mapping) else {})


def _failed(error: TemplateError) -> Outcome:
    outcome = Outcome(Status.FAILED, None, str(error))
    return replace(outcome, data=registered(outcome))


def _together(done: list[tuple[Any, Outcome]]) -> Outcome:
    """One outcome of a loop: the worst of its items; `results` has them all."""
    results = [{**outcome.data, "item": item} for item, outcome in done]
    failures = [outcome for _, outcome in done if outcome.status in _WORST]
    failures.sort(key=lambda outcome: _WORST.index(outcome.status))
    if failures:
        status = failures[0].status
    else:
        status = Status.SKIPPED if all(outcome.status is Status.SKIPPED for _, outcome in done) else Status.OK
    error = failures[0].error if failures else "no items" if not done else ""
    whole = Outcome(status, None, error, failures[0].code if failures else "")
    data = registered(whole) | {"results": results, "changed": any(each["changed"] for each in results)}
    return replace(whole, data=data)


Chosen = Sequence[tuple[Play, tuple[Target, ...]]]
"""Plays with their accounts."""

_ALL = 100
_ENDINGS = {
    Status.OK: TaskEnding.OK,
    Status.SKIPPED: TaskEnding.SKIPPED,
    Status.FAILED: TaskEnding.FAILED,
    Status.REFUSED: TaskEnding.FAILED,
    Status.UNREACHABLE: TaskEnding.UNREACHABLE,
    Status.INCONCLUSIVE: TaskEnding.INCONCLUSIVE,
}


def accounts_of(play: Play, fleet: Fleet) -> tuple[Target, ...]:
    """The accounts of a play: its pattern, within those of the fleet. Raises PlayError for a pattern that is wrong."""
    try:
        found = select(fleet.chosen.inventory.targets, play.hosts)
    except SelectionError as error:
        raise PlayError(error.what, where=f"{play.place}: hosts", hint=error.hint) from error
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
    workshop: HandlerFactory
    check: bool = False
    settings: EngineSettings = field(default_factory=EngineSettings)
    outside: Outside = field(default_factory=Outside)
    record: RunFolder | None = None
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
            raise PlayError("plays run in one process", where="--engine", hint="use threads or serial")
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
        everyone = {_key(target) for _, accounts in chosen for target in accounts}
        if everyone:
            self.fleet.means.get()  # before the record: a run that no one can start leaves nothing behind
        if self.record is not None:
            self.record.begin(self.fleet, len(everyone))
        yield from self._plays(chosen, performers)
        if self.record is not None:
            self.record.end()

    def _plays(self, chosen: Chosen, performers: dict[int, ActionHandler]) -> Iterator[Event]:
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

    def _batch(self, batch: _Batch, performers: dict[int, ActionHandler]) -> Generator[Event, None, str]:
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
        self,
        task: PlayTask,
        batch: _Batch,
        accounts: list[Target],
        performer: ActionHandler | None,
        *,
        handler: bool = False,
    ) -> Iterator[Event]:
        yield TaskBegins(task, handler)
        at = self._places[id(task)]
        variables, waiting = {}, {}
        for target in accounts:
            key = _key(target)
            before = self.record.done(at, key) if self.record is not None else None
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
            if self.record is not None:
                self.record.add(at, result, event)
            yield event

    def _unready(self, at: str, task: PlayTask, batch: _Batch, target: Target, error: TemplateError) -> TaskEnded:
        """An account whose variables have no value: it has failed, and nothing was asked of it."""
        key = _key(target)
        batch.alive.pop(key)
        self._lost.add(key)
        data = {"failed": True, "error": str(error)}
        event = TaskEnded(target.name, target.account_id, task, TaskEnding.FAILED, data, redact(str(error)))
        result = Result(target.name, task.name, Status.FAILED, self.outside.now(), error=event.error, kind=key[0])
        if self.record is not None:
            self.record.add(at, result, event)
        return event

    def _ended(self, task: PlayTask, batch: _Batch, target: Target, result: Result) -> TaskEnded:
        data = result.data if isinstance(result.data, dict) else {"failed": True, "error": result.error}
        if task.register:
            self._kept.setdefault(result.key, {})[task.register] = data
        ending = _ENDINGS[result.status]
        if ending in BAD and task.ignore_errors and ending is TaskEnding.FAILED:
            ending = TaskEnding.IGNORED
        elif ending is TaskEnding.OK and data.get("changed") is True:
            ending = TaskEnding.CHANGED
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

    def _settings(self, task: PlayTask) -> EngineSettings:
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
