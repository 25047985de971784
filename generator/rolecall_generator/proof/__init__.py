"""The proof of who can assume which role, and its presentation as a matrix and as sentences."""

from rolecall_generator.proof.callers import OTHER, STRANGER, is_invented
from rolecall_generator.proof.matrix import (
    CellMark,
    CellState,
    Matrix,
    MatrixRow,
    condition_words,
    counterexample,
    kind_word,
    sentences,
    summarize,
    with_words,
)
from rolecall_generator.proof.prove import Case, Cell, Proof, Trust, prove

__all__ = [
    "OTHER",
    "STRANGER",
    "Case",
    "Cell",
    "CellMark",
    "CellState",
    "Matrix",
    "MatrixRow",
    "Proof",
    "Trust",
    "condition_words",
    "counterexample",
    "is_invented",
    "kind_word",
    "prove",
    "sentences",
    "summarize",
    "with_words",
]
