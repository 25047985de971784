"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from rolecall_generator.console import folder_of

DEFAULT_MANIFEST = Path("accounts.yaml")
DEFAULT_OUT = Path("output")

# What cannot be read is said by whoever reads it, with its mend: readable=False leaves it to them.
ManifestArgument = Annotated[
    Path, typer.Argument(metavar="MANIFEST", readable=False, help="The manifest; accounts.yaml when left out.")
]
ManifestOption = Annotated[Path, typer.Option("--manifest", readable=False, help="The manifest.")]
OutOption = Annotated[
    Path, typer.Option("--out", parser=folder_of("--out"), metavar="<path>", help="The folder that gen terraform wrote.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors alone.")]
FormatOption = Annotated[Literal["table", "json"], typer.Option("--format", help="For people, or for machines.")]
FaultsOption = Annotated[
    str,
    typer.Option("--faults", metavar="PLAN", help="Faults on purpose, as in throttle=0.3,5xx=0.1,cut=0.05,seed=7."),
]
ProfileOption = Annotated[
    str | None, typer.Option("--profile", help="A profile of the AWS CLI; the usual chain of credentials when left out.")
]
RegionOption = Annotated[str | None, typer.Option("--region", help="The Region in which STS is asked.")]
SandboxOption = Annotated[
    bool, typer.Option("--sandbox", help="Ask a sandbox that lives as long as this command, furnished from the manifest.")
]
RunsOption = Annotated[Path, typer.Option("--runs", help="The folder that keeps the runs.")]
SessionCacheOption = Annotated[
    Path | None,
    typer.Option(
        "--session-cache", metavar="DIR", help="Keep the session there, readable by you alone, for the next command."
    ),
]
RoleOption = Annotated[
    str | None,
    typer.Option("--as", metavar="ROLE", help="With --sandbox: the backend role to act as, where there are several."),
]
