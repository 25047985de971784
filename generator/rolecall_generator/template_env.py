"""The templates that are not HTML: their environment, and texts of bundles."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rolecall_generator.package_digest import template_folder
from rolecall_generator.text import printable

if TYPE_CHECKING:
    from jinja2 import Environment

BUNDLE = "bundle"
"""Folder of the templates of bundles; modules do not depend on them."""


def render_text(name: str, view: Mapping[str, Any]) -> str:
    """Render `templates/bundle/NAME.j2`."""
    return environment().get_template(f"{BUNDLE}/{name}.j2").render(view)


@functools.cache
def environment() -> Environment:
    """The Jinja2 environment of all templates that are not HTML: undefined names are errors, and no code can be called."""
    from rolecall_generator.jinja_environments import text_environment  # noqa: PLC0415 - loads Jinja2

    made = text_environment(template_folder())
    made.filters["md"] = markdown
    return made


def markdown(text: str) -> str:
    """Any string as a Markdown code span."""
    plain = " ".join(printable(text.replace("\n", " ")).split())
    fence = "`"
    while fence in plain:
        fence += "`"
    pad = " " if "`" in plain else ""
    return f"{fence}{pad}{plain}{pad}{fence}".replace("|", "\\|") if plain else "(empty)"
