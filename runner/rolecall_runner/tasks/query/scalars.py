"""Single values as the model's types."""

from __future__ import annotations

import json
from typing import Any

from rolecall_runner.tasks.query.question import QueryError

_NUMBERS = {"float", "double"}
WORDS = {
    "integer": "a whole number", "long": "a whole number", "float": "a number", "double": "a number",
    "boolean": "true or false", "list": "a JSON list", "structure": "a JSON object", "map": "a JSON object",
    "string": "text", "timestamp": "a time, as in 2026-11-24T09:00:00Z", "blob": "text",
}  # fmt: skip
"""The model's types for people."""
_TRUTHS = {"true": True, "false": False}


def scalar(text: str, type_name: str, name: str) -> Any:
    """A text as the type that the model wants. Raises QueryError."""
    try:
        if type_name in {"integer", "long"}:
            return int(text)
        if type_name in _NUMBERS:
            return float(text)
        if type_name == "boolean":
            return _TRUTHS[text.strip().lower()]
    except (ValueError, KeyError):
        raise wrong(name, type_name, text) from None
    return text


def wrong(name: str, kind: str, value: Any) -> QueryError:
    """The error for a value of another type than the parameter's."""
    shown = value if isinstance(value, str) else json.dumps(value, default=str)
    return QueryError(f"{shown!r} is not {WORDS[kind]}", where=f"parameter {name} ({kind})", mend=f"write {WORDS[kind]}")
