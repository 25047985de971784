"""Run plays with Ansible's linear strategy: each task in all accounts of a batch, then the next task.

Conditions, loops, and retries of a task are evaluated separately for each account. The action of a task has a handler, which
renders the arguments for one account, runs the action, and returns an outcome.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, NoReturn

from rolecall_generator.errors import RolecallError, SelectionError
from rolecall_runner.api import Fleet, FunctionTask
from rolecall_runner.aws import Clients, RetryPolicy, Sessions, Status, failure_of
from rolecall_runner.execution import EngineSettings, Outcome, ProcessLocal, Result, Runtime, Task
from rolecall_runner.inventory import Target, TargetKind, select
from rolecall_runner.plays.play_fields import account_variables
from rolecall_runner.plays.play_file import batches, load_factory, load_function, spec_of
from rolecall_runner.plays.play_model import (
    FAILED_STATUSES,
    AssertAction,
    Event,
    JsonObject,
    Play,
    PlayError,
    PlayStart,
    PlayStop,
    PlayTask,
    PluginAction,
    QueryAction,
    ScriptAction,
    TaskResult,
    TaskStart,
    TaskStatus,
    VerifyAction,
)
from rolecall_runner.plays.play_session import Key, RunFolder
from rolecall_runner.plays.templating import TemplateError
from rolecall_runner.query import QuerySpec, QueryTask, Reason, check_reads, escape_placeholders, validate_query
from rolecall_runner.redact import redact

_CACHED_QUERIES = 64
Connections = ProcessLocal[tuple[Clients, Sessions]]


ActionHandler = Callable[[Target, Mapping[str, Any]], Outcome]
"""Runs the action of a task in one account, with its variables. The data of the outcome is a mapping, which can be
registered. Must be thread-safe; may raise any exception."""


@dataclass(frozen=True, slots=True)
class Query:
    """Runs a query; registers `rows` (each with its `region`) and `errors`."""

    action: QueryAction
    connections: Connections
    _tasks: dict[str, QueryTask] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, target: Target, variables: Mapping[str, Any]) -> Outcome:
        """Run the query. Raises QueryError, TemplateError, and the errors of assuming the role."""
        arguments = self.action.arguments
        rendered = arguments.render(variables)
        if "parameters" in rendered:
            part = replace(arguments, body=arguments.body["parameters"])
            rendered["parameters"] = part.render(variables, escape_placeholders)
        task = self._task(rendered)
        task.check_target(target)
        outcome = task(target)
        places = (outcome.data or {}).get("places", ())
        rows = [{"region": place["region"], **row} for place in places for row in place["rows"]]
        errors = [
            {key: place[key] for key in ("region", "reason", "code", "error") if key in place}
            for place in places
            if place["reason"] != Reason.OK
        ]
        return replace(outcome, data={"rows": rows, "errors": errors, "changed": self.action.writes})

    def _task(self, rendered: Mapping[str, Any]) -> QueryTask:
        key = json.dumps(rendered, sort_keys=True, default=repr)
        with self._lock:  # a query that is the same in many accounts is validated once
            if key not in self._tasks:
                if len(self._tasks) >= _CACHED_QUERIES:  # limits memory if the query differs by account
                    self._tasks.clear()
                self._tasks[key] = QueryTask(self._spec(rendered), self.connections)
            return self._tasks[key]

    def _spec(self, rendered: Mapping[str, Any]) -> QuerySpec:
        spec = validate_query(spec_of(rendered))
        check_reads(spec, allow_write=self.action.allow_write)
        return spec


def verify_handler(task: Task) -> ActionHandler:
    """Verify the account and register `verdict`. The mark of the verdict becomes the status of the outcome."""

    def verify(target: Target, _variables: Mapping[str, Any]) -> Outcome:
        outcome = task(target)
        errors = [
            ": ".join(str(part) for part in (check.get("step"), check.get("what"), check.get("message")) if part)
            for check in (outcome.data or {}).get("checks", ())
            if check.get("mark") in {Status.FAILED, Status.INCONCLUSIVE, Status.UNREACHABLE}
        ]
        return replace(outcome, data={"verdict": outcome.data}, error=outcome.error or "; ".join(errors))

    return verify


def assert_handler(action: AssertAction) -> ActionHandler:
    """Fail with the first condition that is not true. The handler raises TemplateError, also for undefined variables."""

    def check(_target: Target, variables: Mapping[str, Any]) -> Outcome:
        for condition in action.that:
            if not condition.is_true(variables):
                message = action.fail_msg.render(variables) if action.fail_msg else "Assertion failed"
                return Outcome(Status.FAILED, {"assertion": condition.text}, f"{message} ({condition.text})")
        message = action.success_msg.render(variables) if action.success_msg else "All assertions passed"
        return Outcome(data={"msg": str(message)})

    return check


def script_handler(action: ScriptAction, function: Callable[..., Any], connections: Connections) -> ActionHandler:
    """Call a function and register its result as `data`. A mapping with `changed: true` counts as a change."""

    def run(target: Target, variables: Mapping[str, Any]) -> Outcome:
        arguments = action.arguments.render(variables)
        return _with_change(
            FunctionTask(lambda session, account: function(session, account, **arguments), connections)(target)
        )

    return run


def plugin_handler(action: PluginAction, factory: Callable[[Any], Any], connections: Connections) -> ActionHandler:
    """Create a third-party task from the arguments, run it, and register its result as `data`."""

    def run(target: Target, variables: Mapping[str, Any]) -> Outcome:
        task = factory(action.arguments.render(variables))
        if not isinstance(getattr(task, "name", None), str):
            task = FunctionTask(task, connections)
        return _with_change(task(target))

    return run


def _with_change(outcome: Outcome) -> Outcome:
    changed = isinstance(outcome.data, Mapping) and outcome.data.get("changed") is True
    return replace(outcome, data={"data": outcome.data, "changed": changed})


@dataclass(slots=True)
class HandlerFactory:
    """Creates action handlers. Functions and third-party tasks are imported then, so that import errors precede any call."""

    fleet: Fleet
    folder: Path
    plugins: Mapping[str, EntryPoint]
    allow_write: bool = False

    def create(self, task: PlayTask) -> ActionHandler:
        """Create the handler of a task's action. Raises PlayError, SandboxError, CallerError."""
        action = task.action
        if isinstance(action, AssertAction):
            return assert_handler(action)
        if isinstance(action, VerifyAction):
            return verify_handler(self.fleet.verify_task(action.spec))
        connections = self.fleet.connections
        if isinstance(action, ScriptAction):
            return script_handler(action, self._load(task, lambda: load_function(action.function, self.folder)), connections)
        if isinstance(action, PluginAction):
            return plugin_handler(action, self._load(task, lambda: load_factory(self.plugins[action.name])), connections)
        if action.writes and not self.allow_write:
            text = f'the task "{task.name}" writes'
            raise PlayError(text, where=str(task.place), hint="add --allow-write, or try it with --check")
        return Query(action, connections)

    def _load(self, task: PlayTask, load: Callable[[], Callable[..., Any]]) -> Callable[..., Any]:
        try:
            return load()
        except RolecallError as error:
            raise PlayError(error.what, where=str(task.place), hint=error.hint) from error


_FAILURES = (Status.FAILED, Status.REFUSED, Status.UNREACHABLE, Status.INCONCLUSIVE)
"""Most severe first."""
NOT_IN_CHECK = "not run in check mode"


@dataclass(frozen=True, slots=True)
class AccountTask:
    """A play task as the Task interface of the engines. The data of its outcome is the return value of `register_value`."""

    task: PlayTask
    action_handler: ActionHandler
    variables: Mapping[tuple[str, str], Mapping[str, Any]]
    """Variables of every account in the batch, by kind and name."""
    runtime: Runtime
    check: bool = False

    @property
    def name(self) -> str:
        """Name of the task."""
        return self.task.name

    def __call__(self, target: Target) -> Outcome:
        """Run the task in one account. Errors of the action and of expressions are returned in the outcome, not raised."""
        variables = self.variables[target.key]
        if self.task.loop is None:
            return self._run_item(target, variables)
        try:
            items = self.task.loop.render(variables)
        except TemplateError as error:
            # As in Ansible, the loop of a skipped task may be undefined.
            skipped = self._skipped(variables) if self.task.when else None
            return skipped if skipped is not None and skipped.status is Status.SKIPPED else _failed(error)
        if not isinstance(items, list | tuple):
            what = f"loop returned {type(items).__name__}, not a list"
            return _failed(TemplateError(what, where="loop", hint="use a list, or an expression that returns one"))
        done = [(item, self._run_item(target, {**variables, "item": item})) for item in items]
        return _combine(done)

    def _skipped(self, variables: Mapping[str, Any]) -> Outcome | None:
        try:
            for condition in self.task.when:
                if not condition.is_true(variables):
                    return Outcome(Status.SKIPPED, register_value(Outcome(Status.SKIPPED)), f"when: {condition.text}")
        except TemplateError as error:
            return _failed(error)
        if self.check and self.task.may_write:
            return Outcome(Status.SKIPPED, register_value(Outcome(Status.SKIPPED)), NOT_IN_CHECK)
        return None

    def _run_item(self, target: Target, variables: Mapping[str, Any]) -> Outcome:
        skipped = self._skipped(variables)
        if skipped is not None:
            return skipped
        attempts = self.task.retries + 1 if self.task.until else 1
        for attempt in range(1, attempts + 1):
            outcome = self._attempt(target, variables, attempt)
            if not self.task.until:
                return outcome
            try:
                if all(each.is_true(self._with_result(variables, outcome)) for each in self.task.until):
                    return outcome
            except TemplateError as template_error:
                # After a failed attempt, the result may lack what the condition uses, so the task is retried.
                if outcome.status is Status.OK:
                    return _failed(template_error)
            if self.runtime.stop.is_set() or attempt == attempts:
                break
            self.runtime.wait(self.task.delay)
        conditions = " and ".join(each.text for each in self.task.until)
        message = f"conditions not met after {attempt} attempts: {conditions}"
        error = f"{message}; {outcome.error}" if outcome.error else message
        status = Status.FAILED if outcome.status is Status.OK else outcome.status
        return replace(outcome, status=status, error=error, data={**outcome.data, "failed": True, "error": error})

    def _attempt(self, target: Target, variables: Mapping[str, Any], attempt: int) -> Outcome:
        try:
            outcome = self.action_handler(target, variables)
        except Exception as error:  # an exception in one account must not stop the play
            failure = failure_of(error)
            outcome = Outcome(failure.status, None, failure.message, failure.code)
        outcome = replace(outcome, data={**register_value(outcome), "attempts": attempt})
        try:
            return self._apply_conditions(outcome, variables)
        except TemplateError as error:
            return _failed(error)

    def _apply_conditions(self, outcome: Outcome, variables: Mapping[str, Any]) -> Outcome:
        """Apply `failed_when` and `changed_when` to the outcome."""
        task, data = self.task, dict(outcome.data)
        if task.failed_when is not None:
            failed = any(each.is_true(self._with_result(variables, outcome)) for each in task.failed_when)
            message = outcome.error or f"failed_when: {' or '.join(each.text for each in task.failed_when)}"
            status = (Status.FAILED if outcome.status is Status.OK else outcome.status) if failed else Status.OK
            data |= {"failed": failed, "status": str(status), "error": message if failed else ""}
            outcome = replace(outcome, status=status, error=message if failed else "", data=data)
        if task.changed_when is not None and outcome.status is Status.OK:  # does not apply to failed tasks
            changed = all(each.is_true(self._with_result(variables, outcome)) for each in task.changed_when)
            outcome = replace(outcome, data={**data, "changed": changed})
        return outcome

    def _with_result(self, variables: Mapping[str, Any], outcome: Outcome) -> dict[str, Any]:
        own = {self.task.register: outcome.data} if self.task.register else {}
        return {**variables, **own, "result": outcome.data}


def register_value(outcome: Outcome) -> JsonObject:
    """The value that `register` stores: status, changed, failed, skipped, error, code, and keys of the action (rows)."""
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
    return replace(outcome, data=register_value(outcome))


def _combine(done: list[tuple[Any, Outcome]]) -> Outcome:
    """Combine the outcomes of a loop: the most severe status, and all items in `results`."""
    results = [{**outcome.data, "item": item} for item, outcome in done]
    failures = [outcome for _, outcome in done if outcome.status in _FAILURES]
    failures.sort(key=lambda outcome: _FAILURES.index(outcome.status))
    if failures:
        status = failures[0].status
    else:
        status = Status.SKIPPED if all(outcome.status is Status.SKIPPED for _, outcome in done) else Status.OK
    error = failures[0].error if failures else "no items" if not done else ""
    combined = Outcome(status, None, error, failures[0].code if failures else "")
    data = register_value(combined) | {"results": results, "changed": any(each["changed"] for each in results)}
    return replace(combined, data=data)


PlayTargets = Sequence[tuple[Play, tuple[Target, ...]]]
"""Plays, each with its accounts."""

_ALL_PERCENT = 100
_STATUSES = {
    Status.OK: TaskStatus.OK,
    Status.SKIPPED: TaskStatus.SKIPPED,
    Status.FAILED: TaskStatus.FAILED,
    Status.REFUSED: TaskStatus.FAILED,
    Status.UNREACHABLE: TaskStatus.UNREACHABLE,
    Status.INCONCLUSIVE: TaskStatus.INCONCLUSIVE,
}


def accounts_of(play: Play, fleet: Fleet) -> tuple[Target, ...]:
    """The accounts of the fleet that match the `hosts` pattern of a play; `all` selects the customers, if there are any.

    Raises PlayError for an invalid pattern.
    """
    try:
        found = select(fleet.query_targets.inventory.targets, play.hosts)
    except SelectionError as error:
        raise PlayError(error.what, where=f"{play.place}: hosts", hint=error.hint) from error
    if play.hosts == "all":
        found = tuple(target for target in found if target.kind is TargetKind.CUSTOMER) or found
    selected = {target.key for target in fleet.accounts}
    return tuple(target for target in found if target.key in selected)


@dataclass(slots=True)
class _Batch:
    """State of a batch. `active`: accounts that have not failed. `notified`: accounts by the handler that runs for them."""

    play: Play
    size: int
    active: dict[Key, Target]
    notified: dict[str, set[Key]] = field(default_factory=dict)

    @property
    def failed_percent(self) -> float:
        return _ALL_PERCENT * (self.size - len(self.active)) / self.size


@dataclass(slots=True)
class Runner:
    """One run of plays. `check`: tasks that may change something are skipped."""

    fleet: Fleet
    handlers: HandlerFactory
    check: bool = False
    settings: EngineSettings = field(default_factory=EngineSettings)
    runtime: Runtime = field(default_factory=Runtime)
    record: RunFolder = field(kw_only=True)
    _failed: set[Key] = field(default_factory=set)
    _registered: dict[Key, dict[str, Any]] = field(default_factory=dict)
    """Registered results by account; they are kept across plays."""
    _positions: dict[int, str] = field(default_factory=dict)
    """Position of each task, by its id(): `0.tasks.2` for the third task of the first play."""
    _action_handlers: dict[int, ActionHandler] = field(default_factory=dict)
    """Handler of each task that may run, by its id()."""

    def run(self, plays: Sequence[Play]) -> Iterator[Event]:
        """Run the plays and yield events as they occur.

        A resumed run yields the events of tasks that were completed before, but does not run them again. Raises PlayError,
        CallerError, SandboxError, and JournalError before the first task starts, InterruptedRunError if the run is stopped.
        """
        if self.fleet.execution.reach != "process":
            raise PlayError(
                "plays require an engine with one process", where="--engine", hint="use --engine threads or serial"
            )
        chosen = [(play, accounts_of(play, self.fleet)) for play in plays]
        self._action_handlers = {
            id(task): self.handlers.create(task)
            for play, accounts in chosen
            for task in (*play.tasks, *play.handlers)
            if accounts and not (self.check and task.may_write)
        }
        self._positions = {
            id(task): f"{number}.{part}.{index}"
            for number, play in enumerate(plays)
            for part, tasks in (("tasks", play.tasks), ("handlers", play.handlers))
            for index, task in enumerate(tasks)
        }
        keys = {target.key for _, accounts in chosen for target in accounts}
        if keys:
            self.fleet.connections.get()  # before the record, so that a run without a caller leaves no record
        self.record.begin(self.fleet, len(keys))
        yield from self._plays(chosen)
        self.record.end()

    def _plays(self, chosen: PlayTargets) -> Iterator[Event]:
        for play, accounts in chosen:
            remaining = [target for target in accounts if target.key not in self._failed]
            yield PlayStart(play, len(remaining))
            if accounts and not remaining:
                yield PlayStop(play, "no accounts left")
                return
            for batch in batches(remaining, play.serial):
                why = yield from self._batch(_Batch(play, len(batch), {each.key: each for each in batch}))
                if why:
                    yield PlayStop(play, why)
                    return

    def _batch(self, batch: _Batch) -> Generator[Event, None, str]:
        """Run a batch. Returns the reason to stop the run; "" to continue."""
        play = batch.play
        for task in play.tasks:
            if not batch.active:
                break
            yield from self._task(task, batch, list(batch.active.values()))
            if play.max_fail_percentage is not None and batch.failed_percent > play.max_fail_percentage:
                share = f"{batch.failed_percent:.0f} % of the batch failed"
                return f"{share}, more than max_fail_percentage: {play.max_fail_percentage:g}"
        for handler in play.handlers:
            notified = batch.notified.pop(handler.name, set())
            accounts = [target for key, target in batch.active.items() if key in notified]
            if accounts:
                yield from self._task(handler, batch, accounts, handler=True)
        return "" if batch.active else "every account of the batch failed"

    def _task(self, task: PlayTask, batch: _Batch, accounts: list[Target], *, handler: bool = False) -> Iterator[Event]:
        yield TaskStart(task, handler)
        at = self._positions[id(task)]
        variables, waiting = {}, {}
        for target in accounts:
            key = target.key
            recorded = self.record.done(at, key)
            if recorded is not None:
                yield self._apply_result(task, batch, target, recorded)
                continue
            try:
                variables[key] = self._variables(batch.play, task, target)
                waiting[key] = target
            except TemplateError as error:
                yield self._fail(at, task, batch, target, error)
        if not waiting:
            return
        action_handler = self._action_handlers.get(id(task), _unexpected)
        account_task = AccountTask(task, action_handler, variables, self.runtime, self.check)
        results = self.fleet.run(account_task, waiting.values(), settings=self._settings(task), runtime=self.runtime)
        for result in results:
            event = self._apply_result(task, batch, waiting[result.key], result)
            self.record.add(at, result, event)
            yield event

    def _fail(self, at: str, task: PlayTask, batch: _Batch, target: Target, error: TemplateError) -> TaskResult:
        """Fail an account whose variables cannot be rendered. The task is not started there."""
        key = target.key
        batch.active.pop(key)
        self._failed.add(key)
        data = {"failed": True, "error": str(error)}
        event = TaskResult(target.name, target.account_id, task, TaskStatus.FAILED, data, redact(str(error)))
        result = Result(target.name, task.name, Status.FAILED, self.runtime.now(), error=event.error, kind=key[0])
        self.record.add(at, result, event)
        return event

    def _apply_result(self, task: PlayTask, batch: _Batch, target: Target, result: Result) -> TaskResult:
        """Register the result, notify handlers, and exclude a failed account from the batch."""
        data = result.data if isinstance(result.data, dict) else {"failed": True, "error": result.error}
        if task.register:
            self._registered.setdefault(result.key, {})[task.register] = data
        status = _STATUSES[result.status]
        if status in FAILED_STATUSES and task.ignore_errors and status is TaskStatus.FAILED:
            status = TaskStatus.IGNORED
        elif status is TaskStatus.OK and data.get("changed") is True:
            status = TaskStatus.CHANGED
            for name in task.notify:
                batch.notified.setdefault(name, set()).add(result.key)
        if status in FAILED_STATUSES:
            batch.active.pop(result.key, None)
            self._failed.add(result.key)
        account = target.name if target.kind is TargetKind.CUSTOMER else f"{target.name} ({target.kind})"
        return TaskResult(account, target.account_id, task, status, data, redact(result.error), result.code, result.seconds)

    def _variables(self, play: Play, task: PlayTask, target: Target) -> dict[str, Any]:
        """Account variables, registered results, and the variables of the play that the task uses. Raises TemplateError."""
        found = account_variables(target, check=self.check) | self._registered.get(target.key, {})
        needed = set(task.names)
        for name, each in reversed(tuple(play.variables.items())):  # a variable may use earlier ones
            if name in needed:
                needed |= each.names
        for name, each in play.variables.items():
            if name in needed:
                found[name] = each.render(found)
        return found

    def _settings(self, task: PlayTask) -> EngineSettings:
        """Engine settings of a task. The timeout covers all attempts; tasks with `until` or side effects are not retried."""
        settings = self.settings
        attempts = task.retries + 1 if task.until else 1
        if settings.timeout_seconds is not None:
            delays = task.delay * (attempts - 1)
            settings = replace(settings, timeout_seconds=settings.timeout_seconds * attempts + delays)
        return replace(settings, retry=RetryPolicy(1)) if task.may_write or task.until else settings


def _unexpected(target: Target, variables: Mapping[str, Any]) -> NoReturn:
    raise AssertionError(f"a task that check mode skips was run: {target.name}, {len(variables)} variables")
