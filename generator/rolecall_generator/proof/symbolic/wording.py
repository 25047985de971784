"""Descriptions of boxes: which callers and which values of each key they contain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rolecall_generator.proof.symbolic.boxes import members
from rolecall_generator.proof.symbolic.cells import Dimension
from rolecall_generator.proof.symbolic.keys import ACTION, CALLER, PROVIDED_CONTEXTS, CallerKind
from rolecall_generator.proof.symbolic.relations import HOLDS
from rolecall_generator.proof.symbolic.space import RequestSpace

_KINDS = {
    CallerKind.USER: "a user",
    CallerKind.ROLE: "a role",
    CallerKind.SERVICE: "an AWS service",
    CallerKind.PROVIDER: "an identity provider",
}
_ABSENT = "absent"
_PRESENT_AND = "present and "
_MAX_ALTERNATIVES = 6


@dataclass(frozen=True, slots=True)
class BoxConstraint:
    """What a box requires of one part of a request: the caller, the operation, a condition key, or a comparison of keys.

    The description follows the name and a colon: `sts:ExternalId: StringEquals 0f0c`.
    """

    name: str
    description: str

    @property
    def is_absent(self) -> bool:
        """Whether the requests of the box do not have this part."""
        return self.description == _ABSENT


_PARTS = {
    CALLER: "caller",
    "aws:TagKeys": "session tags",
    "sts:TransitiveTagKeys": "transitive tags",
    "sts:SourceIdentity": "source identity",
    PROVIDED_CONTEXTS: "provided contexts",
}
"""Short names of parts of a request."""


def action_of(constraints: Sequence[BoxConstraint]) -> str:
    """The operations of a box: `sts:AssumeRole`."""
    return next((each.description for each in constraints if each.name == ACTION), "any operation")


def conditions_of(constraints: Sequence[BoxConstraint]) -> tuple[str, ...]:
    """What a box requires apart from the operation, a line each: `sts:ExternalId: StringEquals 0f0c`. The last line lists
    the parts that its requests do not have.
    """
    named = [(_PARTS.get(each.name, each.name), each) for each in constraints if each.name != ACTION]
    present = tuple(f"{name}: {each.description}" for name, each in named if not each.is_absent)
    absent = ", ".join(name for name, each in named if each.is_absent)
    return (*present, f"absent: {absent}") if absent else present


def constraints_of(space: RequestSpace, masks: Sequence[int]) -> tuple[BoxConstraint, ...]:
    """The parts of a request that the box restricts, in the order of the dimensions."""
    return tuple(_constraints(space, masks))


def _constraints(space: RequestSpace, masks: Sequence[int]) -> Iterator[BoxConstraint]:
    for dimension, mask in zip(space.dimensions, masks, strict=True):
        if mask == dimension.full:
            continue
        if dimension.name in space.related:
            yield BoxConstraint(dimension.name, "holds" if mask == HOLDS else "does not hold")
        elif dimension.name == PROVIDED_CONTEXTS:
            yield BoxConstraint(PROVIDED_CONTEXTS, "present" if mask == HOLDS else _ABSENT)
        elif dimension.name == ACTION:
            names = [cell.action for position, cell in enumerate(dimension.cells) if mask >> position & 1]
            yield BoxConstraint(ACTION, " or ".join(names))
        else:
            yield BoxConstraint(space.spelling(dimension.name), _describe(dimension, mask, _labels(space, dimension)))


def _labels(space: RequestSpace, dimension: Dimension) -> dict[int, str]:
    """Descriptions by the mask that they describe: those of conditions and principals, and their negations."""
    found: dict[int, str] = {}
    absent = 0
    if dimension.name == CALLER:
        for kind, text in _KINDS.items():
            found.setdefault(dimension.where(lambda cell, kind=kind: cell.kind is kind), text)  # type: ignore[misc]
    else:
        absent = dimension.where(lambda cell: not any(cell.context.values()))
        found.update({absent: _ABSENT, dimension.full & ~absent: "present"})
        several = dimension.where(lambda cell: any(len(values) > 1 for values in cell.context.values()))
        found.update({several: "several values", dimension.full & ~several: "not several values"})
    for text, mask in space.labels(dimension.name):
        found.setdefault(mask, text)
        inverse = dimension.full & ~mask
        if inverse & absent:
            found.setdefault(inverse & ~absent, f"{_PRESENT_AND}not {text}")
            found.setdefault(inverse, f"{_ABSENT} or not {text}")
        else:
            found.setdefault(inverse, f"not {text}")
    found.setdefault(dimension.rest, "a value that was not examined")
    return {mask: text for mask, text in found.items() if mask and mask != dimension.full}


def _describe(dimension: Dimension, mask: int, labels: dict[int, str]) -> str:
    """An exact description: one label, labels joined by "and", or alternatives of these."""
    if mask in labels:
        return labels[mask]
    if (joined := _conjunction(dimension, mask, labels)) is not None:
        return joined
    parts = list(_alternatives(dimension, mask, labels))
    more = len(parts) - _MAX_ALTERNATIVES
    return " or ".join(parts[:_MAX_ALTERNATIVES]) + (f" or one of {more} more alternatives" if more > 0 else "")


def _alternatives(dimension: Dimension, mask: int, labels: dict[int, str]) -> Iterator[str]:
    """Labels, conjunctions of labels, and single cells whose union is the mask."""
    left = mask
    by_size = sorted(labels, key=int.bit_count, reverse=True)
    for candidate in by_size:
        if candidate & left and not candidate & ~mask:
            yield labels[candidate]
            left &= ~candidate
    for candidate in by_size:
        if candidate & left and (joined := _conjunction(dimension, candidate & left, labels)) is not None:
            yield f"({joined})"
            left &= ~candidate
    for position in members(left):
        cell = dimension.cells[position]
        shown = cell.caller.arn if cell.caller is not None else ", ".join(next(iter(cell.context.values()), ()))
        joined = _conjunction(dimension, 1 << position, labels)
        yield f"such as {shown}" if joined is None else f"({joined})"


def _conjunction(dimension: Dimension, mask: int, labels: dict[int, str]) -> str | None:
    """Labels whose intersection is the mask; None if there are none."""
    left = dimension.full
    chosen: list[int] = []
    containing = [candidate for candidate in labels if candidate & mask == mask]
    while left != mask:
        best = min(containing, key=lambda candidate: (left & candidate).bit_count(), default=None)
        if best is None or left & best == left:
            return None
        chosen.append(best)
        left &= best
    return labels[chosen[0]] if len(chosen) == 1 else " and ".join(_joined(chosen, labels))


def _joined(chosen: Sequence[int], labels: dict[int, str]) -> Iterator[str]:
    """Labels as parts of a conjunction: that the key is present is mentioned only if no part implies it."""
    absent = next((mask for mask, text in labels.items() if text == _ABSENT), 0)
    implied = any(not mask & absent and not labels[mask].startswith(_PRESENT_AND) for mask in chosen)
    for text in (labels[mask] for mask in chosen):
        if text.startswith(f"{_ABSENT} or "):
            yield f"({text})"
        elif text.startswith(_PRESENT_AND) and implied:
            yield text.removeprefix(_PRESENT_AND)
        else:
            implied = implied or text.startswith(_PRESENT_AND)
            yield text
