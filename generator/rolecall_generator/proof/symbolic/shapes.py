"""Shapes of questions: roles whose policies differ only in names and external IDs are decided once.

A shape is a comparison with every external ID, and where possible every principal, replaced by the number of its first
occurrence. These are only compared for equality, so a one-to-one exchange of them turns requests into requests and keeps
every decision. Everything else is part of the shape as it is. So thousands of customers usually have one shape.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence

from rolecall_generator.iam import PolicyDocument, Principal, Role, Statement
from rolecall_generator.proof.symbolic.callers import is_certain_name
from rolecall_generator.proof.symbolic.keys import CALLER_KEYS, EXTERNAL_ID, is_role_key, key_facts
from rolecall_generator.proof.symbolic.language import fits

_PRINCIPAL = re.compile(r"arn:([^:]+):iam::([0-9]{12}):(role|user)/(?:[\w+=,.@/-]+/)?[\w+=,.@-]+", re.ASCII)
_ACCOUNT = re.compile(r"arn:([^:]+):iam::([0-9]{12}):root|([0-9]{12})")
_EXACT = frozenset({"StringEquals", "StringNotEquals", "StringEqualsIfExists", "StringNotEqualsIfExists"})


def shape_of(role: Role, documents: Sequence[PolicyDocument]) -> Hashable | None:
    """The shape of a comparison of documents on a role without a known world; None if it has none.

    Comparisons of equal shape have equal results, apart from the names in examples.
    """
    conditions = [c for document in documents for statement in document.statements for c in statement.conditions]
    keys = {condition.key.lower() for condition in conditions}
    if any(map(is_role_key, keys)) or any("${" in value for c in conditions for value in c.values):
        return None
    names = _Names(
        partition=role.arn.split(":", 2)[1],
        ids=all(c.operator in _EXACT for c in conditions if c.key.lower() == EXTERNAL_ID),
        principals=keys.isdisjoint(CALLER_KEYS)
        and all(names_one(p) for d in documents for s in d.statements for p in s.principals),
    )
    return (
        names.partition,
        *((document.version, *map(names.statement, document.statements)) for document in documents),
    )


def names_one(principal: Principal) -> bool:
    """Whether the principal is the ARN of a user or role, an account, a service, a provider or everyone."""
    text = principal.identifier
    if principal.type != "AWS" or text == "*":
        return True
    if _ACCOUNT.fullmatch(text):
        return True
    return _PRINCIPAL.fullmatch(text) is not None and is_certain_name(text)


class _Names:
    """The numbers of the names that occurred so far. `ids`, `principals`: whether these are replaced by numbers."""

    def __init__(self, *, partition: str, ids: bool, principals: bool) -> None:
        self.partition = partition
        self._ids = ids
        self._principals = principals
        self._numbers: dict[Hashable, int] = {}

    def _number(self, *name: Hashable) -> int:
        return self._numbers.setdefault(name, len(self._numbers))

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
        return tuple([self._number(EXTERNAL_ID, value) if fits(value, shape) else value for value in values])

    def _principal(self, principal: Principal) -> Hashable:
        text = principal.identifier
        if not self._principals or principal.type != "AWS" or text == "*":
            return principal
        if (account := _ACCOUNT.fullmatch(text)) is not None:
            return "account", self._partition(account[1]), self._number("account", account[2] or account[3])
        found = _PRINCIPAL.fullmatch(text)
        if found is None:
            return principal
        return found[3], self._partition(found[1]), self._number("account", found[2]), self._number("arn", text)

    def _partition(self, name: str | None) -> str | None:
        """A partition; the role's own is the same as that of an account ID without an ARN, which only differs in form."""
        return name
