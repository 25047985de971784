"""Fault plans as people write them: `throttle=0.3,5xx=0.1,slow=0.2:1.5,seed=7`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

from rolecall_generator.errors import ExitCode, RolecallError
from rolecall_runner.sandbox.faults import FaultKind, FaultPlan, FaultRule


class FaultTextError(RolecallError):
    """A fault plan on the command line cannot be read."""

    exit_code = ExitCode.USAGE


_MEND = (
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
            raise FaultTextError(f"{name} is said twice", where=f"faults {text!r}", mend=_MEND)
        seen.add(name)
        _read_part(reading, name, value, part)
    rules = tuple(replace(rule, **_limits(rule, reading.common)) for rule in reading.rules)
    if not rules:
        raise FaultTextError("the fault plan names no fault", where=f"faults {text!r}", mend=_MEND)
    return FaultPlan(reading.seed, rules)


def _parts(text: str) -> Iterator[tuple[str, str, str]]:
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not name or not equals or not value:
            raise FaultTextError(f"{part.strip()!r} is not NAME=VALUE", where=f"faults {text!r}", mend=_MEND)
        yield name.lower(), value, part.strip()


def _read_part(reading: _Reading, name: str, value: str, part: str) -> None:
    if name in _PROBABLE:
        reading.rules.append(FaultRule(_PROBABLE[name], _number(value, part, _probability)))
    elif name == "slow":
        chance, colon, seconds = value.partition(":")
        if not colon:
            raise FaultTextError("slow needs a probability and seconds", where=f"faults {part!r}", mend=_MEND)
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
        raise FaultTextError(f"there is no fault {name!r}", where=f"faults {part!r}", mend=_MEND)


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
        raise FaultTextError(f"{text!r} is no right value here", where=f"faults {part!r}", mend=_MEND) from error


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
