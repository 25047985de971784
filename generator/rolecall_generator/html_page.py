"""Self-contained HTML pages from the templates in `templates/html/`, and the escaping that HTML and SVG share.

A page makes no network request. It is complete without JavaScript, which only filters and pages the rows of a table. Its
Content-Security-Policy allows its own style sheet and script and nothing else, so that even markup that got past the
escaping could not run or load anything.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from rolecall_generator.package_digest import template_folder
from rolecall_generator.text import sanitize_lines

if TYPE_CHECKING:
    from jinja2 import Environment


HTML = "html"
"""Folder of the page templates."""

GRAPH_SENTENCES = 200
"""Maximum number of sentences that describe the graph; past that the table is easier to read."""

_BUFFER = 5_000
"""Template expressions in a part of a page: about 100 KB."""


def escape(text: str) -> str:
    """Return the text for an element or a quoted attribute of HTML or XML; hidden characters become U+FFFD."""
    return html.escape(sanitize_lines(text), quote=True)


def csp_hash(text: str) -> str:
    """Return the source expression that allows an inline script or style in a Content-Security-Policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def asset(name: str) -> str:
    """Return a style sheet or script of `templates/html/`."""
    return (template_folder() / HTML / name).read_text("utf-8")


def html_page(name: str, view: Mapping[str, Any], *, svg: str = "", sentences: Iterable[str] = ()) -> str:
    """Render the page `NAME.html.j2` with the style sheet `NAME.css`.

    `view` holds the template's variables. Strings in it are escaped, and their hidden characters become U+FFFD. `svg` is the
    graph as `to_svg` returns it (empty: the page has none), `sentences` its description. Equal arguments give equal pages.
    """
    return _environment().get_template(f"{name}.html.j2").render(view, **_frame(name), graph=_graph(svg, sentences))


def html_page_parts(name: str, view: Mapping[str, Any], *, svg: str = "", sentences: Iterable[str] = ()) -> Iterator[str]:
    """Render the same page in parts, so that a long page is never in memory as a whole."""
    template = _environment().get_template(f"{name}.html.j2")
    parts = template.stream(view, **_frame(name), graph=_graph(svg, sentences))
    parts.enable_buffering(_BUFFER)
    return parts


def _graph(svg: str, sentences: Iterable[str]) -> dict[str, Any]:
    return {"svg": svg, "sentences": list(islice(sentences, GRAPH_SENTENCES))}


@cache
def _frame(name: str) -> dict[str, str]:
    style, script = asset("page.css") + asset(f"{name}.css"), asset("page.js")
    styles = f"{csp_hash(style)} {csp_hash(asset('graph.css'))}"
    sources = f"style-src {styles}; script-src {csp_hash(script)}"
    policy = f"default-src 'none'; {sources}; base-uri 'none'; form-action 'none'"
    return {"style": style, "script": script, "policy": policy}


@cache
def _environment() -> Environment:
    from rolecall_generator.jinja_environments import html_environment  # noqa: PLC0415 - loads Jinja2

    return html_environment(template_folder() / HTML, _visible)


def _visible(value: Any) -> Any:
    """Sanitize what a template prints; strings that are HTML already (Markup) and objects with `__html__` stay."""
    return _sanitized(value) if type(value) is str else value


# Rows share most of their strings.
_sanitized = lru_cache(maxsize=4_096)(sanitize_lines)
