"""The project's error tree and its exit codes.

    RolecallError                 anything a user can cause; never shown with a traceback
    ├── ManifestError             the manifest is wrong: carries every problem of the file
    ├── PlanError                 the manifest is valid but cannot be planned (AWS's quotas)
    ├── OutputError               the output folder cannot be read or written
    ├── SelectionError            a name on the command line selects nothing
    ├── InterruptedRunError       the user pressed Ctrl-C
    ├── ModuleError               a Terraform module cannot be read as a whole
    ├── ToolError                 a program or package that this command needs is missing
    └── CallerError               no AWS credentials to start from, or they are not good

Errors of one part stand with that part: SandboxError, FaultTextError, OutsideAccountError and others in the runner.

Each error builds its message from three parts: what is wrong, where, and the hint. In `str(error)` each part is one line
that can be shown anywhere (see `text`); the attributes hold what was given.

Libraries that come with an extra of the package: a missing one is told with the command that brings it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from rolecall_generator.text import one_line


class ExitCode(IntEnum):
    """Exit codes of `gen` and `runner`; `docs/exit-codes.md` is checked against this table."""

    OK = 0
    FINDINGS = 1
    USAGE = 2
    MANIFEST = 3
    PLAN = 4
    OUTPUT = 5
    MODULE = 6
    TOOL = 7
    CALLER = 8
    INCONCLUSIVE = 9
    INTERNAL = 70
    INTERRUPTED = 130


class RolecallError(Exception):
    """Root of all errors that a user can cause."""

    exit_code = ExitCode.INTERNAL

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        self.what = what
        self.where = where
        self.hint = hint
        super().__init__(what)

    def __str__(self) -> str:
        text = one_line(f"{self.where}: {self.what}" if self.where else self.what)
        return f"{text}\n  hint: {one_line(self.hint)}" if self.hint else text


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a manifest, with its place (line and column count from 1)."""

    file: str
    line: int
    column: int
    what: str
    hint: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}"
        return f"{one_line(f'{place}: {self.what}')}\n  hint: {one_line(self.hint)}"


class ManifestError(RolecallError):
    """The manifest is wrong; `problems` holds everything found, in the files' order."""

    exit_code = ExitCode.MANIFEST

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        noun = "problem" if len(self.problems) == 1 else "problems"
        super().__init__(f"{len(self.problems)} {noun} in the manifest")

    def __str__(self) -> str:
        return "\n".join([*(str(problem) for problem in self.problems), self.what])


class PlanError(RolecallError):
    """The manifest is valid but AWS would refuse the result."""

    exit_code = ExitCode.PLAN


class OutputError(RolecallError):
    """The output folder cannot be read or written as asked."""

    exit_code = ExitCode.OUTPUT


class SelectionError(RolecallError):
    """A name on the command line selects nothing."""

    exit_code = ExitCode.USAGE


class InterruptedRunError(RolecallError):
    """The user pressed Ctrl-C."""

    exit_code = ExitCode.INTERRUPTED


class ModuleError(RolecallError):
    """A Terraform module cannot be read at all."""

    exit_code = ExitCode.MODULE


class ToolError(RolecallError):
    """A program or package that this command needs is missing."""

    exit_code = ExitCode.TOOL


class CallerError(RolecallError):
    """There are no AWS credentials to start from, or AWS does not take them."""

    exit_code = ExitCode.CALLER


EXTRAS = {
    "moto": "sandbox",
    "flask": "sandbox",
    "flask_cors": "sandbox",
    "werkzeug": "sandbox",
    "duckdb": "data",
    "dask": "dask",
    "distributed": "dask",
    "reportlab": "pdf",
}
"""The extra that brings each library."""


def missing_extra(error: ModuleNotFoundError) -> ToolError | None:
    """The error to show for a library that is not installed; None for one that no extra brings."""
    library = (error.name or "").partition(".")[0]
    extra = EXTRAS.get(library)
    if extra is None:
        return None
    return ToolError(f"this needs {library}, which is not installed", hint=f"pip install 'rolecall[{extra}]'")
