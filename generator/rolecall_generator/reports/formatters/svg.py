"""The graph of `gen prove` as SVG."""

from __future__ import annotations

from rolecall_generator.reports.formatters.interface import Formatter
from rolecall_generator.reports.graph import to_svg

FORMATTER = Formatter(proof=lambda report: to_svg(report.graph()))
