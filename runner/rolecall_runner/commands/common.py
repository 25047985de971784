"""Arguments and options that several commands share. Help texts, limits and defaults come from the specifications."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from rolecall_generator.completion import everybody
from rolecall_runner.engine.execution_options import ExecutionOptions, engine_names
from rolecall_runner.engine.interface import Settings
from rolecall_runner.selection import Selection


def option(
    spec: type,
    name: str,
    *flags: str,
    metavar: str | None = None,
    autocompletion: Callable[..., Any] | None = None,
) -> Any:
    """A Typer option (without flags: an argument) with the help text and limits of a specification's field."""
    metadata = spec.__dataclass_fields__[name].metadata  # type: ignore[attr-defined]  # a specification is a dataclass
    if not flags:
        return typer.Argument(help=metadata["description"])
    return typer.Option(
        *flags,
        help=metadata["description"],
        min=metadata.get("ge"),
        max=metadata.get("le"),
        metavar=metavar,
        autocompletion=autocompletion,
    )


LimitOption = Annotated[str, option(Selection, "limit", "--limit", "-l", metavar="PATTERN", autocompletion=everybody)]
SampleOption = Annotated[int | None, option(Selection, "sample", "--sample")]
SeedOption = Annotated[int, option(Selection, "seed", "--seed")]
RetryOption = Annotated[str | None, option(Selection, "retry", "--retry", metavar="RUN")]
ResumeOption = Annotated[str | None, typer.Option("--resume", metavar="RUN", help="Continue a run that was interrupted.")]
EngineOption = Annotated[
    str,
    option(
        ExecutionOptions,
        "engine",
        "--engine",
        metavar="ENGINE",
        autocompletion=lambda incomplete: [name for name in engine_names() if name.startswith(incomplete)],
    ),
]
ForksOption = Annotated[int, option(Settings, "workers", "--forks", "-f")]
TimeoutOption = Annotated[float, option(Settings, "timeout_seconds", "--timeout")]
RunsOption = Annotated[Path, option(ExecutionOptions, "runs", "--runs")]
SchedulerOption = Annotated[str | None, option(ExecutionOptions, "scheduler", "--scheduler", metavar="ADDRESS")]
TlsOption = Annotated[
    tuple[Path, Path, Path] | None,
    option(ExecutionOptions, "scheduler_tls", "--scheduler-tls", metavar="CA CERT KEY"),
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
FormOption = Annotated[
    Literal["terraform", "cloudformation", "aws-cli", "console"] | None,
    typer.Option("--form", help="How the customer applies modules; later messages to the customer use that form."),
]
