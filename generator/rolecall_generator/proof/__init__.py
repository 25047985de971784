"""Proof of who can assume which role, shown as a matrix and as sentences."""

from rolecall_generator.proof.changes import TrustChange, access_changes, trust_deviations
from rolecall_generator.proof.matrix import (
    CellMark,
    Matrix,
    RoleState,
    case_description,
    condition_names,
    counterexample_sentences,
    key_name,
    principal_kind_name,
    role_sentences,
    role_state,
    show_command,
    summarize,
    witness_json,
)
from rolecall_generator.proof.prove import Case, Cell, CellState, Proof, RoleRow, prove
from rolecall_generator.proof.symbolic import Inclusion, RoleProof, Trust

__all__ = [
    "Case",
    "Cell",
    "CellMark",
    "CellState",
    "Inclusion",
    "Matrix",
    "Proof",
    "RoleProof",
    "RoleRow",
    "RoleState",
    "Trust",
    "TrustChange",
    "access_changes",
    "case_description",
    "condition_names",
    "counterexample_sentences",
    "key_name",
    "principal_kind_name",
    "prove",
    "role_sentences",
    "role_state",
    "show_command",
    "summarize",
    "trust_deviations",
    "witness_json",
]
