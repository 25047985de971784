"""Options that several commands share, parsing of durations, and the command line that resumes a run.

Help strings and limits are those of the specifications.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from rolecall_generator.cli import complete_targets
from rolecall_generator.errors import SelectionError
from rolecall_runner.execution import EngineSettings, ExecutionOptions, engine_names
from rolecall_runner.inventory import Selection
from rolecall_runner.reports import FormatRegistry


def option(
    spec: type,
    name: str,
    *flags: str,
    metavar: str | None = None,
    autocompletion: Callable[..., Any] | None = None,
) -> Any:
    """A Typer option (an argument if there are no flags) with the help string and limits of a specification's field."""
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


def format_option(formats: FormatRegistry[Any]) -> Any:
    """The option `--format` with the registered formats."""

    def known(name: str) -> str:
        if name not in (names := formats.names()):
            raise typer.BadParameter(f"{name!r} is not one of {', '.join(map(repr, names))}.")
        return name

    return typer.Option(
        "--format",
        parser=known,
        metavar=f"<{'|'.join(formats.names())}>",
        autocompletion=lambda incomplete: [name for name in formats.names() if name.startswith(incomplete)],
        help="Output format.",
    )


LimitOption = Annotated[str, option(Selection, "limit", "--limit", "-l", metavar="PATTERN", autocompletion=complete_targets)]
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
ForksOption = Annotated[int, option(EngineSettings, "workers", "--forks", "-f")]
TimeoutOption = Annotated[float, option(EngineSettings, "timeout_seconds", "--timeout")]
RunsOption = Annotated[Path, option(ExecutionOptions, "runs", "--runs")]
SchedulerOption = Annotated[str | None, option(ExecutionOptions, "scheduler", "--scheduler", metavar="ADDRESS")]
TlsOption = Annotated[
    tuple[Path, Path, Path] | None,
    option(ExecutionOptions, "scheduler_tls", "--scheduler-tls", metavar="CA CERT KEY"),
]
FaultsOption = Annotated[
    str,
    typer.Option("--faults", metavar="PLAN", help="Inject faults, for example throttle=0.3,5xx=0.1,cut=0.05,seed=7."),
]
ProfileOption = Annotated[str | None, typer.Option("--profile", help="AWS CLI profile. Default: the AWS credential chain.")]
RegionOption = Annotated[str | None, typer.Option("--region", help="Region for STS calls.")]
SandboxOption = Annotated[bool, typer.Option("--sandbox", help="Use a temporary sandbox with the accounts of the manifest.")]
SessionCacheOption = Annotated[
    Path | None,
    typer.Option("--session-cache", metavar="DIR", help="Cache the session in this folder, readable only by you."),
]
SessionNameOption = Annotated[
    str | None,
    typer.Option("--session-name", metavar="NAME", help="Session name in CloudTrail. Default: rolecall-{run_id}."),
]
SessionPolicyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--session-policy", metavar="FILE|ARN", help="Limit sessions to this policy too; the ARN may contain {account_id}."
    ),
]
SourceIdentityOption = Annotated[
    str | None,
    typer.Option("--source-identity", metavar="NAME", help="Source identity; the trust policy must allow to set it."),
]
RoleOption = Annotated[
    str | None,
    typer.Option("--as", metavar="ROLE", help="With --sandbox: the backend role to use, if there are several."),
]
FormOption = Annotated[
    Literal["terraform", "cloudformation", "aws-cli", "console"] | None,
    typer.Option("--form", help="How the customer applies modules; later messages to the customer describe this method."),
]


_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION_PART = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)([smhd])")
_MAX_DURATION = timedelta(days=36500)


def duration_of(option: str) -> Callable[[str | timedelta], timedelta]:
    """Return a parser of positive durations such as `30s`, `15m`, `2h`, `7d` and `1h30m`. It raises SelectionError."""

    def duration(text: str | timedelta) -> timedelta:
        if isinstance(text, timedelta):
            return text
        parts = _DURATION_PART.findall(text)
        found = timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in parts))
        if "".join(number + unit for number, unit in parts) != text or not timedelta(0) < found <= _MAX_DURATION:
            raise SelectionError(
                f"{text!r} is not a valid duration", where=option, hint="use a duration such as 30s, 15m, 2h, 7d or 1h30m"
            )
        return found

    return duration


HOW_AND_WHERE = frozenset(
    {"manifest", "out", "runs", "profile", "region", "session_name", "session_policy", "source_identity", "sandbox", "role",
     "faults", "engine", "scheduler", "scheduler_tls", "forks", "timeout", "reader", "output_format", "output", "verbose",
     "quiet", "allow_write"}
)  # fmt: skip
"""Parameters to repeat when a run is resumed; the others are stored in its record."""


def repeat_command(context: typer.Context, words: str, names: Collection[str] = HOW_AND_WHERE) -> str:
    """The command `words` with those parameters in `names` that were given on the command line, quoted for a shell."""
    return " ".join([words, *(shlex.quote(part) for part in _given(context, names))])


def _given(context: typer.Context, names: Collection[str]) -> Iterator[str]:
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name not in names or source is None or source.name != "COMMANDLINE":
            continue
        value: Any = context.params[parameter.name]
        option = max(parameter.opts, key=len)
        if isinstance(value, bool):
            if value:
                yield option
        elif getattr(parameter, "multiple", False):
            for each in value:
                yield from (option, _text(each))
        else:
            if parameter.param_type_name == "option":
                yield option
            yield from map(_text, value if isinstance(value, tuple) else [value])


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
