"""One target after the other, in the caller's thread: for debugging, and where order matters.

One target, asked until the result is conclusive or the attempts or the time are used up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace

from rolecall_generator.errors import InterruptedRunError
from rolecall_runner.aws import deadline, failure_of, with_retries
from rolecall_runner.execution.execution_options import register
from rolecall_runner.execution.interface import EngineSettings, Outcome, Outside, Result, Task
from rolecall_runner.inventory import Target
from rolecall_runner.redact import redact


def run_serial(task: Task, targets: Iterable[Target], settings: EngineSettings, outside: Outside) -> Iterator[Result]:
    """An `Engine`. A target's time-out works between its calls: the call that is being made is not cut short."""
    for target in targets:
        if outside.stop.is_set():
            raise InterruptedRunError("interrupted; what was done stays")
        try:
            result = ask(task, target, settings, outside)
        except KeyboardInterrupt:
            raise InterruptedRunError("interrupted; what was done stays") from None
        yield result


register("serial", lambda _options: run_serial)


def ask(task: Task, target: Target, settings: EngineSettings, outside: Outside) -> Result:
    """Run the task for one target, with retries. Raises nothing but KeyboardInterrupt and the like."""
    begin, started = outside.clock(), outside.now()
    timeout = settings.timeout_seconds
    with deadline(begin + timeout, outside.clock) if timeout is not None else nullcontext():
        outcome, attempts = with_retries(
            lambda: _once(task, target),
            settings.retry,
            inconclusive=lambda outcome: outcome.status.is_transient,
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
