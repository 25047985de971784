"""The serial engine: processes targets one by one in the calling thread, for debugging or if the order matters."""

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
    """An `Engine`. The timeout of a target is checked between its calls; a call in progress is not interrupted."""
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
    """Run the task for one target, with retries while it is inconclusive. An Exception of the task is in the result."""
    start, started = outside.clock(), outside.now()
    timeout = settings.timeout_seconds
    with deadline(start + timeout, outside.clock) if timeout is not None else nullcontext():
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
        outside.clock() - start,
        attempts,
        outcome.data,
        outcome.error,
        outcome.code,
        target.kind,
    )


def _once(task: Task, target: Target) -> Outcome:
    try:
        outcome = task(target)
    except Exception as error:  # an error in one target must not end the run
        failure = failure_of(error)
        return Outcome(failure.status, None, failure.message, failure.code)
    return replace(outcome, error=redact(outcome.error)) if outcome.error else outcome
