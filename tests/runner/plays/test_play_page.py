"""docs/plays.md says what plays really take."""

from __future__ import annotations

import re
from pathlib import Path

from rolecall_runner.plays.play_fields import RESERVED_VARIABLES
from rolecall_runner.plays.play_file import PLAY_KEYS, QUERY_KEYS, TASK_KEYS, parse_plays

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "plays.md").read_text("utf-8")


def keys_under(heading: str) -> tuple[str, ...]:
    """The first column of the table under a heading."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return tuple(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))


def test_the_tables_have_every_key_and_no_other() -> None:
    """In the order in which messages name them."""
    assert keys_under("Keys of a play") == PLAY_KEYS
    assert keys_under("Keys of a task") == TASK_KEYS


def test_every_name_and_every_key_of_a_query_is_on_the_page() -> None:
    """Nothing can be written that the page does not know."""
    assert [] == [name for name in (*QUERY_KEYS, *RESERVED_VARIABLES) if f"`{name}" not in PAGE]


def test_the_pages_play_is_a_good_one(tmp_path: Path) -> None:
    """The example is read as it stands."""
    example = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None

    (play,) = parse_plays(example[1], "plays.md", tmp_path)

    assert ["query", "assert", "verify"] == [task.action.kind for task in play.tasks]
