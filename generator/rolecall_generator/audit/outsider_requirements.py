"""What a request of an outsider needs: an external ID, MFA, or a condition that the outsider cannot choose.

The outsider chooses all keys that AWS does not set.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from rolecall_generator.audit.outsiders import (
    PRINCIPAL_KINDS,
    ExternalIdRequirement,
    Outsider,
    OutsiderKind,
    Requirement,
)
from rolecall_generator.audit.strangers import GUARD_KEYS, SOURCE_KEYS
from rolecall_generator.audit.tables import shared_issuers
from rolecall_generator.audit.trust_search import (
    EXTERNAL_ID_KEY,
    TRUST,
    CallerGroup,
    TrustSearch,
    issuer_of,
    restore_organization,
)
from rolecall_generator.iam import Condition, Statement
from rolecall_generator.proof import condition_names

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
