"""Policy documents as the text that people read, compare and paste."""

from __future__ import annotations

import json
import re
from functools import lru_cache

from rolecall_generator.iam.policy import PolicyDocument

_HIDDEN = re.compile("[^\n\x20-\x7e\xa1-\xac\xae-\xff]")
"""What cannot be seen or could mislead; a soft hyphen too. A policy holds printable Latin-1 alone."""


@lru_cache(maxsize=1_024)
def document_text(document: PolicyDocument) -> str:
    """The document as AWS's JSON, indented by two spaces; characters that cannot be seen are written as JSON escapes.

    Statements without id have none here: the empty one that provider 3.39 writes means the same.
    """
    body = document.to_json()
    for statement in body["Statement"]:
        if not statement["Sid"]:
            del statement["Sid"]
    return _HIDDEN.sub(lambda found: json.dumps(found.group())[1:-1], json.dumps(body, indent=2, ensure_ascii=False))
