"""The proof as one page that stands alone: no network, readable in light and dark, on paper and on a telephone.

A Content-Security-Policy lets the page's own style and script run and nothing else, so a name that should ever get past
the escaping still does nothing. Rows beyond the first page wait as JSON within the page for the script to show them.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from rolecall_generator.checks.formats.markup import asset, csp_hash, escape, json_for_script
from rolecall_generator.checks.formats.matrix import Mark, Matrix, summarize
from rolecall_generator.checks.formats.picture_svg import picture_style
from rolecall_generator.checks.formats.proof_rows import head_html, marks_html, row_html, why_html
from rolecall_generator.checks.proof import Proof

PAGE_ROWS = 100
"""Rows that are shown at once, and that stand in the page for readers without scripts."""

PICTURE_SENTENCES = 200
"""A longer list says nothing that the table does not say better."""


def proof_html(proof: Proof, *, title: str, picture_svg: str, generated: str, words: Iterable[str] = ()) -> str:
    """The whole page.

    `picture_svg` comes from `to_svg` (empty: no picture) and `words` from `describe`: the same picture in sentences.
    `generated` says of what or when the proof is.
    """
    matrix = summarize(proof)
    style, script = asset("proof.css"), asset("proof.js")
    verdict = ("proven" if proof.ok else "not proven") if proof.cells else "nothing to prove"
    main = "\n".join((_picture(picture_svg, words), _matrix(matrix), asset("reading.html")))
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(style, script)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(title)}: {verdict}</title>\n<style>{style}</style>\n</head>\n"
        f"<body>\n{_header(matrix, title, generated)}\n<main>\n{main}</main>\n"
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def _policy(style: str, script: str) -> str:
    styles = f"{csp_hash(style)} {csp_hash(picture_style())}"
    return f"default-src 'none'; style-src {styles}; script-src {csp_hash(script)}; base-uri 'none'; form-action 'none'"


def _header(matrix: Matrix, title: str, generated: str) -> str:
    state, word = ("bad", "✗ Not proven") if matrix.failed else ("good", "✓ Proven")
    if not matrix.asked:
        state, word = "none", "Nothing to prove"
    return (
        f'<header class="{state}"><p class="verdict" id="verdict">{word}</p><h1>{escape(title)}</h1>'
        f'<p class="summary">{_summary(matrix)}</p><p class="soft">{escape(generated)}</p></header>'
    )


def _summary(matrix: Matrix) -> str:
    if not matrix.asked:
        return "There is no role that anybody could assume."
    roles = len({row.role_arn for row in matrix.rows})
    noun = "role" if roles == 1 else "roles"
    if matrix.failed:
        failing = len({row.role_arn for row in matrix.failing})
        wrong = f"{matrix.failed:,} of {matrix.asked:,} requests"
        text = f"{wrong} came out otherwise than intended, on {failing:,} of {roles:,} {noun}."
    else:
        sure = matrix.asked - matrix.delegated
        text = f"{sure:,} requests on {roles:,} {noun} came out as intended: who is meant gets in, and nobody else."
    if matrix.delegated:
        text += f" {matrix.delegated:,} more are left to the account that the role trusts, as intended (○)."
    return text


def _picture(svg: str, words: Iterable[str]) -> str:
    if not svg:
        return ""
    frame = '<div class="scroll" tabindex="0" role="group" aria-label="Picture">'
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in islice(words, PICTURE_SENTENCES))
    said = f'<details class="words"><summary>The same in words</summary><ul>{items}</ul></details>' if items else ""
    return f"<section><h2>Who reaches what</h2>{frame}{svg}</div>{said}</section>"


def _matrix(matrix: Matrix) -> str:
    patterns: dict[tuple[Mark, ...], int] = {}
    for row in matrix.rows:
        patterns.setdefault(row.marks, len(patterns))
    marks = [marks_html(pattern, matrix.columns) for pattern in patterns]
    first = "\n".join(row_html(row, marks[patterns[row.marks]], len(matrix.columns)) for row in matrix.rows[:PAGE_ROWS])
    left = len(matrix.rows) - PAGE_ROWS
    more = f'<noscript><p class="soft">{left:,} more rows show when scripts may run.</p></noscript>' if left > 0 else ""
    return (
        f"<section><h2>Every request that was decided</h2>\n{_CONTROLS}\n"
        f'<div class="scroll"><table><thead>{head_html(matrix.columns)}</thead>\n'
        f'<tbody id="rows">\n{first}\n</tbody></table></div>\n'
        f"{more}{_PAGER}\n"
        f'<script type="application/json" id="data">{json_for_script(_data(matrix, patterns, marks))}</script></section>'
    )


def _data(matrix: Matrix, patterns: dict[tuple[Mark, ...], int], marks: list[str]) -> dict[str, object]:
    """What the script shows: every row as [subject, role, pattern], failing ones with their callers and their HTML too."""
    failing = [
        [
            row.subject,
            row.role_arn,
            patterns[row.marks],
            " ".join({cell.request.principal.arn for cell in row.failures}),
            why_html(row),
        ]
        for row in matrix.failing
    ]
    fine = [[row.subject, row.role_arn, patterns[row.marks]] for row in matrix.fine]
    return {"size": PAGE_ROWS, "marks": marks, "rows": [*failing, *fine]}


_CONTROLS = (
    '<div class="controls" id="controls" hidden><label>Filter <input type="search" id="filter" autocomplete="off" '
    'spellcheck="false" placeholder="customer, role, account, caller"></label>'
    '<label><input type="checkbox" id="only-failures"> only failures</label><p id="status" role="status"></p></div>'
)
_PAGER = (
    '<nav class="pager" id="pager" aria-label="Pages of the table" hidden>'
    '<button type="button" id="previous">Previous</button>'
    '<span id="page"></span>'
    '<button type="button" id="next">Next</button>'
    "</nav>"
)
