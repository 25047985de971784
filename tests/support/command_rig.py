"""Runs a command of `gen` or `runner`: in this process through its entry point, or in its own process."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from unittest import mock

from typer import Typer

from rolecall_generator.cli.main import app as gen_app
from rolecall_runner.cli.main import app as runner_app
from shared_cache import SHARED_CACHE

PLAIN = {"NO_COLOR": "1", "COLUMNS": "200", "TERM": "dumb"}
GEN = "from rolecall_generator.cli import app; app(prog_name='gen')"
RUNNER = "from rolecall_runner.cli import app; app(prog_name='runner')"


@dataclass(frozen=True, slots=True)
class Ended:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str


def runner(*arguments: str | Path, cwd: Path, environ: Mapping[str, str] | None = None) -> Ended:
    """Run `runner` in a folder; its AWS variables are only those of `environ`."""
    return _ended("runner", runner_app, arguments, cwd, environ)


def gen(*arguments: str | Path, cwd: Path, environ: Mapping[str, str] | None = None) -> Ended:
    """Run `gen` in a folder, without a terminal as input; its AWS variables are only those of `environ`."""
    with mock.patch("sys.stdin", io.StringIO()):
        return _ended("gen", gen_app, arguments, cwd, environ)


def process(
    program: str,
    *arguments: str | Path,
    cwd: Path,
    before: str = "",
    stdout: int | IO[bytes] = subprocess.PIPE,
    environ: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run `GEN` or `RUNNER` as a process, for tests of limits, streams and imports; the code in `before` runs first."""
    return subprocess.run(
        [sys.executable, "-c", f"{before}\n{program}", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **PLAIN, **(environ or {})},
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
    )


def start_runner(*arguments: str | Path, cwd: Path, environ: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start `runner` in its own process: for tests of signals, and of servers that outlive the command."""
    return subprocess.Popen(
        [sys.executable, "-c", RUNNER, *map(str, arguments)],
        cwd=cwd,
        env=_environment(cwd, {"PYTHONUNBUFFERED": "1", **(environ or {})}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _environment(cwd: Path, environ: Mapping[str, str] | None) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    own = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(cwd)}
    return {**kept, **PLAIN, **SHARED_CACHE, **own, **(environ or {})}


def _ended(name: str, app: Typer, arguments: Sequence[str | Path], cwd: Path, environ: Mapping[str, str] | None) -> Ended:
    out, err = io.StringIO(), io.StringIO()
    before = Path.cwd()
    os.chdir(cwd)
    code = 0
    try:
        with (
            mock.patch.dict(os.environ, _environment(cwd, environ), clear=True),
            mock.patch("sys.argv", [name, *map(str, arguments)]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            app(prog_name=name)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        os.chdir(before)
    return Ended(code, out.getvalue(), err.getvalue())
