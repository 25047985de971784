"""Reads which outsiders can assume the roles of an account.

`outsiders_of` is the only place that determines who can assume a role and under which request. `OutsiderReader` shares its
result between roles whose trust policies differ in names only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from rolecall_generator.audit.outsider_requirements import GroupRequirements
from rolecall_generator.audit.outsiders import ANY, PRINCIPAL_KINDS, Outsider, OutsiderKind, OwnAccounts, Requirement
from rolecall_generator.audit.trust_search import DISTINGUISHING_KEYS, EXTERNAL_ID_KEY, TrustSearch, may_name_outsider
from rolecall_generator.iam import Condition, PolicyDocument, Role, root_arn


def outsiders_of(role: Role, own: OwnAccounts, *, problem: str = "") -> tuple[Outsider, ...]:
    """All outsiders that can assume the role, or for which this is not known. `problem`: why there is no trust policy."""
    if role.trust is None:
        reason = "the trust policy cannot be read" + (f": {problem}" if problem else "")
        return (Outsider(OutsiderKind.UNKNOWN, "?", reason=reason),)
    if not _names_outsider(role.trust, own):
        return ()
    search = TrustSearch(role, role.trust, own)
    return tuple(sorted(_find(search), key=lambda each: (list(OutsiderKind).index(each.kind), each.name)))


def _find(search: TrustSearch) -> Iterator[Outsider]:
    """Yield the outsiders, each once."""
    yield from (Outsider(OutsiderKind.DELETED, name) for name in search.deleted)
    groups = search.groups()
    required = [GroupRequirements(search, group) for group in groups]
    search.start()
    found = [outsider for each in required for outsider in each.outsiders()]
    anyone = any(outsider.kind is OutsiderKind.ANYONE for outsider in found)
    for outsider in found:
        # A statement for everyone also allows services and providers, which it does not name.
        if not (anyone and outsider.name.startswith(ANY)):
            yield outsider
    # A statement that cannot be evaluated is undecided for all callers; its principals are reported already.
    if all(outsider.decided for outsider in found) and search.has_remainder(groups) is not False:
        yield Outsider(OutsiderKind.UNKNOWN, "?", guarded=Requirement.UNKNOWN, reason=search.reason)


@dataclass(slots=True)
class OutsiderReader:
    """Finds the outsiders of the roles of one account. Roles whose trust policies have equal shapes share the search.

    A shape has short names in place of external IDs, and of users, roles and accounts, where these are compared only as a
    whole. Measured on a generated account of 1,000 roles: a third of the time of all searches.
    """

    own: OwnAccounts
    _known: dict[tuple[object, ...], tuple[Outsider, ...]] = field(init=False, default_factory=dict)

    def read(self, role: Role, *, problem: str = "") -> tuple[Outsider, ...]:
        """As `outsiders_of`."""
        if role.trust is None:
            return outsiders_of(role, self.own, problem=problem)
        shape = _shape_of(role, role.trust, self.own)
        key = (shape.trust, tuple(sorted(role.tags.items())) if _depends_on_tags(shape.trust) else ())
        if key not in self._known:
            self._known[key] = outsiders_of(replace(role, trust=shape.trust), self.own)
        found = self._known[key]
        return tuple(map(shape.with_names, found)) if shape.ids or shape.principals else found


_EXTERNAL_ID_FORM = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)
_PRINCIPAL_FORM = re.compile(r"arn:([a-z-]+):iam::([0-9]{12}):(?:root|(role|user)/[\w+=,.@-]{1,64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Shape:
    """A trust policy with short names. `ids`, `principals`, `accounts`: the names that these stand for."""

    trust: PolicyDocument
    ids: Mapping[str, str]
    principals: Mapping[str, str]
    accounts: Mapping[str, str]

    def with_names(self, outsider: Outsider) -> Outsider:
        """An outsider of the shape as an outsider of the trust policy."""
        name = outsider.name
        if outsider.kind in PRINCIPAL_KINDS:
            name = self.principals.get(name) or self.accounts.get(name) or name
        account = self.accounts.get(outsider.account_id, outsider.account_id)
        required = outsider.external_id
        if required is not None and self.ids:
            required = replace(required, values=tuple(self.ids[value] for value in required.values))
        return replace(outsider, name=name, account_id=account, external_id=required)


def _shape_of(role: Role, trust: PolicyDocument, own: OwnAccounts) -> _Shape:
    conditions = [condition for statement in trust.statements for condition in statement.conditions]
    ids = _short_ids(conditions)
    principals: dict[str, str] = {}
    accounts: dict[str, str] = {}
    distinguishes = any(c.key.lower() in DISTINGUISHING_KEYS or any("${" in value for value in c.values) for c in conditions)
    if not distinguishes and not any(statement.not_principals for statement in trust.statements):
        used = "\n".join((*own.accounts, role.arn, *(value for c in conditions for value in c.values)))
        names = dict.fromkeys(p.identifier for s in trust.statements for p in s.principals if p.type == "AWS")
        principals, accounts = _short_principals(names, role, own, used)
    statements = tuple(
        replace(
            statement,
            principals=tuple(
                replace(p, identifier=principals.get(p.identifier, p.identifier)) if p.type == "AWS" else p
                for p in statement.principals
            ),
            conditions=tuple(
                replace(c, values=tuple(ids[value] for value in c.values)) if ids and c.key.lower() == EXTERNAL_ID_KEY else c
                for c in statement.conditions
            ),
        )
        for statement in trust.statements
    )
    return _Shape(replace(trust, statements=statements), *(_inverse(names) for names in (ids, principals, accounts)))


def _inverse(names: Mapping[str, str]) -> dict[str, str]:
    return {short: name for name, short in names.items()}


def _short_ids(conditions: Iterable[Condition]) -> dict[str, str]:
    """Short external IDs; none if anything but an exact comparison depends on the IDs."""
    conditions = list(conditions)
    values = list(dict.fromkeys(v for c in conditions if c.key.lower() == EXTERNAL_ID_KEY for v in c.values))
    exact = all(
        c.operator == "StringEquals"
        if c.key.lower() == EXTERNAL_ID_KEY
        else not any(EXTERNAL_ID_KEY in v.lower() for v in c.values)
        for c in conditions
    )
    if not values or not exact or not all(map(_EXTERNAL_ID_FORM.fullmatch, values)):
        return {}
    return {value: f"{number:02}" for number, value in enumerate(values)}


def _short_principals(
    names: Iterable[str], role: Role, own: OwnAccounts, used: str
) -> tuple[dict[str, str], dict[str, str]]:
    """Short users, roles and accounts; none if a principal is another one, or in an own account."""
    partition = role.arn.split(":")[1]
    principals: dict[str, str] = {}
    accounts: dict[str, str] = {}
    for name in names:
        found = _PRINCIPAL_FORM.fullmatch(name)
        if found is None or found[1] != partition or found[2] in own.accounts or found[2] in used:
            return {}, {}
        short = accounts.setdefault(found[2], f"{len(accounts) + 1:012}")
        if short in used:
            return {}, {}
        principals[name] = root_arn(partition, short) if found[3] is None else (
            f"arn:{partition}:iam::{short}:{found[3]}/x{len(principals)}"
        )  # fmt: skip
    return principals, accounts


def _depends_on_tags(trust: PolicyDocument) -> bool:
    return any(
        "resourcetag/" in text.lower()
        for statement in trust.statements
        for condition in statement.conditions
        for text in (condition.key, *condition.values)
    )


def _names_outsider(trust: PolicyDocument, own: OwnAccounts) -> bool:
    """Whether any statement may allow an outsider; False is certain."""
    return any(may_name_outsider(statement, own) for statement in trust.statements if statement.effect != "Deny")
