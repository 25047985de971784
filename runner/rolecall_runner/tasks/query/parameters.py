"""Parameters of an operation as its model types them: from the command line's text, or from YAML's values."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from rolecall_runner.tasks.query.models import Operation
from rolecall_runner.tasks.query.placeholders import Deferred, is_placeholder, placeholders
from rolecall_runner.tasks.query.question import QueryError
from rolecall_runner.tasks.query.scalars import WORDS, scalar, wrong


def read_parameters(operation: Operation, texts: Iterable[str], *, complete: bool = True) -> dict[str, Any]:
    """Parameters of `NAME=VALUE` texts: JSON, or plain text where the model wants text or a number.

    A list of texts takes commas, and a parameter said twice adds up. `complete`: those that AWS requires must be there.
    Raises QueryError with parameter and type.
    """
    read: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise QueryError(f"{text!r} is not NAME=VALUE", where="--param", mend="write --param 'Filters=[...]'")
        shape = _members(operation).get(name)
        if shape is None:
            raise _unknown(name, _members(operation), operation.method)
        found = _from_text(value, shape, name)
        if isinstance(found, list) and isinstance(read.get(name), list):
            found = [*read[name], *found]
        read[name] = found
    return type_parameters(operation, read) if complete else read


def type_parameters(operation: Operation, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values (of YAML, of JSON) with the model's types.

    Raises QueryError with parameter and type, also for missing ones.
    """
    shape = operation.model.input_shape
    if shape is None:
        if values:
            raise QueryError(f"{operation.method} takes no parameters", where=next(iter(values)), mend="leave it out")
        return {}
    return _structure(values, shape, operation.method, top=True)


def _members(operation: Operation) -> Mapping[str, Any]:
    shape = operation.model.input_shape
    return shape.members if shape is not None else {}


def _from_text(text: str, shape: Any, name: str) -> Any:
    """A text as JSON where that is meant; what it is then worth is `_typed`'s to say."""
    start = text.lstrip()[:1]
    if shape.type_name == "string":
        return _json(text, name, shape) if start == '"' else text
    if shape.type_name in {"list", "structure", "map"}:
        if start in {"[", "{"} and not is_placeholder(text):
            return _json(text, name, shape)
        if shape.type_name == "list" and shape.member.type_name not in {"list", "structure", "map"}:
            return [part for part in text.split(",") if part]
        raise wrong(name, shape.type_name, text)
    return text


def _json(text: str, name: str, shape: Any) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise QueryError(
            f"the value is not JSON: {error.msg} (column {error.colno})",
            where=f"parameter {name}",
            mend=f"it wants {WORDS[shape.type_name]}; quote it for the shell",
        ) from None


def _typed(value: Any, shape: Any, name: str) -> Any:
    kind = shape.type_name
    if kind == "structure":
        if getattr(shape, "is_document_type", False):
            return value
        return _structure(value, shape, name)
    if kind == "map":
        if not isinstance(value, Mapping):
            raise wrong(name, kind, value)
        return {str(key): _typed(item, shape.value, f"{name}.{key}") for key, item in value.items()}
    if kind == "list":
        if not isinstance(value, list | tuple):
            raise wrong(name, kind, value)
        return [_typed(item, shape.member, f"{name}[{index}]") for index, item in enumerate(value)]
    return _scalar(value, kind, name)


def _scalar(value: Any, kind: str, name: str) -> Any:
    if isinstance(value, str):
        if kind not in {"string", "timestamp", "blob"} and any(placeholders(value)):
            if not is_placeholder(value):
                raise wrong(name, kind, value)
            return Deferred(value, kind)
        return scalar(value, kind, name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if (kind == "boolean" and isinstance(value, bool)) or (kind in {"float", "double"} and is_number):
        return value
    if kind in {"integer", "long"} and is_number and int(value) == value:
        return int(value)
    if kind in {"timestamp", "string"} and isinstance(value, date):  # YAML reads dates by itself
        return value.isoformat()
    raise wrong(name, kind, value)


def _structure(value: Any, shape: Any, name: str, *, top: bool = False) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise wrong(name, "structure", value)
    typed: dict[str, Any] = {}
    for key, item in value.items():
        if key not in shape.members:
            raise _unknown(str(key), shape.members, name)
        typed[key] = _typed(item, shape.members[key], key if top else f"{name}.{key}")
    for key in shape.required_members:
        if key not in typed and not shape.members[key].metadata.get("idempotencyToken"):
            kind = shape.members[key].type_name
            raise QueryError(f"{name} needs {key}", where="parameters", mend=f"give {key}: {WORDS[kind]}")
    return typed


def _unknown(name: str, members: Mapping[str, Any], where: str) -> QueryError:
    close = difflib.get_close_matches(name, list(members), n=3, cutoff=0.4)
    known = close or sorted(members)[:10]
    return QueryError(f"there is no parameter {name!r}", where=where, mend=f"did you mean {', '.join(known)}?")
