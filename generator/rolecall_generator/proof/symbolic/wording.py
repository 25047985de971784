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
    CallerKind.USER: "is a user",
    CallerKind.ROLE: "is a role",
    CallerKind.SERVICE: "is an AWS service",
    CallerKind.PROVIDER: "is an identity provider",
}
_MAX_ALTERNATIVES = 6


@dataclass(frozen=True, slots=True)
class BoxConstraint:
    """What a box requires of one part of a request: the caller, the operation, a condition key, or a comparison of keys."""

    name: str
    description: str


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
            yield BoxConstraint(PROVIDED_CONTEXTS, "is present" if mask == HOLDS else "is absent")
        elif dimension.name == ACTION:
            names = [cell.action for position, cell in enumerate(dimension.cells) if mask >> position & 1]
            yield BoxConstraint(ACTION, " or ".join(names))
        else:
            yield BoxConstraint(space.spelling(dimension.name), _describe(dimension, mask, _labels(space, dimension)))


def _labels(space: RequestSpace, dimension: Dimension) -> dict[int, str]:
    """Descriptions by the mask that they describe: those of conditions and principals, and their negations."""
    found: dict[int, str] = {}
    if dimension.name == CALLER:
        for kind, text in _KINDS.items():
            found.setdefault(dimension.where(lambda cell, kind=kind: cell.kind is kind), text)  # type: ignore[misc]
    else:
        absent = dimension.where(lambda cell: not any(cell.context.values()))
        found.update({absent: "is absent", dimension.full & ~absent: "is present"})
        several = dimension.where(lambda cell: any(len(values) > 1 for values in cell.context.values()))
        found.update({several: "has several values"})
    for text, mask in space.labels(dimension.name):
        found.setdefault(mask, text)
        found.setdefault(dimension.full & ~mask, f"not ({text})")
    found.setdefault(dimension.rest, "is a value that was not examined")
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
        yield f"like {shown}" if joined is None else f"({joined})"


def _conjunction(dimension: Dimension, mask: int, labels: dict[int, str]) -> str | None:
    """Labels whose intersection is the mask; None if there are none."""
    left = dimension.full
    parts = []
    containing = [candidate for candidate in labels if candidate & mask == mask]
    while left != mask:
        best = min(containing, key=lambda candidate: (left & candidate).bit_count(), default=None)
        if best is None or left & best == left:
            return None
        parts.append(labels[best])
        left &= best
    return " and ".join(parts)
