"""The requests for a role that one trust policy allows and another does not: as sets, each with an example.

`trust_changes` compares the roles of two states of the access, `trust_deviations` the roles of a proof with their intent,
and `access_changes` adds the changes as sentences, whose direction is that of the sets: also for permissions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from itertools import islice

from rolecall_generator.iam import Access, PolicyDocument, Role
from rolecall_generator.iam.difference import (
    INLINE_DOCUMENT,
    MANAGED_DOCUMENT,
    Change,
    Label,
    differences,
    plain_label,
)
from rolecall_generator.proof.matrix import witness_json
from rolecall_generator.proof.prove import Proof
from rolecall_generator.proof.symbolic import (
    ActionScope,
    OutOfBudgetError,
    RequestDifference,
    SearchBudget,
    compare_limits,
    difference,
)

_SETS = 20
"""Maximum number of sets in each direction of a change."""
_NO_ONE = PolicyDocument(())
_NOT_KNOWN = "the trust policy is not known"
_TAGS_CHANGE = "tags of the role change, and its trust policy depends on them"
_RESOURCE_TAG = "resourcetag/"


class PolicyVerdict(StrEnum):
    """How the requests that a policy allows compare with those before."""

    EQUIVALENT = "equivalent"
    WIDER = "wider"
    NARROWER = "narrower"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class TrustChange:
    """The requests for a role that a change allows (`widens`) and no longer allows (`narrows`), as disjoint sets.

    Both are empty if the policy is written differently but allows the same requests. `reasons`: why there may be requests
    outside these sets. They are empty if the sets are complete. `name` is the display name of the role.
    """

    role_arn: str
    name: str
    widens: tuple[RequestDifference, ...] = ()
    narrows: tuple[RequestDifference, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def is_equivalent(self) -> bool:
        """Whether both policies are known to allow the same requests."""
        return self.verdict is PolicyVerdict.EQUIVALENT

    @property
    def verdict(self) -> PolicyVerdict:
        """The direction of the change; UNKNOWN if the sets leave open whether there is a change in some direction."""
        wider, narrower = (any(each.is_certain for each in sets) for sets in (self.widens, self.narrows))
        if wider and narrower:
            return PolicyVerdict.DIFFERENT
        if self.reasons or (self.widens and not wider) or (self.narrows and not narrower):
            return PolicyVerdict.UNKNOWN
        return PolicyVerdict.WIDER if wider else PolicyVerdict.NARROWER if narrower else PolicyVerdict.EQUIVALENT

    def to_json(self) -> dict[str, object]:
        """`role`, `verdict`, `complete`, `reasons`, and `widens` and `narrows`: sets with `constraints` (descriptions by
        caller, operation or condition key), `certain`, `reasons` (why it is not certain) and `witness`, an example or null.
        """
        directions = {"widens": self.widens, "narrows": self.narrows}
        sets = {name: [_set_json(each) for each in found] for name, found in directions.items()}
        return {
            "role": self.role_arn,
            "verdict": self.verdict.value,
            "complete": not self.reasons,
            "reasons": list(self.reasons),
            **sets,
        }


def _set_json(found: RequestDifference) -> dict[str, object]:
    return {
        "constraints": {constraint.name: constraint.description for constraint in found.constraints},
        "certain": found.is_certain,
        "reasons": list(found.reasons),
        "witness": None if found.witness is None else witness_json(found.witness),
    }


@dataclass(frozen=True, slots=True)
class AccessChanges:
    """Everything that changes between two states of the access: as sentences, and for each trust policy as sets.

    `equivalent`: subjects and documents (see `Change`) of permissions that allow and deny the same requests as before.
    """

    changes: tuple[Change, ...]
    trusts: tuple[TrustChange, ...]
    equivalent: frozenset[tuple[str, str]] = frozenset()

    def is_equivalent(self, change: Change) -> bool:
        """Whether the change is one of a policy that allows and denies the same requests as before."""
        if (change.subject, change.document) in self.equivalent:
            return True
        return change.in_trust and any(trust.is_equivalent for trust in self.trusts if trust.role_arn == change.subject)


def access_changes(before: Access, after: Access, label: Label = plain_label) -> AccessChanges:
    """All changes from `before` to `after`. `label` returns the display name of a principal or policy.

    A sentence about one element of a policy widens or narrows only if the policy as a whole does, over all requests.
    """
    trusts = tuple(trust_changes(before, after, label))
    changes = tuple(_directed(differences(before, after, label=label), trusts))
    verdicts = _permission_verdicts(changes, before, after)

    def direction(change: Change) -> bool | None:
        verdict = verdicts.get((change.subject, change.document))
        is_contrary = verdict is PolicyVerdict.NARROWER and change.widens
        return None if verdict is PolicyVerdict.EQUIVALENT or is_contrary else change.widens

    equivalent = frozenset(place for place, verdict in verdicts.items() if verdict is PolicyVerdict.EQUIVALENT)
    return AccessChanges(tuple(replace(each, widens=direction(each)) for each in changes), trusts, equivalent)


_Place = tuple[str, str]
"""Subject and document of a change."""


def _permission_verdicts(changes: Sequence[Change], before: Access, after: Access) -> Mapping[_Place, PolicyVerdict]:
    """Verdicts of the permissions that sentences are about: of a managed policy, or of the changed inline policies of a
    principal together.
    """
    groups: dict[_Place, dict[_Place, None]] = {}
    for each in changes:
        if each.document and not each.in_trust:
            group = each.document if each.document == MANAGED_DOCUMENT else INLINE_DOCUMENT
            groups.setdefault((each.subject, group), {})[each.subject, each.document] = None
    found: dict[_Place, PolicyVerdict] = {}
    for (subject, _), places in groups.items():
        old, new = (tuple([_document(access, *place) for place in places]) for access in (before, after))
        found.update(dict.fromkeys(places, _permission_verdict(old, new, subject.split(":")[1])))
    return found


def _document(access: Access, subject: str, document: str) -> PolicyDocument:
    """The permissions of a change (see `Change`), without statements if there is no such policy."""
    if document == MANAGED_DOCUMENT:
        policy = access.policies.get(subject)
        return _NO_ONE if policy is None else policy.document
    holder = access.roles.get(subject) or access.groups.get(subject) or access.users.get(subject)
    return _NO_ONE if holder is None else holder.inline.get(document.removeprefix(INLINE_DOCUMENT), _NO_ONE)


# A change of a permission set is the same in all modules: 2.5 ms once instead of in each of 10,000.
@lru_cache(maxsize=64)
def _permission_verdict(old: tuple[PolicyDocument, ...], new: tuple[PolicyDocument, ...], partition: str) -> PolicyVerdict:
    """Whether policies allow and deny the same requests as before, or fewer; UNKNOWN for any other change.

    Both effects are compared by themselves, since a denial also applies to what other policies allow.
    """
    if {statement.effect for document in (*old, *new) for statement in document.statements} - {"Allow", "Deny"}:
        return PolicyVerdict.UNKNOWN
    narrower = False
    for effect in ("Allow", "Deny"):
        sides = (old, new) if effect == "Allow" else (new, old)
        before, after = (tuple(_only(document, effect) for document in side) for side in sides)
        change = compare_limits(ActionScope(partition), [before], [after], (), budget=SearchBudget())
        if change.is_exact is True:
            continue
        if change.surplus or not change.lost:
            return PolicyVerdict.UNKNOWN
        narrower = True
    return PolicyVerdict.NARROWER if narrower else PolicyVerdict.EQUIVALENT


def _only(document: PolicyDocument, effect: str) -> PolicyDocument:
    """The statements with an effect, as Allow statements."""
    statements = (replace(each, effect="Allow") for each in document.statements if each.effect == effect)
    return replace(document, statements=tuple(statements))


_DIRECTIONS: Mapping[PolicyVerdict, bool | None] = {
    PolicyVerdict.EQUIVALENT: None,
    PolicyVerdict.WIDER: True,
    PolicyVerdict.NARROWER: False,
}


def _directed(changes: Iterable[Change], trusts: Iterable[TrustChange]) -> Iterator[Change]:
    """The changes, those of a trust policy with the direction of its verdict, if it has one."""
    verdicts = {trust.role_arn: trust.verdict for trust in trusts}
    listed = list(changes)
    stated = {(change.subject, change.widens) for change in listed if change.in_trust}
    for change in listed:
        verdict = verdicts.get(change.subject)
        if not change.in_trust or verdict is None or verdict not in _DIRECTIONS:
            yield change
            continue
        direction = _DIRECTIONS[verdict]
        # Where one sentence has the direction of the policy, those without a direction of their own need none.
        if change.widens is direction or (change.widens is None and (change.subject, direction) in stated):
            yield change
        elif change.widens is None or direction is None:
            yield replace(change, widens=direction)
        else:
            yield replace(change, widens=None)


def trust_changes(before: Access, after: Access, label: Label = plain_label) -> Iterator[TrustChange]:
    """The changes of trust policies, in the order of the roles' ARNs. A role that is added or removed is one for no one on
    the other side. Equal policies are left out. `label` returns the display name of a role.
    """
    for arn in sorted(before.roles.keys() | after.roles.keys()):
        old, new = before.roles.get(arn), after.roles.get(arn)
        old_trust = _NO_ONE if old is None else old.trust
        new_trust = _NO_ONE if new is None else new.trust
        if old is not None and new is not None and old.tags != new.tags and (_uses_tags(old) or _uses_tags(new)):
            yield TrustChange(arn, label(arn), reasons=(_TAGS_CHANGE,))
        elif old_trust == new_trust or (role := new or old) is None:
            continue
        elif old_trust is None or new_trust is None:
            if old is not None and new is not None:
                yield TrustChange(arn, label(arn), reasons=(_NOT_KNOWN,))
        else:
            yield _change(role, old_trust, new_trust, label(arn))


def trust_deviations(proof: Proof, label: Label = plain_label) -> Iterator[TrustChange]:
    """The roles of a proof that are not proven to be as intended: `widens` are the requests that are allowed and not
    intended, `narrows` those that are intended and not allowed.
    """
    for role, intended in proof.deviating:
        if role.trust is None:
            yield TrustChange(role.arn, label(role.arn), reasons=(_NOT_KNOWN,))
        else:
            yield _change(role, intended, role.trust, label(role.arn))


def _uses_tags(role: Role) -> bool:
    return role.trust is not None and _RESOURCE_TAG in str(role.trust.to_json()).lower()


def _change(role: Role, old: PolicyDocument, new: PolicyDocument, name: str) -> TrustChange:
    widens, narrows = _SetList(role, new, old), _SetList(role, old, new)
    reasons = dict.fromkeys((*widens.reasons, *narrows.reasons))
    return TrustChange(role.arn, name, widens.sets, narrows.sets, tuple(reasons))


class _SetList:
    """The sets of requests that only `one` allows, certain ones first, and reasons why there may be more."""

    def __init__(self, role: Role, one: PolicyDocument, other: PolicyDocument) -> None:
        found: list[RequestDifference] = []
        self.reasons: list[str] = []
        try:
            for each in islice(difference(role, one, other), _SETS + 1):
                found.append(each)  # noqa: PERF402 - keeps the sets before an error
        except OutOfBudgetError as error:
            self.reasons.append(str(error))
        if len(found) > _SETS:
            self.reasons.append(f"only the first {_SETS} sets are listed")
        self.sets = tuple(sorted(found[:_SETS], key=lambda each: not each.is_certain))
