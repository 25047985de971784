"""Output of the commands that show or change customers, and confirmation of changes of the manifest."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rolecall_generator.errors import InterruptedRunError, SelectionError
from rolecall_generator.terminal import confirm, emit, emit_json, print_lines, stdout

if TYPE_CHECKING:
    from rolecall_generator.cli.options import ChangeOptions
    from rolecall_generator.customers import (
        AccessDifference,
        CustomerRow,
        CustomerView,
        ModuleDifference,
        NextStep,
        OngoingRotation,
        Proposal,
    )
    from rolecall_generator.manifest import ResolvedCustomer


_SHOWN = 20
"""Maximum number of modules, and of lines per file, in a list of changes."""
_WHOLE_NAME = 20
"""Maximum length of customer names that a table does not wrap."""
_MARKS = {
    "new": (("+", "green"), " (new)"),
    "removed": (("-", "red"), " (removed)"),
    "changed": (("~", "yellow"), ""),
    "text": (("~", "dim"), " (text only; no access changes)"),
}


def print_proposal(console: Console, proposal: Proposal) -> None:
    """Print the changes in the files and in the access; changes that widen access are marked."""
    for path, lines in proposal.text_changes().items():
        console.print(path, style="bold", markup=False)
        for line in lines[:_SHOWN]:
            console.print(f"    {line}", style="green" if line.startswith("+") else "red", markup=False, soft_wrap=True)
        _more(console, len(lines), "lines")
    print_difference(console, proposal.difference)
    for note in proposal.notes:
        _say(console, f"note: {note}", indent=0, style="yellow")


def print_difference(console: Console, difference: AccessDifference) -> None:
    """Print the changes in access by module, in the format of `gen diff`."""
    console.print("access", style="bold")
    if difference.note:
        _say(console, difference.note, style="yellow")
    for module in difference.modules[:_SHOWN]:
        _print_module(console, module)
    _more(console, len(difference.modules), "modules")
    if not difference.modules:
        console.print("    no changes")


def _print_module(console: Console, module: ModuleDifference) -> None:
    if module.moved_from is not None:
        console.print(Text.assemble((">", "yellow"), f" {module.moved_from} is now {module.path}"), soft_wrap=True)
        if not module.changes:
            _say(console, "only the folder is renamed; no AWS resource changes")
    else:
        mark, remark = _MARKS[module.state]
        console.print(Text.assemble(mark, f" {module.path}{remark}"))
    for change in module.changes:
        _say(console, change.text, mark="widens " if change.widens else "")
    for old, new in module.replaced:
        text = (
            f"AWS cannot rename a role: {_name(old)} is deleted and {_name(new)} is created; there is no access in between"
        )
        _say(console, text, style="yellow")


def _say(console: Console, text: str, *, indent: int = 4, mark: str = "", style: str | None = None) -> None:
    """Print a sentence, wrapped on a terminal without breaking ARNs; `mark` is printed in red before it."""
    room = max(console.width - indent - 2, 20)
    lines = [mark + text]
    if console.is_terminal:
        lines = wrap(mark + text, room, break_long_words=False, break_on_hyphens=False, subsequent_indent="  ")
    for number, line in enumerate(lines):
        shown = Text(" " * indent + line, style=style or "")
        if number == 0:
            shown.stylize("bold red", indent, indent + len(mark))
        console.print(shown, soft_wrap=True)


def _more(console: Console, count: int, noun: str) -> None:
    if count > _SHOWN:
        console.print(f"    and {count - _SHOWN:,} more {noun}")


def _name(arn: str) -> str:
    return arn.rpartition("/")[2]


def print_steps(console: Console, steps: Sequence[NextStep]) -> None:
    """Print the next steps, one command per line."""
    if not steps:
        return
    console.print("next", style="bold")
    width = max(len(step.command) for step in steps)
    one_line = not console.is_terminal or all(4 + width + 3 + len(step.reason) <= console.width for step in steps)
    for step in steps:
        shown = Text(f"    {step.command:<{width}}   " if one_line else f"    {step.command}")
        if one_line:
            console.print(shown.append(step.reason, "dim"), soft_wrap=True)
        else:
            console.print(shown, soft_wrap=True)
            console.print(Text(f"        {step.reason}", "dim"), soft_wrap=True)


def proposal_json(proposal: Proposal, *, written: bool, steps: Sequence[NextStep] = ()) -> dict[str, Any]:
    """The object that the commands print with `--format json`."""
    return {
        "written": written,
        "files": {path: list(lines) for path, lines in proposal.text_changes().items()},
        "access": difference_json(proposal.difference),
        "notes": list(proposal.notes),
        "next": [{"command": step.command, "reason": step.reason} for step in steps],
    }


def difference_json(difference: AccessDifference) -> dict[str, Any]:
    """A difference in the format of `gen diff --format json`, with moved folders and replaced roles."""
    return {
        "unchanged": difference.unchanged,
        "note": difference.note,
        "modules": [
            {
                "path": module.path,
                "state": module.state,
                "moved_from": module.moved_from,
                "changes": [asdict(change) for change in module.changes],
                "replaced": [list(pair) for pair in module.replaced],
            }
            for module in difference.modules
        ],
    }


def print_customers(console: Console, rows: Sequence[CustomerRow]) -> None:
    """Print the table of `gen customer list`."""
    if not rows:
        console.print("no customer")
        return
    whole = {"account", "module"}
    if max(len(row.customer.name) for row in rows) <= _WHOLE_NAME:
        whole.add("customer")
    labelled = any(row.customer.labels for row in rows)
    table = Table()
    for heading in ("customer", "account", "role", "permissions", *(["labels"] if labelled else []), "module"):
        table.add_column(heading, overflow="fold", no_wrap=heading in whole)
    for row in rows:
        one = row.customer
        style = {"written": "green", "outdated": "yellow"}.get(row.state, "dim")
        cells = [one.name, one.account_id, f"{one.path}{one.role}".lstrip("/"), ", ".join(one.permissions)]
        if labelled:
            cells.append(", ".join(f"{key}={value}" for key, value in one.labels.items()))
        table.add_row(*cells, Text(row.state, style))
    console.print(table)
    console.print(f"{len(rows):,} {'customer' if len(rows) == 1 else 'customers'}")


def customers_json(rows: Sequence[CustomerRow]) -> list[dict[str, Any]]:
    """The list that `gen customer list --format json` prints."""
    return [{**customer_json(row.customer), "role_arn": row.role_arn, "state": row.state} for row in rows]


def customer_json(customer: ResolvedCustomer) -> dict[str, Any]:
    """A customer with all defaults applied; the keys are those of the manifest."""
    body = asdict(customer)
    return body | {key: dict(body[key]) for key in ("tags", "labels", "variables")}


def print_customer(console: Console, shown: CustomerView, profile: str) -> None:
    """Print one customer: settings, access, files, and the AWS CLI profile."""
    for key, value in _settings(shown):
        console.print(Text(f"{key:<13}", "bold").append(value, "not bold"), soft_wrap=True)
    console.print("access", style="bold")
    for sentence in shown.access:
        _say(console, sentence)
    console.print("files", style="bold")
    for file in shown.files:
        style = {"as written": "green", "outdated": "yellow"}.get(file.state, "red")
        console.print(Text.assemble("    ", (f"{file.state:<14}", style), file.path))
    if not shown.files:
        console.print("    none yet: run gen terraform")
    console.print("AWS CLI profile", style="bold")
    for line in profile.splitlines():
        console.print(f"    {line}", soft_wrap=True)


def _settings(shown: CustomerView) -> Iterator[tuple[str, str]]:
    one = shown.customer
    yield "customer", f"{one.name} ({shown.place})"
    yield "account", f"{one.account_id} ({shown.partition})"
    yield "role", shown.role_arn
    yield "trusts", f"{shown.backend_role_arn} ({one.trust})"
    yield "external ID", one.external_id or "none: the role can be assumed without one"
    if one.previous_external_id:
        yield "", f"{one.previous_external_id} is also accepted: a rotation is under way"
    yield "assumed by", shown.backend_policy
    yield "permissions", ", ".join(one.permissions) or "none"
    yield "session", f"at most {one.max_session_seconds} s"
    if one.permissions_boundary:
        yield "boundary", one.permissions_boundary
    yield "Regions", ", ".join(one.regions) or "none"
    for key, values in (("tags", one.tags), ("labels", one.labels), ("variables", one.variables)):
        if values:
            yield key, ", ".join(f"{name}={value}" for name, value in values.items())
    if shown.link:
        yield "console", shown.link


def customer_view_json(shown: CustomerView, profile: str) -> dict[str, Any]:
    """The object that `gen customer show --format json` prints."""
    return {
        **customer_json(shown.customer),
        "location": str(shown.place),
        "partition": shown.partition,
        "role_arn": shown.role_arn,
        "backend_role_arn": shown.backend_role_arn,
        "backend_policy": shown.backend_policy,
        "access": list(shown.access),
        "files": {file.path: file.state for file in shown.files},
        "switch_role_link": shown.link,
        "profile": profile,
    }


def rotation_lines(found: Sequence[OngoingRotation], now: datetime, command: Callable[[str], str] = str) -> Iterator[str]:
    """One line per rotation: the customer, the age and what it waits for.

    `command` adds the options of this run to a command line that is printed to copy.
    """
    if not found:
        yield "no rotation"
    width = max((len(one.name) for one in found), default=0)
    for one in found:
        since = _since(one.days(now))
        waits = (
            "the customer has not applied the new module, or it has not been verified: runner verify"
            if one.accepted is None
            else f"the new ID was accepted: {command(f'gen customer rotate-external-id {one.name} --finish')}"
        )
        yield f"{one.name:<{width}}  {since}: {waits}"


def _since(days: int | None) -> str:
    if not days:
        return "since an unknown date" if days is None else "since today"
    return f"for {days:,} {'day' if days == 1 else 'days'}"


def rotations_json(found: Sequence[OngoingRotation]) -> list[dict[str, str | None]]:
    """What `gen customer rotations --format json` prints; times are ISO 8601."""
    return [
        {
            "name": one.name,
            "account_id": one.account_id,
            "started": one.started.isoformat() if one.started is not None else None,
            "accepted": one.accepted.isoformat() if one.accepted is not None else None,
        }
        for one in found
    ]


_CONFIRMATION_HINT = "use --yes to write without confirmation, or --dry-run to only show the changes"


def confirm_and_write(proposal: Proposal, options: ChangeOptions) -> None:
    """Show a proposal, ask for confirmation, write it and print the next steps.

    Without a terminal raises SelectionError unless --yes or --dry-run is set. A refusal raises InterruptedRunError.
    """
    writes = not options.dry_run and not proposal.empty
    if options.output_format == "json":
        if writes and not options.yes:
            raise SelectionError("--format json cannot prompt for confirmation", hint=_CONFIRMATION_HINT)
        if writes:
            proposal.write()
        emit_json(proposal_json(proposal, written=writes, steps=proposal.steps if writes else ()))
        return
    console = stdout()
    if proposal.empty:
        console.print("No changes: the manifest is up to date.")
        return
    print_proposal(console, proposal)
    if not writes:
        return
    if not options.yes:
        _ask()
    proposal.write()
    console.print(f"wrote {', '.join(str(path) for path in proposal.edited.files)}", markup=False)
    print_steps(console, proposal.steps)
    if proposal.remark:
        print_lines(console, proposal.remark)


def _ask() -> None:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise SelectionError("confirmation requires a terminal; nothing was written", hint=_CONFIRMATION_HINT)
    try:
        confirmed = confirm("Write these changes?")
    except typer.Abort:
        emit("")  # ends the line of the prompt
        confirmed = False
    if not confirmed:
        raise InterruptedRunError("not confirmed; nothing was written")
