"""What a shell offers behind an option or an argument of either program: names of the manifest that is meant.

Arguments and options that commands of both programs share, with what they are when left out.

The command `gen`: parses, calls one function, prints, exits.

Changes of the manifest on a terminal: shown first, agreed to, written; the same for every command that makes one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rolecall_generator.cli.customer_output import print_proposal, print_steps, proposal_json
from rolecall_generator.errors import ExitCode, InterruptedRunError, SelectionError
from rolecall_generator.manifest import names_in
from rolecall_generator.terminal import agreed, emit, emit_json, folder_of, print_lines, stdout
from rolecall_generator.text import DEFAULT_MANIFEST

if TYPE_CHECKING:
    from rolecall_generator.check import Checked
    from rolecall_generator.customers import Proposal
    from rolecall_generator.findings import Severity


Offer = Callable[[Any, str], list[str]]
"""Takes Typer's context (its values so far stand in `params`) and the word that is not complete."""


def _names(sections: Sequence[str]) -> Offer:
    def offer(ctx: Any, incomplete: str) -> list[str]:
        # A shell shows what a completion raises in the middle of the line that is being typed: it must be silent.
        try:
            return [name for name in names_in(_manifest(ctx), *sections) if name.startswith(incomplete)]
        except Exception:  # whatever it is, the command itself will say it
            return []

    return offer


def _manifest(ctx: Any) -> Path:
    """The manifest on the line, else the usual one."""
    # Behind an option that has no value yet, Typer leaves the arguments before it unread (seen in 0.29, November 2026).
    arguments = [each.name for each in ctx.command.params if each.param_type_name == "argument"]
    unread = dict(zip(arguments, ctx.args, strict=False))
    return Path(unread.get("manifest") or ctx.params.get("manifest") or DEFAULT_MANIFEST)


complete_customers = _names(["customers"])
complete_switch_roles = _names(["switch_roles"])
complete_targets = _names(["customers", "switch_roles"])


# What cannot be read is said by whoever reads it, with its hint: readable=False leaves it to them.
ManifestArgument = Annotated[
    Path, typer.Argument(metavar="MANIFEST", readable=False, help="The manifest; accounts.yaml when left out.")
]
ManifestOption = Annotated[Path, typer.Option("--manifest", readable=False, help="The manifest.")]
OutOption = Annotated[
    Path, typer.Option("--out", parser=folder_of("--out"), metavar="<path>", help="The folder that gen terraform wrote.")
]
OnlyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--only", metavar="NAME", autocompletion=complete_targets, help="Only this customer or switch role; may be repeated."
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors alone.")]
FormatOption = Annotated[Literal["table", "json"], typer.Option("--format", help="For people, or for machines.")]


OutputFolderOption = Annotated[
    Path, typer.Option("--out", parser=folder_of("--out"), metavar="<path>", help="The output folder.")
]


def _exit_on(found: Checked, least: Severity) -> None:
    if found.report.worst is not None and found.report.worst >= least:
        raise typer.Exit(int(ExitCode.FINDINGS))


YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Write without asking.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what would change, write nothing.")]

_HINT = "--yes writes without asking, --dry-run only shows"


def agree_and_write(
    proposal: Proposal,
    *,
    yes: bool,
    dry_run: bool,
    output_format: str,
) -> bool:
    """Show a proposal, ask for confirmation, write it and print the next steps. Returns whether it was written.

    Without a terminal raises SelectionError unless `yes` or `dry_run`. A refusal raises InterruptedRunError.
    """
    writes = not dry_run and not proposal.empty
    if output_format == "json":
        if writes and not yes:
            raise SelectionError("--format json asks nothing", hint=_HINT)
        if writes:
            proposal.write()
        emit_json(proposal_json(proposal, written=writes, steps=proposal.steps if writes else ()))
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
    print_steps(console, proposal.steps)
    if proposal.remark:
        print_lines(console, proposal.remark)
    return True


def _ask() -> None:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise SelectionError("access would change, and no one is here to agree: nothing was written", hint=_HINT)
    try:
        wanted = agreed("Write this?")
    except typer.Abort:
        emit("")  # ends the line of the question
        wanted = False
    if not wanted:
        raise InterruptedRunError("not agreed; nothing was written")
