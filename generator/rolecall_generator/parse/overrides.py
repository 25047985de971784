"""Terraform's override files: how their blocks change those of the other files.

Source: Terraform language documentation, "Override Files", November 2026.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from rolecall_generator.parse import syntax as s

_MERGED_INSIDE = frozenset({"required_providers"})


def is_override(name: str) -> bool:
    """Whether Terraform merges the file over the others."""
    stem = name.removesuffix(".json").removesuffix(".tf")
    return stem == "override" or stem.endswith("_override")


def inexact(block: s.Block) -> Iterator[tuple[str, int]]:
    """What of an overriding block has an effect that merging arguments does not give, with its line.

    Terraform refuses conditions in an overriding `lifecycle`, keeps what an empty `ignore_changes` would clear, and converts
    a variable's default to the overridden type first.
    """
    for inner in block.body.blocks:
        if inner.type == "lifecycle":
            yield "lifecycle", inner.line
    if block.type == "variable" and "type" in block.body.attributes:
        yield "the type of a variable", block.body.attributes["type"].line


def merge(blocks: list[s.Block], overriding: Iterable[s.Block]) -> tuple[list[s.Block], list[s.Block]]:
    """The blocks after overriding, and the overriding blocks that have nothing to override (Terraform refuses them).

    A `lifecycle` of an overriding block is left out: see `inexact`.
    """
    merged = list(blocks)
    places: dict[tuple[str, tuple[str, ...]], int] = {}
    homes: dict[str, int] = {}
    for number, base in enumerate(merged):
        places.setdefault((base.type, base.labels), number)
        if base.type == "locals":
            homes.update({name: number for name in base.body.attributes if name not in homes})
    homeless: list[s.Block] = []
    for block in overriding:
        if block.type == "locals":
            homeless.extend(_merge_locals(merged, homes, block))
            continue
        position = places.get((block.type, block.labels))
        if position is None:
            homeless.append(block)
            # Kept, so that what it would grant is seen.
            places[block.type, block.labels] = len(merged)
            merged.append(block)
        else:
            merged[position] = _over(merged[position], block)
    return merged, homeless


def _merge_locals(merged: list[s.Block], homes: dict[str, int], block: s.Block) -> list[s.Block]:
    """Replace values one by one; `homes` is the place in `merged` of each local."""
    changed: dict[int, dict[str, s.Attribute]] = {}
    left: dict[str, s.Attribute] = {}
    for name, attribute in block.body.attributes.items():
        if name in homes:
            changed.setdefault(homes[name], {})[name] = attribute
        else:
            left[name] = attribute
    for position, attributes in changed.items():
        base = merged[position]
        merged[position] = replace(base, body=replace(base.body, attributes={**base.body.attributes, **attributes}))
    if not left:
        return []
    rest = replace(block, body=s.Body(left))
    homes.update(dict.fromkeys(left, len(merged)))
    merged.append(rest)
    return [rest]


def _over(base: s.Block, block: s.Block) -> s.Block:
    """Arguments one by one; nested blocks of one type as a whole, but `required_providers` argument by argument."""
    own = [inner for inner in block.body.blocks if inner.type != "lifecycle"]
    replaced = {_nested_type(inner) for inner in own}
    kept = [inner for inner in base.body.blocks if _nested_type(inner) not in replaced - _MERGED_INSIDE]
    added = []
    for inner in own:
        position = next((n for n, old in enumerate(kept) if old.type == inner.type), None)
        if inner.type in _MERGED_INSIDE and position is not None:
            kept[position] = _over(kept[position], inner)
        else:
            added.append(inner)
    body = s.Body(
        {**base.body.attributes, **block.body.attributes},
        (*kept, *added),
        (*base.body.repeated, *block.body.repeated),
    )
    return replace(base, body=body)


def _nested_type(block: s.Block) -> str:
    return block.labels[0] if block.type == "dynamic" and block.labels else block.type
