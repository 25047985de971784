"""Remove secrets from messages and replies, and convert replies to JSON values.

Secrets are recognized by their format or by the name before them. Formats: access key IDs start with AKIA, ASIA, or ABIA
(IAM User Guide, "Unique identifiers", November 2026); secret keys have 40 characters of base64; session tokens are base64
of several hundred characters. Unique ids of roles and users (AROA, AIDA) and external IDs are not secrets and are kept.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

HIDDEN = "(hidden)"

_NAMED = re.compile(
    r"""(?ix)
    ( (?: aws[_-]?)? (?: secret[_-]?access[_-]?key | secret[_-]?key | session[_-]?token | security[_-]?token
        | signin[_-]?token | x-amz-security-token | x-amz-signature | signature | password )
      (?: \s* ["']? \s* [:=] \s* (?: b? ["'] )? | > | %3D ) )
    ( [^\s"'<>&,;}\])]+ )
    """
)
_KEY_ID = re.compile(r"(?<![A-Za-z0-9])((?:AKIA|ASIA|ABIA)[A-Z0-9]{12,124})(?![A-Za-z0-9])")
_SECRET = re.compile(
    r"(?<![A-Za-z0-9/+=])(?=[A-Za-z0-9/+]*[0-9])(?=[A-Za-z0-9/+]*[a-z])(?=[A-Za-z0-9/+]*[A-Z])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])"
)
_TOKEN = re.compile(r"(?<![A-Za-z0-9/+=%])[A-Za-z0-9/+=%_-]{120,}")


def redact(text: str) -> str:
    """Hide secret keys, session tokens, signatures, passwords, and all but four characters at each end of access key IDs."""
    text = _NAMED.sub(rf"\g<1>{HIDDEN}", text)
    text = _TOKEN.sub(HIDDEN, text)
    text = _SECRET.sub(HIDDEN, text)
    return _KEY_ID.sub(lambda match: f"{match[1][:4]}...{match[1][-4:]}", text)


def redact_json(given: Any, key: str = "") -> Any:
    """Redact all strings of JSON values. A string is also hidden if its key is the name of a secret."""
    if isinstance(given, str):
        named = f"{key}: {redact(given)}"
        return redact(named).removeprefix(f"{key}: ") if key else redact(given)
    if isinstance(given, Mapping):
        return {str(name): redact_json(item, str(name)) for name, item in given.items()}
    return [redact_json(item, key) for item in given] if isinstance(given, list | tuple) else given


_SECRET_MEMBERS = frozenset(
    {"sessiontoken", "secretaccesskey", "authorizationtoken", "authtoken", "clientsecret", "privatekey"}
)
"""Lowercase names of members that are secret but not marked as sensitive in the service model, as STS's session token."""
_SCALARS = frozenset({str, bool, int, float, type(None)})


def to_json_values(value: Any, shape: Any = None, *, reveal: bool = False) -> Any:
    """Convert a botocore reply, or a part of one, to JSON values: times in ISO 8601, bytes in base64.

    `shape`: the botocore shape of `value`, if known. Values that it marks as sensitive are hidden unless `reveal` is true.
    """
    if not reveal and value is not None and shape is not None and shape.metadata.get("sensitive"):
        return HIDDEN
    kind = type(value)
    if kind in _SCALARS:  # checked first, since most values are scalars
        return value
    if kind is dict or isinstance(value, Mapping):
        return {str(key): _member(key, item, shape, reveal) for key, item in value.items() if key != "ResponseMetadata"}
    if kind is list or isinstance(value, list | tuple | set):
        inner = shape.member if shape is not None and shape.type_name == "list" else None
        return [to_json_values(item, inner, reveal=reveal) for item in value]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, date):  # includes datetime
        return value.isoformat()
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode("ascii")
    return float(value) if isinstance(value, Decimal) else str(value)


def _member(key: Any, value: Any, shape: Any, reveal: bool) -> Any:
    if not reveal and isinstance(value, str) and str(key).lower() in _SECRET_MEMBERS:
        return HIDDEN
    inner = None
    if shape is not None:
        inner = shape.members.get(key) if shape.type_name == "structure" else getattr(shape, "value", None)
    return to_json_values(value, inner, reveal=reveal)


REHEARSAL = "rehearsal (sandbox)"
"""Label of output that comes from a sandbox instead of AWS."""
