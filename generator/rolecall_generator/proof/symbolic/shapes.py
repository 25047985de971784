"""Shapes of questions: roles whose policies differ only in names and external IDs are decided once.

A shape is a comparison with every external ID, and where possible every principal, replaced by the number of its first
occurrence. These are only compared for equality, so a one-to-one exchange of them turns requests into requests and keeps
every decision. Everything else is part of the shape as it is. So thousands of customers usually have one shape.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from rolecall_generator.iam import PolicyDocument, Principal, Role, Statement
from rolecall_generator.iam.evaluation import Identity, PrincipalKind, identity_of
from rolecall_generator.proof.symbolic.callers import is_certain_name
from rolecall_generator.proof.symbolic.keys import CALLER_KEYS, EXTERNAL_ID, is_role_key, key_facts
from rolecall_generator.proof.symbolic.language import fits
from rolecall_generator.proof.symbolic.requests import RequestPoint

_PRINCIPAL = re.compile(r"arn:([^:]+):iam::([0-9]{12}):(role|user)/(?:[\w+=,.@/-]+/)?[\w+=,.@-]+", re.ASCII)
_ACCOUNT = re.compile(r"arn:([^:]+):iam::([0-9]{12}):root|([0-9]{12})")
_EXACT = frozenset({"StringEquals", "StringNotEquals", "StringEqualsIfExists", "StringNotEqualsIfExists"})


Name = tuple[str, str]
"""What a name is (an external ID, an account, the ARN of a principal, the role's account), and the name."""


@dataclass(frozen=True, slots=True)
class RoleShape:
    """The shape of a comparison. Comparisons with equal `key` have equal results, apart from the names in examples.

    `names` are those that the key has as numbers, in the order of the numbers.
    """

    key: Hashable
    names: tuple[Name, ...]

    def exchange(self, other: RoleShape) -> NameExchange:
        """The exchange of this comparison's names for those of another one of equal shape."""
        return NameExchange(dict(zip(self.names, other.names, strict=True)))


@dataclass(frozen=True, slots=True)
class NameExchange:
    """A one-to-one exchange of names."""

    names: Mapping[Name, Name]

    def rename(self, point: RequestPoint) -> RequestPoint | None:
        """The same request with other names; None if an invented name is one of the others."""
        arn = self._caller(point.caller)
        ids = tuple(self._value(EXTERNAL_ID, value) for value in point.context.get(EXTERNAL_ID, ()))
        if arn is None or None in ids:
            return None
        context = {**point.context, EXTERNAL_ID: ids} if ids else point.context
        return replace(point, caller=identity_of(arn), context=context)  # type: ignore[arg-type]

    def _value(self, kind: str, value: str) -> str | None:
        if (kind, value) in self.names:
            return self.names[kind, value][1]
        return None if (kind, value) in self.names.values() else value

    def _caller(self, who: Identity) -> str | None:
        if who.kind is PrincipalKind.SESSION:
            return who.arn
        arn = self._value(_ARN, who.arn)
        if arn is None or arn != who.arn or not who.account_id:
            return arn
        kind = _OWN_ACCOUNT if who.kind is PrincipalKind.EXTERNAL else _ACCOUNT_ID
        account = self._value(kind, who.account_id)
        return None if account is None else who.arn.replace(f":{who.account_id}:", f":{account}:", 1)


_ARN, _ACCOUNT_ID, _OWN_ACCOUNT = "arn", "account", "role's account"


def shape_of(role: Role, documents: Sequence[PolicyDocument]) -> RoleShape | None:
    """The shape of a comparison of documents on a role without a known world; None if it has none."""
    conditions = [c for document in documents for statement in document.statements for c in statement.conditions]
    keys = {condition.key.lower() for condition in conditions}
    if any(map(is_role_key, keys)) or any("${" in value for c in conditions for value in c.values):
        return None
    _, partition, _, _, account, _ = role.arn.split(":", 5)
    numbers = _Numbers(
        ids=all(c.operator in _EXACT for c in conditions if c.key.lower() == EXTERNAL_ID),
        principals=keys.isdisjoint(CALLER_KEYS)
        and all(_names_one(p) for d in documents for s in d.statements for p in s.principals),
    )
    numbers.number(_OWN_ACCOUNT, account)
    key = (partition, *((document.version, *map(numbers.statement, document.statements)) for document in documents))
    return RoleShape(key, tuple(numbers.known))


@dataclass(frozen=True, slots=True)
class _PrincipalParts:
    """An account, or the user or role with that ARN in the account. `partition`: None for a bare account ID."""

    kind: str
    partition: str | None
    account: str


# Measured on 10,000 customers of one backend role: a third of the time of all shapes.
@lru_cache(maxsize=4_096)
def _parts_of(text: str) -> _PrincipalParts | None:
    """The parts of a principal of type AWS; None if it is not certain what it names."""
    if (account := _ACCOUNT.fullmatch(text)) is not None:
        return _PrincipalParts(_ACCOUNT_ID, account[1], account[2] or account[3])
    found = _PRINCIPAL.fullmatch(text)
    return None if found is None or not is_certain_name(text) else _PrincipalParts(found[3], found[1], found[2])


def _names_one(principal: Principal) -> bool:
    text = principal.identifier
    return principal.type != "AWS" or text == "*" or _parts_of(text) is not None


class _Numbers:
    """The numbers of the names that occurred so far. `ids`, `principals`: whether these are replaced by numbers."""

    def __init__(self, *, ids: bool, principals: bool) -> None:
        self._ids = ids
        self._principals = principals
        self.known: dict[Name, int] = {}

    def number(self, kind: str, name: str) -> int:
        """The number of a name."""
        return self.known.setdefault((kind, name), len(self.known))

    def statement(self, statement: Statement) -> Hashable:
        """The statement with numbers in place of names."""
        return (
            statement.effect,
            statement.actions,
            statement.not_actions,
            statement.resources,
            statement.not_resources,
            statement.not_principals,
            tuple([self._principal(principal) for principal in statement.principals]),
            tuple([(c.operator, c.key, self._values(c.key.lower(), c.values)) for c in statement.conditions]),
        )

    def _values(self, key: str, values: tuple[str, ...]) -> Hashable:
        if key != EXTERNAL_ID or not self._ids:
            return values
        shape = key_facts(EXTERNAL_ID).shape
        return tuple([self.number(EXTERNAL_ID, value) if fits(value, shape) else value for value in values])

    def _principal(self, principal: Principal) -> Hashable:
        text = principal.identifier
        if not self._principals or principal.type != "AWS" or text == "*":
            return principal
        if (parts := _parts_of(text)) is None:
            return principal
        account = self.number(_ACCOUNT_ID, parts.account)
        return parts.kind, parts.partition, account, -1 if parts.kind == _ACCOUNT_ID else self.number(_ARN, text)
