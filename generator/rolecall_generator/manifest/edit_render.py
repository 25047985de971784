"""Values as YAML text on one line, by ruamel.yaml, such that YAML 1.1 and 1.2 read the same value back."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, SingleQuotedScalarString

from rolecall_generator.manifest.scalars import AMBIGUOUS_STARTS, resolve_plain

Value = str | int | bool | Sequence[str] | Mapping[str, str]
"""What a field of a customer can hold."""

QUOTED_FIELDS = ("account_id", "external_id", "previous_external_id")
"""Always in quotes: digits alone, or hex with a single e, read as a number."""
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./+=@-]*")
_WIDTH = 1 << 30
_QUOTES: dict[str, type[str]] = {'"': DoubleQuotedScalarString, "'": SingleQuotedScalarString}


def render(value: Value, *, quote: str | None = None, preferred: str = '"') -> str:
    """One value in flow style. `quote` is the quote that a text must have; None: quotes of kind `preferred` where needed."""
    # As a value inside braces: alone, text would get an end marker (...), and a list drops the braces of a single pair.
    whole = CommentedMap(v=_styled(value, quote, preferred))
    whole.fa.set_flow_style()
    stream = io.StringIO()
    _writer().dump(whole, stream)
    return stream.getvalue().strip().removeprefix("{v: ").removesuffix("}")


def render_field(key: str, value: Value, *, preferred: str = '"') -> str:
    """`key: value` as it stands in an entry."""
    return f"{key}: {render(value, quote=preferred if key in QUOTED_FIELDS else None, preferred=preferred)}"


def render_map(fields: Mapping[str, Value], *, preferred: str = '"') -> str:
    """A whole entry in flow style."""
    return "{" + ", ".join(render_field(key, value, preferred=preferred) for key, value in fields.items()) + "}"


def _writer() -> YAML:
    writer = YAML()
    writer.width = _WIDTH  # never folds
    writer.allow_unicode = True
    return writer


def _styled(value: Any, quote: str | None, preferred: str) -> Any:
    if isinstance(value, str):
        if quote is None and _PLAIN.fullmatch(value) and _is_text(value):
            return value
        wanted = quote or preferred
        # A single-quoted text has no escapes: line breaks and the like would be folded away.
        return _QUOTES[wanted if wanted == '"' or value.isprintable() else '"'](value)
    if isinstance(value, Mapping):
        mapping = CommentedMap((_styled(k, None, preferred), _styled(v, None, preferred)) for k, v in value.items())
        mapping.fa.set_flow_style()
        return mapping
    if isinstance(value, Sequence):
        listed = CommentedSeq([_styled(item, None, preferred) for item in value])
        listed.fa.set_flow_style()
        return listed
    return value


def _is_text(value: str) -> bool:
    return value[0] not in AMBIGUOUS_STARTS or resolve_plain(value) is value
