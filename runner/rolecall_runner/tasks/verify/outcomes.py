"""One call to AWS, asked until its answer is conclusive: accepted, refused, wrong by itself, or not known.

Only AccessDenied is a refusal. A throttle, a 5xx, a time-out, a cut connection, an ended session, a disabled Region or a
wrong clock says nothing about the role: it is asked again, with full jitter, and if it stays, nothing is claimed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypeVar

from rolecall_runner.credentials import REFUSAL
from rolecall_runner.failures import Failure, failure_of
from rolecall_runner.results.result import Status
from rolecall_runner.retry import retry
from rolecall_runner.tasks.verify.context import VerifyContext
from rolecall_runner.tasks.verify.verdict import Mark

T = TypeVar("T")

_WRONG_BY_ITSELF = frozenset({"ValidationError", "MalformedPolicyDocument", "PackedPolicyTooLarge", "InvalidParameterValue"})
"""Codes of STS for a request that is wrong however often it is asked (AssumeRole, "Errors")."""

_STAMP = re.compile(r"\b(\d{8}T\d{6}Z)\b")


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """How a call ended: OK with its `value`, REFUSED, FAILED (wrong by itself), INCONCLUSIVE or UNREACHABLE.

    `evidence` holds how far the clocks are apart, where that was the trouble; `seconds` is the time of all `attempts`.
    """

    mark: Mark
    value: T | None = field(default=None, repr=False)
    code: str = ""
    message: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    attempts: int = 1


def ask(call: Callable[[], T], context: VerifyContext) -> Answer[T]:
    """Make the call, with retries while the result is inconclusive. Never raises what AWS answers."""
    begin = context.ticks()
    answer, attempts = retry(
        lambda: _once(call, context),
        context.options.retry,
        inconclusive=lambda answer: answer.mark in {Mark.INCONCLUSIVE, Mark.UNREACHABLE},
        random=context.random,
        sleep=context.sleep,
    )
    return replace(answer, seconds=context.ticks() - begin, attempts=attempts)


def _once(call: Callable[[], T], context: VerifyContext) -> Answer[T]:
    try:
        return Answer(Mark.OK, call())
    except Exception as error:  # whatever a call raises is this account's answer, not the run's end
        failure = failure_of(error)
        return Answer(_mark(failure), None, failure.code, failure.message, _clocks(error, failure, context))


def _mark(failure: Failure) -> Mark:
    if failure.code == REFUSAL:
        return Mark.REFUSED
    if failure.status is Status.UNREACHABLE:
        return Mark.UNREACHABLE
    # Without a code it was no answer of AWS: a fault of our own fails, a broken connection is not known.
    wrong = failure.code in _WRONG_BY_ITSELF or (not failure.code and failure.status is Status.FAILED)
    return Mark.FAILED if wrong else Mark.INCONCLUSIVE


def _clocks(error: Exception, failure: Failure, context: VerifyContext) -> Mapping[str, Any]:
    """How many seconds AWS's clock is ahead of ours: from the stamps in the message, else from the reply's Date."""
    if "Signature" not in failure.message and "Skewed" not in failure.code:
        return {}
    stamps = [datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) for text in _STAMP.findall(failure.message)]
    if len(stamps) > 1:  # ours comes first, AWS's last: "Signature expired: OURS is now earlier than EDGE (AWS'S - 5 min.)"
        return {"clock_offset_seconds": round((stamps[-1] - stamps[0]).total_seconds())}
    response: Any = getattr(error, "response", {})
    date = response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        return {"clock_offset_seconds": round((parsedate_to_datetime(date) - context.clock()).total_seconds())}
    except (TypeError, ValueError):
        return {}
