"""What can be wrong with a play."""

from __future__ import annotations

from collections.abc import Sequence

from rolecall_generator.errors import ExitCode, Problem, RolecallError


class PlayError(RolecallError):
    """A play cannot be run as it is written or asked for; nothing was done."""

    exit_code = ExitCode.USAGE


class PlayFileError(PlayError):
    """A play file is wrong; `problems` holds everything found, each with line, column and mend."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        noun = "problem" if len(self.problems) == 1 else "problems"
        super().__init__(f"{len(self.problems)} {noun} in the play")

    def __str__(self) -> str:
        return "\n".join([*(str(problem) for problem in self.problems), self.what])


class TemplateError(RolecallError):
    """An expression cannot be read, or has no value for an account."""

    exit_code = ExitCode.USAGE
