"""Output of `runner status`: counts, the accounts that need attention, and the next commands; or JSON."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rolecall_generator.output import BUNDLES
from rolecall_generator.text import json_text, sanitize_line
from rolecall_runner.inventory import TargetKind
from rolecall_runner.redact import REHEARSAL
from rolecall_runner.status import CustomerState, StatusPlace, StatusReport, StatusRow

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
    first: dict[CustomerState, StatusRow] = {}
    for row in rows:
        first.setdefault(row.state, row)
    for state in CustomerState:
        if state in first and state is not CustomerState.VERIFIED:
            command, why = _next(report.place, first[state])
            line = Text.assemble((f"{state_label(state)}: ", _SHOWN[state][0]), (command, "bold"), f"   {why}")
            console.print(line, soft_wrap=True)


def _next(place: StatusPlace, row: StatusRow) -> tuple[str, str]:
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
