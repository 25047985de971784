"""What YAML takes a scalar for: text, number, boolean, date or nothing."""

from __future__ import annotations

import re
from typing import Any

import yaml

from rolecall_generator.text import one_line

CORE = "tag:yaml.org,2002:"
TEXT_TAGS = {"!", CORE + "str"}
SCALAR_TAGS = {CORE + name for name in ("int", "float", "bool", "null")}
# YAML 1.2 reads these as numbers, YAML 1.1 (PyYAML) as text; what two readers disagree on must be quoted.
_NUMBER_1_2 = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


class _Scalars(yaml.constructor.SafeConstructor, yaml.resolver.Resolver):
    """PyYAML's own reading of one scalar, without its parser."""

    def __init__(self) -> None:
        yaml.constructor.SafeConstructor.__init__(self)
        yaml.resolver.Resolver.__init__(self)


_SCALARS = _Scalars()
AMBIGUOUS_STARTS = frozenset(_SCALARS.yaml_implicit_resolvers) | set("0123456789+-.")
"""First characters (or none at all) of plain scalars that can be anything but text."""


def resolve_plain(text: str) -> Any:
    """What a plain scalar means: text, int, float, bool, None or a date, as YAML 1.1 or 1.2 would read it."""
    tag: str = _SCALARS.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    if tag == CORE + "str":
        return float(text) if _NUMBER_1_2.fullmatch(text) else text
    try:
        return construct(tag, text)
    except (ValueError, KeyError, OverflowError, yaml.YAMLError):
        return text  # looks like a date or number but is none, as 2024-13-45


def kind_of(value: Any) -> str:
    """What YAML took a scalar for, in people's words."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    return "a number" if isinstance(value, int | float) else "a date"


def construct(tag: str, text: str) -> Any:
    """A scalar with this tag as a value. Raises ValueError, KeyError, OverflowError or YAMLError when it is none."""
    constructor = _SCALARS.yaml_constructors.get(tag, yaml.constructor.SafeConstructor.construct_yaml_str)
    return constructor(_SCALARS, yaml.ScalarNode(tag, text))


def clip(text: str, characters: int = 60) -> str:
    """Text short enough for one line of a message, without line breaks or other control characters."""
    shown = one_line(text[: characters + 1])
    return shown if len(shown) <= characters else shown[: characters - 3] + "..."
