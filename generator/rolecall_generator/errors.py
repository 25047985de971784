"""Exceptions of the generator, exit codes, and the error for a missing library of an extra.

An error has three parts: what is wrong, where, and a hint. `str(error)` is sanitized (see `text`), the attributes are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from rolecall_generator.text import sanitize_line


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
    """Base class of errors that are shown without a traceback."""

    exit_code = ExitCode.INTERNAL

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        self.what = what
        self.where = where
        self.hint = hint
        super().__init__(what)

    def __str__(self) -> str:
        text = sanitize_line(f"{self.where}: {self.what}" if self.where else self.what)
        return f"{text}\n  hint: {sanitize_line(self.hint)}" if self.hint else text


@dataclass(frozen=True, slots=True)
class Problem:
    """An error in a manifest or an imported file, with its position. Line and column count from 1."""

    file: str
    line: int
    column: int
    what: str
    hint: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}"
        return f"{sanitize_line(f'{place}: {self.what}')}\n  hint: {sanitize_line(self.hint)}"


class ManifestError(RolecallError):
    """The manifest is invalid. `problems` has all errors, in the order of the files."""

    exit_code = ExitCode.MANIFEST

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        noun = "problem" if len(self.problems) == 1 else "problems"
        super().__init__(f"{len(self.problems)} {noun} in the manifest")

    def __str__(self) -> str:
        return "\n".join([*(str(problem) for problem in self.problems), self.what])


class InputError(RolecallError):
    """A file or reply of AWS that is not as documented, so that nothing can be read from it."""

    exit_code = ExitCode.MANIFEST


class PlanError(RolecallError):
    """The manifest is valid, but the plan exceeds an AWS quota."""

    exit_code = ExitCode.PLAN


class OutputError(RolecallError):
    """The output folder cannot be read or written."""

    exit_code = ExitCode.OUTPUT


class SelectionError(RolecallError):
    """A name or option on the command line is invalid or selects nothing."""

    exit_code = ExitCode.USAGE


class NothingToDoError(RolecallError):
    """What the command line selects is done already, which is a success."""

    exit_code = ExitCode.OK


class InterruptedRunError(RolecallError):
    """The user pressed Ctrl-C."""

    exit_code = ExitCode.INTERRUPTED
    cause = "interrupted"

    def with_progress(self, done: int, total: int, resume_by: str) -> InterruptedRunError:
        """The same error with the number of accounts that are done, and the command that resumes the run."""
        return type(self)(f"{self.cause}; {done:,} of {total:,} accounts are done", hint=resume_by)


class RejectedCallerError(InterruptedRunError):
    """AWS stopped accepting the caller's own credentials during a run."""

    exit_code = ExitCode.CALLER
    cause = "AWS no longer accepts the credentials of the caller"

    def with_progress(self, done: int, total: int, resume_by: str) -> InterruptedRunError:
        """The same, for after the credentials are renewed."""
        return super().with_progress(done, total, f"renew the credentials, then: {resume_by}")


class ModuleError(RolecallError):
    """A Terraform module cannot be read at all."""

    exit_code = ExitCode.MODULE


class ToolError(RolecallError):
    """A program or package that this command needs is missing."""

    exit_code = ExitCode.TOOL


class CallerError(RolecallError):
    """AWS credentials could not be loaded, or AWS rejected them."""

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
"""The extra that installs each library."""


def missing_extra(error: ModuleNotFoundError) -> ToolError | None:
    """The error for a library that is not installed; None if no extra installs it."""
    library = (error.name or "").partition(".")[0]
    extra = EXTRAS.get(library)
    if extra is None:
        return None
    return ToolError(
        f"this needs {library}, which is not installed",
        hint=f"install rolecall with the extra {extra}, in its checkout: pip install '.[{extra}]'",
    )
