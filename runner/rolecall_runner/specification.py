"""Read specifications (plain dataclasses whose fields carry help texts and limits) from untyped input, checked by pydantic.

A specification such as `QuerySpec` is the only declaration of its settings. It stays a standard dataclass because tasks
travel to worker processes, and pydantic would cost each of them 10 MB. Field metadata are the arguments of
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
    """Input that does not fit a specification. `problems` are pairs of a dotted key and what is wrong with its value."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{key}: {what}" if key else what for key, what in problems))
        self.problems = problems


def build(kind: type[T], values: Mapping[str, Any]) -> T:
    """An instance of a specification from values of YAML, JSON, or Python. Raises SpecificationError."""
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
    """The help text of a field. Raises KeyError for a field that is not there or has none."""
    return str({each.name: each.metadata for each in fields(kind)}[name]["description"])


@cache
def _adapter(kind: type) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _uncapitalized(message: str) -> str:
    return message[:1].lower() + message[1:]
