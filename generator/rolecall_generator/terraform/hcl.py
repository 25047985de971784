"""Literals of Terraform's language (HCL 2). Values are escaped: none is interpreted as a template or as syntax.

Source: HCL native syntax specification, "Template Expressions" and "String Literals", November 2026. Terraform normalizes
strings to NFC; the manifest accepts no other strings, so they do not change.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_SPECIAL = re.compile(r'["\\\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]|\$\{|%\{')
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NOT_IN_WORD = re.compile(r"[^A-Za-z0-9]+")


def string(value: str) -> str:
    """A quoted string literal with the content `value`."""
    return f'"{part(value)}"'


def part(value: str) -> str:
    """The value escaped for use inside a quoted string."""
    return _SPECIAL.sub(_escape, value)


def _escape(match: re.Match[str]) -> str:
    text = match.group()
    if text in {"${", "%{"}:
        return text[0] + text  # HCL escapes `${` as `$${`
    return _ESCAPES.get(text) or f"\\u{ord(text):04x}"


def strings(values: Iterable[str], indent: int = 0) -> str:
    """A list of strings, one per line, formatted as by `terraform fmt`; `indent` is that of the closing bracket."""
    margin = " " * indent
    lines = "".join(f"{margin}  {string(value)},\n" for value in values)
    return f"[\n{lines}{margin}]" if lines else "[]"


def mapping(values: Mapping[str, str], indent: int = 0) -> str:
    """A map of strings with sorted, quoted keys, formatted as by `terraform fmt`; `indent` is that of the closing brace."""
    return expressions({key: string(value) for key, value in values.items()}, indent)


def expressions(values: Mapping[str, str], indent: int = 0) -> str:
    """As `mapping`, with expressions as values. They are not escaped: never pass a string from a manifest as value."""
    if not values:
        return "{}"
    margin = " " * indent
    pairs = [(string(key), value) for key, value in sorted(values.items())]
    width = max(len(key) for key, _ in pairs)
    lines = "".join(f"{margin}  {key:<{width}} = {value}\n" for key, value in pairs)
    return f"{{\n{lines}{margin}}}"


def labels(names: Mapping[str, str]) -> dict[str, str]:
    """Block labels in snake_case for AWS names, which are given and returned by unique keys, such as ARNs.

    Names that differ only in case or separators would get the same label: each of them gets a digest of its key.
    """
    plain = {key: snake_case(name) for key, name in names.items()}
    uses = Counter(plain.values())
    return {key: label if uses[label] == 1 else f"{label}_{_digest(key)}" for key, label in plain.items()}


def snake_case(name: str) -> str:
    """A name as identifier: `AmazonEC2ReadOnlyAccess` becomes `amazon_ec2_read_only_access`."""
    words = _NOT_IN_WORD.sub("_", _WORD_START.sub("_", name)).strip("_").lower()
    return words if words[:1].isalpha() else f"_{words or _digest(name)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
