"""Reads which outsiders can assume the roles of an account, and what their requests need.

A request may need an external ID, MFA, or a condition that the outsider cannot choose; it chooses all keys that AWS does not
set. `outsiders_of` is the only place that determines who can assume a role and under which request. `OutsiderReader` shares
its result between roles whose trust policies differ in names only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from rolecall_generator.audit.outsiders import (
    ANY,
    PRINCIPAL_KINDS,
    ExternalIdRequirement,
    Outsider,
    OutsiderKind,
    OwnAccounts,
    Requirement,
)
from rolecall_generator.audit.strangers import GUARD_KEYS, SOURCE_KEYS
from rolecall_generator.audit.tables import shared_issuers
from rolecall_generator.audit.trust_search import (
    DISTINGUISHING_KEYS,
    EXTERNAL_ID_KEY,
    TRUST,
    CallerGroup,
    TrustSearch,
    issuer_of,
    may_name_outsider,
    restore_organization,
)
from rolecall_generator.iam import Condition, PolicyDocument, Role, Statement, root_arn
from rolecall_generator.proof import condition_names


def outsiders_of(role: Role, own: OwnAccounts, *, problem: str = "") -> tuple[Outsider, ...]:
    """All outsiders that can assume the role, or for which this is not known. `problem`: why there is no trust policy."""
    if role.trust is None:
        reason = "the trust policy cannot be read" + (f": {problem}" if problem else "")
        return (Outsider(OutsiderKind.UNKNOWN, "?", reason=reason),)
    if not any(may_name_outsider(statement, own) for statement in role.trust.statements if statement.effect != "Deny"):
        return ()
    search = TrustSearch(role, role.trust, own)
    return tuple(sorted(_find(search), key=lambda each: (list(OutsiderKind).index(each.kind), each.name)))


def _find(search: TrustSearch) -> Iterator[Outsider]:
    """Yield the outsiders, each once."""
    yield from (Outsider(OutsiderKind.DELETED, name) for name in search.deleted)
    groups = tuple(search.groups())
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
    inverse = ({short: name for name, short in names.items()} for names in (ids, principals, accounts))
    return _Shape(replace(trust, statements=statements), *inverse)


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


_EXTERNAL_ID = "sts:ExternalId"
_MFA = "aws:MultiFactorAuthPresent"
_COMPANIONS = ("sts:TagSession", "sts:SetSourceIdentity")
_MOST_VALUES = 100
"""Maximum number of external IDs of a trust policy that are examined; the result for more of them is unknown."""
_NO_EXTERNAL_ID = (Condition("Null", _EXTERNAL_ID, ("true",)),)
_NO_MFA = ((Condition("Null", _MFA, ("true",)),), (Condition("Bool", _MFA, ("false",)),))


class GroupRequirements:
    """What a request of a group needs. The documents are collected on creation."""

    def __init__(self, search: TrustSearch, group: CallerGroup) -> None:
        self._search = search
        self._group = group
        self._within = (TRUST, *group.within)
        self._outside = group.outside
        self._organizations = search.organizations() if group.kind is OutsiderKind.ANYONE else {}
        self._of_account = group.kind in PRINCIPAL_KINDS
        self._stranger = self._stranger_requests()
        needs_mfa = self._of_account and search.mentions("aws:multifactorauth")
        self._without_mfa = search.requests(*_NO_MFA) if needs_mfa else None
        self._ids: _ExternalIdDocuments | None = None
        if self._of_account and search.mentions(EXTERNAL_ID_KEY):
            self._ids = _ExternalIdDocuments(search)

    def outsiders(self) -> list[Outsider]:
        """An outsider for each name of the group; none if no request of the group is allowed."""
        reached = self._exists()
        if reached is False:
            return []
        found = self._outsider(is_certain=reached is True)
        return [found] if len(self._group.names) == 1 else [replace(found, name=name) for name in self._group.names]

    def _outsider(self, *, is_certain: bool) -> Outsider:
        kind, name = self._group.kind, self._group.names[0]
        if self._organizations and self._exists(outside=self._organizations.values()) is False:
            accepted = [each for each, members in self._organizations.items() if self._exists((members,)) is not False]
            kind, name = OutsiderKind.ORGANIZATION, restore_organization(", ".join(accepted))
        elif self._group.whole is not None and self._exists((self._group.whole,)) is False:
            kind, name = OutsiderKind.PRINCIPALS, self._search.pattern_in(self._group.account_id)
        statements = self._search.statements_for(self._group)
        texts = (text for statement in statements for text in condition_names(_without_ids(statement)))
        conditions = tuple(dict.fromkeys(map(restore_organization, texts)))
        account = self._group.account_id
        if not is_certain:
            return Outsider(kind, name, account, conditions, guarded=Requirement.UNKNOWN, reason=self._search.reason)
        guarded = self._guard()
        return Outsider(
            kind,
            name,
            account,
            conditions,
            self._external_id() if self._of_account else None,
            self._without_mfa is not None and self._exists((self._without_mfa,)) is False,
            guarded,
            self._guards((*statements, *self._search.denying)) if guarded is Requirement.REQUIRED else (),
        )

    def _exists(self, within: Iterable[int] = (), outside: Iterable[int] = ()) -> bool | None:
        """Whether a request of the group is allowed by all documents of `within` and by none of `outside`."""
        return self._search.exists((*self._within, *within), (*self._outside, *outside))

    def _guard(self) -> Requirement:
        """Whether a condition must hold that the outsider cannot choose."""
        return Requirement.MISSING if self._stranger is None else _requirement(self._exists((self._stranger,)))

    def _stranger_requests(self) -> int | None:
        """The document that allows a stranger's requests; None if no condition restricts them."""
        search, patterns = self._search, self._search.patterns()
        if self._of_account:
            alternatives = list(search.stranger.requests(patterns))
        elif self._group.kind is OutsiderKind.SERVICE:
            alternatives = list(search.stranger.sources(self._group.names[0].split(".")[0].split()[-1], patterns))
        elif self._group.kind is OutsiderKind.OIDC:
            alternatives = list(search.stranger.tokens(issuer_of(self._group.names[0]), patterns))
        else:
            return None
        return search.requests(*alternatives) if any(alternatives) else None

    def _guards(self, statements: Iterable[Statement]) -> tuple[str, ...]:
        """Keys of conditions that the outsider cannot choose, as in the trust policy."""
        keys = dict.fromkeys(condition.key for statement in statements for condition in statement.conditions)
        if self._group.kind is OutsiderKind.OIDC:
            claims = tuple(key for key in keys if not key.lower().startswith("aws:"))
            issuer = shared_issuers().get(issuer_of(self._group.names[0]))
            if issuer is not None and issuer.claim == "aud":
                return claims
            return tuple(key for key in claims if not key.lower().endswith(":aud")) or claims
        relevant = SOURCE_KEYS if self._group.kind is OutsiderKind.SERVICE else GUARD_KEYS
        return tuple(key for key in keys if key.lower() in relevant)

    def _external_id(self) -> ExternalIdRequirement:
        """The external IDs with which the group can assume the role."""
        ids = self._ids
        if ids is None:
            return ExternalIdRequirement(Requirement.MISSING)
        absent = self._exists((ids.absent,))
        if absent:
            return ExternalIdRequirement(Requirement.IGNORED)
        values = tuple(value for value, position in ids.listed.items() if self._exists((position,)))
        others = self._exists((ids.present,), ids.any_listed)
        if absent is None or others is None or ids.is_incomplete:
            reason = "there are too many external IDs" if ids.is_incomplete else self._search.reason
            return ExternalIdRequirement(Requirement.UNKNOWN, values, bool(others), reason=reason)
        companions = tuple(
            action for action, policy in ids.companions.items() if self._search.exists(
                (policy, *self._group.within, ids.absent), self._outside
            )
        )  # fmt: skip
        return ExternalIdRequirement(Requirement.REQUIRED, values, others, companions)


class _ExternalIdDocuments:
    """Positions of the documents about external IDs. `is_incomplete`: there are more listed IDs than are examined."""

    def __init__(self, search: TrustSearch) -> None:
        values = [value for value in search.listed_ids() if not re.search(r"[*?$]", value)]
        listed = list(dict.fromkeys(values))
        self.is_incomplete = len(listed) > _MOST_VALUES
        self.absent = search.requests(_NO_EXTERNAL_ID)
        self.present = search.requests((Condition("Null", _EXTERNAL_ID, ("false",)),))
        self.listed = {
            value: search.requests((Condition("StringEquals", _EXTERNAL_ID, (value,)),)) for value in listed[:_MOST_VALUES]
        }
        # Another case of a listed ID is accepted by StringEqualsIgnoreCase, which lists it.
        any_listed = (Condition("StringEqualsIgnoreCase", _EXTERNAL_ID, tuple(listed)),)
        self.any_listed = (search.requests(any_listed),) if listed else ()
        policies = {action: search.companion_policy(action) for action in _COMPANIONS}
        self.companions = {action: policy for action, policy in policies.items() if policy is not None}


def _requirement(is_possible_without: bool | None) -> Requirement:
    if is_possible_without is None:
        return Requirement.UNKNOWN
    return Requirement.MISSING if is_possible_without else Requirement.REQUIRED


def _without_ids(statement: Statement) -> Statement:
    """The statement without the values of conditions on external IDs, which no report contains."""
    conditions = (replace(c, values=("...",)) if c.key.lower() == EXTERNAL_ID_KEY else c for c in statement.conditions)
    return replace(statement, conditions=tuple(conditions))
