"""One safe call, made until its answer says something: allowed, refused, or nothing that can be built on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rolecall_runner.clients import SigningCredentials, account
from rolecall_runner.failures import NOT_OFFERED, REFUSALS, Failure, failure_of
from rolecall_runner.results.result import WORTH_RETRYING, Status
from rolecall_runner.retry import retry
from rolecall_runner.tasks.verify.context import VerifyContext
from rolecall_runner.tasks.verify.safe_calls import SafeCall


class Answer(StrEnum):
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
    answer: Answer
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
        if self.answer is Answer.NOT_OFFERED:
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
# Services that nobody switched on say "access denied" too (Macie, Audit Manager, Detective API references, November 2026).
_NOT_SWITCHED_ON = re.compile(
    r"not (?:been )?(?:enabled|subscribed|set up)|opt(?:ed)?[- ]in|complete .* setup", re.IGNORECASE
)


def answer_of(failure: Failure) -> Answer:
    """Judge an error of a call. Only a refusal by AWS is one; what is not known claims nothing."""
    if failure.code in REFUSALS:
        return Answer.UNCLEAR if _NOT_SWITCHED_ON.search(failure.message) else Answer.REFUSED
    if failure.code == NOT_OFFERED:
        return Answer.NOT_OFFERED
    if failure.status in WORTH_RETRYING:
        return Answer.UNCLEAR
    if _AFTER_AUTHORIZATION.search(failure.code):
        return Answer.ALLOWED
    return Answer.PROBABLY_ALLOWED if _OF_THE_REQUEST.search(failure.code) else Answer.UNCLEAR


def try_call(call: SafeCall, region: str, credentials: SigningCredentials, context: VerifyContext) -> Tried:
    """Make the call in a Region, with retries while the failure is transient. Never raises."""
    begin = context.ticks()
    failure, attempts = retry(
        lambda: _once(call, region, credentials, context),
        context.options.retry,
        inconclusive=lambda failure: failure is not None and failure.status in WORTH_RETRYING,
        random=context.random,
        sleep=context.sleep,
    )
    answer = Answer.ALLOWED if failure is None else answer_of(failure)
    code, message = ("", "") if failure is None else (failure.code, failure.message)
    return Tried(call, region, answer, code, message, context.ticks() - begin, attempts)


def _once(call: SafeCall, region: str, credentials: SigningCredentials, context: VerifyContext) -> Failure | None:
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
