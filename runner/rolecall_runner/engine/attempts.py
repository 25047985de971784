"""One target, asked until the result is conclusive or the attempts or the time are used up."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

from rolecall_runner.deadline import deadline
from rolecall_runner.engine.interface import Outside, Settings, Task
from rolecall_runner.failures import failure_of
from rolecall_runner.redact import redact
from rolecall_runner.results.result import WORTH_RETRYING, Outcome, Result
from rolecall_runner.retry import retry
from rolecall_runner.targets import Target


def ask(task: Task, target: Target, settings: Settings, outside: Outside) -> Result:
    """Run the task for one target, with retries. Raises nothing but KeyboardInterrupt and the like."""
    begin, started = outside.clock(), outside.now()
    timeout = settings.timeout_seconds
    with deadline(begin + timeout, outside.clock) if timeout is not None else nullcontext():
        outcome, attempts = retry(
            lambda: _once(task, target),
            settings.retry,
            inconclusive=lambda outcome: outcome.status in WORTH_RETRYING,
            random=outside.chance,
            sleep=outside.wait,
            stopped=outside.stop.is_set,
        )
    return Result(
        target.name,
        task.name,
        outcome.status,
        started,
        outside.clock() - begin,
        attempts,
        outcome.data,
        outcome.error,
        outcome.code,
        target.kind,
    )


def _once(task: Task, target: Target) -> Outcome:
    try:
        outcome = task(target)
    except Exception as error:  # whatever a task raises is this target's result, not the run's end
        failure = failure_of(error)
        return Outcome(failure.status, None, failure.message, failure.code)
    return replace(outcome, error=redact(outcome.error)) if outcome.error else outcome
