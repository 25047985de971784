"""Secrets taken out of text: for messages of AWS, exceptions and log lines, whatever wrote them.

What AWS hands out is known by its form, or by the name that stands before it. Forms: access key ids start with AKIA, ASIA
or ABIA (IAM user guide, "Unique identifiers", November 2026); secret keys have 40 characters of base64; session tokens are
base64 of several hundred characters. Unique ids of roles and users (AROA, AIDA) and external ids are no secrets and stay.
"""

from __future__ import annotations

import logging
import re

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
