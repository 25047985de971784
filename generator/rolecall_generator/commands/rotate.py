"""`gen customer rotate-external-id`: a new external id beside the old one, until the runner has seen it accepted."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rolecall_generator.command_line import DEFAULT_MANIFEST, DEFAULT_OUT, command_line
from rolecall_generator.commands.agreeing import DryRunOption, YesOption, agree_and_write
from rolecall_generator.completion import customers
from rolecall_generator.console import emit_json, stdout
from rolecall_generator.errors import ExitCode, SelectionError
from rolecall_generator.options import FormatOption, ManifestOption, OutOption
from rolecall_generator.status_file import rehearsing

if TYPE_CHECKING:
    from rolecall_generator.customers.rotate import RotationProposal

ROTATE_EXAMPLES = """Examples:

gen customer rotate-external-id account1               a fresh id; the old one stays beside it

gen customer rotate-external-id account1 --finish      when runner verify has seen the new one

gen customer rotate-external-id account1 --abort       back to the old one"""

ROTATIONS_EXAMPLES = """Examples:

gen customer rotations                       who is amid a rotation, and whom each waits for

gen customer rotations --older-than 30       for a nightly job: exit code 1 when one takes longer than 30 days"""


def rotate_external_id(
    name: Annotated[str, typer.Argument(autocompletion=customers, help="A customer of the manifest.")],
    finish: Annotated[bool, typer.Option("--finish", help="Take the previous id out.")] = False,
    abort: Annotated[bool, typer.Option("--abort", help="Go back to the previous id.")] = False,
    external_id: Annotated[
        str | None, typer.Option("--external-id", metavar="ID", help="The new id; a fresh one when left out.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Finish although the new id was not seen to be accepted.")] = False,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    output_format: FormatOption = "table",
    manifest: ManifestOption = DEFAULT_MANIFEST,
    out: OutOption = DEFAULT_OUT,
) -> None:
    """Give a customer a new external id. Both are accepted until the rotation is finished, so that nothing stops working.

    Exit code 1 when --finish finds that the new id was not seen to be accepted; nothing is changed then.
    """
    from rolecall_generator.customers.rotate_steps import after_rotation, rotation_remark  # noqa: PLC0415 - loads pydantic

    _one_step(finish=finish, abort=abort, external_id=external_id, force=force)
    proposal = _propose(manifest, out, name, finish=finish, abort=abort, external_id=external_id, force=force)
    agree_and_write(
        proposal,
        lambda: after_rotation(manifest, out, name, started=not (finish or abort)),
        yes=yes,
        dry_run=dry_run,
        output_format=output_format,
        remark=rotation_remark(name, started=not (finish or abort)),
    )


def _propose(
    manifest: Path, out: Path, name: str, *, finish: bool, abort: bool, external_id: str | None, force: bool
) -> RotationProposal:
    from rolecall_generator.customers.rotate import (  # noqa: PLC0415 - pydantic loads only where needed
        abort_rotation,
        finish_rotation,
        start_rotation,
    )

    now = datetime.now(UTC)
    if finish:
        return finish_rotation(manifest, out, name, now=now, force=force, rehearsal=rehearsing(os.environ))
    if abort:
        return abort_rotation(manifest, out, name, now=now)
    return start_rotation(manifest, out, name, now=now, external_id=external_id)


def _one_step(*, finish: bool, abort: bool, external_id: str | None, force: bool) -> None:
    """Raise SelectionError for options that do not go together."""
    given = {"--finish": finish, "--abort": abort, "--external-id": external_id is not None}
    chosen = [option for option, there in given.items() if there]
    if len(chosen) > 1:
        raise SelectionError(f"{' and '.join(chosen)} do not go together", mend="use one of them")
    if force and not finish:
        raise SelectionError("--force belongs to --finish", where="--force", mend="leave it out")


def rotations(
    older_than: Annotated[
        int | None, typer.Option("--older-than", metavar="DAYS", min=0, help="Only those that take longer; exit code 1.")
    ] = None,
    output_format: FormatOption = "table",
    manifest: ManifestOption = DEFAULT_MANIFEST,
    out: OutOption = DEFAULT_OUT,
) -> None:
    """List the rotations of external ids that are under way: since when, and whom each waits for.

    Exit code 1 with --older-than when there are any.
    """
    from rolecall_generator.customers.rotate_list import (  # noqa: PLC0415 - loads pydantic
        rotation_lines,
        rotations_json,
        rotations_under_way,
    )

    now = datetime.now(UTC)
    found = [
        one
        for one in rotations_under_way(manifest, out, rehearsal=rehearsing(os.environ))
        if older_than is None or (days := one.days(now)) is None or days > older_than
    ]
    if output_format == "json":
        emit_json(rotations_json(found))
    else:
        for line in rotation_lines(found, now, partial(command_line, manifest=manifest, out=out)):
            stdout().print(line, markup=False, soft_wrap=True)
    if found and older_than is not None:
        raise typer.Exit(int(ExitCode.FINDINGS))
