"""Representative values of keys that are compared as numbers, dates, addresses or bytes: one between two break points.

The break points are the values in the policies. No comparison distinguishes two values between the same break points.
"""

from __future__ import annotations

import base64
import ipaddress
import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import pairwise

from rolecall_generator.iam.matching import OPERATORS
from rolecall_generator.proof.symbolic.keys import ValueType

_DAY = 86_400.0
_NUMBER, _DATE = "NumericEquals", "DateEquals"


class NotRepresentedError(Exception):
    """A condition that the cells of a dimension cannot represent; the message is the reason."""


def representatives(
    family: str, values: Iterable[str], value_type: ValueType, smallest: int = 0, largest: int | None = None
) -> list[str]:
    """One value for each set of values that comparisons with `values` do not distinguish.

    `family` is the name of the operators' family. Unless all values of the key are of the family, also others. `smallest`,
    `largest`: bounds of integers.
    Raises NotRepresentedError for values that cannot be separated, or a family without representatives.
    """
    make = _FAMILIES.get(family)
    if make is None:
        raise NotRepresentedError(f"{family} operators are not represented")
    found = make(values, value_type)
    if value_type is ValueType.INTEGER and (smallest or largest is not None):
        bounds = {number for number in (smallest, largest) if number is not None}
        # A number of more than `_LONGEST` digits is written with an exponent.
        numbers = sorted({*map(int, map(Decimal, found)), *bounds})
        found = [str(n) for n in numbers if smallest <= n and (largest is None or n <= largest)]
    if _TYPES.get(family) is not value_type:
        # "!" is no number, no date, no address, and not base-64.
        found += ["!", ""]
    return found


def _parse(operator: str, value: str) -> object:
    parse = OPERATORS[operator].family.parse
    return None if parse is None else parse(value)


def parse_moment(value: str) -> float | None:
    """A date, or a number of seconds since 1970, in these seconds; None for any other value."""
    found = _parse(_DATE, value)
    return found if isinstance(found, float) else None


def moment_text(moment: float, *, whole: bool) -> str:
    """A moment in seconds since 1970 as a date, or with `whole` as the number of seconds."""
    return _date_text(moment, whole=whole)


def _numbers(values: Iterable[str], value_type: ValueType) -> list[str]:
    points = sorted({number for value in values if isinstance(number := _parse(_NUMBER, value), Decimal)})
    if value_type is ValueType.INTEGER:
        near = {
            point.to_integral_value(rounding) + offset
            for point in points
            for rounding in (ROUND_FLOOR, ROUND_CEILING)
            for offset in (-1, 0, 1)
        }
        numbers = sorted(number for number in near if number >= 0)
    else:
        between = [(low + high) / 2 for low, high in pairwise(points)]
        if any(not low < number < high for number, (low, high) in zip(between, pairwise(points), strict=True)):
            raise NotRepresentedError("numbers that are too close to each other")
        numbers = sorted({points[0] - 1, *points, *between, points[-1] + 1})
        if not numbers[0] < points[0] or not points[-1] < numbers[-1]:
            raise NotRepresentedError("numbers that are too large")
    texts = [format(number, "f") if abs(number.adjusted()) < _LONGEST else str(number) for number in numbers]
    if [_parse(_NUMBER, text) for text in texts] != numbers:
        raise NotRepresentedError("numbers that are too large")
    return texts


_LONGEST = 40


def _dates(values: Iterable[str], value_type: ValueType) -> list[str]:
    whole = value_type is ValueType.INTEGER
    points = sorted({moment for value in values if isinstance(moment := _parse(_DATE, value), float)})
    between = [(low + high) / 2 for low, high in pairwise(points) if math.nextafter(low, high) < high]
    moments = sorted({points[0] - _DAY, *points, *between, points[-1] + _DAY})
    if whole:
        moments = sorted({float(bound(moment)) for moment in moments for bound in (math.floor, math.ceil)})
    texts = [_date_text(moment, whole=whole) for moment in moments]
    if [_parse(_DATE, text) for text in texts] != moments:
        raise NotRepresentedError("dates that cannot be written exactly")
    return texts


def _date_text(moment: float, *, whole: bool) -> str:
    if whole:
        return str(int(moment))
    try:
        return datetime.fromtimestamp(moment, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return format(Decimal(moment), "f")


def _addresses(values: Iterable[str], _value_type: ValueType) -> list[str]:
    """The first address of each range between the borders of the networks, for IPv4 and IPv6."""
    networks = [ipaddress.ip_network(value, strict=False) for value in values]
    found = []
    for make, bits in ((ipaddress.IPv4Address, 32), (ipaddress.IPv6Address, 128)):
        starts = {0}
        for network in networks:
            if network.max_prefixlen == bits:
                starts |= {int(network.network_address), int(network.broadcast_address) + 1}
        found += [str(make(start)) for start in sorted(starts) if start < 1 << bits]
    return found


def _bytes(values: Iterable[str], _value_type: ValueType) -> list[str]:
    wanted = {base64.b64decode(value, validate=True) for value in values}
    other = next(bytes([number]) for number in range(len(wanted) + 1) if bytes([number]) not in wanted)
    return [base64.b64encode(content).decode() for content in (other, *sorted(wanted))]


_TYPES = {"Numeric": ValueType.INTEGER, "Date": ValueType.DATE, "IpAddress": ValueType.IP}
_FAMILIES: dict[str, Callable[[Iterable[str], ValueType], list[str]]] = {
    "Numeric": _numbers,
    "Date": _dates,
    "IpAddress": _addresses,
    "Binary": _bytes,
}
