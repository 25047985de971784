"""Text for HTML, SVG and JSON within HTML: whatever stands in a manifest or a hostile file comes out as data."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from functools import lru_cache
from importlib.resources import files

_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold or that no encoding can write, and control characters, which only mislead."""

_TURNING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Marks that turn the direction of text: with them an ARN can be shown as another one (CVE-2021-42574)."""


def clean(text: str) -> str:
    """The text with every character that cannot be shown replaced by U+FFFD."""
    return _TURNING.sub("\N{REPLACEMENT CHARACTER}", _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text))


def escape(text: str) -> str:
    """The text for an element or a quoted attribute of HTML or XML."""
    return html.escape(clean(text), quote=True)


def json_for_script(value: object) -> str:
    """JSON for a script element: ASCII, and no character that could end the element or begin a comment."""
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def csp_hash(text: str) -> str:
    """The source expression that lets a Content-Security-Policy accept this inline script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@lru_cache
def asset(name: str, package: str = "rolecall_generator.checks.formats") -> str:
    """A file from the folder `assets` of a package."""
    return files(package).joinpath("assets", name).read_text("utf-8")
