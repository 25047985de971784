"""What can be wrong with a question in SQL."""

from __future__ import annotations

from rolecall_generator.errors import ExitCode, RolecallError


class SqlError(RolecallError):
    """The SQL, a table's name or the choice of runs is wrong; nothing was changed, nor could be."""

    exit_code = ExitCode.USAGE
