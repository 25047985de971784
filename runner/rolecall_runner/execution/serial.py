"""The serial engine: processes targets one by one in the calling thread, for debugging or if the order matters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace

from rolecall_generator.errors import InterruptedRunError
from rolecall_runner.aws import deadline, failure_of, with_retries
from rolecall_runner.execution.execution_options import register
from rolecall_runner.execution.interface import EngineSettings, Outcome, Result, Runtime, Task
from rolecall_runner.inventory import Target
from rolecall_runner.redact import redact


def run_serial(task: Task, targets: Iterable[Target], settings: EngineSettings, runtime: Runtime) -> Iterator[Result]:
    """An `Engine`. The timeout of a target is checked between its calls; a call in progress is not interrupted."""
    for target in targets:
        if runtime.stop.is_set():
            raise InterruptedRunError("interrupted; completed results are kept")
        try:
            result = run_target(task, target, settings, runtime)
        except KeyboardInterrupt:
            raise InterruptedRunError("interrupted; completed results are kept") from None
        yield result


register("serial", lambda _options: run_serial)


def run_target(task: Task, target: Target, settings: EngineSettings, runtime: Runtime) -> Result:
    """Run the task for one target, with retries while it is inconclusive. An Exception of the task is in the result."""
    start, started = runtime.clock(), runtime.now()
    timeout = settings.timeout_seconds
    with deadline(start + timeout, runtime.clock) if timeout is not None else nullcontext():
        outcome, attempts = with_retries(
            lambda: _once(task, target),
            settings.retry,
            inconclusive=lambda outcome: outcome.status.is_transient,
            random=runtime.random,
            sleep=runtime.wait,
            stopped=runtime.stop.is_set,
        )
    return Result(
        target.name,
        task.name,
        outcome.status,
        started,
        runtime.clock() - start,
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
