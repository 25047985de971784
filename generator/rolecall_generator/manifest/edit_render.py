"""Values as YAML text on one line, by ruamel.yaml, such that YAML 1.1 and 1.2 read the same value back."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, SingleQuotedScalarString

from rolecall_generator.manifest.edit_nodes import Node
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


@dataclass(frozen=True, slots=True)
class Dress:
    """How a text's author writes: the kind of quotes, and whether all keys and texts stand in them, as in JSON."""

    quote: str = '"'
    everything: bool = False


def dress_of(entry: Node) -> Dress:
    """The dress of an entry: its account id tells the kind of quotes, its first key whether all is in them."""
    pair = entry.pair("account_id")
    quote = "'" if pair is not None and pair[1].style == "'" else '"'
    return Dress(quote, everything=bool(entry.children) and entry.children[0].style in _QUOTES)


def render(value: Value, dress: Dress, *, quoted: bool = False) -> str:
    """One value in flow style. `quoted`: a text must be in quotes, even if it needs none."""
    if isinstance(value, str):
        return _text(value, dress, quoted=quoted)
    if isinstance(value, Mapping):
        pairs = (f"{_text(key, dress)}: {_text(text, dress)}" for key, text in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(_text(item, dress) for item in value) + "]"
    return str(value).lower()  # a number, true or false


def render_field(key: str, value: Value, dress: Dress) -> str:
    """`key: value` as it stands in an entry."""
    return f"{_text(key, dress)}: {render(value, dress, quoted=key in QUOTED_FIELDS)}"


def render_map(fields: Mapping[str, Value], dress: Dress) -> str:
    """A whole entry in flow style."""
    return "{" + ", ".join(render_field(key, value, dress) for key, value in fields.items()) + "}"


def _text(value: str, dress: Dress, *, quoted: bool = False) -> str:
    if not (quoted or dress.everything) and _is_bare(value):
        return value
    if _SIMPLE.fullmatch(value):  # nearly all: ruamel.yaml takes a millisecond for each
        return f"{dress.quote}{value}{dress.quote}"
    # A text in single quotes has no escapes: line breaks and the like would be folded away.
    styled = _QUOTES[dress.quote if value.isprintable() else '"'](value)
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
