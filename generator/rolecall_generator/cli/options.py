"""Arguments and options that commands share, and shell completion of names in the manifest."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer

from rolecall_generator import manifest
from rolecall_generator.errors import ExitCode, SelectionError
from rolecall_generator.terminal import folder_parser
from rolecall_generator.text import DEFAULT_MANIFEST, DEFAULT_OUT

if TYPE_CHECKING:
    from rolecall_generator.check import CheckSummary
    from rolecall_generator.findings import Severity


_ORGANIZATION_ID = re.compile(r"o-[a-z0-9]{10,32}")  # botocore 1.44.5, organizations service model

Offer = Callable[[Any, str], list[str]]
"""Completion function: takes Typer's context and the incomplete word, returns the candidates."""


def _names(sections: Sequence[str]) -> Offer:
    def offer(ctx: Any, incomplete: str) -> list[str]:
        # A shell would print an error message into the command line that is being typed.
        try:
            return [name for name in manifest.entry_names(_manifest(ctx), *sections) if name.startswith(incomplete)]
        except Exception:  # the command itself reports it
            return []

    return offer


def _manifest(ctx: Any) -> Path:
    """The manifest on the command line, else the default."""
    # After an option without a value, Typer does not assign the arguments before it (0.29, November 2026).
    arguments = [each.name for each in ctx.command.params if each.param_type_name == "argument"]
    unread = dict(zip(arguments, ctx.args, strict=False))
    return Path(unread.get("manifest") or ctx.params.get("manifest") or DEFAULT_MANIFEST)


complete_customers = _names(["customers"])
complete_switch_roles = _names(["switch_roles"])
complete_targets = _names(["customers", "switch_roles"])


# readable=False: the loader reports unreadable files, with a hint.
ManifestArgument = Annotated[
    Path, typer.Argument(metavar="MANIFEST", readable=False, help="Manifest file; accounts.yaml by default.")
]
ManifestOption = Annotated[Path, typer.Option("--manifest", "-m", readable=False, help="Manifest file.")]
OutOption = Annotated[
    Path, typer.Option("--out", parser=folder_parser("--out"), metavar="<path>", help="Output folder of gen terraform.")
]
OnlyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--only", metavar="NAME", autocompletion=complete_targets, help="Only this customer or switch role; may be repeated."
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors.")]
FormatOption = Annotated[Literal["table", "json"], typer.Option("--format", help="Output format.")]


def exit_on(found: CheckSummary, least: Severity) -> None:
    """Exit with FINDINGS if there are findings of severity `least` or above."""
    if found.report.worst is not None and found.report.worst >= least:
        raise typer.Exit(int(ExitCode.FINDINGS))


@dataclass(frozen=True, slots=True)
class ChangeOptions:
    """Options of the commands that change the manifest."""

    manifest: ManifestOption = DEFAULT_MANIFEST
    out: OutOption = DEFAULT_OUT
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Write without confirmation.")] = False
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the changes without writing them.")] = False
    output_format: FormatOption = "table"


def with_option_groups(command: Callable[..., None], more: Iterable[Parameter] = ()) -> Callable[..., None]:
    """Make a command of a function whose parameters may be dataclasses: each field of those is an option.

    Args:
        command: The function. It is called with instances of the dataclasses.
        more: Parameters to show first, for a function that takes them as `**options`.
    """
    hints = get_type_hints(command, include_extras=True)
    parameters = list(more)
    groups: dict[str, Any] = {}
    for each in signature(command).parameters.values():
        if is_dataclass(hint := hints[each.name]):
            groups[each.name] = hint
            kinds = get_type_hints(hint, include_extras=True)
            parameters += (
                Parameter(field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=kinds[field.name])
                for field in fields(hint)
            )
        elif each.kind is not Parameter.VAR_KEYWORD:
            parameters.append(each.replace(kind=Parameter.KEYWORD_ONLY, annotation=hint))

    @wraps(command)
    def run(**values: Any) -> None:
        for name, group in groups.items():
            values[name] = group(**{field.name: values.pop(field.name) for field in fields(group)})
        command(**values)

    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return run


def validate_organization(option: str, value: str | None, hint: str = "write o-...") -> None:
    """Raise SelectionError if the value of an option is not the ID of an organization."""
    if value is not None and not _ORGANIZATION_ID.fullmatch(value):
        raise SelectionError(f"{value} is not the ID of an organization", where=option, hint=hint)
