"""One task in one account: its condition, its loop, its tries; the engine runs it over the accounts of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rolecall_runner.engine.interface import Outside
from rolecall_runner.failures import failure_of
from rolecall_runner.play.errors import TemplateError
from rolecall_runner.play.models import JsonObject, PlayTask
from rolecall_runner.play.performers import Performer
from rolecall_runner.results.result import Outcome, Status
from rolecall_runner.targets import Target

_WORST = (Status.FAILED, Status.REFUSED, Status.UNREACHABLE, Status.INCONCLUSIVE)
NOT_IN_CHECK = "not run under --check"


@dataclass(frozen=True, slots=True)
class TaskInHost:
    """A play's task as engines take it. The outcome's data are what is registered, with flags; see `registered`."""

    task: PlayTask
    performer: Performer
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
            return self._loop_failed(target, variables, error)
        if not isinstance(items, list | tuple):
            what = f"loop gave {type(items).__name__}, not a list"
            return _failed(TemplateError(what, where="loop", mend="give a list"))
        done = [(item, self._item(target, {**variables, "item": item})) for item in items]
        return _together(done)

    def _loop_failed(self, target: Target, variables: Mapping[str, Any], error: TemplateError) -> Outcome:
        """As in Ansible a task that is not to run need not have its list."""
        skipped = self._skipped(variables) if self.task.when else None
        del target
        return skipped if skipped is not None and skipped.status is Status.SKIPPED else _failed(error)

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
