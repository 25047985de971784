"""A page that stands alone: no network, readable in light and dark, on paper and on a telephone.

A Content-Security-Policy lets the page's own style and script run and nothing else, so a name that should ever get past
the escaping still does nothing. Rows beyond the first page wait as JSON within the page for the script to show them.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from rolecall_generator.checks.formats.markup import asset, csp_hash, escape
from rolecall_generator.checks.formats.picture_svg import picture_style

PAGE_ROWS = 100
"""Rows that are shown at once, and that stand in the page for readers without scripts."""

PICTURE_SENTENCES = 200
"""A longer list says nothing that the table does not say better."""

PAGER = (
    '<nav class="pager" id="pager" aria-label="Pages of the table" hidden>'
    '<button type="button" id="previous">Previous</button>'
    '<span id="page"></span>'
    '<button type="button" id="next">Next</button>'
    "</nav>"
)


def page_html(title: str, body: str, *, style: str, script: str) -> str:
    """The whole page. `title` is text, `body` is HTML; `style` and `script` are added to those that all pages share."""
    style, script = asset("page.css") + style, asset("page.js") + script
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(style, script)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style>\n</head>\n"
        f"<body>\n{body}\n<script>{script}</script>\n</body>\n</html>\n"
    )


def _policy(style: str, script: str) -> str:
    styles = f"{csp_hash(style)} {csp_hash(picture_style())}"
    return f"default-src 'none'; style-src {styles}; script-src {csp_hash(script)}; base-uri 'none'; form-action 'none'"


def picture_html(svg: str, words: Iterable[str]) -> str:
    """The picture in a frame that scrolls by itself, and the same in sentences; nothing when `svg` is empty."""
    if not svg:
        return ""
    frame = '<div class="scroll" tabindex="0" role="group" aria-label="Picture">'
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in islice(words, PICTURE_SENTENCES))
    said = f'<details class="words"><summary>The same in words</summary><ul>{items}</ul></details>' if items else ""
    return f"<section><h2>Who reaches what</h2>{frame}{svg}</div>{said}</section>"


def unseen_html(rows: int) -> str:
    """What readers without scripts are told of the rows, `rows` in all, that do not stand in the page."""
    left = rows - PAGE_ROWS
    return f'<noscript><p class="soft">{left:,} more rows show when scripts may run.</p></noscript>' if left > 0 else ""
