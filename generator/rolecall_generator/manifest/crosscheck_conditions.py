"""Conditions of permission sets: operators and keys that IAM refuses, and values that no request can meet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rolecall_generator.errors import Problem
from rolecall_generator.iam.condition_faults import condition_faults, unknown_operator
from rolecall_generator.iam.policy import Condition
from rolecall_generator.manifest.models import Manifest, StatementSpec
from rolecall_generator.manifest.places import Places
from rolecall_generator.manifest.scalars import clip
from rolecall_generator.manifest.tree import Loc


def condition_problems(manifest: Manifest, places: Places) -> Iterator[Problem]:
    """Problems of all conditions, each at its place."""
    for name, permissions in manifest.permission_sets.items():
        for number, statement in enumerate(permissions.statements):
            yield from _conditions(
                statement, ("permission_sets", name, "statements", number, "conditions"), manifest, places
            )


def _conditions(statement: StatementSpec, at: Loc, manifest: Manifest, places: Places) -> Iterator[Problem]:
    for operator, keys in statement.conditions.items():
        here: Loc = (*at, operator)
        if (unknown := unknown_operator(operator)) is not None:
            yield places.problem(here, unknown.what, unknown.hint, key=True)
            continue
        if not keys:
            yield places.problem(
                here, f"{operator} has no condition key", "add a key with its values, or remove it", key=True
            )
        first: dict[str, str] = {}
        for key, found in keys.items():
            if first.setdefault(key.lower(), key) != key:
                what = f"{key} is the same condition key as {first[key.lower()]}: IAM ignores case"
                yield places.problem((*here, key), what, "write all values under one of them", key=True)
            values = found if isinstance(found, tuple) else (found,)
            yield from _condition(Condition(operator, key, values), here, isinstance(found, tuple), manifest, places)


def _condition(condition: Condition, here: Loc, many: bool, manifest: Manifest, places: Places) -> Iterator[Problem]:
    # The partition matters only for faults that are not refused; those are findings of gen check.
    for fault in condition_faults(condition, manifest.partition):
        if not fault.refused:
            continue
        place: Loc = (*here, condition.key)
        if fault.value is None:
            yield places.problem(place, clip(fault.what, 200), fault.hint, key=True)
        else:
            yield places.problem((*place, *_index(condition.values, fault.value, many)), clip(fault.what, 200), fault.hint)


def _index(values: Sequence[str], value: str, many: bool) -> Loc:
    return (values.index(value),) if many else ()
