"""Calls to AWS with retries until the result is conclusive.

Only AccessDenied is a refusal. A throttled call, a 5xx error, a timeout, a cut connection, an expired session, a disabled
Region or a wrong clock shows nothing about the role: the call is repeated with full jitter, and is inconclusive if it keeps
failing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from rolecall_runner.aws import (
    ACCESS_DENIED,
    Failure,
    SigningCredentials,
    Status,
    account,
    failure_of,
    with_retries,
)
from rolecall_runner.verify.context import VerifyContext
from rolecall_runner.verify.safe_calls import SafeCall
from rolecall_runner.verify.verdict import Mark

T = TypeVar("T")

_INVALID_REQUEST = frozenset({"ValidationError", "MalformedPolicyDocument", "PackedPolicyTooLarge", "InvalidParameterValue"})
"""Error codes of STS for a request that fails on every attempt (AssumeRole, "Errors")."""

_STAMP = re.compile(r"\b(\d{8}T\d{6}Z)\b")


@dataclass(frozen=True, slots=True)
class CallResult(Generic[T]):
    """The result of a call: OK with its `value`, REFUSED, FAILED (an invalid request), INCONCLUSIVE or UNREACHABLE.

    `evidence` has the clock offset if that was the problem; `seconds` is the time of all `attempts`.
    """

    mark: Mark
    value: T | None = field(default=None, repr=False)
    code: str = ""
    message: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    attempts: int = 1


def execute_call(call: Callable[[], T], context: VerifyContext) -> CallResult[T]:
    """Make the call, with retries while the result is inconclusive. Exceptions become results."""
    begin = context.ticks()
    answer, attempts = with_retries(
        lambda: _once(call, context),
        context.options.retry,
        inconclusive=lambda answer: answer.mark in {Mark.INCONCLUSIVE, Mark.UNREACHABLE},
        random=context.random,
        sleep=context.sleep,
    )
    return replace(answer, seconds=context.ticks() - begin, attempts=attempts)


def _once(call: Callable[[], T], context: VerifyContext) -> CallResult[T]:
    try:
        return CallResult(Mark.OK, call())
    except Exception as error:  # an exception is this account's result and does not end the run
        failure = failure_of(error)
        return CallResult(_mark(failure), None, failure.code, failure.message, _clocks(error, failure, context))


def _mark(failure: Failure) -> Mark:
    if failure.code == ACCESS_DENIED:
        return Mark.REFUSED
    if failure.status is Status.UNREACHABLE:
        return Mark.UNREACHABLE
    # An error without a code is not from AWS: an internal error fails, a broken connection is inconclusive.
    invalid = failure.code in _INVALID_REQUEST or (not failure.code and failure.status is Status.FAILED)
    return Mark.FAILED if invalid else Mark.INCONCLUSIVE


def _clocks(error: Exception, failure: Failure, context: VerifyContext) -> Mapping[str, Any]:
    """Seconds by which AWS's clock is ahead: from the timestamps in the message, else from the reply's Date header."""
    if "Signature" not in failure.message and "Skewed" not in failure.code:
        return {}
    stamps = [datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) for text in _STAMP.findall(failure.message)]
    if len(stamps) > 1:  # ours is first, AWS's last: "Signature expired: OURS is now earlier than EDGE (AWS'S - 5 min.)"
        return {"clock_offset_seconds": round((stamps[-1] - stamps[0]).total_seconds())}
    response: Any = getattr(error, "response", {})
    date = response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        return {"clock_offset_seconds": round((parsedate_to_datetime(date) - context.clock()).total_seconds())}
    except (TypeError, ValueError):
        return {}


class ProbeVerdict(StrEnum):
    """What the reply to a call proves.

    PROBABLY_ALLOWED: the service rejected the request as invalid, which most services do only after authorization. It shows
    that a granted action works, but not that another action is allowed. NOT_OFFERED: the sandbox does not simulate it.
    """

    ALLOWED = "allowed"
    PROBABLY_ALLOWED = "probably allowed"
    REFUSED = "refused"
    UNCLEAR = "unclear"
    NOT_OFFERED = "not offered"


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """A call and its result. `code` and `message` are AWS's, without secrets; empty if the call succeeded."""

    call: SafeCall
    region: str
    answer: ProbeVerdict
    code: str = ""
    message: str = ""
    seconds: float = 0.0
    attempts: int = 1

    @property
    def evidence(self) -> dict[str, Any]:
        """The call as JSON values, for diagnoses."""
        found = {
            "action": self.call.action,
            "operation": f"{self.call.service}:{self.call.operation}",
            "region": self.region,
        }
        if self.answer is ProbeVerdict.NOT_OFFERED:
            found["not_rehearsed"] = self.call.action
        return found | ({"resource": self.call.resource} if self.call.resource != "*" else {})

    @property
    def not_rehearsed(self) -> str:
        """Why the sandbox did not answer, as in `not rehearsed: the sandbox has no cur`."""
        reason = self.message.rpartition(": ")[2].rstrip(".")
        return f"not rehearsed: {reason[:1].lower()}{reason[1:]}"


_AFTER_AUTHORIZATION = re.compile(
    r"^DryRunOperation$|^404$|^NoSuch|NotFound|NonExistent|DoesNotExist|NotInUse|^SubscriptionRequired|ConfigurationNotFound"
)
_REQUEST_INVALID = re.compile(
    r"^Validation|^InvalidParameter|^InvalidArgument|^InvalidInput|^InvalidRequest|^MissingParameter"
)
# Services that are not enabled also return "access denied" (Macie, Audit Manager, Detective API references, November 2026).
_NOT_ENABLED = re.compile(r"not (?:been )?(?:enabled|subscribed|set up)|opt(?:ed)?[- ]in|complete .* setup", re.IGNORECASE)


def verdict_of_failure(failure: Failure) -> ProbeVerdict:
    """What an error proves. Only a refusal by AWS counts as REFUSED; unknown errors are UNCLEAR."""
    if failure.status is Status.REFUSED:
        return ProbeVerdict.UNCLEAR if _NOT_ENABLED.search(failure.message) else ProbeVerdict.REFUSED
    if failure.status is Status.SKIPPED:
        return ProbeVerdict.NOT_OFFERED
    if failure.status.is_transient:
        return ProbeVerdict.UNCLEAR
    if _AFTER_AUTHORIZATION.search(failure.code):
        return ProbeVerdict.ALLOWED
    return ProbeVerdict.PROBABLY_ALLOWED if _REQUEST_INVALID.search(failure.code) else ProbeVerdict.UNCLEAR


def try_call(call: SafeCall, region: str, credentials: SigningCredentials, context: VerifyContext) -> ProbeResult:
    """Make the call in a Region, with retries while the error is transient. Never raises."""
    begin = context.ticks()
    failure, attempts = with_retries(
        lambda: _call_once(call, region, credentials, context),
        context.options.retry,
        inconclusive=lambda failure: failure is not None and failure.status.is_transient,
        random=context.random,
        sleep=context.sleep,
    )
    answer = ProbeVerdict.ALLOWED if failure is None else verdict_of_failure(failure)
    code, message = ("", "") if failure is None else (failure.code, failure.message)
    return ProbeResult(call, region, answer, code, message, context.ticks() - begin, attempts)


def _call_once(call: SafeCall, region: str, credentials: SigningCredentials, context: VerifyContext) -> Failure | None:
    try:
        # Not as part of the call: if the role can no longer be assumed, the action was not refused.
        credentials.get_frozen_credentials()
    except Exception as error:
        failure = failure_of(error)
        return Failure(Status.INCONCLUSIVE, "", f"no credentials for the call: {failure.message}")
    try:
        with account(credentials):
            getattr(context.clients.client(call.service, region), call.method)(**call.parameters)
    except Exception as error:
        return failure_of(error)
    return None
