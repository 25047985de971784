"""Handlers of actions: each renders the arguments of a task for one account, runs the action, and returns an outcome."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Protocol

from rolecall_generator.errors import RolecallError
from rolecall_runner.api import Fleet, FunctionTask
from rolecall_runner.aws import Clients, Sessions, Status
from rolecall_runner.execution import Outcome, ProcessLocal, Task
from rolecall_runner.inventory import Target
from rolecall_runner.plays.play_file import spec_of
from rolecall_runner.plays.play_model import (
    AssertAction,
    PlayError,
    PlayTask,
    PluginAction,
    QueryAction,
    ScriptAction,
    VerifyAction,
)
from rolecall_runner.plays.scripts import load_factory, load_function
from rolecall_runner.query import QuerySpec, QueryTask, Reason, check_reads, escape_placeholders, validate_query

_CACHED_QUERIES = 64
Connections = ProcessLocal[tuple[Clients, Sessions]]


class ActionHandler(Protocol):
    """Runs the action of a task in one account. Must be thread-safe."""

    def __call__(self, target: Target, variables: Mapping[str, Any]) -> Outcome:
        """Run the action. The data of the outcome is a mapping, which can be registered. May raise any exception."""


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


@dataclass(frozen=True, slots=True)
class Verify:
    """Verifies the account; registers `verdict`."""

    task: Task

    def __call__(self, target: Target, variables: Mapping[str, Any]) -> Outcome:
        """Verify the account. The mark of the verdict becomes the status of the outcome."""
        del variables
        outcome = self.task(target)
        errors = [
            ": ".join(str(part) for part in (check.get("step"), check.get("what"), check.get("message")) if part)
            for check in (outcome.data or {}).get("checks", ())
            if check.get("mark") in {Status.FAILED, Status.INCONCLUSIVE, Status.UNREACHABLE}
        ]
        return replace(outcome, data={"verdict": outcome.data}, error=outcome.error or "; ".join(errors))


@dataclass(frozen=True, slots=True)
class Assert:
    """Fails with the first condition that is not true."""

    action: AssertAction

    def __call__(self, target: Target, variables: Mapping[str, Any]) -> Outcome:
        """Evaluate the conditions. Raises TemplateError, also for undefined variables."""
        del target
        for condition in self.action.that:
            if not condition.is_true(variables):
                message = self.action.fail_msg.render(variables) if self.action.fail_msg else "Assertion failed"
                return Outcome(Status.FAILED, {"assertion": condition.text}, f"{message} ({condition.text})")
        message = self.action.success_msg.render(variables) if self.action.success_msg else "All assertions passed"
        return Outcome(data={"msg": str(message)})


@dataclass(frozen=True, slots=True)
class Script:
    """Calls a function; registers its result as `data`. A mapping with `changed: true` counts as a change."""

    action: ScriptAction
    function: Callable[..., Any]
    connections: Connections

    def __call__(self, target: Target, variables: Mapping[str, Any]) -> Outcome:
        """Call the function. Raises its errors and those of assuming the role."""
        arguments = self.action.arguments.render(variables)

        def call(session: Any, account: Target) -> Any:
            return self.function(session, account, **arguments)

        return _with_change(FunctionTask(call, self.connections)(target))


@dataclass(frozen=True, slots=True)
class Plugin:
    """Creates a third-party task from the arguments and runs it; registers its result as `data`."""

    action: PluginAction
    factory: Callable[[Any], Any]
    connections: Connections

    def __call__(self, target: Target, variables: Mapping[str, Any]) -> Outcome:
        """Create and run the task. Raises the errors of its factory and of the task."""
        task = self.factory(self.action.arguments.render(variables))
        if isinstance(getattr(task, "name", None), str):
            return _with_change(task(target))
        return _with_change(FunctionTask(task, self.connections)(target))


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
            return Assert(action)
        if isinstance(action, VerifyAction):
            return Verify(self.fleet.verify_task(action.spec))
        connections = self.fleet.connections
        if isinstance(action, ScriptAction):
            return Script(action, self._load(task, lambda: load_function(action.function, self.folder)), connections)
        if isinstance(action, PluginAction):
            return Plugin(action, self._load(task, lambda: load_factory(self.plugins[action.name])), connections)
        if action.writes and not self.allow_write:
            text = f'the task "{task.name}" writes'
            raise PlayError(text, where=str(task.place), hint="add --allow-write, or try it with --check")
        return Query(action, connections)

    def _load(self, task: PlayTask, load: Callable[[], Callable[..., Any]]) -> Callable[..., Any]:
        try:
            return load()
        except RolecallError as error:
            raise PlayError(error.what, where=str(task.place), hint=error.hint) from error
