"""Changes of the manifest on a terminal: shown first, agreed to, written; the same for every command that makes one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from rolecall_generator.console import agreed, emit, emit_json, print_lines, stdout
from rolecall_generator.errors import InterruptedRunError, SelectionError

if TYPE_CHECKING:
    from rolecall_generator.customers.next_steps import Step
    from rolecall_generator.customers.proposal import Proposal

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Write without asking.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what would change, write nothing.")]

_MEND = "--yes writes without asking, --dry-run only shows"


def agree_and_write(
    proposal: Proposal,
    steps: Callable[[], Sequence[Step]],
    *,
    yes: bool,
    dry_run: bool,
    output_format: str,
    remark: str = "",
) -> bool:
    """Show a proposal, ask, write it, and say what comes next; whether it was written. `remark` stands below the steps.

    Without a terminal nothing is asked: SelectionError unless `yes` or `dry_run`. A No raises InterruptedRunError.
    """
    from rolecall_generator.customer_reports import print_proposal, print_steps, proposal_json  # noqa: PLC0415 - loads rich

    writes = not dry_run and not proposal.empty
    if output_format == "json":
        if writes and not yes:
            raise SelectionError("--format json asks nothing", mend=_MEND)
        if writes:
            proposal.write()
        emit_json(proposal_json(proposal, written=writes, steps=steps() if writes else ()))
        return writes
    console = stdout()
    if proposal.empty:
        console.print("Nothing to change: the manifest says so already.")
        return False
    print_proposal(console, proposal)
    if not writes:
        return False
    if not yes:
        _ask()
    proposal.write()
    console.print(f"wrote {', '.join(str(path) for path in proposal.edited.files)}", markup=False)
    print_steps(console, steps())
    if remark:
        print_lines(console, remark)
    return True


def _ask() -> None:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise SelectionError("access would change, and nobody is here to agree: nothing was written", mend=_MEND)
    try:
        wanted = agreed("Write this?")
    except typer.Abort:
        emit("")  # ends the line of the question
        wanted = False
    if not wanted:
        raise InterruptedRunError("not agreed; nothing was written")
