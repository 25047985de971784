"""Faults that answer with an error: which code, status and text, by the service of the call."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from rolecall_runner.sandbox.faults import Fault, FaultKind
from rolecall_runner.sandbox.replies import S3, dialect
from rolecall_runner.sandbox.troubles import Trouble, answer, refuse
from rolecall_runner.sandbox.wire import ApiCall, HttpReply

# Signature Version 4: "the request must reach AWS within five minutes of the time stamp in the request" (IAM User Guide);
# S3 allows fifteen ("RequestTimeTooSkewed", S3 API reference).
_TOLERANCE = timedelta(minutes=5)
_TOLERANCE_S3 = timedelta(minutes=15)
_STAMP = "%Y%m%dT%H%M%SZ"

_PLAIN: Mapping[FaultKind, Trouble] = {
    FaultKind.THROTTLE: Trouble.THROTTLED,
    FaultKind.EXPIRED: Trouble.EXPIRED_TOKEN,
}


def fault_reply(
    call: ApiCall, fault: Fault, request_id: str, *, account_id: str, arn: str, now: datetime
) -> HttpReply | None:
    """The error that the fault sends instead of running the call.

    None when it sends none: SLOW and CUT act on the connection, and a clock that is off by less than the service tolerates
    disturbs nobody. `arn` is the caller's, `now` the sandbox's time.
    """
    if fault.kind in {FaultKind.SLOW, FaultKind.CUT}:
        return None
    if fault.kind is FaultKind.CLOCK_SKEW:
        message = _skew(call, fault, now)
        return None if message is None else refuse(call, Trouble.SKEWED_CLOCK, request_id, message)
    if fault.kind is FaultKind.SERVER_ERROR:
        return refuse(call, Trouble.UNAVAILABLE if fault.variant & 1 else Trouble.INTERNAL, request_id)
    if fault.kind is FaultKind.REGION_DISABLED:
        return refuse(call, Trouble.REGION_DISABLED, request_id, _region_disabled(call, account_id))
    if fault.kind is FaultKind.DENIED:
        return refuse(call, Trouble.DENIED, request_id, _denied(call, arn))
    return refuse(call, _PLAIN[fault.kind], request_id)


def _denied(call: ApiCall, arn: str) -> str:
    return f"User: {arn} is not authorized to perform: {call.action} with an explicit deny in a service control policy"


def _region_disabled(call: ApiCall, account_id: str) -> str | None:
    """What STS says (its API reference, RegionDisabledException); other services only do not know the key there."""
    if call.service != "sts":
        return None
    return (
        f"STS is not activated in this region for account:{account_id}. Your account administrator can activate STS in this "
        "region using the IAM Console."
    )


def _skew(call: ApiCall, fault: Fault, now: datetime) -> str | None:
    """The text about a signature that is too old or too new for a clock `fault.seconds` ahead; None within tolerance."""
    s3 = dialect(call) == S3
    tolerance = _TOLERANCE_S3 if s3 else _TOLERANCE
    signed = now.astimezone(UTC)
    server = signed + timedelta(seconds=fault.seconds)
    if abs(server - signed) <= tolerance:
        return None
    usual = answer(call, Trouble.SKEWED_CLOCK)[2]
    if not usual.startswith("Signature"):
        return usual
    minutes = int(tolerance.total_seconds() // 60)
    stamps = signed.strftime(_STAMP), server.strftime(_STAMP)
    if server > signed:
        edge = (server - tolerance).strftime(_STAMP)
        return f"Signature expired: {stamps[0]} is now earlier than {edge} ({stamps[1]} - {minutes} min.)"
    edge = (server + tolerance).strftime(_STAMP)
    return f"Signature not yet current: {stamps[0]} is still later than {edge} ({stamps[1]} + {minutes} min.)"
