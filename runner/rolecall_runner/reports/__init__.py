"""Results for people and machines: tables, progress, JSON, JUnit, HTML, CSV."""

from typing import TYPE_CHECKING

from rolecall_generator.lazy import exports

if TYPE_CHECKING:
    from rolecall_runner.reports.csv_text import RowWriter, cell_of, csv_line
    from rolecall_runner.reports.formatters.html import run_html
    from rolecall_runner.reports.formatters.json import json_line, run_json
    from rolecall_runner.reports.formatters.junit import run_junit
    from rolecall_runner.reports.onboarding_output import WaitDisplay, onboarded_json, print_onboarded
    from rolecall_runner.reports.play_output import JsonFace, TextFace, listed, listing_lines
    from rolecall_runner.reports.progress import RollCallProgress
    from rolecall_runner.reports.rows import CsvRowWriter, JsonLines, JsonRows, TableRows, Troubles, preview_lines
    from rolecall_runner.reports.status_output import print_status, status_json
    from rolecall_runner.reports.summary import print_recap

__all__ = [
    "CsvRowWriter",
    "JsonFace",
    "JsonLines",
    "JsonRows",
    "RollCallProgress",
    "RowWriter",
    "TableRows",
    "TextFace",
    "Troubles",
    "WaitDisplay",
    "cell_of",
    "csv_line",
    "json_line",
    "listed",
    "listing_lines",
    "onboarded_json",
    "preview_lines",
    "print_onboarded",
    "print_recap",
    "print_status",
    "run_html",
    "run_json",
    "run_junit",
    "status_json",
]

__getattr__ = exports(
    __name__,
    {
        "csv_text": (
            "RowWriter",
            "cell_of",
            "csv_line",
        ),
        "formatters.html": ("run_html",),
        "formatters.json": (
            "json_line",
            "run_json",
        ),
        "formatters.junit": ("run_junit",),
        "onboarding_output": (
            "WaitDisplay",
            "onboarded_json",
            "print_onboarded",
        ),
        "play_output": (
            "JsonFace",
            "TextFace",
            "listed",
            "listing_lines",
        ),
        "progress": ("RollCallProgress",),
        "rows": (
            "CsvRowWriter",
            "JsonLines",
            "JsonRows",
            "TableRows",
            "Troubles",
            "preview_lines",
        ),
        "status_output": (
            "print_status",
            "status_json",
        ),
        "summary": ("print_recap",),
    },
)
