"""docs/plays.md documents the keys of plays as implemented."""

from __future__ import annotations

import re
from pathlib import Path

from rolecall_runner.plays.play_fields import RESERVED_VARIABLES
from rolecall_runner.plays.play_file import PLAY_KEYS, QUERY_KEYS, TASK_KEYS, parse_plays

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "plays.md").read_text("utf-8")


def keys_under(heading: str) -> tuple[str, ...]:
    """The first column of the table below a heading."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return tuple(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))


def test_documented_keys_match_code() -> None:
    """In the order of error messages."""
    assert keys_under("Keys of a play") == PLAY_KEYS
    assert keys_under("Keys of a task") == TASK_KEYS


def test_every_variable_and_query_key_is_documented() -> None:
    assert [] == [name for name in (*QUERY_KEYS, *RESERVED_VARIABLES) if f"`{name}" not in PAGE]


def test_documented_play_is_valid(tmp_path: Path) -> None:
    example = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None

    (play,) = parse_plays(example[1], "plays.md", tmp_path)

    assert ["query", "assert", "verify"] == [task.action.kind for task in play.tasks]
