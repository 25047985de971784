"""Rows of the matrix as HTML: a mark for each column, and under a failing row its counterexamples in sentences."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from rolecall_generator.checks.formats.markup import escape
from rolecall_generator.checks.formats.matrix import Mark, Row, State
from rolecall_generator.checks.formats.proof_words import sentences
from rolecall_generator.checks.proof import Case, Cell


def head_html(columns: Iterable[Case]) -> str:
    """The table's head row."""
    names = "".join(f'<th scope="col">{escape(case.value)}</th>' for case in columns)
    return f'<tr><th scope="col">who and role</th>{names}</tr>'


def marks_html(marks: Iterable[Mark], columns: Iterable[Case]) -> str:
    """One cell a column, with its column's name for narrow screens and its meaning in words for those who listen."""
    return "".join(_mark(mark, case) for mark, case in zip(marks, columns, strict=True))


def row_html(row: Row, marks: str, columns: int) -> str:
    """A row as it stands in the page before any script runs."""
    name = f'<th scope="row"><b>{escape(row.subject)}</b><code>{escape(row.role_arn)}</code></th>'
    if row.ok:
        return f"<tr>{name}{marks}</tr>"
    return f'<tr class="failing">{name}{marks}</tr><tr class="why"><td colspan="{columns + 1}">{why_html(row)}</td></tr>'


def why_html(row: Row) -> str:
    """The counterexamples of a failing row."""
    return "".join(_counterexample(cell) for cell in row.failures)


def _mark(mark: Mark, case: Case) -> str:
    name = escape(case.value)
    if mark.state is State.NOT_ASKED:
        return f'<td class="none" data-case="{name}"><i aria-hidden="true">·</i><span class="sr">not asked</span></td>'
    count = f"<small>{mark.asked}</small>" if mark.asked > 1 else ""
    if mark.state is State.OK:
        style, sign, words = "ok", f"✓{count}", f"{mark.asked} as intended"
    elif mark.state is State.DELEGATED:
        style, sign, words = "delegated", f"○{count}", f"{mark.delegated} of {mark.asked} decided by the caller's account"
    else:
        share = f"<small>{mark.failed}/{mark.asked}</small>" if count else ""
        style, sign, words = "failed", f"✗{share}", f"{mark.failed} of {mark.asked} failed"
    return f'<td class="{style}" data-case="{name}"><i aria-hidden="true">{sign}</i><span class="sr">{words}</span></td>'


def _counterexample(cell: Cell) -> str:
    first, *more = sentences(cell)
    rest = f"<p>{escape(' '.join(more))}</p>" if more else ""
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{value}</dd>" for name, value in _facts(cell))
    return (
        f'<article><h3>{escape(cell.case.value)}</h3><p class="said">{escape(first)}</p>{rest}'
        f"<details><summary>The request and the deciding statement</summary><dl>{facts}</dl></details></article>"
    )


def _facts(cell: Cell) -> Iterator[tuple[str, str]]:
    """What a reader needs to check the decision by hand; values are HTML."""
    request, decision = cell.request, cell.decision
    yield "principal", _code(request.principal.arn)
    yield "action", _code(request.action)
    for key, value in request.context.items():
        yield "context", f"{_code(key)} {'is absent' if value == () else f'= {_code(_said(value))}'}"
    if decision.assumed:
        yield "as the caller wishes", ", ".join(map(_code, decision.assumed))
    yield "expected", "allowed" if cell.expected else "refused"
    yield "came out", escape(f"{decision.effect.value}: {decision.reason}")
    if decision.statement is not None:
        document = json.dumps(decision.statement.to_json(), indent=2, ensure_ascii=False)
        yield escape(decision.policy) or "statement", f"<pre>{escape(document)}</pre>"


def _said(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else ", ".join(value)


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"
