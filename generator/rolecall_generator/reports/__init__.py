"""Findings and proofs as tables, JSON, SARIF, JUnit and HTML."""

from rolecall_generator.reports.formatters import check_formats, proof_formats
from rolecall_generator.reports.formatters.interface import CheckReport, ProofReport
from rolecall_generator.reports.formatters.json import check_body
from rolecall_generator.reports.formatters.junit import suites_text
from rolecall_generator.reports.formatters.table import print_check, print_proof

__all__ = [
    "CheckReport",
    "ProofReport",
    "check_body",
    "check_formats",
    "print_check",
    "print_proof",
    "proof_formats",
    "suites_text",
]
