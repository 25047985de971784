"""Arguments and options that commands of both programs share, with what they are when left out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from rolecall_generator.completion import everybody
from rolecall_generator.console import folder_of

# What cannot be read is said by whoever reads it, with its mend: readable=False leaves it to them.
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
        "--only", metavar="NAME", autocompletion=everybody, help="Only this customer or switch role; may be repeated."
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors alone.")]
FormatOption = Annotated[Literal["table", "json"], typer.Option("--format", help="For people, or for machines.")]
