"""One module per output format."""

from __future__ import annotations

from pathlib import Path

from rolecall_generator.check import Checked
from rolecall_generator.reports.formatters.json import report_body, to_json
from rolecall_generator.reports.formatters.junit import to_junit
from rolecall_generator.reports.formatters.sarif import to_sarif
from rolecall_generator.reports.formatters.table import catalogue, check_body
from rolecall_generator.text import json_text

__all__ = ["report_body", "to_json", "to_junit", "to_sarif"]


def report_text(checked: Checked, form: str, *, manifest: Path, root: str) -> str:
    """The report in the form `json`, `sarif` or `junit`. `root` leads to the folder that findings' files count from."""
    if form == "sarif":
        return to_sarif(checked.report, catalogue(), default_file=str(manifest), root=root)
    if form == "junit":
        return to_junit(checked.report, catalogue())
    return json_text(check_body(checked), indent=2) + "\n"
