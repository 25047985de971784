"""Proof of who can assume which role, shown as a matrix and as sentences."""

from rolecall_generator.proof.callers import OTHER_PREFIX, STRANGER_PREFIX, is_generated_name
from rolecall_generator.proof.matrix import (
    CellMark,
    CellState,
    Matrix,
    MatrixRow,
    case_description,
    condition_names,
    counterexample,
    counterexample_sentences,
    principal_kind_name,
    summarize,
)
from rolecall_generator.proof.prove import Case, Cell, Proof, Trust, prove
from rolecall_generator.proof.witnesses import Budget, Witnesses, find_external_ids

__all__ = [
    "OTHER_PREFIX",
    "STRANGER_PREFIX",
    "Budget",
    "Case",
    "Cell",
    "CellMark",
    "CellState",
    "Matrix",
    "MatrixRow",
    "Proof",
    "Trust",
    "Witnesses",
    "case_description",
    "condition_names",
    "counterexample",
    "counterexample_sentences",
    "find_external_ids",
    "is_generated_name",
    "principal_kind_name",
    "prove",
    "summarize",
]
