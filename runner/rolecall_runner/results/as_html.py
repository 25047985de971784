"""The roll call as one page that stands alone: who answers, the trust picture, every rung, and what to send to whom."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rolecall_generator.checks.formats.markup import asset, escape, json_for_script
from rolecall_generator.checks.formats.page import PAGE_ROWS, PAGER, page_html, picture_html, unseen_html
from rolecall_runner.rehearsal import REHEARSAL
from rolecall_runner.results.html_data import page_data
from rolecall_runner.results.html_rows import head_html, marks_html, row_html
from rolecall_runner.results.run_info import RunInfo
from rolecall_runner.results.shown import MEANINGS, SIGNS, TROUBLES, shown
from rolecall_runner.results.tally import Tally, tally
from rolecall_runner.tasks.verify.verdict import Mark, Step, Verdict

_HERE = "rolecall_runner.results"
_ORDER = (*TROUBLES, Mark.OK, Mark.SKIPPED, Mark.REFUSED)


def run_html(info: RunInfo, verdicts: Iterable[Verdict], *, picture_svg: str, words: Iterable[str] = ()) -> str:
    """The whole page, with the accounts that need somebody first.

    `picture_svg` comes from the generator's `to_svg` (empty: no picture) and `words` from `describe`.
    """
    held = sorted((shown(verdict) for verdict in verdicts), key=lambda verdict: _ORDER.index(verdict.mark))
    counted = tally(held, info.targets)
    main = "\n".join((_table(held, counted), picture_html(picture_svg, words), _reading()))
    body = f"{_header(info, counted)}\n<main>\n{main}</main>"
    style, script = asset("verify.css", _HERE), asset("verify.js", _HERE)
    mark = f"{REHEARSAL}: " if info.rehearsal else ""
    return page_html(f"{mark}Roll call of {info.manifest}: {counted.headline()}", body, style=style, script=script)


def _header(info: RunInfo, counted: Tally) -> str:
    state, sign = ("bad", "✗") if counted.marks[Mark.FAILED] else ("doubt", "?")
    if counted.good:
        state, sign = "good", "✓"
    rest = counted.rest()
    mark = f"{REHEARSAL}: " if info.rehearsal else ""
    facts = (
        f"selection {info.selection}",
        f"run {info.run_id}",
        f"{info.started:%Y-%m-%d %H:%M:%S %Z}, {info.seconds:,.1f} s",
        f"asked by {info.caller_arn}",
        f"rolecall {info.version}",
    )
    return (
        f'<header class="{state}"><p class="verdict" id="verdict">{sign} {escape(mark + counted.headline())}</p>'
        f"<h1>Roll call of {escape(info.manifest)}</h1>"
        + (f'<p class="summary">{escape(rest)}</p>' if rest else "")
        + f'<p class="soft">{escape(" · ".join(facts))}</p></header>'
    )


def _table(verdicts: Sequence[Verdict], counted: Tally) -> str:
    occurring = {rung.step for verdict in verdicts for rung in verdict.rungs}
    steps = [step for step in Step if step in occurring]
    first = "\n".join(row_html(verdict, marks_html(verdict.rungs, steps), len(steps)) for verdict in verdicts[:PAGE_ROWS])
    return (
        f"<section><h2>Every account that was asked</h2>\n{_controls(counted)}\n"
        f'<div class="scroll"><table><thead>{head_html(steps)}</thead>\n'
        f'<tbody id="rows">\n{first}\n</tbody></table></div>\n'
        f"{unseen_html(len(verdicts))}{PAGER}\n"
        f'<script type="application/json" id="data">{json_for_script(page_data(verdicts, steps))}</script></section>'
    )


def _controls(counted: Tally) -> str:
    troubles = sum(counted.marks[mark] for mark in TROUBLES)
    options = "".join(
        f'<option value="{mark}">{mark} ({counted.marks[mark]:,})</option>' for mark in _ORDER if counted.marks[mark]
    )
    return (
        '<div class="controls" id="controls" hidden><label>Filter <input type="search" id="filter" autocomplete="off" '
        'spellcheck="false" placeholder="name, account, role, cause"></label>'
        f'<label>Show <select id="mark" autocomplete="off"><option value="">all ({counted.asked:,})</option>'
        f'<option value="not ok">not ok ({troubles:,})</option>{options}</select></label>'
        '<p id="status" role="status"></p></div>'
    )


def _reading() -> str:
    signs = "".join(f"<dt>{SIGNS[mark]} {mark}</dt><dd>{escape(meaning)}</dd>" for mark, meaning in MEANINGS.items())
    return asset("reading.html", _HERE).replace("<!-- signs -->", f"<dl>{signs}</dl>")
