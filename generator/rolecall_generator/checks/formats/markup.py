"""Text for HTML, SVG and JSON within HTML: whatever stands in a manifest or a hostile file comes out as data."""

from __future__ import annotations

import base64
import hashlib
import html
from functools import lru_cache
from importlib.resources import files

from rolecall_generator.text import json_text, lines_of


def clean(text: str) -> str:
    """The text as an element or attribute of XML may hold it: what XML forbids and what is not shown becomes U+FFFD."""
    return lines_of(text)


def escape(text: str) -> str:
    """The text for an element or a quoted attribute of HTML or XML."""
    return html.escape(lines_of(text), quote=True)


def json_for_script(value: object) -> str:
    """JSON for a script element: ASCII, and no character that could end the element or begin a comment."""
    text = json_text(value, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def csp_hash(text: str) -> str:
    """The source expression that lets a Content-Security-Policy accept this inline script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@lru_cache
def asset(name: str, package: str = "rolecall_generator.checks.formats") -> str:
    """A file from the folder `assets` of a package."""
    return files(package).joinpath("assets", name).read_text("utf-8")
