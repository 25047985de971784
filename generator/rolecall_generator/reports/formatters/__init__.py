"""Output formats of `gen check`, `gen prove` and `gen audit`: discovered in the modules of this folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

from rolecall_generator.lazy import registered
from rolecall_generator.reports.formatters.interface import AuditReport, CheckReport, Formatter, ProofReport


@cache
def all_formatters() -> dict[str, Formatter]:
    """The formatters that modules of this folder register as `FORMATTERS`, by name, sorted."""
    groups = registered(__name__, "FORMATTERS").values()
    return dict(sorted((name, formatter) for group in groups for name, formatter in group.items()))


def check_formats() -> Mapping[str, Callable[[CheckReport], str]]:
    """The formats for the result of `gen check`, by name. Each renders it with a newline at the end."""
    return {name: formatter.check for name, formatter in all_formatters().items() if formatter.check is not None}


def proof_formats() -> Mapping[str, Callable[[ProofReport], str]]:
    """The same for the result of `gen prove`."""
    return {name: formatter.proof for name, formatter in all_formatters().items() if formatter.proof is not None}


def audit_formats() -> Mapping[str, Callable[[AuditReport], str]]:
    """The same for the result of `gen audit`."""
    return {name: formatter.audit for name, formatter in all_formatters().items() if formatter.audit is not None}
