"""The graph of `gen prove` as Mermaid text."""

from __future__ import annotations

from rolecall_generator.reports.formatters.interface import Formatter
from rolecall_generator.reports.graph import to_mermaid

FORMATTER = Formatter(proof=lambda report: to_mermaid(report.graph()))
