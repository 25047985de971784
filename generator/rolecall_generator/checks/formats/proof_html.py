"""The proof as one page that stands alone: verdict, picture, and the matrix with its counterexamples."""

from __future__ import annotations

from collections.abc import Iterable

from rolecall_generator.checks.formats.markup import asset, escape, json_for_script
from rolecall_generator.checks.formats.matrix import Mark, Matrix, summarize
from rolecall_generator.checks.formats.page import PAGE_ROWS, PAGER, page_html, picture_html, unseen_html
from rolecall_generator.checks.formats.proof_rows import head_html, marks_html, row_html, why_html
from rolecall_generator.checks.proof import Proof


def proof_html(proof: Proof, *, title: str, picture_svg: str, generated: str, words: Iterable[str] = ()) -> str:
    """The whole page.

    `picture_svg` comes from `to_svg` (empty: no picture) and `words` from `describe`: the same picture in sentences.
    `generated` says of what or when the proof is.
    """
    matrix = summarize(proof)
    verdict = ("proven" if proof.ok else "not proven") if proof.cells else "nothing to prove"
    main = "\n".join((picture_html(picture_svg, words), _matrix(matrix), asset("reading.html")))
    body = f"{_header(matrix, title, generated)}\n<main>\n{main}</main>"
    return page_html(f"{title}: {verdict}", body, style=asset("proof.css"), script=asset("proof.js"))


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


def _matrix(matrix: Matrix) -> str:
    patterns: dict[tuple[Mark, ...], int] = {}
    for row in matrix.rows:
        patterns.setdefault(row.marks, len(patterns))
    marks = [marks_html(pattern, matrix.columns) for pattern in patterns]
    first = "\n".join(row_html(row, marks[patterns[row.marks]], len(matrix.columns)) for row in matrix.rows[:PAGE_ROWS])
    return (
        f"<section><h2>Every request that was decided</h2>\n{_CONTROLS}\n"
        f'<div class="scroll"><table><thead>{head_html(matrix.columns)}</thead>\n'
        f'<tbody id="rows">\n{first}\n</tbody></table></div>\n'
        f"{unseen_html(len(matrix.rows))}{PAGER}\n"
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
