"""Findings and proofs as tables, JSON, SARIF, JUnit and HTML."""

from typing import TYPE_CHECKING

from rolecall_generator.lazy import exports

if TYPE_CHECKING:
    from rolecall_generator.reports.formatters import report_text
    from rolecall_generator.reports.formatters.junit import suites_text
    from rolecall_generator.reports.formatters.table import check_body, print_check
    from rolecall_generator.reports.proof_report import print_proof, proof_text

__all__ = ["check_body", "print_check", "print_proof", "proof_text", "report_text", "suites_text"]

__getattr__ = exports(
    __name__,
    {
        "formatters": ("report_text",),
        "formatters.junit": ("suites_text",),
        "formatters.table": (
            "check_body",
            "print_check",
        ),
        "proof_report": (
            "print_proof",
            "proof_text",
        ),
    },
)
