"""Literals of Terraform's language (HCL 2): every value from a manifest comes out as data, whatever it holds.

Source: HCL native syntax specification, "Template Expressions" and "String Literals", November 2026. Terraform normalises
strings to NFC; the manifest refuses others, so nothing changes on the way.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_SPECIAL = re.compile(r'["\\\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]|\$\{|%\{')
_NOT_IN_LABEL = re.compile(r"[^A-Za-z0-9_-]")


def string(value: str) -> str:
    """A quoted string whose content is exactly `value`: no interpolation, no directive, no line break."""
    return f'"{part(value)}"'


def part(value: str) -> str:
    """What `string` puts between the quotes: for a value inside a longer quoted string of a template."""
    return _SPECIAL.sub(_escape, value)


def _escape(match: re.Match[str]) -> str:
    text = match.group()
    if text in {"${", "%{"}:
        # The doubled sign is HCL's escape for `${` and `%{`.
        return text[0] + text
    return _ESCAPES.get(text) or f"\\u{ord(text):04x}"


def strings(values: Iterable[str], indent: int = 0) -> str:
    """A list of strings, one a line, closed at `indent` spaces as `terraform fmt` wants it."""
    margin = " " * indent
    lines = "".join(f"{margin}  {string(value)},\n" for value in values)
    return f"[\n{lines}{margin}]" if lines else "[]"


def mapping(values: Mapping[str, str], indent: int = 0) -> str:
    """A map of strings, keys sorted and quoted, equal signs aligned as `terraform fmt` wants them."""
    return expressions({key: string(value) for key, value in values.items()}, indent)


def expressions(values: Mapping[str, str], indent: int = 0) -> str:
    """A map from quoted names to expressions that are written as they stand: never pass text from a manifest as value."""
    if not values:
        return "{}"
    margin = " " * indent
    pairs = [(string(key), value) for key, value in sorted(values.items())]
    width = max(len(key) for key, _ in pairs)
    lines = "".join(f"{margin}  {key:<{width}} = {value}\n" for key, value in pairs)
    return f"{{\n{lines}{margin}}}"


def label(name: str) -> str:
    """A block label for an AWS name. Names that had to be changed carry a digest, so that no two ever meet."""
    plain = _NOT_IN_LABEL.sub("_", name)
    if plain[0].isdigit() or plain[0] == "-":
        plain = f"_{plain}"
    if plain == name:
        return plain
    return f"{plain}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
