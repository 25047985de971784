"""Values as YAML text on one line, by ruamel.yaml, such that YAML 1.1 and 1.2 read the same value back."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, SingleQuotedScalarString

from rolecall_generator.manifest.scalars import AMBIGUOUS_STARTS, resolve_plain

Value = str | int | bool | Sequence[str] | Mapping[str, str]
"""What a field of a customer can hold."""

QUOTED_FIELDS = ("account_id", "external_id", "previous_external_id")
"""Always in quotes: digits alone, or hex with a single e, read as a number."""
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./+=@-]*")
_SIMPLE = re.compile(r"[ !#-&(-\[\]-~]+")
"""Printable ASCII without quotes and backslash: means the same in both kinds of quotes."""
_WIDTH = 1 << 30
_QUOTES: dict[str, type[str]] = {'"': DoubleQuotedScalarString, "'": SingleQuotedScalarString}


def render(value: Value, *, quote: str | None = None, preferred: str = '"') -> str:
    """One value in flow style. `quote` is the quote that a text must have; None: quotes of kind `preferred` where needed."""
    if isinstance(value, str):
        return _text(value, quote, preferred)
    if isinstance(value, Mapping):
        pairs = (f"{_text(key, None, preferred)}: {_text(text, None, preferred)}" for key, text in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(_text(item, None, preferred) for item in value) + "]"
    return str(value).lower()  # a number, true or false


def render_field(key: str, value: Value, *, preferred: str = '"') -> str:
    """`key: value` as it stands in an entry."""
    return f"{key}: {render(value, quote=preferred if key in QUOTED_FIELDS else None, preferred=preferred)}"


def render_map(fields: Mapping[str, Value], *, preferred: str = '"') -> str:
    """A whole entry in flow style."""
    return "{" + ", ".join(render_field(key, value, preferred=preferred) for key, value in fields.items()) + "}"


def _text(value: str, quote: str | None, preferred: str) -> str:
    if quote is None and _is_bare(value):
        return value
    wanted = quote or preferred
    if _SIMPLE.fullmatch(value):  # nearly all: ruamel.yaml takes a millisecond for each
        return f"{wanted}{value}{wanted}"
    # A text in single quotes has no escapes: line breaks and the like would be folded away.
    styled = _QUOTES[wanted if wanted == '"' or value.isprintable() else '"'](value)
    stream = io.StringIO()
    _writer().dump([styled], stream)
    return stream.getvalue().strip().removeprefix("- ")


def _writer() -> YAML:
    writer = YAML()
    writer.width = _WIDTH  # never folds
    writer.allow_unicode = True
    return writer


def _is_bare(value: str) -> bool:
    """Whether the text means itself without quotes, for every reader of YAML."""
    return bool(_PLAIN.fullmatch(value)) and (value[0] not in AMBIGUOUS_STARTS or resolve_plain(value) is value)
