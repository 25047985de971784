"""Presents a proof: a matrix with a row per subject and role and a column per case, and sentences about its cells."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from rolecall_generator.iam import Condition, Statement
from rolecall_generator.iam.evaluation import ASSUME_ROLE, Effect, PrincipalKind, identity_of
from rolecall_generator.iam.matching import find_operator
from rolecall_generator.proof.callers import OTHER_PREFIX, UNRELATED_PREFIX, is_generated_name
from rolecall_generator.proof.prove import EXTERNAL_ID, Case, Cell, Proof


class CellState(Enum):
    """Combined result of the cells of one row and column."""

    OK = "ok"
    FAILED = "failed"
    DELEGATED = "decided by the account"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class CellMark:
    """Numbers of requests of one row and column: decided, failed, and delegated to the caller's account."""

    requests: int = 0
    failed: int = 0
    delegated: int = 0

    @property
    def state(self) -> CellState:
        """FAILED if any request failed, otherwise DELEGATED if the caller's account decides any."""
        if not self.requests:
            return CellState.NOT_APPLICABLE
        if self.failed:
            return CellState.FAILED
        return CellState.DELEGATED if self.delegated else CellState.OK


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """One role of one subject. `marks` are in the order of the columns; `failures` are the counterexamples."""

    subject: str
    role_arn: str
    marks: tuple[CellMark, ...]
    failures: tuple[Cell, ...] = ()

    @property
    def ok(self) -> bool:
        """True if no request failed."""
        return not self.failures


@dataclass(frozen=True, slots=True)
class Matrix:
    """The failing and the passing rows, each in the order of the proof. Counts are numbers of requests."""

    columns: tuple[Case, ...]
    failing: tuple[MatrixRow, ...]
    passing: tuple[MatrixRow, ...]
    requests: int
    failed: int
    delegated: int

    @property
    def rows(self) -> tuple[MatrixRow, ...]:
        """All rows, failing ones first."""
        return (*self.failing, *self.passing)

    def rows_to_print(self, max_passing: int = 20) -> tuple[tuple[MatrixRow, ...], int]:
        """The rows to print, and the number of omitted rows: all passing ones if there are more than `max_passing`."""
        if len(self.passing) > max_passing:
            return self.failing, len(self.passing)
        return self.rows, 0


def summarize(proof: Proof) -> Matrix:
    """Return the matrix of a proof. Rows with equal marks share one tuple, to save memory with 10,000 rows."""
    by_row: dict[tuple[str, str], list[Cell]] = {}
    for cell in proof.cells:
        by_row.setdefault((cell.subject, cell.request.resource), []).append(cell)
    cases = {cell.case for cell in proof.cells}
    columns = tuple(case for case in Case if case in cases)
    position = {case: index for index, case in enumerate(columns)}
    patterns: dict[tuple[CellMark, ...], tuple[CellMark, ...]] = {}
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
    patterns: dict[tuple[CellMark, ...], tuple[CellMark, ...]],
) -> MatrixRow:
    requests, failed, delegated = ([0] * len(position) for _ in range(3))
    failures = []
    for cell in cells:
        column = position[cell.case]
        requests[column] += 1
        delegated[column] += cell.delegated
        if cell.failed:
            failed[column] += 1
            failures.append(cell)
    marks = tuple(map(CellMark, requests, failed, delegated))
    return MatrixRow(subject, role_arn, patterns.setdefault(marks, marks), tuple(failures))


_KEY_NAMES = {
    "sts:externalid": "external ID",
    "aws:multifactorauthpresent": "MFA",
    "aws:multifactorauthage": "recent MFA",
    "aws:sourceip": "source address",
    "aws:principalorgid": "organization",
    "aws:sourceaccount": "source account",
    "aws:sourcearn": "source ARN",
}
_CALLER_KEYS = frozenset({"aws:principalarn", "aws:principalaccount", "aws:username"})
"""Keys that identify the caller; graphs show them as the caller, not as a condition."""

_CASE_DESCRIPTIONS = {
    Case.NO_EXTERNAL_ID: "without an external ID",
    Case.OTHER_EXTERNAL_ID: "with another customer's external ID",
    Case.NO_MFA: "without MFA",
    Case.MFA_FALSE: "signed in without MFA",
}
_KIND_NAMES = {
    PrincipalKind.USER: "user",
    PrincipalKind.ROLE: "role",
    PrincipalKind.SESSION: "session",
    PrincipalKind.ROOT: "account",
    PrincipalKind.EXTERNAL: "service",
}


def principal_kind_name(arn: str) -> str:
    """Kind of principal that an ARN names: user, role, session, account, or service (also for an identity provider)."""
    return _KIND_NAMES[identity_of(arn).kind]


def condition_names(statement: Statement) -> tuple[str, ...]:
    """Short names of the statement's conditions, without those on the caller: ("external ID", "MFA")."""
    names = (_condition_name(item) for item in statement.conditions if item.key.lower() not in _CALLER_KEYS)
    return tuple(dict.fromkeys(names))


def _condition_name(condition: Condition) -> str:
    name = _KEY_NAMES.get(condition.key.lower(), condition.key)
    use = find_operator(condition.operator)
    if use is not None and use.if_exists:
        return f"{name}, if sent"
    if use is None or use.quantifier is not None or use.operator.describe is None:
        return f"{name} ({condition.operator})"
    return use.operator.describe(name, condition.values)


def case_description(case: Case) -> str:
    """How requests of this case differ from the intended one, such as "without MFA"; empty if only the caller differs."""
    return _CASE_DESCRIPTIONS.get(case, "")


def counterexample(cell: Cell) -> str:
    """The sentences of a failed cell on one line."""
    return " ".join(counterexample_sentences(cell))


def counterexample_sentences(cell: Cell) -> tuple[str, ...]:
    """The sentences of a failed cell: the request and its decision, then the reason."""
    request, decision = cell.request, cell.decision
    caller = f"{principal_kind_name(request.principal.arn).capitalize()} {request.principal.arn}"
    verb = "assume" if request.action == ASSUME_ROLE else f"use {request.action} on"
    difference = f" {text}" if (text := _request_difference(cell)) else ""
    if decision.effect is Effect.REFUSED:
        reason = decision.reason.removeprefix("refused: ")
        verdict = (
            f"Whether {caller[0].lower()}{caller[1:]} can {verb} {request.resource}{difference} cannot be decided: {reason}."
        )
        return verdict, "An undecided check counts as failed."
    if cell.expected:
        verdict = f"{caller} cannot {verb} {request.resource}{difference}, although this is intended."
        return verdict, *_deciding_statement(cell, "denies it"), f"{decision.reason[:1].upper()}{decision.reason[1:]}."
    verdict = f"{caller} can {verb} {request.resource}{difference}, although this is not intended."
    return (
        verdict,
        *_deciding_statement(cell, "allows it"),
        *_assumed_keys(cell),
        *_placeholder_meaning(request.principal.arn),
    )


def _request_difference(cell: Cell) -> str:
    """How the request differs from the intended one, with the external ID of the request."""
    sent = cell.request.context.get(EXTERNAL_ID, ())
    text = case_description(cell.case)
    if isinstance(sent, str):
        return f"{text or 'with the external ID'} {sent}"
    return text


def _deciding_statement(cell: Cell, verb: str) -> tuple[str, ...]:
    statement = cell.decision.statement
    if statement is None:
        return ()
    name = f"The statement {statement.sid}" if statement.sid else "A statement without Sid"
    where = f" in the {cell.decision.policy}" if cell.decision.policy else ""
    return (f"{name}{where} {verb}.",)


def _assumed_keys(cell: Cell) -> tuple[str, ...]:
    """The keys that the caller must send, in the spelling of the statement: the evaluator uses lower case."""
    if not cell.decision.assumed:
        return ()
    statement = cell.decision.statement
    spelling = {item.key.lower(): item.key for item in statement.conditions} if statement is not None else {}
    keys = " and ".join(spelling.get(key, key) for key in cell.decision.assumed)
    return (f"It applies if the caller sends {keys} as the statement requires.",)


def _placeholder_meaning(arn: str) -> tuple[str, ...]:
    """The meaning of a name that the proof generated; empty for a declared principal."""
    name = identity_of(arn).name
    if is_generated_name(arn, OTHER_PREFIX):
        return (f"{name} represents any {principal_kind_name(arn)} of that account.",)
    return (f"{name} represents any principal of an unrelated account.",) if is_generated_name(arn, UNRELATED_PREFIX) else ()
