"""Injected faults: the kinds of fault, fault plans, and the draw that decides which calls fail.

A kind of fault is a subclass of `Fault`, registered with `register_fault`; it defines its form in a fault plan, the error
that it sends and what it does to the connection. The draw depends only on the seed, the account, the action and the number
of the call, so a plan hits the same calls in every run, whatever the timing and the order of threads.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import ClassVar, Self, TypeVar

from rolecall_generator.errors import ExitCode, RolecallError
from rolecall_generator.iam.matching import wildcard
from rolecall_runner.sandbox.protocol.aws_protocol import (
    S3,
    ApiCall,
    ErrorCategory,
    HttpReply,
    category_reply,
    default_error,
    dialect,
)

_HASH_BYTES = 7
_HASH_RANGE = float(1 << (8 * _HASH_BYTES))


class FaultTextError(RolecallError):
    """A fault plan cannot be parsed."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True)
class FaultCall:
    """A call that a fault hits: its caller's account and ARN, the sandbox's time, and the id for the reply.

    `variant`, from 0 to 255, selects one of the forms of faults that have several.
    """

    call: ApiCall
    request_id: str
    account_id: str
    arn: str
    now: datetime
    variant: int

    def error(self, category: ErrorCategory, message: str | None = None) -> FaultEffect:
        """An error of the service instead of the call; `message` replaces the default one."""
        return FaultEffect(category_reply(self.call, category, self.request_id, message))


@dataclass(frozen=True, slots=True)
class FaultEffect:
    """What a fault does to a call.

    `reply`: the error to send instead of running the call; None runs the call. `delay_seconds`: wait before sending.
    `cut_after`: the share of the body, from 0 up to 1, after which the connection is closed; 0 closes it before the first
    byte of the reply, None leaves it open.
    """

    reply: HttpReply | None = None
    delay_seconds: float = 0.0
    cut_after: float | None = None


@dataclass(frozen=True)
class Fault:
    """One fault of a plan.

    `probability` is from 0 to 1. Patterns accept `*` and `?`, and alternatives separated by `|`; actions (SERVICE:NAME) are
    compared without regard to case. `at_most` limits consecutive faults per account and action; None is no limit.

    Class attributes: `name` in plans and logs, `alias` a shorter name for plans, `usage` the form of the value in a plan,
    `transient` whether a retry can succeed, so that `at-most` of a plan applies, `category` the error that `effect` sends by
    default.
    """

    name: ClassVar[str]
    alias: ClassVar[str] = ""
    usage: ClassVar[str] = "probability from 0 to 1"
    transient: ClassVar[bool] = True
    category: ClassVar[ErrorCategory] = ErrorCategory.INTERNAL

    probability: float = 1.0
    accounts: str = "*"
    actions: str = "*"
    regions: str = "*"
    at_most: int | None = None

    @classmethod
    def parse(cls, value: str) -> Self:
        """The fault for the value of `NAME=VALUE` in a plan. Raises ValueError for an invalid one."""
        return cls(_probability(value))

    def matches(self, account_id: str, action: str, region: str) -> bool:
        """Whether the fault can hit a call."""
        return (
            _any_match(self.accounts, account_id)
            and _any_match(self.actions.lower(), action.lower())
            and _any_match(self.regions, region)
        )

    def effect(self, hit: FaultCall, /) -> FaultEffect:
        """What the fault does to a call that it hits."""
        return hit.error(self.category)


FAULTS: dict[str, type[Fault]] = {}
"""Kinds of faults by name."""

AnyFault = TypeVar("AnyFault", bound=Fault)
Value = TypeVar("Value")


def register_fault(kind: type[AnyFault]) -> type[AnyFault]:
    """Class decorator: make a kind of fault available to fault plans."""
    FAULTS[kind.name] = kind
    return kind


@register_fault
class Throttle(Fault):
    """The service answers that the rate of calls is exceeded."""

    name = "throttle"
    category = ErrorCategory.THROTTLED


@register_fault
class ServerError(Fault):
    """The service fails with HTTP 500 or 503."""

    name = "server-error"
    alias = "5xx"

    def effect(self, hit: FaultCall, /) -> FaultEffect:
        """An internal error (500) for an even variant, otherwise unavailable (503)."""
        return hit.error(ErrorCategory.UNAVAILABLE if hit.variant & 1 else ErrorCategory.INTERNAL)


@register_fault
class CutConnection(Fault):
    """The connection is closed before or during the reply. The call itself has run."""

    name = "cut"

    def effect(self, hit: FaultCall, /) -> FaultEffect:
        """Closed before the first byte for an even variant, otherwise after half of the body."""
        return FaultEffect(cut_after=0.5 if hit.variant & 1 else 0.0)


@register_fault
class ExpiredToken(Fault):
    """The service answers that the caller's session has expired."""

    name = "expired"
    category = ErrorCategory.EXPIRED_TOKEN


@register_fault
@dataclass(frozen=True)
class SlowReply(Fault):
    """The reply is sent after `seconds`."""

    name = "slow"
    usage = "PROBABILITY:SECONDS"

    seconds: float = 1.0

    @classmethod
    def parse(cls, value: str) -> Self:
        """From `PROBABILITY:SECONDS`."""
        probability, _, seconds = value.partition(":")
        return cls(_probability(probability), seconds=_number(seconds, lambda number: 0.0 <= number < float("inf")))

    def effect(self, _hit: FaultCall, /) -> FaultEffect:
        """A delay of `seconds`."""
        return FaultEffect(delay_seconds=self.seconds)


@register_fault
class RegionDisabled(Fault):
    """The service answers as in a Region that the account has not enabled."""

    name = "region-disabled"
    usage = "Region"
    transient = False

    @classmethod
    def parse(cls, value: str) -> Self:
        """From a pattern of Regions."""
        return cls(regions=value)

    def effect(self, hit: FaultCall, /) -> FaultEffect:
        """RegionDisabledException of STS (see its API reference); other services reject the access key as unknown."""
        message = (
            f"STS is not activated in this region for account:{hit.account_id}. Your account administrator can activate STS "
            "in this region using the IAM Console."
        )
        return hit.error(ErrorCategory.REGION_DISABLED, message if hit.call.service == "sts" else None)


@register_fault
class ServiceDenied(Fault):
    """A service control policy denies the action."""

    name = "denied"
    usage = "service or action"
    transient = False

    @classmethod
    def parse(cls, value: str) -> Self:
        """From a service or a pattern of actions."""
        return cls(actions=value if ":" in value else f"{value}:*")

    def effect(self, hit: FaultCall, /) -> FaultEffect:
        """An explicit deny."""
        message = (
            f"User: {hit.arn} is not authorized to perform: {hit.call.action} with an explicit deny in a service control "
            "policy"
        )
        return hit.error(ErrorCategory.DENIED, message)


# Signature Version 4: "the request must reach AWS within five minutes of the time stamp in the request" (IAM User Guide);
# S3 allows fifteen ("RequestTimeTooSkewed", S3 API reference).
_TOLERANCE = timedelta(minutes=5)
_TOLERANCE_S3 = timedelta(minutes=15)
_STAMP = "%Y%m%dT%H%M%SZ"


@register_fault
@dataclass(frozen=True)
class ClockSkew(Fault):
    """The service's clock is `seconds` ahead of the caller's, or behind when negative."""

    name = "clock-skew"
    usage = "seconds"
    transient = False

    seconds: float = 3_600.0

    @classmethod
    def parse(cls, value: str) -> Self:
        """From a number of seconds."""
        return cls(seconds=_number(value, isfinite))

    def effect(self, hit: FaultCall, /) -> FaultEffect:
        """The error for a signature that is too old or too new; no effect within the service's tolerance."""
        tolerance = _TOLERANCE_S3 if dialect(hit.call) == S3 else _TOLERANCE
        signed = hit.now.astimezone(UTC)
        server = signed + timedelta(seconds=self.seconds)
        if abs(server - signed) <= tolerance:
            return FaultEffect()
        message = default_error(hit.call, ErrorCategory.SKEWED_CLOCK)[2]
        if message.startswith("Signature"):
            message = _skew_message(signed, server, tolerance)
        return hit.error(ErrorCategory.SKEWED_CLOCK, message)


def _skew_message(signed: datetime, server: datetime, tolerance: timedelta) -> str:
    minutes = int(tolerance.total_seconds() // 60)
    stamps = signed.strftime(_STAMP), server.strftime(_STAMP)
    if server > signed:
        edge = (server - tolerance).strftime(_STAMP)
        return f"Signature expired: {stamps[0]} is now earlier than {edge} ({stamps[1]} - {minutes} min.)"
    edge = (server + tolerance).strftime(_STAMP)
    return f"Signature not yet current: {stamps[0]} is still later than {edge} ({stamps[1]} + {minutes} min.)"


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Faults in order of precedence: at most one hits a call, the first that is drawn."""

    seed: int = 0
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """A fault drawn for one call, and its variant (see FaultCall)."""

    fault: Fault
    variant: int


class FaultInjector:
    """Applies a plan: counts the calls of each account and action. Thread-safe."""

    def __init__(self, plan: FaultPlan) -> None:
        self._plan = plan
        self._calls: Counter[tuple[str, str]] = Counter()
        self._consecutive: Counter[tuple[str, str, int]] = Counter()
        self._lock = threading.Lock()

    def draw(self, account_id: str, action: str, region: str) -> InjectedFault | None:
        """The fault that hits this call, or None. Draw once per call; `action` is SERVICE:NAME as in IAM policies."""
        with self._lock:
            self._calls[account_id, action] += 1
            number = self._calls[account_id, action]
            for index, fault in enumerate(self._plan.faults):
                if not fault.matches(account_id, action, region):
                    continue
                streak = account_id, action, index
                chance, variant = _chance(self._plan.seed, index, account_id, action, number)
                if chance < fault.probability and (fault.at_most is None or self._consecutive[streak] < fault.at_most):
                    self._consecutive[streak] += 1
                    return InjectedFault(fault, variant)
                self._consecutive[streak] = 0
        return None


def _chance(seed: int, index: int, account_id: str, action: str, number: int) -> tuple[float, int]:
    """A number in [0, 1) and a byte, from a digest: Python's `hash` differs from process to process."""
    digest = hashlib.sha256(f"{seed}|{index}|{account_id}|{action.lower()}|{number}".encode()).digest()
    return int.from_bytes(digest[:_HASH_BYTES], "big") / _HASH_RANGE, digest[_HASH_BYTES]


def _any_match(patterns: str, text: str) -> bool:
    return any(wildcard(pattern.strip())(text) for pattern in patterns.split("|"))


_OPTIONS = ("seed", "at-most", "accounts", "actions")


def parse_faults(text: str) -> FaultPlan:
    """Parse a fault plan such as `throttle=0.3,5xx=0.1,slow=0.2:1.5,seed=7`.

    The names are those of the registered kinds. `seed` and `at-most` are whole numbers; `at-most`, `accounts` and `actions`
    apply to every fault of the plan, except that `at-most` needs a transient fault and `actions` one without its own.

    Raises FaultTextError that quotes the invalid part.
    """
    kinds = {spelling: kind for kind in FAULTS.values() for spelling in (kind.name, kind.alias) if spelling}
    faults: list[Fault] = []
    options: dict[str, str] = {}
    for name, value, part in _parts(text):
        if name in options:
            raise _plan_error(f"{name} is specified twice", text)
        if name in _OPTIONS:
            options[name] = value
        elif name in kinds:
            faults.append(_read(kinds[name].parse, value, part))
        else:
            raise _plan_error(f"unknown fault {name!r}", part)
    if not faults:
        raise _plan_error("the fault plan contains no fault", text)
    seed = _read(int, options["seed"], text) if "seed" in options else 0
    at_most = _read(_count, options["at-most"], text) if "at-most" in options else None
    restricted = (
        replace(
            fault,
            accounts=options.get("accounts", fault.accounts),
            actions=options.get("actions", "*") if fault.actions == "*" else fault.actions,
            at_most=at_most if fault.transient else None,
        )
        for fault in faults
    )
    return FaultPlan(seed, tuple(restricted))


def _parts(text: str) -> Iterator[tuple[str, str, str]]:
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not name or not equals or not value:
            raise _plan_error(f"{part.strip()!r} is not NAME=VALUE", text)
        yield name.lower(), value, part.strip()


def _plan_error(message: str, text: str) -> FaultTextError:
    names: dict[str, list[str]] = defaultdict(list)
    for kind in FAULTS.values():
        names[kind.usage].append(kind.alias or kind.name)
    forms = "; ".join(f"{', '.join(group)} = {usage}" for usage, group in names.items())
    hint = (
        f"use comma-separated NAME=VALUE: {forms}; options for all faults: seed, at-most = whole numbers, "
        "accounts, actions = patterns with * and |"
    )
    return FaultTextError(message, where=f"faults {text!r}", hint=hint)


def _read(parse: Callable[[str], Value], value: str, part: str) -> Value:
    try:
        return parse(value)
    except ValueError as error:
        raise _plan_error(f"{value!r} is not a valid value", part) from error


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _probability(text: str) -> float:
    return _number(text, lambda number: 0.0 <= number <= 1.0)


def _number(text: str, valid: Callable[[float], bool]) -> float:
    number = float(text)
    if not valid(number):
        raise ValueError(text)
    return number
