"""Results of `gen` for people (tables) and for machines (JSON)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rolecall_generator.check_reports import check_body
from rolecall_generator.command_line import command_line
from rolecall_generator.iam.module import Module, ModuleKind

if TYPE_CHECKING:
    from rolecall_generator.checking import Checked
    from rolecall_generator.compare import Comparison
    from rolecall_generator.generate import Generation

_SHOWN = 20
"""Rows of a table; a fleet of thousands is summed up."""

_STATES = ("created", "changed", "restored", "unchanged", "removed")


def generation_json(done: Generation, out: Path, checked: Checked | None = None) -> dict[str, Any]:
    """What `gen terraform --format json` prints; `check` is null where there was none."""
    report = done.report
    return {
        "output": str(out),
        "modules": {state: list(getattr(report, state)) for state in _STATES},
        "files_written": report.files_written,
        "kept": list(report.kept),
        "notes": list(done.notes),
        "backend_policies": done.plan.assignment.policies,
        "check": None if checked is None else check_body(checked),
    }


def print_generation(console: Console, done: Generation, out: Path) -> None:
    """The summary of `gen terraform`: modules by kind and state, then what to do next."""
    report = done.report
    state_of = {path: state for state in _STATES for path in getattr(report, state)}
    table = Table(title=f"{out}", title_justify="left", title_style="bold")
    for heading in ("module", "account", "grants", "state"):
        table.add_column(heading, overflow="fold")
    touched = [module for module in done.plan.modules if state_of.get(module.path, "unchanged") != "unchanged"]
    shown = (touched or list(done.plan.modules))[:_SHOWN]
    for module in shown:
        built = module.build()
        state = state_of.get(module.path, "not chosen")
        style = {"created": "green", "changed": "yellow", "restored": "yellow"}.get(state, "dim")
        table.add_row(module.path, built.account.account_id, _grants(built), Text(state, style))
    for path in report.removed[: max(0, _SHOWN - len(shown))]:
        table.add_row(path, "", "", Text("removed", "red"))
    console.print(table)
    hidden = (len(touched) or len(done.plan.modules)) - len(shown)
    if hidden:
        console.print(f"and {hidden:,} more")
    counts = ", ".join(f"{len(getattr(report, state)):,} {state}" for state in _STATES if getattr(report, state))
    if report.files_written or report.removed:
        console.print(f"{report.files_written:,} files written; modules: {counts or 'none'}")
    else:
        console.print(f"Nothing to write: {len(report.unchanged):,} modules are as the manifest says.")
    for path in report.kept:
        console.print(f"kept: {path} (not rolecall's, or edited by hand)", style="yellow", markup=False)
    for note in done.notes:
        console.print(f"note: {note}", style="yellow", markup=False, soft_wrap=True)
    _print_links(console, done)


def next_steps(done: Generation, manifest: Path, out: Path) -> list[str]:
    """What to do with written modules: see them at work without AWS, then hand them over."""
    customer = next((module.subject for module in done.plan.modules if module.kind is ModuleKind.CUSTOMER), None)
    steps = [f"next, to hand it over: {command_line('gen bundle', manifest, out)}"]
    if customer is not None:  # the backend role calls: without customers there is none
        rehearsal = command_line(f"runner onboard {customer}", manifest, out)
        steps.insert(0, f"next, to see it work without AWS: {rehearsal} --sandbox")
    return steps


def _grants(module: Module) -> str:
    access = module.access
    if module.backend is not None:
        noun = "policy" if len(access.policies) == 1 else "policies"
        return f"{len(access.policies)} {noun} for {module.backend.customers:,} customers"
    parts = [f"role {arn.rpartition('/')[2]}" for arn in access.roles]
    parts += [f"group {arn.rpartition('/')[2]}" for arn in access.groups]
    parts += [f"user {arn.rpartition('/')[2]}" for arn in access.users]
    return ", ".join(parts) or "the link alone"


def _print_links(console: Console, done: Generation) -> None:
    for module in done.plan.modules:
        if module.kind is ModuleKind.TRUSTING:
            details = module.build().switch_role
            if details is not None and details.link is not None:
                # A link that is wrapped cannot be copied.
                console.print(f"switch role {module.subject}: {details.link}", markup=False, soft_wrap=True)


def comparison_json(found: Comparison) -> dict[str, Any]:
    """What `gen diff --format json` prints."""
    return {
        "unchanged": found.unchanged,
        "modules": [
            {
                "path": module.path,
                "state": module.state,
                "changes": [
                    {"subject": change.subject, "kind": str(change.kind), "text": change.text, "widens": change.widens}
                    for change in module.changes
                ],
                "unreadable": [finding.message for finding in module.findings],
            }
            for module in found.modules
        ],
    }


def print_comparison(console: Console, found: Comparison) -> None:
    """The changes of `gen diff`, a module a block; what widens access is marked."""
    signs = {
        "new": ("+", "green"),
        "changed": ("~", "yellow"),
        "gone": ("-", "red"),
        "text": ("~", "dim"),
        "extra": ("!", "yellow"),
    }
    notes = {
        "text": " (texts alone; no access changes)",
        "gone": " (will be removed)",
        "new": " (new)",
        "extra": " (files that gen terraform leaves alone)",
    }
    for module in found.modules:
        console.print(Text.assemble(signs[module.state], f" {module.path}{notes.get(module.state, '')}"))
        for change in module.changes:
            mark = ("widens ", "bold red") if change.widens else ""
            console.print(Text.assemble("     ", mark, change.text))
        for finding in module.findings:
            place = f" ({finding.file}:{finding.line or 1})" if finding.file else ""
            console.print(f"    {finding.severity.name.lower()}: {finding.message}{place}", markup=False, style="yellow")
    if not found.modules:
        console.print(f"No difference: {found.unchanged:,} modules are as the manifest says.")
