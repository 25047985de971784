"""Terraform's override files: how their blocks change those of the other files.

Source: Terraform language documentation, "Override Files", November 2026.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from rolecall_generator.parse import syntax as s

_MERGED_INSIDE = frozenset({"lifecycle", "required_providers"})


def is_override(name: str) -> bool:
    """Whether Terraform merges the file over the others."""
    stem = name.removesuffix(".json").removesuffix(".tf")
    return stem == "override" or stem.endswith("_override")


def merge(blocks: list[s.Block], overriding: Iterable[s.Block]) -> tuple[list[s.Block], list[s.Block]]:
    """The blocks after overriding, and the overriding blocks that have nothing to override (Terraform refuses them)."""
    merged = list(blocks)
    homeless: list[s.Block] = []
    for block in overriding:
        if block.type == "locals":
            homeless.extend(_merge_locals(merged, block))
            continue
        position = next(
            (n for n, base in enumerate(merged) if base.type == block.type and base.labels == block.labels), None
        )
        if position is None:
            homeless.append(block)
            # Kept, so that what it would grant is seen.
            merged.append(block)
        else:
            merged[position] = _over(merged[position], block)
    return merged, homeless


def _merge_locals(merged: list[s.Block], block: s.Block) -> list[s.Block]:
    left = dict(block.body.attributes)
    for position, base in enumerate(merged):
        if base.type == "locals" and (shared := base.body.attributes.keys() & left.keys()):
            own = {**base.body.attributes, **{name: left.pop(name) for name in shared}}
            merged[position] = replace(base, body=replace(base.body, attributes=own))
    if not left:
        return []
    rest = replace(block, body=s.Body(left))
    merged.append(rest)
    return [rest]


def _over(base: s.Block, block: s.Block) -> s.Block:
    """Arguments one by one; nested blocks of one type as a whole, but `lifecycle` and its like argument by argument."""
    replaced = {_nested_type(inner) for inner in block.body.blocks}
    kept = [inner for inner in base.body.blocks if _nested_type(inner) not in replaced - _MERGED_INSIDE]
    added = []
    for inner in block.body.blocks:
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
