"""XML replies that conform to an operation's model, with the quirks of real ones: gaps, disorder, unknown elements."""

from __future__ import annotations

from random import Random
from typing import Any
from xml.sax.saxutils import escape

_DEPTH = 5
_PRESENT, _UNKNOWN, _EMPTY = 0.5, 0.2, 0.05
_SCALARS = {
    "integer": "7", "long": "-8", "float": "1.5", "double": "2.5", "boolean": "true",
    "timestamp": "2026-11-24T09:00:00.000Z", "blob": "Ynl0ZXM=",
}  # fmt: skip


def reply_of(operation: Any, chance: Random, namespace: str) -> bytes:
    """One reply of an operation (botocore's model of it)."""
    shape = operation.output_shape
    within = _inner(shape, chance, 0) if shape is not None else ""
    wrapper = shape.serialization.get("resultWrapper") if shape is not None else None
    body = f"<{wrapper}>{within}</{wrapper}>" if wrapper else within
    metadata = "<requestId>1</requestId><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata>"
    return f'<{operation.name}Response xmlns="{namespace}">{body}{metadata}</{operation.name}Response>'.encode()


def _inner(shape: Any, chance: Random, depth: int) -> str:
    """The content of an element of this shape."""
    if chance.random() < _EMPTY or depth > _DEPTH:
        return "" if shape.type_name in {"structure", "list", "map", "string"} else _SCALARS.get(shape.type_name, "")
    if shape.type_name == "structure":
        elements = [
            _element(name, member, chance, depth + 1) for name, member in shape.members.items() if chance.random() < 0.5
        ]
        elements += ["<unknownToModel>x</unknownToModel>"] * (chance.random() < _UNKNOWN)
        chance.shuffle(elements)
        return "".join(elements)
    if shape.type_name == "list":
        name = shape.member.serialization.get("name", "member")
        return "".join(_tagged(name, shape.member, chance, depth + 1) for _ in range(chance.randrange(3)))
    if shape.type_name == "map":
        return f"<entry>{_pair(shape, chance, depth)}</entry>" * chance.randrange(2)
    return _SCALARS.get(shape.type_name) or escape(chance.choice(["", "text", "<&>", " ü \n"]))


def _element(name: str, member: Any, chance: Random, depth: int) -> str:
    named = member.serialization.get("name", name)
    if not member.serialization.get("flattened"):
        return _tagged(named, member, chance, depth)
    if member.type_name == "map":
        return f"<{named}>{_pair(member, chance, depth)}</{named}>"
    named = member.member.serialization.get("name", named)
    return "".join(_tagged(named, member.member, chance, depth) for _ in range(1 + chance.randrange(3)))


def _pair(shape: Any, chance: Random, depth: int) -> str:
    key, value = (part.serialization.get("name", name) for part, name in ((shape.key, "key"), (shape.value, "value")))
    return f"<{key}>{chance.randrange(3)}</{key}>{_tagged(value, shape.value, chance, depth + 1)}"


def _tagged(name: str, shape: Any, chance: Random, depth: int) -> str:
    return f"<{name}>{_inner(shape, chance, depth)}</{name}>"
