"""docs/onboarding.md documents the states and the status file as implemented."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

from rolecall_generator.records import status_path
from rolecall_runner.onboarding import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, VERIFY_ATTEMPTS, PollOptions
from rolecall_runner.reports.status_output import ALL_SHOWN
from rolecall_runner.status.overview import STALE_AFTER, CustomerState
from rolecall_runner.status.status_file import StatusEntry, read_status

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "onboarding.md").read_text("utf-8")
KEYS = re.compile(r"^\| ((?:`\w+`(?:, )?)+) \|", re.MULTILINE)


def test_documented_states_match_code_by_urgency() -> None:
    """The table has each state once, in the order of the code."""
    assert [str(state) for state in CustomerState] == re.findall(
        r"^\| `([a-z-]+)` \| [A-Z][^|]+\.[^|]*\|[^|]*\|$", PAGE, re.MULTILINE
    )


def test_example_is_valid_status_file_with_every_key(tmp_path: Path) -> None:
    """Each of its keys has a row in the table."""
    (example,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    status_path(tmp_path, rehearsal=False).write_text(example)
    (entry,) = read_status(status_path(tmp_path, rehearsal=False)).entries.values()
    explained = re.findall(r"`(\w+)`", " ".join(KEYS.findall(PAGE.partition("| Key | Meaning |")[2])))

    assert json.loads(example)["customers"]["acme"] == json.loads(json.dumps(entry.to_json()))
    assert {field.name for field in fields(StatusEntry)} == set(entry.to_json()) == set(explained)


def test_documented_numbers_match_code() -> None:
    """Pauses, times and row counts."""
    assert (5, 300, 30, 7200) == (
        FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, PollOptions().every_seconds, PollOptions().timeout_seconds,
    )  # fmt: skip
    for words in ("after five seconds", "pauses grow to five minutes", "`--every` (30 s)", "`--timeout` (2 h)"):
        assert words in PAGE
    assert (3, True) == (VERIFY_ATTEMPTS, "three times in all" in PAGE)
    assert (timedelta(days=7), True) == (STALE_AFTER, "`--stale-after` (7 days)" in PAGE)
    assert (20, True) == (ALL_SHOWN, "With more than 20 accounts" in PAGE)
