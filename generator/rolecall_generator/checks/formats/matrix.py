"""The proof as a matrix: a row for each subject and role, a column for each case that was asked anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from rolecall_generator.checks.proof import Case, Cell, Proof


class State(Enum):
    """How the cells of one row and column came out."""

    OK = "ok"
    FAILED = "failed"
    DELEGATED = "decided by the account"
    NOT_ASKED = "not asked"


@dataclass(frozen=True, slots=True)
class Mark:
    """The requests of one row and column: how many were asked, came out otherwise than intended, are their account's."""

    asked: int = 0
    failed: int = 0
    delegated: int = 0

    @property
    def state(self) -> State:
        """FAILED as soon as one request failed, else DELEGATED as soon as the caller's account decides one."""
        if not self.asked:
            return State.NOT_ASKED
        if self.failed:
            return State.FAILED
        return State.DELEGATED if self.delegated else State.OK


@dataclass(frozen=True, slots=True)
class Row:
    """One role of one subject. `marks` stand in the order of the matrix's columns; `failures` are the counterexamples."""

    subject: str
    role_arn: str
    marks: tuple[Mark, ...]
    failures: tuple[Cell, ...] = ()

    @property
    def ok(self) -> bool:
        """True when no request on this role failed."""
        return not self.failures


@dataclass(frozen=True, slots=True)
class Matrix:
    """Failing rows and rows as intended, each in the order of the proof; counts are of requests."""

    columns: tuple[Case, ...]
    failing: tuple[Row, ...]
    fine: tuple[Row, ...]
    asked: int
    failed: int
    delegated: int

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows, failing ones first."""
        return (*self.failing, *self.fine)

    def shown(self, fine_rows: int = 20) -> tuple[tuple[Row, ...], int]:
        """Rows to print singly, and how many more are as intended: all of these when they are more than `fine_rows`."""
        if len(self.fine) > fine_rows:
            return self.failing, len(self.fine)
        return self.rows, 0


def summarize(proof: Proof) -> Matrix:
    """The matrix of a proof. Equal patterns of marks are one object, so that 10,000 rows stay light."""
    by_row: dict[tuple[str, str], list[Cell]] = {}
    for cell in proof.cells:
        by_row.setdefault((cell.subject, cell.request.resource), []).append(cell)
    asked = {cell.case for cell in proof.cells}
    columns = tuple(case for case in Case if case in asked)
    position = {case: index for index, case in enumerate(columns)}
    patterns: dict[tuple[Mark, ...], tuple[Mark, ...]] = {}
    rows = [_row(subject, role, cells, position, patterns) for (subject, role), cells in by_row.items()]
    failing = tuple(row for row in rows if not row.ok)
    return Matrix(
        columns,
        failing,
        tuple(row for row in rows if row.ok),
        len(proof.cells),
        sum(len(row.failures) for row in failing),
        len(proof.delegated),
    )


def _row(
    subject: str,
    role_arn: str,
    cells: list[Cell],
    position: dict[Case, int],
    patterns: dict[tuple[Mark, ...], tuple[Mark, ...]],
) -> Row:
    asked, failed, delegated = ([0] * len(position) for _ in range(3))
    failures = []
    for cell in cells:
        column = position[cell.case]
        asked[column] += 1
        delegated[column] += cell.delegated
        if cell.failed:
            failed[column] += 1
            failures.append(cell)
    marks = tuple(map(Mark, asked, failed, delegated))
    return Row(subject, role_arn, patterns.setdefault(marks, marks), tuple(failures))
