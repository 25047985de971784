"""Build specifications (dataclasses with help strings and limits as field metadata) from untyped input, using pydantic.

A specification such as `QuerySpec` is the only declaration of its settings. It is a standard dataclass because tasks are
pickled for worker processes, where importing pydantic would take 10 MB of memory each. Field metadata are arguments of
`pydantic.Field`: `description`, `ge`, `le`, `min_length`, `strict`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")


class SpecificationError(ValueError):
    """Input that does not match a specification. `problems`: pairs of a dotted key and the error in its value."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{key}: {what}" if key else what for key, what in problems))
        self.problems = problems


def build(kind: type[T], values: Mapping[str, Any]) -> T:
    """Create a specification from values of YAML, JSON, or Python. Raises SpecificationError."""
    known = {each.name for each in fields(kind)}  # type: ignore[arg-type]  # T is a dataclass
    unknown = [(key, "extra inputs are not permitted") for key in map(str, values) if key not in known]
    if unknown:
        raise SpecificationError(unknown)
    try:
        return _adapter(kind).validate_python(dict(values))  # type: ignore[arg-type,no-any-return]
    except ValidationError as error:
        raise SpecificationError(
            [(".".join(str(part) for part in each["loc"]), _uncapitalized(each["msg"])) for each in error.errors()]
        ) from None


def description_of(kind: type, name: str) -> str:
    """The help string of a field. Raises KeyError if the field does not exist or has no help string."""
    return str({each.name: each.metadata for each in fields(kind)}[name]["description"])


@cache
def _adapter(kind: type) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _uncapitalized(message: str) -> str:
    return message[:1].lower() + message[1:]
