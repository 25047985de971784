"""Findings and proofs as tables, JSON, SARIF, JUnit and HTML."""

from typing import TYPE_CHECKING

from rolecall_generator.lazy import lazy_getattr

if TYPE_CHECKING:
    from rolecall_generator.reports.audit_report import audit_body, audit_html, print_audit
    from rolecall_generator.reports.formatters import audit_formats, check_formats, proof_formats
    from rolecall_generator.reports.formatters.ci import suites_text
    from rolecall_generator.reports.formatters.interface import AuditReport, CheckReport, ProofReport
    from rolecall_generator.reports.formatters.json import check_body
    from rolecall_generator.reports.formatters.table import print_check, print_proof

__all__ = [
    "AuditReport",
    "CheckReport",
    "ProofReport",
    "audit_body",
    "audit_formats",
    "audit_html",
    "check_body",
    "check_formats",
    "print_audit",
    "print_check",
    "print_proof",
    "proof_formats",
    "suites_text",
]

__getattr__ = lazy_getattr(__name__)
