"""Proof of who can assume which role, shown as a matrix and as sentences."""

from rolecall_generator.proof.callers import OTHER_PREFIX, UNRELATED_PREFIX, is_generated_name
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

__all__ = [
    "OTHER_PREFIX",
    "UNRELATED_PREFIX",
    "Case",
    "Cell",
    "CellMark",
    "CellState",
    "Matrix",
    "MatrixRow",
    "Proof",
    "Trust",
    "case_description",
    "condition_names",
    "counterexample",
    "counterexample_sentences",
    "is_generated_name",
    "principal_kind_name",
    "prove",
    "summarize",
]
