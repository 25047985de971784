"""A command line that goes on from here: with the options that were given, where another run needs them too."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator
from typing import Any

import typer

HOW_AND_WHERE = frozenset(
    {"manifest", "out", "runs", "profile", "region", "sandbox", "role", "faults", "engine", "scheduler", "scheduler_tls",
     "forks", "timeout", "reader", "output_format", "output", "verbose", "quiet", "allow_write"}
)  # fmt: skip
"""Parameters of commands that say how and where, not what: a run that is gone on with knows what by itself."""


def repeated(context: typer.Context, words: str, names: Collection[str] = HOW_AND_WHERE) -> str:
    """`words` with those parameters of `names` that stood on the command line, quoted for a shell."""
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
