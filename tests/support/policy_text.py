"""Short forms of policies: conditions as one line of text, statements and documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rolecall_generator.iam import PolicyDocument

Body = dict[str, Any]
Conditions = str | Mapping[str, Mapping[str, Any]] | None


def when(conditions: Conditions) -> dict[str, dict[str, Any]]:
    """Conditions as in JSON, from `OPERATOR KEY VALUE, VALUE & OPERATOR KEY VALUE`; those in JSON stay as they are."""
    if not isinstance(conditions, str):
        return {operator: dict(keys) for operator, keys in (conditions or {}).items()}
    found: dict[str, dict[str, Any]] = {}
    for condition in conditions.split(" & "):
        operator, key, values = condition.split(" ", 2)
        found.setdefault(operator, {})[key] = values.split(", ") if ", " in values else values
    return found


def principal_element(principal: Any) -> Any:
    """A Principal element: a string other than `*` is an ARN or account of type AWS."""
    return {"AWS": principal} if isinstance(principal, str) and principal != "*" else principal


def statement(principal: Any, conditions: Conditions = None, effect: str = "Allow", **more: Any) -> Body:
    """A trust statement on sts:AssumeRole; `more` replaces elements."""
    body = {"Effect": effect, "Action": "sts:AssumeRole", "Principal": principal_element(principal), **more}
    return {**body, "Condition": when(conditions)} if conditions else body


def document(statements: Iterable[Mapping[str, Any]], version: str = PolicyDocument.VERSION) -> PolicyDocument:
    """A policy document with these statements in JSON."""
    return PolicyDocument.from_json({"Version": version, "Statement": list(statements)})
