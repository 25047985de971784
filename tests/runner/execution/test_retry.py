"""The retry loop: when it retries, how long it waits, and when it gives up."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rolecall_runner.aws.failures import RetryPolicy, deadline, with_retries

POLICY = RetryPolicy(attempts=5, base_seconds=1.0, cap_seconds=3.0)


def run(
    results: list[str], policy: RetryPolicy = POLICY, *, chance: float = 1.0, stopped: Callable[[], bool] = lambda: False
) -> tuple[str, int, list[float]]:
    """The last result, the number of attempts and the pauses; `again` is the only inconclusive result."""
    pauses: list[float] = []
    remaining = iter(results)
    result, attempts = with_retries(
        lambda: next(remaining),
        policy,
        inconclusive=lambda result: result == "again",
        random=lambda: chance,
        sleep=pauses.append,
        stopped=stopped,
    )
    return result, attempts, pauses


def test_conclusive_result_is_not_retried() -> None:
    assert ("done", 1, []) == run(["done"])


def test_result_is_retried_until_conclusive() -> None:
    assert ("done", 3, [1.0, 2.0]) == run(["again", "again", "done"])


def test_pauses_double_up_to_the_cap() -> None:
    assert ("again", 5, [1.0, 2.0, 3.0, 3.0]) == run(["again"] * 5)


def test_pauses_are_drawn_with_full_jitter() -> None:
    assert [0.25, 0.5] == run(["again", "again", "done"], chance=0.25)[2]


def test_single_attempt_never_waits() -> None:
    assert ("again", 1, []) == run(["again"], RetryPolicy(attempts=1))


@pytest.mark.parametrize(("seconds", "attempts"), [(0.5, 1), (1.5, 2), (10.0, 5)])
def test_pause_past_the_deadline_ends_the_retries(seconds: float, attempts: int) -> None:
    with deadline(seconds, lambda: 0.0):
        assert attempts == run(["again"] * 5)[1]


def test_passed_deadline_keeps_the_result() -> None:
    with deadline(1.0, lambda: 2.0):
        assert ("again", 1, []) == run(["again"])


@pytest.mark.parametrize(("checks", "pauses"), [([True], []), ([False, True], [1.0])])
def test_stop_before_or_during_the_pause_ends_the_retries(checks: list[bool], pauses: list[float]) -> None:
    assert ("again", 1, pauses) == run(["again"], stopped=iter(checks).__next__)


def test_errors_of_the_call_are_raised() -> None:
    with pytest.raises(StopIteration):
        run([])
