"""Presents a proof: a matrix with a row per subject and role and a column per case, and sentences about its results."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from enum import Enum

from rolecall_generator.iam import Condition, Statement
from rolecall_generator.iam.evaluation import ASSUME_ROLE, PrincipalKind, identity_of
from rolecall_generator.iam.matching import find_operator
from rolecall_generator.proof.prove import EXTERNAL_ID, Case, Cell, CellState, Proof, RoleRow
from rolecall_generator.proof.symbolic import Inclusion, InclusionState, RequestWitness, RoleProof
from rolecall_generator.text import sanitize_line


@dataclass(frozen=True, slots=True)
class CellMark:
    """Numbers of checks of one row and column: all, failed, and delegated to the caller's account."""

    requests: int = 0
    failed: int = 0
    delegated: int = 0

    @property
    def state(self) -> CellState:
        """FAILED if any check failed, otherwise DELEGATED if the caller's account decides any."""
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
        """True if no check failed."""
        return not self.failures


@dataclass(frozen=True, slots=True)
class Matrix:
    """The failing and the passing rows, each in the order of the proof. Counts are numbers of checks."""

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
    cases = {cell.case for row in proof.rows for cell in row.cells}
    columns = tuple(case for case in Case if case in cases)
    position = {case: index for index, case in enumerate(columns)}
    patterns: dict[tuple[CellMark, ...], tuple[CellMark, ...]] = {}
    rows = [_row(row, position, patterns) for row in proof.rows]
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
    row: RoleRow,
    position: dict[Case, int],
    patterns: dict[tuple[CellMark, ...], tuple[CellMark, ...]],
) -> MatrixRow:
    requests, failed, delegated = ([0] * len(position) for _ in range(3))
    for cell in row.cells:
        column = position[cell.case]
        requests[column] += 1
        delegated[column] += cell.delegated
        failed[column] += cell.failed
    marks = tuple(map(CellMark, requests, failed, delegated))
    return MatrixRow(row.subject, row.role_arn, patterns.setdefault(marks, marks), row.failures)


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


def key_name(key: str) -> str:
    """Short name of a condition key: "external ID"."""
    return _KEY_NAMES.get(key.lower(), key)


def _undecided(cell: Cell, role_arn: str) -> str:
    """The sentence about a cell that is not decided."""
    how = case_description(cell.case)
    subject = f"{principal_kind_name(cell.caller)} {cell.caller}" if cell.caller else "a caller" if how else cell.case.value
    request = f"{subject} can assume {role_arn} {how}".rstrip()
    return f"Whether {request} cannot be decided: {'; '.join(cell.reasons[:_MAX_REASONS])}."


def counterexample_sentences(cell: Cell, role_arn: str) -> tuple[str, ...]:
    """The sentences of a failed cell of a role: the request and its decision, then the reason."""
    if cell.witness is None or cell.state is CellState.UNDECIDED:
        return (_undecided(cell, role_arn), "An undecided check counts as failed.")
    request = cell.witness.request
    caller = f"{principal_kind_name(request.principal.arn).capitalize()} {request.principal.arn}"
    verb = "assume" if request.action == ASSUME_ROLE else f"use {request.action} on"
    difference = f" {text}" if (text := _request_difference(cell, cell.witness)) else ""
    if cell.expected:
        verdict = f"{caller} cannot {verb} {role_arn}{difference}, although this is intended."
        reason = cell.decision.reason if cell.decision is not None else cell.witness.denial
        why = (*_deciding_statement(cell, "denies it"), f"{reason[:1].upper()}{reason[1:]}.")
        return verdict, *_further_keys(cell.witness, {*cell.requires, *_OF_EVERY_REQUEST}), *why
    verdict = f"{caller} can {verb} {role_arn}{difference}, although this is not intended."
    return verdict, *_deciding_statement(cell, "allows it"), *_further_keys(cell.witness)


def show_command(witness: RequestWitness) -> str:
    """The AWS CLI command that sends the request of a witness, and as a comment of the shell what it cannot express."""
    return sanitize_line(f"{witness.shell_command}  # {' '.join(witness.remarks)}")


_MAX_REASONS = 8


def _request_difference(cell: Cell, witness: RequestWitness) -> str:
    """How the request differs from the intended one, with the external ID of the request."""
    text = case_description(cell.case)
    sent = witness.keys.get(EXTERNAL_ID, ())
    return f"{text or 'with the external ID'} {', '.join(sent)}" if sent else text


def _deciding_statement(cell: Cell, verb: str) -> tuple[str, ...]:
    decision = cell.decision
    if decision is None or decision.statement is None:
        return ()
    name = f"The statement {decision.statement.sid}" if decision.statement.sid else "A statement without Sid"
    where = f" in the {decision.policy}" if decision.policy else ""
    return (f"{name}{where} {verb}.",)


_OF_EVERY_REQUEST = frozenset({"sts:RoleSessionName", "aws:MultiFactorAuthAge"})
"""Keys that the simplest request of an intended caller has without being required."""


def _further_keys(witness: RequestWitness, expected: Set[str] = frozenset()) -> tuple[str, ...]:
    """The keys of the request other than the external ID and those that are expected, with their values."""
    left_out = {EXTERNAL_ID, *expected}
    keys = [f"{name} = {', '.join(values)}" for name, values in witness.keys.items() if name not in left_out]
    return (f"The request has {' and '.join(keys)}.",) if keys else ()


class RoleState(Enum):
    """How the requests that a trust policy allows compare with the intended ones."""

    EXACT = "exact"
    WIDER = "wider"
    NARROWER = "narrower"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


def role_state(proof: RoleProof) -> RoleState:
    """The result of a role. WIDER, NARROWER and DIFFERENT (both) are shown by a request."""
    forward, backward = proof.comparison.forward.state, proof.comparison.backward.state
    if proof.comparison.is_equal:
        return RoleState.EXACT
    if forward is InclusionState.REFUTED:
        return RoleState.DIFFERENT if backward is InclusionState.REFUTED else RoleState.WIDER
    return RoleState.NARROWER if (forward, backward) == _NARROWER else RoleState.UNKNOWN


_NARROWER = (InclusionState.PROVEN, InclusionState.REFUTED)


def role_sentences(proof: RoleProof) -> Iterator[tuple[str, RequestWitness | None]]:
    """Where a role is not as intended: a sentence for each direction, with the smallest request that shows it."""
    for found, verb, about in (
        (proof.comparison.forward, "allows", "more than intended"),
        (proof.comparison.backward, "does not allow", "less than intended"),
    ):
        if found.state is InclusionState.REFUTED and found.witness is not None:
            yield f"{about}: it {verb} {request_description(found.witness)}", found.witness
        elif found.state is InclusionState.UNKNOWN:
            yield f"whether it allows {about} is not known: {_reasons(found)}", None


def _reasons(found: Inclusion) -> str:
    return "; ".join(found.reasons[:_MAX_REASONS]) or "no reason is known"


def request_description(witness: RequestWitness) -> str:
    """A request in words: `sts:AssumeRole by role ARN with sts:ExternalId = x`."""
    request = witness.request
    keys = [f"{name} = {', '.join(values)}" for name, values in witness.keys.items()]
    condition = f" with {' and '.join(keys)}" if keys else ""
    arn = request.principal.arn
    return f"{request.action} by {principal_kind_name(arn)} {arn}{condition}"


def witness_json(witness: RequestWitness) -> dict[str, object]:
    """A request as JSON: `principal`, `action`, `role`, `context` (the keys that matter, each a list of values), `reason`,
    `command` (AWS CLI, a list of arguments) and `remarks` (what the command cannot express).
    """
    return {
        "principal": witness.request.principal.arn,
        "action": witness.request.action,
        "role": witness.request.resource,
        "context": {name: list(values) for name, values in witness.keys.items()},
        "reason": witness.denial,
        "command": list(witness.command),
        "remarks": list(witness.remarks),
    }
