"""Policy documents: statements, principals, conditions, their JSON form and their size as AWS counts it.

Grammar: AWS documentation "Grammar of the IAM JSON policy language", November 2026.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, order=True)
class Principal:
    """A principal of a statement. `type` is AWS, Service, Federated, CanonicalUser, or `*` for the bare wildcard."""

    type: str
    identifier: str


@dataclass(frozen=True, slots=True, order=True)
class Condition:
    """One operator on one context key. One matching value is enough; for negated operators none may match."""

    operator: str
    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `resources` is empty in a trust policy, `principals` in an identity policy."""

    effect: str
    actions: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    principals: tuple[Principal, ...] = ()
    conditions: tuple[Condition, ...] = ()
    sid: str = ""
    not_actions: tuple[str, ...] = ()
    not_resources: tuple[str, ...] = ()
    not_principals: tuple[Principal, ...] = ()

    def canonical(self) -> Statement:
        """The same statement with its lists sorted and without duplicates."""
        return replace(
            self,
            actions=_sorted(self.actions),
            resources=_sorted(self.resources),
            principals=_sorted(self.principals),
            conditions=merge_conditions(self.conditions),
            not_actions=_sorted(self.not_actions),
            not_resources=_sorted(self.not_resources),
            not_principals=_sorted(self.not_principals),
        )

    def to_json(self) -> dict[str, Any]:
        """The JSON form, as Terraform's AWS provider 3.39 writes it: a single value is not wrapped in a list except in a
        condition, and the values of conditions with the same operator and key are joined.
        """
        body: dict[str, Any] = {"Sid": self.sid, "Effect": self.effect}
        lists = (
            ("Action", self.actions),
            ("NotAction", self.not_actions),
            ("Resource", self.resources),
            ("NotResource", self.not_resources),
        )
        body.update({name: _one_or_list(values) for name, values in lists if values})
        for name, principals in (("Principal", self.principals), ("NotPrincipal", self.not_principals)):
            if principals:
                body[name] = _principals_to_json(principals)
        if self.conditions:
            conditions: dict[str, dict[str, list[str]]] = {}
            for condition in self.conditions:
                conditions.setdefault(condition.operator, {}).setdefault(condition.key, []).extend(condition.values)
            body["Condition"] = conditions
        return body


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """A policy document. The order of its statements has no meaning; `canonical` sorts them."""

    VERSION: ClassVar[str] = "2012-10-17"

    statements: tuple[Statement, ...]
    version: str = VERSION

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> PolicyDocument:
        """Read the JSON form. Raises ValueError with the reason if it is not a policy document."""
        if unknown := set(body) - _DOCUMENT_ELEMENTS:
            raise ValueError(f"unknown policy element {min(unknown, key=str)}")
        statements = body.get("Statement", [])
        if isinstance(statements, Mapping):
            statements = [statements]
        if not isinstance(statements, list):
            raise ValueError("Statement is neither an object nor a list")
        return cls(tuple(_statement_from_json(item) for item in statements), str(body.get("Version", "2008-10-17")))

    def canonical(self) -> PolicyDocument:
        """The same document with canonical statements, sorted."""
        statements = sorted({statement.canonical() for statement in self.statements}, key=_statement_key)
        return PolicyDocument(tuple(statements), self.version)

    def to_json(self) -> dict[str, Any]:
        """The JSON form."""
        return {"Version": self.version, "Statement": [statement.to_json() for statement in self.statements]}

    @property
    def size(self) -> int:
        """Characters as AWS counts them, without white space between tokens; an upper bound.

        A missing Sid counts as the empty Sid that provider 3.39 writes; `<`, `>` and `&` count as its six-character escapes.
        """
        text = json.dumps(self.to_json(), separators=(",", ":"), ensure_ascii=False)
        return len(text) + 5 * sum(map(text.count, "<>&"))


def merge_conditions(conditions: Iterable[Condition]) -> tuple[Condition, ...]:
    """The conditions sorted and without duplicates, each with sorted values."""
    return tuple(sorted({replace(condition, values=_sorted(condition.values)) for condition in conditions}))


_DOCUMENT_ELEMENTS = {"Version", "Id", "Statement"}
_KNOWN_ELEMENTS = {
    "Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal", "Condition",
}  # fmt: skip


def _statement_from_json(item: Any) -> Statement:
    if not isinstance(item, Mapping):
        raise ValueError("a statement is not an object")
    if unknown := set(item) - _KNOWN_ELEMENTS:
        raise ValueError(f"unknown policy element {sorted(unknown)[0]}")
    conditions = item.get("Condition") or {}
    if not isinstance(conditions, Mapping) or not all(isinstance(keys, Mapping) for keys in conditions.values()):
        raise ValueError("Condition is not an object of objects")
    return Statement(
        effect=str(item.get("Effect", "")),
        sid=str(item.get("Sid", "")),
        actions=_strings(item.get("Action")),
        not_actions=_strings(item.get("NotAction")),
        resources=_strings(item.get("Resource")),
        not_resources=_strings(item.get("NotResource")),
        principals=_principals_from_json(item.get("Principal")),
        not_principals=_principals_from_json(item.get("NotPrincipal")),
        conditions=tuple(
            Condition(operator, key, _strings(values))
            for operator, keys in conditions.items()
            for key, values in keys.items()
        ),
    )


def _principals_from_json(value: Any) -> tuple[Principal, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return (Principal(value, value),)
    if not isinstance(value, Mapping):
        raise ValueError("Principal is neither a string nor an object")
    return tuple(Principal(kind, identifier) for kind, values in value.items() for identifier in _strings(values))


def _principals_to_json(principals: tuple[Principal, ...]) -> Any:
    by_type: dict[str, list[str]] = {}
    for principal in principals:
        by_type.setdefault(principal.type, []).append(principal.identifier)
    if set(by_type) == {"*"}:
        return "*"
    return {kind: _one_or_list(tuple(values)) for kind, values in by_type.items()}


_SCALARS = (str, bool, int, float)


def _strings(value: Any) -> tuple[str, ...]:
    """A JSON string, bool or number, or a list of them, as the strings that IAM compares."""
    if value is None:
        return ()
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, _SCALARS) for item in items):
        raise ValueError("a value is neither a string nor a bool nor a number")
    return tuple(("true" if item else "false") if isinstance(item, bool) else str(item) for item in items)


def _one_or_list(values: tuple[str, ...]) -> str | list[str]:
    return values[0] if len(values) == 1 else list(values)


def _sorted(values: Iterable[T]) -> tuple[T, ...]:
    return tuple(sorted(set(values)))  # type: ignore[type-var]


def _statement_key(statement: Statement) -> tuple[Any, ...]:
    return (
        statement.effect,
        statement.sid,
        statement.actions,
        statement.resources,
        statement.principals,
        statement.conditions,
        statement.not_actions,
        statement.not_resources,
        statement.not_principals,
    )
