"""Self-contained HTML pages from the templates in `templates/html/`.

A page makes no network requests. It is complete without JavaScript, which only filters and pages the rows of tables. Its
Content-Security-Policy only allows its own style sheet and script. Markup that was not escaped could therefore neither run
nor load anything.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from rolecall_generator.package_digest import template_folder

if TYPE_CHECKING:
    from jinja2 import Environment


HTML = "html"
"""Folder of the page templates."""

GRAPH_SENTENCES = 200
"""Maximum number of sentences that describe the graph. For larger graphs, the table is easier to read."""

_BUFFERED_EXPRESSIONS = 5_000
"""Number of template expressions in a part of a page, about 100 KB."""


def csp_hash(text: str) -> str:
    """Return the source expression that allows an inline script or style in a Content-Security-Policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def asset(name: str) -> str:
    """Return a style sheet or script of `templates/html/`."""
    return (template_folder() / HTML / name).read_text("utf-8")


def html_page(name: str, view: Mapping[str, Any], *, svg: str = "", sentences: Iterable[str] = ()) -> str:
    """Render the page `NAME.html.j2` with the style sheet `NAME.css`.

    `view` contains the variables of the template. Strings are escaped, and their hidden characters become U+FFFD. `svg` is
    the graph as `to_svg` returns it, empty for a page without a graph; `sentences` describe it. The result only depends on
    the arguments.
    """
    return _environment().get_template(f"{name}.html.j2").render(view, **_page_variables(name), graph=_graph(svg, sentences))


def html_page_parts(name: str, view: Mapping[str, Any], *, svg: str = "", sentences: Iterable[str] = ()) -> Iterator[str]:
    """Render the page of `html_page` in parts, so that a long page is never completely in memory."""
    template = _environment().get_template(f"{name}.html.j2")
    parts = template.stream(view, **_page_variables(name), graph=_graph(svg, sentences))
    parts.enable_buffering(_BUFFERED_EXPRESSIONS)
    return parts


def _graph(svg: str, sentences: Iterable[str]) -> dict[str, Any]:
    return {"svg": svg, "sentences": list(islice(sentences, GRAPH_SENTENCES))}


@cache
def _page_variables(name: str) -> dict[str, str]:
    style, script = asset("page.css") + asset(f"{name}.css"), asset("page.js")
    styles = f"{csp_hash(style)} {csp_hash(asset('graph.css'))}"
    sources = f"style-src {styles}; script-src {csp_hash(script)}"
    policy = f"default-src 'none'; {sources}; base-uri 'none'; form-action 'none'"
    return {"style": style, "script": script, "policy": policy}


@cache
def _environment() -> Environment:
    from rolecall_generator.jinja_environments import html_environment  # noqa: PLC0415 - loads Jinja2

    return html_environment(template_folder() / HTML)
