"""Output formats of `gen check` and `gen prove`: one module per format."""

from __future__ import annotations

from functools import cache

from rolecall_generator.lazy import registered
from rolecall_generator.reports.formatters.interface import CheckReport, Formatter, ProofReport


@cache
def all_formatters() -> dict[str, Formatter]:
    """The formatters that modules of this folder register as `FORMATTER`, by module name."""
    return registered(__name__, "FORMATTER")


def check_formats() -> tuple[str, ...]:
    """Names of the formats for the result of `gen check`."""
    return tuple(name for name, formatter in all_formatters().items() if formatter.check is not None)


def proof_formats() -> tuple[str, ...]:
    """Names of the formats for the result of `gen prove`."""
    return tuple(name for name, formatter in all_formatters().items() if formatter.proof is not None)


def format_check(report: CheckReport, name: str) -> str:
    """Render the result of `gen check` in one of `check_formats()`, with a newline at the end. Raises KeyError."""
    formatter = all_formatters()[name]
    if formatter.check is None:
        raise KeyError(name)
    return formatter.check(report)


def format_proof(report: ProofReport, name: str) -> str:
    """Render the result of `gen prove` in one of `proof_formats()`, with a newline at the end. Raises KeyError."""
    formatter = all_formatters()[name]
    if formatter.proof is None:
        raise KeyError(name)
    return formatter.proof(report)
