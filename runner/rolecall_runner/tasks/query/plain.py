"""Replies of botocore as JSON values: times as ISO 8601, bytes as base64, and what the model calls sensitive hidden."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from rolecall_runner.redact import HIDDEN

_SECRETS = frozenset({"sessiontoken", "secretaccesskey", "authorizationtoken", "authtoken", "clientsecret", "privatekey"})
"""Members that are secrets even where a model does not say so (STS's session token), in lower case."""
_SCALARS = frozenset({str, bool, int, float, type(None)})


def plain(value: Any, shape: Any = None, *, reveal: bool = False) -> Any:
    """A reply, or a part of it with its shape, in JSON's types. `reveal` shows sensitive values."""
    if not reveal and value is not None and shape is not None and shape.metadata.get("sensitive"):
        return HIDDEN
    kind = type(value)
    if kind in _SCALARS:  # asked first: most of a reply are these
        return value
    if kind is dict or isinstance(value, Mapping):
        return {str(key): _member(key, item, shape, reveal) for key, item in value.items() if key != "ResponseMetadata"}
    if kind is list or isinstance(value, list | tuple | set):
        inner = shape.member if shape is not None and shape.type_name == "list" else None
        return [plain(item, inner, reveal=reveal) for item in value]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, date):  # a datetime is one
        return value.isoformat()
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode("ascii")
    return float(value) if isinstance(value, Decimal) else str(value)


def _member(key: Any, value: Any, shape: Any, reveal: bool) -> Any:
    if not reveal and isinstance(value, str) and str(key).lower() in _SECRETS:
        return HIDDEN
    inner = None
    if shape is not None:
        inner = shape.members.get(key) if shape.type_name == "structure" else getattr(shape, "value", None)
    return plain(value, inner, reveal=reveal)
