"""Output for people and programs: formats of results, progress displays, terminal output of single commands."""

from typing import TYPE_CHECKING

from rolecall_generator.lazy import exports

if TYPE_CHECKING:
    from rolecall_runner.reports.formatters.csv import csv_line
    from rolecall_runner.reports.formatters.registry import (
        PLAY_FORMATS,
        ROW_FORMATS,
        VERDICT_FORMATS,
        FormatRegistry,
        PlayOutput,
        PlayWriter,
        RowFormat,
        RowOutput,
        RowWriter,
        TextOutput,
        VerdictFormat,
        VerdictOutput,
    )
    from rolecall_runner.reports.onboarding_output import WaitDisplay, onboarded_json, print_onboarded
    from rolecall_runner.reports.play_output import listed, listing_lines
    from rolecall_runner.reports.progress import RollCallProgress
    from rolecall_runner.reports.rows import Troubles, cell_of, preview_lines
    from rolecall_runner.reports.status_output import print_status, status_json

__all__ = [
    "PLAY_FORMATS",
    "ROW_FORMATS",
    "VERDICT_FORMATS",
    "FormatRegistry",
    "PlayOutput",
    "PlayWriter",
    "RollCallProgress",
    "RowFormat",
    "RowOutput",
    "RowWriter",
    "TextOutput",
    "Troubles",
    "VerdictFormat",
    "VerdictOutput",
    "WaitDisplay",
    "cell_of",
    "csv_line",
    "listed",
    "listing_lines",
    "onboarded_json",
    "preview_lines",
    "print_onboarded",
    "print_status",
    "status_json",
]

__getattr__ = exports(
    __name__,
    {
        "formatters.registry": (
            "FormatRegistry",
            "PLAY_FORMATS",
            "PlayOutput",
            "PlayWriter",
            "ROW_FORMATS",
            "RowFormat",
            "RowOutput",
            "RowWriter",
            "TextOutput",
            "VERDICT_FORMATS",
            "VerdictFormat",
            "VerdictOutput",
        ),
        "formatters.csv": ("csv_line",),
        "onboarding_output": (
            "WaitDisplay",
            "onboarded_json",
            "print_onboarded",
        ),
        "play_output": (
            "listed",
            "listing_lines",
        ),
        "progress": ("RollCallProgress",),
        "rows": (
            "Troubles",
            "cell_of",
            "preview_lines",
        ),
        "status_output": (
            "print_status",
            "status_json",
        ),
    },
)
