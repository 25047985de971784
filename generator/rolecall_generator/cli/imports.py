"""The commands `gen import`, one per importer: add accounts from other sources to the manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

import typer

from rolecall_generator.cli.customer_output import confirm_and_write
from rolecall_generator.cli.options import ChangeOptions, with_option_groups
from rolecall_generator.customers import import_customers
from rolecall_generator.errors import RolecallError
from rolecall_generator.importers import (
    Importer,
    ImportProblemsError,
    ImportSettings,
    all_importers,
    import_edits,
    import_notes,
    plan_import,
    with_manifest_problems,
)
from rolecall_generator.manifest import fresh_external_id, load_manifest
from rolecall_generator.records import read_rotations
from rolecall_generator.terminal import stdout

if TYPE_CHECKING:
    from rolecall_generator.importers import Reading


app = typer.Typer(
    name="import", no_args_is_help=True, help="Import accounts from a CSV file, an AWS Organization or Terraform outputs."
)

INTO = Path("customers") / "imported.yaml"
_NAMED = 10


def _command(importer: Importer) -> Callable[..., None]:
    def run(
        *,
        into: Annotated[
            Path | None,
            typer.Option(
                "--into",
                metavar="FILE",
                help="File for new customers: the manifest, a file that it includes, or a new "
                "one; customers/imported.yaml next to the manifest by default.",
            ),
        ] = None,
        permissions: Annotated[
            list[str] | None,
            typer.Option("--permissions", metavar="SET", help="Permission set for new customers; may be repeated."),
        ] = None,
        update: Annotated[
            bool, typer.Option("--update/--no-update", help="Change entries of accounts that are already in the manifest.")
        ] = importer.update,
        change: ChangeOptions,
        **options: Any,
    ) -> None:
        reading = _read(importer, options, change.manifest)
        _import(reading, into or change.manifest.parent / INTO, permissions, change, update=update)

    run.__doc__ = importer.read.__doc__
    return with_option_groups(run, _parameters(importer.read))


def _parameters(read: Callable[..., Reading]) -> Iterator[Parameter]:
    """The parameters of an importer as arguments and options of Typer."""
    hints = get_type_hints(read, include_extras=True)
    for each in list(signature(read).parameters.values())[1:]:
        kind, option = get_args(hints[each.name])
        default = ... if each.default is Parameter.empty else each.default
        shown: Any = (
            typer.Option(default, option.flag, metavar=option.metavar, help=option.help)
            if option.flag
            else typer.Argument(default, metavar=option.metavar, help=option.help, readable=False)
        )
        yield each.replace(kind=Parameter.KEYWORD_ONLY, annotation=kind, default=shown)


def _read(importer: Importer, options: dict[str, Any], manifest: Path) -> Reading:
    """Read a source. On problems, also report those that its accounts have with the manifest, if that can be loaded."""
    try:
        return importer.read(lambda: load_manifest(manifest).manifest, **options)
    except ImportProblemsError as error:
        try:
            known = load_manifest(manifest).manifest
        except RolecallError:
            raise error from None
        raise with_manifest_problems(error, known) from error


def _import(reading: Reading, into: Path, permissions: list[str] | None, change: ChangeOptions, *, update: bool) -> None:
    retired = {name: entry.retired for name, entry in read_rotations(change.out).items() if entry.retired}
    settings = ImportSettings(fresh_external_id, tuple(permissions) if permissions else None, update, retired)
    loaded = load_manifest(change.manifest)
    plan = plan_import(reading, loaded.manifest, settings)
    edits = import_edits(plan, into)
    notes = tuple(import_notes(plan, None if change.output_format == "json" else _NAMED))
    if not edits and change.output_format != "json":  # without edits there is nothing to plan
        message = "No changes: the manifest is up to date."
        if any(one.differs for one in plan.known):
            message = "No changes: use --update to apply the differences."
        for note in (*notes, message):
            stdout().print(note, markup=False)
        return
    confirm_and_write(import_customers(loaded, change.out, edits, notes=notes), change)


for each in all_importers():
    app.command(each.name, epilog=each.examples)(_command(each))
