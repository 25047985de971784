"""A complete reply generated from an operation's model, for expressions to match."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_DEPTH = 12
_MOMENT = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
_SCALARS: dict[str, Any] = {
    "integer": 1, "long": 1, "float": 1.5, "double": 1.5, "boolean": True, "timestamp": _MOMENT, "blob": b"bytes",
}  # fmt: skip


def sample_of(shape: Any, fixed: Mapping[str, Any], name: str = "", depth: int = 0) -> Any:
    """One value of a shape: lists of one item, maps of one key. `fixed`: values by member name, for filters to match."""
    if name in fixed or shape is None or depth > _DEPTH:
        return fixed.get(name)
    if shape.type_name == "structure":
        return {key: sample_of(member, fixed, key, depth + 1) for key, member in shape.members.items()}
    if shape.type_name == "list":
        return [sample_of(shape.member, fixed, name, depth + 1)]
    if shape.type_name == "map":
        return {fixed.get("map key", "key"): sample_of(shape.value, fixed, name, depth + 1)}
    if shape.type_name == "string":
        return next(iter(shape.enum), f"some {name}")
    return _SCALARS[shape.type_name]
