"""What a changed trust policy allows more and less than before, as sets of requests with an example of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from rolecall_generator.iam import Access, PolicyDocument, Role
from rolecall_generator.proof.matrix import witness_json
from rolecall_generator.proof.symbolic import OutOfBudgetError, RequestDifference, difference

_SETS = 20
"""Maximum number of sets in each direction of a change."""


@dataclass(frozen=True, slots=True)
class TrustChange:
    """The requests for a role that a change allows (`widens`) and no longer allows (`narrows`), as disjoint sets.

    Both are empty if the policy is written differently but allows the same requests. `complete`: False if there are more
    sets than these, because there are too many or finding them takes too long.
    """

    role_arn: str
    widens: tuple[RequestDifference, ...]
    narrows: tuple[RequestDifference, ...]
    complete: bool

    def to_json(self) -> dict[str, object]:
        """`role`, `complete`, and `widens` and `narrows`: sets with `constraints` (descriptions by caller, operation or
        condition key), `certain` (false if AWS does not document the decision) and `witness`, an example or null.
        """
        directions = {"widens": self.widens, "narrows": self.narrows}
        sets = {name: [_set_json(each) for each in found] for name, found in directions.items()}
        return {"role": self.role_arn, "complete": self.complete, **sets}


def _set_json(found: RequestDifference) -> dict[str, object]:
    return {
        "constraints": {constraint.name: constraint.description for constraint in found.constraints},
        "certain": found.is_certain,
        "witness": None if found.witness is None else witness_json(found.witness),
    }


def trust_changes(before: Access, after: Access) -> Iterator[TrustChange]:
    """The changes of the trust policies of roles that are in both, in the order of their ARNs."""
    for arn in sorted(before.roles.keys() & after.roles.keys()):
        role, old, new = after.roles[arn], before.roles[arn].trust, after.roles[arn].trust
        if old is None or new is None or old == new:
            continue
        widens, all_wider = _sets(role, new, old)
        narrows, all_narrower = _sets(role, old, new)
        yield TrustChange(arn, widens, narrows, all_wider and all_narrower)


def _sets(role: Role, one: PolicyDocument, other: PolicyDocument) -> tuple[tuple[RequestDifference, ...], bool]:
    """The sets of requests that only `one` allows, and whether these are all."""
    found: list[RequestDifference] = []
    try:
        for each in islice(difference(role, one, other), _SETS + 1):
            found.append(each)  # noqa: PERF402 - keeps the sets before an error
    except OutOfBudgetError:
        return tuple(found[:_SETS]), False
    return tuple(found[:_SETS]), len(found) <= _SETS


_ABSENT = {
    "aws:TagKeys": "session tags",
    "sts:TransitiveTagKeys": "transitive tags",
    "sts:SourceIdentity": "a source identity",
    "ProvidedContexts": "provided contexts",
}
"""What an ordinary request does not have, by the name of the constraint."""


def difference_sentence(found: RequestDifference) -> str:
    """A set of requests in words: the operation, the caller, what each key must be, and what the requests do not have."""
    action, parts, absent = "requests", [], []
    for constraint in found.constraints:
        name, description = constraint.name, constraint.description
        if description == "is absent" and name in _ABSENT:
            absent.append(_ABSENT[name])
        elif name.lower() == "action":
            action = description
        else:
            # The description of a condition names the key as well.
            parts.append(f"{'the caller' if name.lower() == 'caller' else name} {description.replace(f' {name} ', ' ')}")
    where = f" where {' and '.join(parts)}" if parts else ""
    without = f", without {', '.join(absent)}" if absent else ""
    certain = "" if found.is_certain else " (AWS does not document whether it allows them)"
    return f"{action}{where}{without}{certain}"
