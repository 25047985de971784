"""Output of `runner status`: a table with the next commands, JSON, or a self-contained HTML page."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rolecall_generator.html_page import html_page
from rolecall_generator.output import BUNDLES
from rolecall_generator.text import json_text, pluralize, sanitize_line
from rolecall_runner._version import __version__
from rolecall_runner.inventory import TargetKind
from rolecall_runner.redact import REHEARSAL
from rolecall_runner.reports.formatters.registry import FormatRegistry, TextOutput
from rolecall_runner.status import (
    HISTORY_KEPT,
    CustomerState,
    PastRun,
    RunOutcome,
    StatusEntry,
    StatusPlace,
    StatusReport,
    StatusRow,
    by_urgency,
    parse_date,
)

SHOWN = 50
"""Most rows of the table; the most urgent are shown."""

ALL_SHOWN = 20
"""With more targets than this, verified ones are not listed."""

_SHOWN: Mapping[CustomerState, tuple[str, str, str, str]] = {
    CustomerState.FAILED: ("bold red", "✗", "runner verify --limit {name}", "for the reason"),
    CustomerState.DRIFTING: ("red", "≠", "runner verify --limit {name}", "for the differences"),
    CustomerState.OUTDATED: ("yellow", "!", "gen bundle {name}", "send it; then: {onboard}"),
    CustomerState.STALE: ("yellow", "?", "runner verify --limit {name}", "to verify it again"),
    CustomerState.APPLIED: ("cyan", "…", "{onboard}", "to verify it"),
    CustomerState.HANDED_OVER: ("cyan", "…", "{onboard}", "to wait for the apply"),
    CustomerState.NOT_HANDED_OVER: ("dim", "-", "gen bundle {name}", "send it; then: {onboard}"),
    CustomerState.VERIFIED: ("green", "✓", "", ""),
}
"""Style, sign (for readers who cannot see colors), next command, and why; `{onboard}` is the one for the target's kind."""

_ONBOARD = {TargetKind.CUSTOMER: "runner onboard {name}", TargetKind.SWITCH_ROLE: "runner verify --limit {name}"}
_SECONDS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def print_status(console: Console, report: StatusReport, *, every: bool) -> None:
    """Print the table and the next commands. `every`: all rows."""
    rows = report.rows
    console.print(_headline(report))
    listed = [row for row in rows if every or len(rows) <= ALL_SHOWN or row.state is not CustomerState.VERIFIED]
    shown = listed if every else listed[:SHOWN]
    if shown:
        console.print(_table(shown, report.now))
    if len(shown) < len(listed):
        console.print(f"and {len(listed) - len(shown):,} more: use --all, --state or --format json", style="yellow")
    _print_next(console, report, listed)


def age(since: datetime | None, now: datetime) -> str:
    """The time since then in the largest unit that fits: `3 d`, `5 h`; "" if unknown."""
    if since is None:
        return ""
    seconds = max(0, int((now - since).total_seconds()))
    return next((f"{seconds // size} {unit}" for unit, size in _SECONDS if seconds >= size), "now")


def _headline(report: StatusReport) -> Text:
    total = sum(report.counts.values())
    noun = "account" if total == 1 else "accounts"
    text = Text.assemble((f"{total:,} {noun}", "bold"), f", {REHEARSAL}: " if report.place.rehearsal else ": ")
    for number, (state, count) in enumerate(report.counts.items()):
        text.append(f"{', ' if number else ''}{count:,} {state_label(state)}", style=_SHOWN[state][0])
    return text


def _sign(state: CustomerState) -> str:
    """One character, so that the state is readable without colors."""
    return _SHOWN[state][1]


def state_label(state: CustomerState) -> str:
    """The state in words, for example `handed over`."""
    return state.replace("-", " ")


def _table(rows: Sequence[StatusRow], now: datetime) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("account", overflow="fold", max_width=28)
    table.add_column("state", no_wrap=True)
    table.add_column("for", no_wrap=True, justify="right")
    table.add_column("details", overflow="fold", ratio=1)
    for row in rows:
        style, sign, _, _ = _SHOWN[row.state]
        state = Text(f"{sign} {state_label(row.state)}", style=style)
        table.add_row(Text(_name(row)), state, age(row.since, now), Text(sanitize_line(row.what)))
    return table


def _name(row: StatusRow) -> str:
    return sanitize_line(row.target.name if row.target.kind is TargetKind.CUSTOMER else f"{row.target.name} (switch role)")


def _print_next(console: Console, report: StatusReport, rows: Sequence[StatusRow]) -> None:
    """Print the next command for the first target of each state."""
    for state, row in _first_of_each_state(rows):
        command, why = next_step(report.place, row)
        line = Text.assemble((f"{state_label(state)}: ", _SHOWN[state][0]), (command, "bold"), f"   {why}")
        console.print(line, soft_wrap=True)


def _first_of_each_state(rows: Sequence[StatusRow]) -> Iterator[tuple[CustomerState, StatusRow]]:
    """The first row of each state with something to do, the most urgent state first."""
    first: dict[CustomerState, StatusRow] = {}
    for row in rows:
        first.setdefault(row.state, row)
    yield from ((state, first[state]) for state in CustomerState if state in first and state is not CustomerState.VERIFIED)


def next_step(place: StatusPlace, row: StatusRow) -> tuple[str, str]:
    """The next command for an account, and why or what then; both empty for a verified one."""
    if row.state is CustomerState.VERIFIED:
        return "", ""
    name = shlex.quote(row.target.name)
    onboard = _ONBOARD[row.target.kind].format(name=name)
    if row.state is CustomerState.OUTDATED and row.entry.pending is not None and row.entry.pending.unseen:
        return place.command(f"runner status {name} --applied"), "when the customer confirms the apply"
    if row.state is CustomerState.OUTDATED and row.entry.pending is not None and not row.entry.pending.module:
        return place.command("gen terraform"), f"then: {place.command(f'gen bundle {name}')}"
    if row.state is CustomerState.NOT_HANDED_OVER and row.bundled:
        return place.command(onboard), f"after you have sent {place.out / BUNDLES / row.target.name}"
    _, _, command, why = _SHOWN[row.state]
    return place.command(command.format(name=name, onboard=onboard)), why.format(onboard=place.command(onboard))


def status_json(report: StatusReport) -> str:
    """The object `{"status": FILE, "rehearsal": bool, "counts": {state: number}, "accounts": [...]}` with its newline.

    Each account has name, kind, account_id, state, since (ISO 8601 or null), what, and the file's own entry.
    """
    body = {
        "status": str(report.place.status),
        "rehearsal": report.place.rehearsal,
        "counts": {str(state): report.counts.get(state, 0) for state in CustomerState},
        "accounts": [
            {
                "name": row.target.name,
                "kind": str(row.target.kind),
                "account_id": row.target.account_id,
                "state": str(row.state),
                "since": row.since.isoformat() if row.since is not None else None,
                "what": row.what,
                "bundle_is_old": row.bundle_is_old,
                "entry": row.entry.to_json(),
            }
            for row in report.rows
        ],
    }
    return json_text(body, indent=2) + "\n"


MAX_PAGE_BYTES = 300_000
"""Largest page. The most urgent accounts are listed; the rest is only counted."""

_SMALLEST_ROW_BYTES = 400

_MEANINGS: Mapping[CustomerState, str] = {
    CustomerState.FAILED: "A verification found a difference from what was agreed.",
    CustomerState.DRIFTING: "The only finding is drift: the role differs from the module that was handed over.",
    CustomerState.OUTDATED: "There is a newer module, and no verification has shown that it is applied.",
    CustomerState.STALE: "All checks passed, but too long ago.",
    CustomerState.APPLIED: "The role can be assumed, or the apply was confirmed; not verified since.",
    CustomerState.HANDED_OVER: "The customer has the current module and has not applied it yet.",
    CustomerState.NOT_HANDED_OVER: "Nothing is recorded.",
    CustomerState.VERIFIED: "All checks passed in the last verification, with the current module.",
}
_CELLS: Mapping[CustomerState, str] = {
    CustomerState.FAILED: "failed",
    CustomerState.DRIFTING: "failed",
    CustomerState.OUTDATED: "doubtful",
    CustomerState.STALE: "doubtful",
    CustomerState.VERIFIED: "ok",
}
"""CSS class of the verdict; "waiting" for the other states."""
_ROWS = {"failed": "failing", "doubtful": "doubtful"}

_HEIGHTS: Mapping[RunOutcome, str] = {
    RunOutcome.OK: "4",
    RunOutcome.FAILED: "12",
    RunOutcome.DRIFTING: "11",
    RunOutcome.OUTDATED: "11",
    RunOutcome.NOT_APPLIED: "8",
    RunOutcome.INCONCLUSIVE: "8",
    RunOutcome.UNREACHABLE: "8",
}
"""Position of the marks in a picture of 16 units; the line between passed and failed is at 8."""
_MARK_WIDTH = 4
_OUTCOMES: Mapping[RunOutcome, str] = {outcome: str(outcome).replace("-", " ") for outcome in RunOutcome}
HISTORY_LINES = 6
"""Maximum number of lines of a history as text."""


class HistoryView(NamedTuple):
    """A history as templates show it. `paths`: CSS class and SVG path of the marks of each outcome; `label`: its text."""

    paths: Sequence[tuple[str, str]]
    label: str


class _Row(NamedTuple):
    """One account as the template shows it. Times have their age as second part."""

    style: str
    mark: str
    name: str
    kind: str
    account_id: str
    cell: str
    label: str
    since: tuple[str, str]
    verified: tuple[str, str]
    history: HistoryView
    what: str
    command: str
    why: str
    details: Sequence[tuple[str, Sequence[str]]]


def status_page(report: StatusReport) -> str:
    """The page, of at most MAX_PAGE_BYTES. Accounts that do not fit are counted, the least urgent ones first."""
    count = min(len(report.rows), MAX_PAGE_BYTES // _SMALLEST_ROW_BYTES)
    while True:
        page = html_page("status", _view(report, _most_urgent(report.rows, count)))
        size = len(page.encode())
        if size <= MAX_PAGE_BYTES or not count:
            return page
        count = min(count - 1, count * MAX_PAGE_BYTES // size)


def _most_urgent(rows: Sequence[StatusRow], count: int) -> Sequence[StatusRow]:
    """This many of the rows, in their order."""
    if count == len(rows):
        return rows
    kept = {row.target.key for row in by_urgency(rows)[:count]}
    return [row for row in rows if row.target.key in kept]


def _view(report: StatusReport, rows: Sequence[StatusRow]) -> Mapping[str, Any]:
    total, verified = sum(report.counts.values()), report.counts.get(CustomerState.VERIFIED, 0)
    listed = Counter(row.state for row in rows)
    bad = {CustomerState.FAILED, CustomerState.DRIFTING} & report.counts.keys()
    return {
        "rehearsal": f"{REHEARSAL}: " if report.place.rehearsal else "",
        "heading": f"Status of {report.place.manifest}",
        "verdict": f"{verified:,} of {pluralize(total, 'account')} verified",
        "state": "bad" if bad else "good" if verified == total else "doubt",
        "counts": [(_cell(state), _sign(state), state_label(state), f"{count:,}") for state, count in report.counts.items()],
        "facts": [f"{utc(report.now)} UTC", f"status file {report.place.status}", f"rolecall {__version__}"],
        "steps": list(_steps(report)),
        "omitted": _omitted(report, rows),
        "choices": [
            ("", f"all ({len(rows):,})"),
            *((str(state), f"{state_label(state)} ({listed[state]:,})") for state in CustomerState if listed[state]),
        ],
        "runs": HISTORY_KEPT,
        "rows": [_row(report, row) for row in rows],
        "meanings": [(_sign(state), state_label(state), meaning) for state, meaning in _MEANINGS.items()],
    }


def _cell(state: CustomerState) -> str:
    return _CELLS.get(state, "waiting")


def _steps(report: StatusReport) -> Iterator[tuple[str, str, str, str, str, str]]:
    """For each state its first account's next command: CSS class, sign, state, number of accounts, command and reason."""
    counts = Counter(row.state for row in report.rows)
    for state, row in _first_of_each_state(report.rows):
        yield _cell(state), _sign(state), state_label(state), f"{counts[state]:,}", *next_step(report.place, row)


def _omitted(report: StatusReport, rows: Collection[StatusRow]) -> str:
    """Which accounts are not listed since the page would be too large, or were not selected; empty if all are listed."""
    left = Counter(row.state for row in report.rows)
    left.subtract(row.state for row in rows)
    if not left.total():
        return ""
    which = ", ".join(f"{left[state]:,} {state_label(state)}" for state in CustomerState if left[state])
    command = report.place.command("runner status --format html --state failed")
    return (
        f"{left.total():,} of {pluralize(len(report.rows), 'account')} are not listed, since a page has at most "
        f"{MAX_PAGE_BYTES // 1000} KB: {which}. Select fewer with names, --label or --state, for example {command}"
    )


def _row(report: StatusReport, row: StatusRow) -> _Row:
    command, why = next_step(report.place, row)
    entry, cell = row.entry, _cell(row.state)
    return _Row(
        _ROWS.get(cell, ""),
        str(row.state),
        row.target.name,
        "" if row.target.kind is TargetKind.CUSTOMER else "switch role",
        row.target.account_id,
        cell,
        f"{_sign(row.state)} {state_label(row.state)}",
        (f"{row.since:%Y-%m-%d}" if row.since is not None else "", age(row.since, report.now)),
        _time(entry.verified.date if entry.verified is not None else "", report.now),
        history_view(entry.runs, _OUTCOMES),
        row.what,
        command,
        why,
        list(_details(row)),
    )


def _time(date: str, now: datetime) -> tuple[str, str]:
    if not date:
        return "", ""
    found = parse_date(date)
    return utc(found), age(found, now)


def _details(row: StatusRow) -> Iterator[tuple[str, Sequence[str]]]:
    """Labels and values, without those that are not known."""
    entry = row.entry
    yield "role", (row.target.role_arn,)
    if entry.last_run is not None:
        yield "last run", tuple(filter(None, (f"{_utc(entry.last_run.date)}: {entry.last_run.mark}", entry.last_run.run)))
    for label, problem in (("failed", entry.failed), ("drifting", entry.drifting)):
        if problem is not None:
            what = problem.what if problem.what not in row.what else ""
            causes = f"causes: {', '.join(problem.causes)}" if problem.causes else ""
            yield label, tuple(filter(None, (what, f"{_utc(problem.since)} to {_utc(problem.date)}", causes)))
    if entry.pending is not None:
        seen = f"{_utc(entry.pending.since)} to {_utc(entry.pending.date)}"
        what = entry.pending.what if entry.pending.what not in row.what else ""
        yield "newest module", tuple(filter(None, (what, *entry.pending.unseen, seen)))
    yield from _dates(entry)
    if entry.form:
        yield "method", (entry.form,)
    if entry.history:
        yield "history", list(history_lines(entry.runs, _OUTCOMES))


def _dates(entry: StatusEntry) -> Iterator[tuple[str, Sequence[str]]]:
    if entry.handed_over is not None:
        yield "handed over", (_utc(entry.handed_over.date),)
    if entry.applied is not None:
        yield "first assumed", (_utc(entry.applied),)
    if entry.confirmed is not None:
        yield "apply confirmed", (_utc(entry.confirmed.date),)


def utc(time: datetime) -> str:
    """A time in UTC, to the minute: `2026-11-24 10:12`."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M}"


def _utc(date: str) -> str:
    return utc(parse_date(date))


def history_view(history: Sequence[PastRun], words: Mapping[RunOutcome, str]) -> HistoryView:
    """The picture of a history, one mark per run with the newest on the right, and its text alternative with `words`."""
    parts: dict[RunOutcome, list[str]] = {}
    place = (HISTORY_KEPT - len(history)) * _MARK_WIDTH
    for outcome, runs in groupby(history, _outcome):
        width = sum(_MARK_WIDTH for _ in runs)
        parts.setdefault(outcome, []).append(f"M{place} {_HEIGHTS[outcome]}h{width}")
        place += width
    counts = Counter(run.outcome for run in history)
    label = ", ".join(f"{count} {words[outcome]}" for outcome, count in counts.items())
    return HistoryView(
        [(str(outcome), "".join(paths)) for outcome, paths in parts.items()], f"{pluralize(len(history), 'run')}: {label}"
    )


def _outcome(run: PastRun) -> RunOutcome:
    return run.outcome


def history_lines(history: Iterable[PastRun], words: Mapping[RunOutcome, str]) -> Iterator[str]:
    """The history as text, the newest first: one line for consecutive runs of the same outcome, which `words` names.

    After HISTORY_LINES lines the others are counted.
    """
    groups = [(words[outcome], [run.date[:10] for run in runs]) for outcome, runs in groupby(history, _outcome)]
    for outcome, dates in reversed(groups[-HISTORY_LINES:]):
        days = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
        yield f"{days}: {outcome} ({len(dates)} runs)" if len(dates) > 1 else f"{days}: {outcome}"
    if earlier := sum(len(dates) for _, dates in groups[:-HISTORY_LINES]):
        yield f"and {pluralize(earlier, 'earlier run')}"


@dataclass(frozen=True, slots=True)
class StatusOutput:
    """The input of a format of `runner status`. `every`: the table shows all rows, as with --all."""

    text: TextOutput
    every: bool = False


STATUS_FORMATS: FormatRegistry[Callable[[StatusOutput, StatusReport], object]] = FormatRegistry()
"""Registered here and not in the folder of formatters, since importing all of those takes a tenth of the command's start."""
STATUS_FORMATS.add("table", lambda output, report: print_status(output.text.console, report, every=output.every))
STATUS_FORMATS.add("json", lambda output, report: output.text.write(status_json(report)))
STATUS_FORMATS.add("html", lambda output, report: output.text.write(status_page(report)))
