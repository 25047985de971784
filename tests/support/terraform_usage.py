"""Provider arguments and attributes used in a Terraform file, by block."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import hcl2

_REFERENCE = re.compile(r"(?<![\w.-])((?:data\.)?aws_\w+)\.[\w-]+\.([a-z_]\w*)")
_META = frozenset({"__is_block__", "lifecycle", "depends_on", "count", "for_each", "provider"})


def arguments_used(text: str) -> set[tuple[str, str]]:
    """(block, argument) of everything written, including nested blocks; `lifecycle` and the like belong to Terraform."""
    body = hcl2.loads(text)
    found = set()
    for section, prefix in (("resource", ""), ("data", "data.")):
        for item in body.get(section, []):
            for kind, labelled in item.items():
                for block in labelled.values():
                    found |= set(_inside(f"{prefix}{_bare(kind)}", block))
    return found


def attributes_used(text: str) -> set[tuple[str, str]]:
    """(block, attribute) of every reference such as `aws_iam_role.this.arn`."""
    return set(_REFERENCE.findall(text))


def _inside(block: str, body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in body.items():
        if name in _META:
            continue
        yield block, name
        for inner in value if isinstance(value, list) else []:
            if isinstance(inner, dict) and inner.get("__is_block__"):
                yield from _inside(f"{block}.{name}", inner)


def _bare(label: str) -> str:
    return label.strip('"')
