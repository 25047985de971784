"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rolecall_generator.completion import everybody

LimitOption = Annotated[
    str,
    typer.Option(
        "--limit", "-l", metavar="PATTERN", autocompletion=everybody, help="Whom to ask, as Ansible's host patterns."
    ),
]
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
