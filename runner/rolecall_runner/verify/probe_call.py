"""One call to AWS, asked until its answer is conclusive: accepted, refused, wrong by itself, or not known.

Only AccessDenied is a refusal. A throttle, a 5xx, a time-out, a cut connection, an ended session, a disabled Region or a
wrong clock says nothing about the role: it is asked again, with full jitter, and if it stays, nothing is claimed.

One safe call, made until its answer says something: allowed, refused, or nothing that can be built on.
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
    NOT_OFFERED,
    REFUSAL,
    REFUSALS,
    WORTH_RETRYING,
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

_WRONG_BY_ITSELF = frozenset({"ValidationError", "MalformedPolicyDocument", "PackedPolicyTooLarge", "InvalidParameterValue"})
"""Codes of STS for a request that is wrong however often it is asked (AssumeRole, "Errors")."""

_STAMP = re.compile(r"\b(\d{8}T\d{6}Z)\b")


@dataclass(frozen=True, slots=True)
class CallResult(Generic[T]):
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


def ask(call: Callable[[], T], context: VerifyContext) -> CallResult[T]:
    """Make the call, with retries while the result is inconclusive. Never raises what AWS answers."""
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
    except Exception as error:  # whatever a call raises is this account's answer, not the run's end
        failure = failure_of(error)
        return CallResult(_mark(failure), None, failure.code, failure.message, _clocks(error, failure, context))


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


class ProbeVerdict(StrEnum):
    """What an answer proves. PROBABLY_ALLOWED: the service complains of the request, which most of them do only after
    they have let the caller in; good enough for "what was granted works", not for "more works than was granted".
    NOT_OFFERED: the sandbox does not simulate the operation.
    """

    ALLOWED = "allowed"
    PROBABLY_ALLOWED = "probably allowed"
    REFUSED = "refused"
    UNCLEAR = "unclear"
    NOT_OFFERED = "not offered"


@dataclass(frozen=True, slots=True)
class Tried:
    """A call with its answer. `code` and `message` are AWS's, without secrets; "" when the call went through."""

    call: SafeCall
    region: str
    answer: ProbeVerdict
    code: str = ""
    message: str = ""
    seconds: float = 0.0
    attempts: int = 1

    @property
    def evidence(self) -> dict[str, Any]:
        """What a diagnosis needs, in JSON's types."""
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
        """Why the sandbox could not answer, as in `not rehearsed: the sandbox has no cur`."""
        said = self.message.rpartition(": ")[2].rstrip(".")
        return f"not rehearsed: {said[:1].lower()}{said[1:]}"


_AFTER_AUTHORIZATION = re.compile(
    r"^DryRunOperation$|^404$|^NoSuch|NotFound|NonExistent|DoesNotExist|NotInUse|^SubscriptionRequired|ConfigurationNotFound"
)
_OF_THE_REQUEST = re.compile(
    r"^Validation|^InvalidParameter|^InvalidArgument|^InvalidInput|^InvalidRequest|^MissingParameter"
)
# Services that no one switched on say "access denied" too (Macie, Audit Manager, Detective API references, November 2026).
_NOT_SWITCHED_ON = re.compile(
    r"not (?:been )?(?:enabled|subscribed|set up)|opt(?:ed)?[- ]in|complete .* setup", re.IGNORECASE
)


def answer_of(failure: Failure) -> ProbeVerdict:
    """Judge an error of a call. Only a refusal by AWS is one; what is not known claims nothing."""
    if failure.code in REFUSALS:
        return ProbeVerdict.UNCLEAR if _NOT_SWITCHED_ON.search(failure.message) else ProbeVerdict.REFUSED
    if failure.code == NOT_OFFERED:
        return ProbeVerdict.NOT_OFFERED
    if failure.status in WORTH_RETRYING:
        return ProbeVerdict.UNCLEAR
    if _AFTER_AUTHORIZATION.search(failure.code):
        return ProbeVerdict.ALLOWED
    return ProbeVerdict.PROBABLY_ALLOWED if _OF_THE_REQUEST.search(failure.code) else ProbeVerdict.UNCLEAR


def try_call(call: SafeCall, region: str, credentials: SigningCredentials, context: VerifyContext) -> Tried:
    """Make the call in a Region, with retries while the failure is transient. Never raises."""
    begin = context.ticks()
    failure, attempts = with_retries(
        lambda: _call_once(call, region, credentials, context),
        context.options.retry,
        inconclusive=lambda failure: failure is not None and failure.status in WORTH_RETRYING,
        random=context.random,
        sleep=context.sleep,
    )
    answer = ProbeVerdict.ALLOWED if failure is None else answer_of(failure)
    code, message = ("", "") if failure is None else (failure.code, failure.message)
    return Tried(call, region, answer, code, message, context.ticks() - begin, attempts)


def _call_once(call: SafeCall, region: str, credentials: SigningCredentials, context: VerifyContext) -> Failure | None:
    try:
        # Here and not within the call: a role that cannot be assumed any more has refused no action.
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
