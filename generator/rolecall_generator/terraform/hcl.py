"""Literals of Terraform's language (HCL 2). Values are escaped: none is interpreted as a template or as syntax.

Source: HCL native syntax specification, "Template Expressions" and "String Literals", November 2026. Terraform normalizes
strings to NFC; the manifest accepts no other strings, so they do not change.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_SPECIAL = re.compile(r'["\\\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]|\$\{|%\{')
_NOT_IN_LABEL = re.compile(r"[^A-Za-z0-9_-]")


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


def label(name: str) -> str:
    """A block label for an AWS name. If characters had to be replaced, a digest keeps the label unique."""
    plain = _NOT_IN_LABEL.sub("_", name)
    if plain[0].isdigit() or plain[0] == "-":
        plain = f"_{plain}"
    if plain == name:
        return plain
    return f"{plain}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
