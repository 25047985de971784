"""Placeholders in parameters: `{name}`, `{labels.tier}`, `{region}`, `{today-30d}`. Filled as data, never run as code.

    {name} {account_id} {partition} {role_arn} {region}     the target's, and the Region that is asked
    {labels.X} {tags.X} {variables.X}                       what the manifest says of the customer
    {item.COLUMN}                                           in follow-up calls: a column of the row
    {today} {today-30d} {month} {month-1} {now-24h}         date, first day of a month, time (UTC), with an offset

A doubled brace keeps one: `{{name}}` is the text `{name}`. Other braces are ordinary text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from rolecall_runner.targets import Target
from rolecall_runner.tasks.query.question import QueryError
from rolecall_runner.tasks.query.scalars import scalar

_NAME = r"[a-z_]+(?:\.[^{}]*)?(?:[+-]\d+[a-z]?)?"
_PLACEHOLDER = re.compile(rf"\{{\{{({_NAME})\}}\}}|\{{({_NAME})\}}")
_TIME = re.compile(r"(today|month|now)(?:([+-]\d+)([a-z]?))?")
_UNITS = {"today": {"d": 86_400, "": 86_400}, "now": {"d": 86_400, "h": 3_600, "m": 60}, "month": {"": 0}}
_PLAIN = ("name", "account_id", "partition", "role_arn")
_MAPS = ("labels", "tags", "variables")
_KNOWN = "{name}, {account_id}, {partition}, {role_arn}, {region}, {labels.X}, {tags.X}, {variables.X}, {today-7d}"
_MONTHS = 12


@dataclass(frozen=True, slots=True)
class Deferred:
    """A value of another type than text that is a placeholder: filled first, then read as its type."""

    text: str
    type_name: str


@dataclass(frozen=True, slots=True)
class Filling:
    """What placeholders stand for in one call; `moment` has a time zone."""

    target: Target
    moment: datetime
    region: str = ""
    item: Mapping[str, Any] = field(default_factory=dict)


def placeholders(value: Any) -> Iterator[str]:
    """Names of all placeholders in a value, at any depth."""
    if isinstance(value, str):
        yield from (match[2] for match in _PLACEHOLDER.finditer(value) if match[2])
    elif isinstance(value, Deferred):
        yield from placeholders(value.text)
    elif isinstance(value, Mapping):
        yield from (name for item in value.values() for name in placeholders(item))
    elif isinstance(value, list | tuple):
        yield from (name for item in value for name in placeholders(item))


def is_placeholder(text: str) -> bool:
    """Whether a text is one placeholder and nothing else."""
    match = _PLACEHOLDER.fullmatch(text)
    return match is not None and bool(match[2])


def check_names(value: Any, *, where: str, items: bool = False) -> None:
    """Raise QueryError for a placeholder that nothing can fill; `items`: those of a row are known too."""
    for name in placeholders(value):
        head, dot, rest = name.partition(".")
        good = name in {*_PLAIN, "region"} or (head in _MAPS and dot and rest) or _moment_parts(name) is not None
        if not good and not (items and head == "item" and rest):
            raise QueryError(
                f"nothing is called {{{name}}}", where=where, mend=f"known are {_KNOWN}; write {{{{{name}}}}} for the text"
            )


def check_targets(value: Any, targets: Iterable[Target]) -> None:
    """Raise QueryError that names the accounts for which a label, tag or variable is missing; before any call."""
    wanted = [name for name in dict.fromkeys(placeholders(value)) if name.partition(".")[0] in _MAPS]
    if not wanted:
        return
    lacking: dict[str, list[str]] = {}
    for target in targets:
        for name in wanted:
            head, _, rest = name.partition(".")
            if rest not in getattr(target, head):
                lacking.setdefault(name, []).append(target.name)
    for name, names in lacking.items():
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")  # noqa: PLR2004 - a handful
        raise QueryError(
            f"{{{name}}} has no value for {shown}", where="query parameters", mend=f"give them {name} in the manifest"
        )


def fill(value: Any, filling: Filling) -> Any:
    """The value with all placeholders filled in; the value itself is not changed. Raises QueryError."""
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda match: f"{{{match[1]}}}" if match[1] else _text(match[2], filling), value)
    if isinstance(value, Deferred):
        return scalar(fill(value.text, filling), value.type_name, value.text)
    if isinstance(value, Mapping):
        return {key: fill(item, filling) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [fill(item, filling) for item in value]
    return value


def _text(name: str, filling: Filling) -> str:
    head, _, rest = name.partition(".")
    if name == "region":
        return filling.region
    if name in _PLAIN:
        return str(getattr(filling.target, name))
    found = _time(name, filling.moment)
    if found is not None:
        return found
    known: Mapping[str, Any] = filling.item if head == "item" else getattr(filling.target, head)
    if known.get(rest) is None:
        raise QueryError(f"{{{name}}} has no value", where=filling.target.name, mend=f"give it {name}")
    return str(known[rest])


def _moment_parts(name: str) -> tuple[str, int, str] | None:
    match = _TIME.fullmatch(name)
    if match is None:
        return None
    head, amount, unit = match[1], int(match[2] or 0), match[3] or ""
    return None if match[2] and unit not in _UNITS[head] else (head, amount, unit)


def _time(name: str, moment: datetime) -> str | None:
    parts = _moment_parts(name)
    if parts is None:
        return None
    head, amount, unit = parts
    now = moment.astimezone(UTC)
    if head == "month":
        months = now.year * _MONTHS + now.month - 1 + amount
        return f"{months // _MONTHS:04d}-{months % _MONTHS + 1:02d}-01"
    moved = now + timedelta(seconds=amount * _UNITS[head].get(unit, 0))
    return moved.date().isoformat() if head == "today" else moved.replace(microsecond=0).isoformat()
