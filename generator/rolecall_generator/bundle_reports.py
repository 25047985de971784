"""Results of `gen bundle` and `gen bundle-check` for people (tables) and for machines (JSON)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rolecall_generator.checks.finding import Finding
    from rolecall_generator.handover.verifying import Verified
    from rolecall_generator.handover.writing import Bundled

_SHOWN = 20
"""Rows of a table; a fleet of thousands is summed up."""
_MEND = "  mend: "
_UNSAFE = "not safe to hand over"
_STATES = ("created", "changed", "restored", "unchanged", "removed")
_STYLES = {"created": "green", "changed": "yellow", "restored": "yellow", "removed": "red", "failed": "bold red"}


def bundles_json(done: Bundled) -> dict[str, Any]:
    """What `gen bundle --format json` prints; paths are relative to `folder`."""
    report = done.report
    return {
        "folder": str(done.folder),
        "bundles": {state: list(getattr(report, state)) for state in _STATES},
        "failed": dict(done.failed),
        "unsafe": {path: [_finding(finding) for finding in found] for path, found in done.objections.items()},
        "files_written": report.files_written,
        "kept": list(report.kept),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {"rule": finding.rule, "message": finding.message, "mend": finding.mend}


def print_bundles(console: Console, done: Bundled, command: Callable[[str], str] = str) -> None:
    """The summary of `gen bundle`: bundles and their state, then what to do next.

    `command` gives a command line to copy the options that are needed here.
    """
    report = done.report
    bad = done.objections
    rows = [(path, state) for state in _STATES for path in getattr(report, state) if state != "unchanged" or path in bad]
    rows.sort(key=lambda row: row[0] not in bad)  # the first rows alone are shown
    table = Table(title=str(done.folder), title_justify="left", title_style="bold")
    table.add_column("bundle", overflow="fold")
    table.add_column("state")
    for path, state in rows[:_SHOWN]:
        warning = (", ", (_UNSAFE, "bold red")) if path in bad else ()
        table.add_row(path, Text.assemble((state, _STYLES.get(state, "")), *warning))
    if rows:
        console.print(table)
    if len(rows) > _SHOWN:
        console.print(f"and {len(rows) - _SHOWN:,} more")
    counts = [f"{len(getattr(report, state)):,} {state}" for state in _STATES if getattr(report, state)]
    if rows:
        console.print(f"{report.files_written:,} files written; bundles: {', '.join(counts)}")
    elif not done.failed:
        console.print(_nothing_to_write(len(report.unchanged)))
    for path in report.kept:
        console.print(f"kept: {path} (not rolecall's, or edited by hand)", style="yellow", markup=False)
    made = [path for path, state in rows if state != "removed"]
    safe = next((path for path in made if path not in bad), None)
    if safe is not None:
        console.print(_next_step(done.folder, safe, command), markup=False, soft_wrap=True)
    elif made:
        console.print("next: mend the errors, then run gen bundle again", markup=False, soft_wrap=True)


def _nothing_to_write(unchanged: int) -> str:
    if not unchanged:
        return "Nothing to hand over: the manifest has neither customers nor switch roles."
    return f"Nothing to write: {'1 bundle is' if unchanged == 1 else f'{unchanged:,} bundles are'} as the manifest says."


def print_failures(console: Console, done: Bundled) -> None:
    """Each bundle that could not be made, with the reason and the mend."""
    for path, reason in done.failed.items():
        for line in f"error: {done.folder / path}: {reason}".split(
            "\n"
        ):  # an error's text has its mend on a line of its own
            console.print(line, style="red", markup=False, soft_wrap=True)
        if _MEND not in reason:  # an error has its own; what remains is something foreign that stands in the way
            console.print(f"{_MEND}move it out of the folder of bundles, then run again", markup=False, soft_wrap=True)


def print_objections(console: Console, done: Bundled) -> None:
    """Each bundle that should not be handed over, with what is wrong with it and the mend."""
    lines = [(path, finding) for path, found in done.objections.items() for finding in found]
    for path, finding in lines[:_SHOWN]:
        console.print(f"error: {done.folder / path}: {_UNSAFE}", style="bold red", markup=False, soft_wrap=True)
        console.print(f"  {finding.rule}: {finding.message}", style="red", markup=False, soft_wrap=True)
        console.print(f"{_MEND}{finding.mend}", markup=False, soft_wrap=True)
    if len(lines) > _SHOWN:
        console.print(f"and {len(lines) - _SHOWN:,} more (--format json has them all)", markup=False)


def _next_step(folder: Path, path: str, command: Callable[[str], str]) -> str:
    """What to do with a bundle; of a customer's role the runner can see when it is applied."""
    hand_over = f"next: hand over {folder / path}.zip, or the folder beside it"
    return hand_over if "/" in path else f"{hand_over}; when it is applied, run: {command(f'runner onboard {path}')}"


def check_json(path: Path, found: Verified) -> dict[str, Any]:
    """One bundle of `gen bundle-check --format json`."""
    return {"bundle": str(path), "ok": found.ok, "files": found.files, "signature": found.signature,
            "troubles": [{"file": trouble.file, "what": trouble.what} for trouble in found.troubles]}  # fmt: skip


def print_checks(console: Console, path: Path, found: Verified) -> None:
    """One bundle of `gen bundle-check`: its troubles by file, or that there is none."""
    for trouble in found.troubles:
        console.print(f"{path}: {trouble.file}: {trouble.what}", markup=False, style="red", soft_wrap=True)
    if found.ok:
        said = f"{path}: {found.files:,} files are as they were made; {found.signature}"
        console.print(said, markup=False, soft_wrap=True)
