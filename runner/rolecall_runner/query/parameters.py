"""Parameters of an operation: parsed from strings or YAML, typed by the service model, with placeholders filled per call.

    {name} {account_id} {partition} {role_arn} {region}     of the target, and the Region of the call
    {labels.X} {tags.X} {variables.X}                       from the customer's entry in the manifest
    {item.COLUMN}                                           in further calls: a column of the row
    {today} {today-30d} {month} {month-1} {now-24h}         date, first day of a month, time (UTC), with an offset

Double braces escape a placeholder: `{{name}}` becomes the string `{name}`. Other braces have no special meaning. Values are
substituted as data and never evaluated.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from rolecall_runner.inventory import Target
from rolecall_runner.query.operations import Operation
from rolecall_runner.query.spec import QueryError

_NUMBERS = {"float", "double"}
TYPE_NAMES = {
    "integer": "an integer", "long": "an integer", "float": "a number", "double": "a number",
    "boolean": "true or false", "list": "a JSON list", "structure": "a JSON object", "map": "a JSON object",
    "string": "a string", "timestamp": "a time, as in 2026-11-24T09:00:00Z", "blob": "a string",
}  # fmt: skip
"""Names in messages for the types of service models."""
_BOOLEANS = {"true": True, "false": False}


def parse_scalar(text: str, type_name: str, name: str) -> Any:
    """Convert a string to a scalar type of the model. Raises QueryError for an invalid value."""
    try:
        if type_name in {"integer", "long"}:
            return int(text)
        if type_name in _NUMBERS:
            return float(text)
        if type_name == "boolean":
            return _BOOLEANS[text.strip().lower()]
    except (ValueError, KeyError):
        raise invalid_value(name, type_name, text) from None
    return text


def invalid_value(name: str, kind: str, value: Any) -> QueryError:
    """Return the error for a value that does not have the type of its parameter."""
    formatted = value if isinstance(value, str) else json.dumps(value, default=str)
    return QueryError(
        f"{formatted!r} is not {TYPE_NAMES[kind]}", where=f"parameter {name} ({kind})", hint=f"use {TYPE_NAMES[kind]}"
    )


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
    """A placeholder in place of a value that is not a string. It is converted to `type_name` after substitution."""

    text: str
    type_name: str


@dataclass(frozen=True, slots=True)
class FillContext:
    """Sources of placeholder values for one call. `moment`: the current time, with a time zone. `item`: the row."""

    target: Target
    moment: datetime
    region: str = ""
    item: Mapping[str, Any] = field(default_factory=dict)


def placeholders(value: Any) -> Iterator[str]:
    """Yield the names of all placeholders in a value, at any depth."""
    if isinstance(value, str):
        yield from (match[2] for match in _PLACEHOLDER.finditer(value) if match[2])
    elif isinstance(value, Deferred):
        yield from placeholders(value.text)
    elif isinstance(value, Mapping):
        yield from (name for item in value.values() for name in placeholders(item))
    elif isinstance(value, list | tuple):
        yield from (name for item in value for name in placeholders(item))


def escape_placeholders(value: Any) -> Any:
    """Escape all placeholders in a value, at any depth, so that `fill` returns the original value."""
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda match: f"{{{match[0]}}}", value)
    if isinstance(value, Mapping):
        return {key: escape_placeholders(item) for key, item in value.items()}
    return [escape_placeholders(item) for item in value] if isinstance(value, list | tuple) else value


def is_placeholder(text: str) -> bool:
    """Whether a string consists of a single placeholder."""
    match = _PLACEHOLDER.fullmatch(text)
    return match is not None and bool(match[2])


def check_names(value: Any, *, where: str, items: bool = False) -> None:
    """Raise QueryError for unknown placeholders. `items`: allow {item.COLUMN}."""
    for name in placeholders(value):
        head, dot, rest = name.partition(".")
        is_known = name in {*_PLAIN, "region"} or (head in _MAPS and dot and rest) or _parse_time(name) is not None
        if not is_known and not (items and head == "item" and rest):
            raise QueryError(
                f"unknown placeholder {{{name}}}", where=where, hint=f"use {_KNOWN}; write {{{{{name}}}}} for a literal"
            )


def check_targets(value: Any, targets: Iterable[Target]) -> None:
    """Raise QueryError, naming the accounts, if some lack a label, tag, or variable that a placeholder uses."""
    manifest_names = [name for name in dict.fromkeys(placeholders(value)) if name.partition(".")[0] in _MAPS]
    if not manifest_names:
        return
    missing: dict[str, list[str]] = {}
    for target in targets:
        for name in manifest_names:
            head, _, rest = name.partition(".")
            if rest not in getattr(target, head):
                missing.setdefault(name, []).append(target.name)
    for name, names in missing.items():
        accounts = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")  # noqa: PLR2004 - a handful
        raise QueryError(
            f"{{{name}}} has no value for {accounts}", where="query parameters", hint=f"add {name} in the manifest"
        )


def fill(value: Any, context: FillContext) -> Any:
    """Return a copy of the value with all placeholders replaced. Raises QueryError for a placeholder without a value."""
    if isinstance(value, str):
        return _PLACEHOLDER.sub(
            lambda match: f"{{{match[1]}}}" if match[1] else _placeholder_value(match[2], context), value
        )
    if isinstance(value, Deferred):
        return parse_scalar(fill(value.text, context), value.type_name, value.text)
    if isinstance(value, Mapping):
        return {key: fill(item, context) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [fill(item, context) for item in value]
    return value


def _placeholder_value(name: str, context: FillContext) -> str:
    head, _, rest = name.partition(".")
    if name == "region":
        return context.region
    if name in _PLAIN:
        return str(getattr(context.target, name))
    found = _format_time(name, context.moment)
    if found is not None:
        return found
    known: Mapping[str, Any] = context.item if head == "item" else getattr(context.target, head)
    if known.get(rest) is None:
        raise QueryError(f"{{{name}}} has no value", where=context.target.name, hint=f"set {name}")
    return str(known[rest])


def _parse_time(name: str) -> tuple[str, int, str] | None:
    match = _TIME.fullmatch(name)
    if match is None:
        return None
    head, amount, unit = match[1], int(match[2] or 0), match[3] or ""
    return None if match[2] and unit not in _UNITS[head] else (head, amount, unit)


def _format_time(name: str, moment: datetime) -> str | None:
    parts = _parse_time(name)
    if parts is None:
        return None
    head, amount, unit = parts
    now = moment.astimezone(UTC)
    if head == "month":
        months = now.year * _MONTHS + now.month - 1 + amount
        return f"{months // _MONTHS:04d}-{months % _MONTHS + 1:02d}-01"
    shifted = now + timedelta(seconds=amount * _UNITS[head].get(unit, 0))
    return shifted.date().isoformat() if head == "today" else shifted.replace(microsecond=0).isoformat()


def read_parameters(operation: Operation, arguments: Iterable[str], *, complete: bool = True) -> dict[str, Any]:
    """Parse `NAME=VALUE` arguments. Values are JSON, or unquoted strings, numbers, and lists of these separated by commas.

    Repeated lists are concatenated. `complete`: convert types, and require all required parameters. Raises QueryError with
    parameter and type.
    """
    read: dict[str, Any] = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals:
            raise QueryError(f"{argument!r} is not NAME=VALUE", where="--param", hint="use --param 'Filters=[...]'")
        shape = _members(operation).get(name)
        if shape is None:
            raise _unknown(name, _members(operation), operation.method)
        found = _parse_argument(value, shape, name)
        if isinstance(found, list) and isinstance(read.get(name), list):
            found = [*read[name], *found]
        read[name] = found
    return type_parameters(operation, read) if complete else read


def type_parameters(operation: Operation, values: Mapping[str, Any]) -> dict[str, Any]:
    """Convert values from YAML or JSON to the model's types.

    Raises QueryError with parameter and type, also for a missing required parameter.
    """
    shape = operation.model.input_shape
    if shape is None:
        if values:
            raise QueryError(f"{operation.method} takes no parameters", where=next(iter(values)), hint="remove it")
        return {}
    return _structure(values, shape, operation.method, top=True)


def _members(operation: Operation) -> Mapping[str, Any]:
    shape = operation.model.input_shape
    return shape.members if shape is not None else {}


def _parse_argument(text: str, shape: Any, name: str) -> Any:
    """Parse an argument as JSON if it starts like JSON. `_typed` converts the result."""
    start = text.lstrip()[:1]
    if shape.type_name == "string":
        return _json(text, name, shape) if start == '"' else text
    if shape.type_name in {"list", "structure", "map"}:
        if start in {"[", "{"} and not is_placeholder(text):
            return _json(text, name, shape)
        if shape.type_name == "list" and shape.member.type_name not in {"list", "structure", "map"}:
            return [part for part in text.split(",") if part]
        raise invalid_value(name, shape.type_name, text)
    return text


def _json(text: str, name: str, shape: Any) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise QueryError(
            f"the value is not valid JSON: {error.msg} (column {error.colno})",
            where=f"parameter {name}",
            hint=f"use {TYPE_NAMES[shape.type_name]}, quoted for the shell",
        ) from None


def _typed(value: Any, shape: Any, name: str) -> Any:
    kind = shape.type_name
    if kind == "structure":
        if getattr(shape, "is_document_type", False):
            return value
        return _structure(value, shape, name)
    if kind == "map":
        if not isinstance(value, Mapping):
            raise invalid_value(name, kind, value)
        return {str(key): _typed(item, shape.value, f"{name}.{key}") for key, item in value.items()}
    if kind == "list":
        if not isinstance(value, list | tuple):
            raise invalid_value(name, kind, value)
        return [_typed(item, shape.member, f"{name}[{index}]") for index, item in enumerate(value)]
    return _scalar(value, kind, name)


def _scalar(value: Any, kind: str, name: str) -> Any:
    if isinstance(value, str):
        if kind not in {"string", "timestamp", "blob"} and any(placeholders(value)):
            if not is_placeholder(value):
                raise invalid_value(name, kind, value)
            return Deferred(value, kind)
        return parse_scalar(value, kind, name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if (kind == "boolean" and isinstance(value, bool)) or (kind in {"float", "double"} and is_number):
        return value
    if kind in {"integer", "long"} and is_number and int(value) == value:
        return int(value)
    if kind in {"timestamp", "string"} and isinstance(value, date):  # the YAML loader parses dates
        return value.isoformat()
    raise invalid_value(name, kind, value)


def _structure(value: Any, shape: Any, name: str, *, top: bool = False) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise invalid_value(name, "structure", value)
    typed: dict[str, Any] = {}
    for key, item in value.items():
        if key not in shape.members:
            raise _unknown(str(key), shape.members, name)
        typed[key] = _typed(item, shape.members[key], key if top else f"{name}.{key}")
    for key in shape.required_members:
        if key not in typed and not shape.members[key].metadata.get("idempotencyToken"):
            kind = shape.members[key].type_name
            raise QueryError(f"{name} requires {key}", where="parameters", hint=f"set {key} to {TYPE_NAMES[kind]}")
    return typed


def _unknown(name: str, members: Mapping[str, Any], where: str) -> QueryError:
    close = difflib.get_close_matches(name, list(members), n=3, cutoff=0.4)
    known = close or sorted(members)[:10]
    return QueryError(f"unknown parameter {name!r}", where=where, hint=f"did you mean {', '.join(known)}?")
