"""What can be wrong with a question in SQL."""

from __future__ import annotations

from rolecall_generator.errors import ExitCode, RolecallError
from rolecall_generator.text import lines_of


class SqlError(RolecallError):
    """The SQL, a table's name or the choice of runs is wrong; nothing was changed, nor could be."""

    exit_code = ExitCode.USAGE

    def __init__(self, what: str, *, where: str | None = None, mend: str | None = None, excerpt: str = "") -> None:
        """`excerpt`: the line of the SQL that is wrong, and a line with a mark below it."""
        super().__init__(what, where=where, mend=mend)
        self.excerpt = excerpt

    def __str__(self) -> str:
        first, *hint = super().__str__().split("\n")
        excerpt = lines_of(self.excerpt).split("\n") if self.excerpt else []
        return "\n".join([first, *(f"  {line}" for line in excerpt), *hint])
