"""One target asked until the answer is conclusive, or the attempts or the time are used up."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

from rolecall_runner.deadline import TimeIsUpError, deadline, seconds_left
from rolecall_runner.engine.interface import Outside, RetryPolicy, Settings, Task
from rolecall_runner.failures import failure_of
from rolecall_runner.redact import redact
from rolecall_runner.results.result import WORTH_RETRYING, Outcome, Result
from rolecall_runner.targets import Target


def ask(task: Task, target: Target, settings: Settings, outside: Outside) -> Result:
    """Ask one target, with retries. Never raises but for KeyboardInterrupt and its like."""
    begin, started = outside.clock(), outside.now()
    timeout = settings.timeout_seconds
    with deadline(begin + timeout, outside.clock) if timeout is not None else nullcontext():
        attempt = 1
        outcome = _once(task, target)
        while outcome.status in WORTH_RETRYING and attempt < settings.retry.attempts and not outside.stop.is_set():
            if not _pause(settings.retry, attempt, outside):
                break
            attempt += 1
            outcome = _once(task, target)
    return Result(
        target.name,
        task.name,
        outcome.status,
        started,
        outside.clock() - begin,
        attempt,
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


def _pause(retry: RetryPolicy, attempt: int, outside: Outside) -> bool:
    """Wait before the next attempt; False when there is no time for one."""
    seconds = outside.chance() * min(retry.cap_seconds, retry.base_seconds * 2 ** (attempt - 1))
    try:
        left = seconds_left()
    except TimeIsUpError:
        return False
    if left is not None and left <= seconds:
        return False
    outside.wait(seconds)
    return not outside.stop.is_set()
