"""What both programs share on a terminal: error display, exit codes, progress. Logic never imports this."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from rich.console import Console

from rolecall_generator.errors import ExitCode, InterruptedRunError, RolecallError


def stdout() -> Console:
    """The console for results. Honours NO_COLOR; plain text through a pipe."""
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def stderr() -> Console:
    """The console for messages and progress."""
    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())


class SafeTyper(typer.Typer):
    """An application whose every failure ends in one clear message and an exit code of the table."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line; translate what it raises."""
        try:
            return super().__call__(*args, **kwargs)
        except RolecallError as error:
            _fail(f"error: {error}", error.exit_code)
        except Exception as error:
            if os.environ.get("ROLECALL_DEBUG"):
                raise
            mend = "please report it, with the output of the same command under ROLECALL_DEBUG=1"
            _fail(f"error: a fault in rolecall itself: {type(error).__name__}: {error}\n  mend: {mend}", ExitCode.INTERNAL)


def _fail(message: str, code: ExitCode) -> NoReturn:
    stderr().print(message, style="red" if code is not ExitCode.INTERRUPTED else None, markup=False)
    sys.exit(int(code))


@contextmanager
def progress_bar(text: str, *, quiet: bool) -> Iterator[tuple[Callable[[int], None], Callable[[int], None]]]:
    """Two callables, for the total and for the count done; a bar on a terminal, silence elsewhere.

    Ctrl-C inside becomes InterruptedRunError: Typer would end with exit code 1, which means findings here.
    """
    try:
        with _bar(text, quiet=quiet) as callables:
            yield callables
    except KeyboardInterrupt:
        raise InterruptedRunError("interrupted; what was complete stays") from None


@contextmanager
def _bar(text: str, *, quiet: bool) -> Iterator[tuple[Callable[[int], None], Callable[[int], None]]]:
    if quiet or not sys.stderr.isatty():
        yield (lambda _total: None), (lambda _done: None)
        return
    # Imported here: no bar, no cost.
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (TextColumn(text), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=stderr(), transient=True) as bar:
        task = bar.add_task(text, total=None)
        yield (lambda total: bar.update(task, total=total)), (lambda done: bar.update(task, completed=done))
