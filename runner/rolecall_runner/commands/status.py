"""`runner status`: who has the module, who applied it, who was verified and when."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import typer

from rolecall_generator.command_line import DEFAULT_MANIFEST, DEFAULT_OUT
from rolecall_generator.completion import everybody
from rolecall_generator.console import emit, stdout
from rolecall_generator.errors import ExitCode, SelectionError
from rolecall_generator.options import FormatOption, ManifestOption, OutOption
from rolecall_generator.status_file import rehearsing
from rolecall_runner.commands.common import FormOption
from rolecall_runner.commands.durations import duration_of
from rolecall_runner.status.states import State

EXAMPLES = """Examples:

runner status                                    the whole fleet: counts, then who needs somebody

runner status 'tier=gold' --all                  as runner verify --limit selects, every row

runner status --state failed --sort age          those alone, the longest unheard of first

runner status --handed-over acme globex          note that their bundles went out

runner status --fail-on failed --fail-on stale   for a nightly job: exit code 1 when there are any"""

_STATES = ", ".join(State)


def status(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME", autocompletion=everybody, help="Whom to show: names, or patterns as of runner verify --limit."
        ),
    ] = None,
    manifest: ManifestOption = DEFAULT_MANIFEST,
    out: OutOption = DEFAULT_OUT,
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="Only those with this label or tag.")
    ] = None,
    state: Annotated[
        list[State] | None,
        typer.Option("--state", metavar="STATE", help=f"Only those in this state: {_STATES}. May be repeated."),
    ] = None,
    sort: Annotated[Literal["state", "name", "age", "manifest"], typer.Option("--sort", help="In which order.")] = "state",
    stale_after: Annotated[
        timedelta,
        typer.Option(
            "--stale-after",
            parser=duration_of("--stale-after"),
            metavar="TIME",
            show_default="7d",
            help="How long a verdict counts.",
        ),
    ] = timedelta(days=7),
    handed_over: Annotated[
        bool, typer.Option("--handed-over", help="Note that these were sent what is in the output folder now.")
    ] = False,
    applied: Annotated[
        bool,
        typer.Option("--applied", help="Note that these say they applied the newest module, for changes no call can show."),
    ] = False,
    form: FormOption = None,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="What was heard from sandboxes, kept apart from what AWS said.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="Every row, however many.")] = False,
    fail_on: Annotated[
        list[State] | None,
        typer.Option("--fail-on", metavar="STATE", help="Exit code 1 when anybody shown is in it. May be repeated."),
    ] = None,
    output_format: FormatOption = "table",
) -> None:
    """Show where each customer and switch role stands: handed over, applied, verified, drifting, failed since.

    It reads what runner verify and runner onboard noted; nothing is asked of AWS.
    """
    from rolecall_runner.status.as_json import status_json  # noqa: PLC0415 - pydantic loads only where needed
    from rolecall_runner.status.as_table import print_status  # noqa: PLC0415 - as above
    from rolecall_runner.status.report import (  # noqa: PLC0415 - as above
        Place,
        chosen,
        hand_over,
        note_as_applied,
        report,
        set_form,
    )

    place = Place(manifest, out, sandbox or rehearsing(os.environ), sandbox)
    targets = chosen(place, names or (), label or ())
    now = datetime.now(UTC)
    noted = {"--handed-over": handed_over, "--applied": applied, "--form": form is not None}
    if not (names or label) and (first := next((option for option, given in noted.items() if given), None)):
        raise SelectionError("no accounts are named", where=first, mend="name them; all means every account")
    if handed_over:
        hand_over(place, targets, now, form or "")
    elif form is not None:
        set_form(place, targets, form)
    if applied:
        note_as_applied(place, targets, now)
    found = report(place, targets, now=now, stale_after=stale_after, states=state or (), sort=sort)
    if output_format == "json":
        emit(status_json(found), end="")
    else:
        print_status(stdout(), found, every=every or bool(state))
    if {row.state for row in found.rows} & set(fail_on or ()):
        raise typer.Exit(int(ExitCode.FINDINGS))
