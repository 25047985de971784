"""Output for people and programs: formats of results, progress displays, terminal output of single commands."""

from typing import TYPE_CHECKING

from rolecall_generator.lazy import lazy_getattr

if TYPE_CHECKING:
    from rolecall_runner.reports.customer_page import write_customer_pages
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
    from rolecall_runner.reports.onboarding_output import WaitDisplay, onboarding_json, print_onboarding
    from rolecall_runner.reports.play_output import list_plays, play_list_lines
    from rolecall_runner.reports.progress import VerifyProgress
    from rolecall_runner.reports.rows import MissingResults, cell_of, preview_lines
    from rolecall_runner.reports.status_output import STATUS_FORMATS, StatusOutput

__all__ = [
    "PLAY_FORMATS",
    "ROW_FORMATS",
    "STATUS_FORMATS",
    "VERDICT_FORMATS",
    "FormatRegistry",
    "MissingResults",
    "PlayOutput",
    "PlayWriter",
    "RowFormat",
    "RowOutput",
    "RowWriter",
    "StatusOutput",
    "TextOutput",
    "VerdictFormat",
    "VerdictOutput",
    "VerifyProgress",
    "WaitDisplay",
    "cell_of",
    "csv_line",
    "list_plays",
    "onboarding_json",
    "play_list_lines",
    "preview_lines",
    "print_onboarding",
    "write_customer_pages",
]

__getattr__ = lazy_getattr(__name__)
