"""Secrets taken out of text: for messages of AWS, exceptions and log lines, whatever wrote them.

What AWS hands out is known by its form, or by the name that stands before it. Forms: access key ids start with AKIA, ASIA
or ABIA (IAM user guide, "Unique identifiers", November 2026); secret keys have 40 characters of base64; session tokens are
base64 of several hundred characters. Unique ids of roles and users (AROA, AIDA) and external ids are no secrets and stay.

Also here: replies of botocore as JSON values (times in ISO 8601, bytes in base64, sensitive members hidden), and the mark of
everything that came from a sandbox instead of AWS.
"""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from rolecall_generator.text import lines_of, one_line

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
    """The text without secret keys, session tokens, signatures and passwords; of an access key id its last four stay."""
    text = _NAMED.sub(rf"\g<1>{HIDDEN}", text)
    text = _TOKEN.sub(HIDDEN, text)
    text = _SECRET.sub(HIDDEN, text)
    return _KEY_ID.sub(lambda match: f"{match[1][:4]}...{match[1][-4:]}", text)


class RedactingFilter(logging.Filter):
    """Redacts log records: botocore's debug log writes headers, canonical requests and the replies of STS in full.

    A message is one line, without control characters: replies and names of accounts are in it.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Replace the record's text, and its traceback's, by the redacted ones; the record always passes."""
        record.msg = one_line(redact(record.getMessage()))
        record.args = None
        if record.exc_info and record.exc_info[1] is not None:
            record.exc_text = lines_of(redact(logging.Formatter().formatException(record.exc_info)))
            record.exc_info = None
        return True


def redacted(given: Any, key: str = "") -> Any:
    """JSON values with every text redacted; a key that names a secret hides its text."""
    if isinstance(given, str):
        named = f"{key}: {redact(given)}"
        return redact(named).removeprefix(f"{key}: ") if key else redact(given)
    if isinstance(given, Mapping):
        return {str(name): redacted(item, str(name)) for name, item in given.items()}
    return [redacted(item, key) for item in given] if isinstance(given, list | tuple) else given


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


REHEARSAL = "rehearsal (sandbox)"
