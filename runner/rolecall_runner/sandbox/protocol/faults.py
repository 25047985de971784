"""Faults on request: which call fails, and how, decided by a seed, the account, the action and the call's running number.

Neither time nor the order of threads has a part in it: the k-th call of an action in an account fails or passes in every
run of the same plan.

Fault plans as people write them: `throttle=0.3,5xx=0.1,slow=0.2:1.5,seed=7`.

Faults that answer with an error: which code, status and text, by the service of the call.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from math import isfinite
from typing import Any

from rolecall_generator.errors import ExitCode, RolecallError
from rolecall_generator.iam.matching import wildcard
from rolecall_runner.sandbox.protocol.error_catalog import S3, ErrorCategory, answer, dialect, refuse
from rolecall_runner.sandbox.protocol.http_types import ApiCall, HttpReply

_HASH_BYTES = 7
_HASH_RANGE = float(1 << (8 * _HASH_BYTES))


class FaultKind(StrEnum):
    """What goes wrong. SLOW only delays; CUT closes the connection; all others answer with an error."""

    THROTTLE = "throttle"
    SERVER_ERROR = "server-error"
    SLOW = "slow"
    CUT = "cut"
    EXPIRED = "expired"
    REGION_DISABLED = "region-disabled"
    DENIED = "denied"
    CLOCK_SKEW = "clock-skew"


@dataclass(frozen=True, slots=True)
class FaultRule:
    """One rule. Patterns take `*` and `?` and several alternatives between `|`; actions are held without regard to case.

    `probability` from 0 to 1; `seconds` is the delay of SLOW and how far CLOCK_SKEW is off (the server's clock minus the
    caller's, may be negative); `at_most` faults in a row per account and action, None without end.
    """

    kind: FaultKind
    probability: float = 1.0
    accounts: str = "*"
    actions: str = "*"
    regions: str = "*"
    seconds: float = 0.0
    at_most: int | None = None

    def concerns(self, account_id: str, action: str, region: str) -> bool:
        """Whether a call falls under the rule."""
        return _any(self.accounts, account_id) and _any(self.actions.lower(), action.lower()) and _any(self.regions, region)


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Rules in their order: the first that strikes counts."""

    seed: int = 0
    rules: tuple[FaultRule, ...] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault to apply.

    SLOW: wait `seconds`, then answer as usual. CUT: close the connection, with `midway` after half of the true reply's
    bytes, else before the first. All other kinds: send `fault_replies.fault_reply` and do not run the call. `variant` is
    even or odd, for kinds with two forms (500 and 503).
    """

    kind: FaultKind
    seconds: float = 0.0
    midway: bool = False
    variant: int = 0


@dataclass(slots=True)
class _Count:
    calls: int = 0
    in_a_row: dict[int, int] = field(default_factory=dict)


class Faults:
    """A plan at work: counts the calls of each account and action. Safe to share between threads."""

    def __init__(self, plan: FaultPlan) -> None:
        self._plan = plan
        self._counts: dict[tuple[str, str], _Count] = {}
        self._lock = threading.Lock()

    def draw(self, account_id: str, action: str, region: str) -> Fault | None:
        """The fault that strikes this call, or None. Each call is drawn once; `action` is SERVICE:NAME as IAM writes it."""
        with self._lock:
            count = self._counts.setdefault((account_id, action), _Count())
            count.calls += 1
            for index, rule in enumerate(self._plan.rules):
                if not rule.concerns(account_id, action, region):
                    continue
                struck = count.in_a_row.get(index, 0)
                chance, variant = _chance(self._plan.seed, index, account_id, action, count.calls)
                if chance < rule.probability and (rule.at_most is None or struck < rule.at_most):
                    count.in_a_row[index] = struck + 1
                    return Fault(rule.kind, rule.seconds, midway=bool(variant & 1), variant=variant)
                count.in_a_row[index] = 0
        return None


def _chance(seed: int, rule: int, account_id: str, action: str, number: int) -> tuple[float, int]:
    """A number from 0 up to 1 and a byte, the same in every run: Python's own hash differs from process to process."""
    digest = hashlib.sha256(f"{seed}|{rule}|{account_id}|{action.lower()}|{number}".encode()).digest()
    return int.from_bytes(digest[:_HASH_BYTES], "big") / _HASH_RANGE, digest[_HASH_BYTES]


def _any(patterns: str, text: str) -> bool:
    return any(wildcard(pattern.strip())(text) for pattern in patterns.split("|"))


class FaultTextError(RolecallError):
    """A fault plan on the command line cannot be read."""

    exit_code = ExitCode.USAGE


_HINT = (
    "write NAME=VALUE with commas between: throttle, 5xx, cut, expired = probability from 0 to 1; slow = "
    "PROBABILITY:SECONDS; region-disabled = Region; denied = service or action; clock-skew = seconds; and for all of them "
    "seed, at-most = whole numbers, accounts, actions = patterns with * and |"
)
_PROBABLE = {
    "throttle": FaultKind.THROTTLE,
    "5xx": FaultKind.SERVER_ERROR,
    "server-error": FaultKind.SERVER_ERROR,
    "cut": FaultKind.CUT,
    "expired": FaultKind.EXPIRED,
}
_PASSING = {FaultKind.THROTTLE, FaultKind.SERVER_ERROR, FaultKind.CUT, FaultKind.SLOW, FaultKind.EXPIRED}


@dataclass(slots=True)
class _Reading:
    """What has been read so far; `common` is laid over every rule at the end."""

    seed: int = 0
    rules: list[FaultRule] = field(default_factory=list)
    common: dict[str, str | int] = field(default_factory=dict)


def parse_faults(text: str) -> FaultPlan:
    """Read a fault plan.

    `throttle`, `5xx`, `cut`, `expired` take a probability; `slow` takes PROBABILITY:SECONDS; `region-disabled` takes a
    Region, `denied` a service or an action pattern, `clock-skew` seconds. `seed` and `at-most` (faults in a row per account
    and action) are whole numbers; `accounts` and `actions` are patterns that limit every rule of the text.

    Raises FaultTextError with the part that is wrong.
    """
    reading = _Reading()
    seen: set[str] = set()
    for name, value, part in _parts(text):
        if name in seen and name in {"seed", "at-most", "accounts", "actions"}:
            raise FaultTextError(f"{name} is said twice", where=f"faults {text!r}", hint=_HINT)
        seen.add(name)
        _read_part(reading, name, value, part)
    rules = tuple(replace(rule, **_limits(rule, reading.common)) for rule in reading.rules)
    if not rules:
        raise FaultTextError("the fault plan names no fault", where=f"faults {text!r}", hint=_HINT)
    return FaultPlan(reading.seed, rules)


def _parts(text: str) -> Iterator[tuple[str, str, str]]:
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not name or not equals or not value:
            raise FaultTextError(f"{part.strip()!r} is not NAME=VALUE", where=f"faults {text!r}", hint=_HINT)
        yield name.lower(), value, part.strip()


def _read_part(reading: _Reading, name: str, value: str, part: str) -> None:
    if name in _PROBABLE:
        reading.rules.append(FaultRule(_PROBABLE[name], _number(value, part, _probability)))
    elif name == "slow":
        chance, colon, seconds = value.partition(":")
        if not colon:
            raise FaultTextError("slow needs a probability and seconds", where=f"faults {part!r}", hint=_HINT)
        delay = _number(seconds, part, _positive)
        reading.rules.append(FaultRule(FaultKind.SLOW, _number(chance, part, _probability), seconds=delay))
    elif name == "region-disabled":
        reading.rules.append(FaultRule(FaultKind.REGION_DISABLED, regions=value))
    elif name == "denied":
        reading.rules.append(FaultRule(FaultKind.DENIED, actions=value if ":" in value else f"{value}:*"))
    elif name == "clock-skew":
        reading.rules.append(FaultRule(FaultKind.CLOCK_SKEW, seconds=_number(value, part, _finite)))
    elif name == "seed":
        reading.seed = int(_number(value, part, int))
    elif name == "at-most":
        reading.common["at_most"] = int(_number(value, part, _count))
    elif name in {"accounts", "actions"}:
        reading.common[name] = value
    else:
        raise FaultTextError(f"there is no fault {name!r}", where=f"faults {part!r}", hint=_HINT)


def _limits(rule: FaultRule, common: dict[str, str | int]) -> dict[str, Any]:
    """What the text says for all rules; a rule keeps its own actions, and what is no passing trouble never ends."""
    kept = set(common)
    if rule.actions != "*":
        kept.discard("actions")
    if rule.kind not in _PASSING:
        kept.discard("at_most")
    return {key: common[key] for key in kept}


def _number(text: str, part: str, read: Callable[[str], float]) -> float:
    try:
        return read(text)
    except ValueError as error:
        raise FaultTextError(f"{text!r} is no right value here", where=f"faults {part!r}", hint=_HINT) from error


def _probability(text: str) -> float:
    value = float(text)
    if not 0.0 <= value <= 1.0:
        raise ValueError(text)
    return value


def _positive(text: str) -> float:
    value = float(text)
    if not 0.0 <= value < float("inf"):
        raise ValueError(text)
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError(text)
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


# Signature Version 4: "the request must reach AWS within five minutes of the time stamp in the request" (IAM User Guide);
# S3 allows fifteen ("RequestTimeTooSkewed", S3 API reference).
_TOLERANCE = timedelta(minutes=5)
_TOLERANCE_S3 = timedelta(minutes=15)
_STAMP = "%Y%m%dT%H%M%SZ"

_PLAIN: Mapping[FaultKind, ErrorCategory] = {
    FaultKind.THROTTLE: ErrorCategory.THROTTLED,
    FaultKind.EXPIRED: ErrorCategory.EXPIRED_TOKEN,
}


def fault_reply(
    call: ApiCall, fault: Fault, request_id: str, *, account_id: str, arn: str, now: datetime
) -> HttpReply | None:
    """The error that the fault sends instead of running the call.

    None when it sends none: SLOW and CUT act on the connection, and a clock that is off by less than the service tolerates
    disturbs no one. `arn` is the caller's, `now` the sandbox's time.
    """
    if fault.kind in {FaultKind.SLOW, FaultKind.CUT}:
        return None
    if fault.kind is FaultKind.CLOCK_SKEW:
        message = _skew(call, fault, now)
        return None if message is None else refuse(call, ErrorCategory.SKEWED_CLOCK, request_id, message)
    if fault.kind is FaultKind.SERVER_ERROR:
        return refuse(call, ErrorCategory.UNAVAILABLE if fault.variant & 1 else ErrorCategory.INTERNAL, request_id)
    if fault.kind is FaultKind.REGION_DISABLED:
        return refuse(call, ErrorCategory.REGION_DISABLED, request_id, _region_disabled(call, account_id))
    if fault.kind is FaultKind.DENIED:
        return refuse(call, ErrorCategory.DENIED, request_id, _denied(call, arn))
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
    usual = answer(call, ErrorCategory.SKEWED_CLOCK)[2]
    if not usual.startswith("Signature"):
        return usual
    minutes = int(tolerance.total_seconds() // 60)
    stamps = signed.strftime(_STAMP), server.strftime(_STAMP)
    if server > signed:
        edge = (server - tolerance).strftime(_STAMP)
        return f"Signature expired: {stamps[0]} is now earlier than {edge} ({stamps[1]} - {minutes} min.)"
    edge = (server + tolerance).strftime(_STAMP)
    return f"Signature not yet current: {stamps[0]} is still later than {edge} ({stamps[1]} + {minutes} min.)"
