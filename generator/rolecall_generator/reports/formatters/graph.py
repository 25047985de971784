"""The graph of `gen prove` as Mermaid text and as SVG."""

from __future__ import annotations

from rolecall_generator.reports.formatters.interface import Formatter
from rolecall_generator.reports.graph import to_mermaid, to_svg

FORMATTERS = {
    "mermaid": Formatter(proof=lambda report: to_mermaid(report.graph())),
    "svg": Formatter(proof=lambda report: to_svg(report.graph())),
}
