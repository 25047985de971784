"""The lines that come and go are shown as they are, in files of thousands of entries too."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rolecall_generator.customers.edits import line_changes

LINES = st.lists(st.sampled_from(["a", "b", "c", "d", "", "  e"]), max_size=12)


def test_what_stays_is_not_shown() -> None:
    """Of a changed field its old and its new line, where they stand."""
    before = ["customers:", "  - name: a", "    tier: gold", "  - name: b", "    tier: gold"]
    after = ["customers:", "  - name: a", "    tier: silver", "  - name: b", "    tier: gold", "    role: r"]

    assert ["-    tier: gold", "+    tier: silver", "+    role: r"] == list(line_changes(before, after))


@given(LINES, LINES)
def test_the_lines_that_come_and_go_are_the_difference(before: list[str], after: list[str]) -> None:
    """Taken out of the one text and put into it, they give the other text's lines."""
    changes = list(line_changes(before, after))
    gone = [line[1:] for line in changes if line.startswith("-")]
    come = [line[1:] for line in changes if line.startswith("+")]

    assert sorted([*before, *come]) == sorted([*after, *gone])
    assert bool(changes) == (before != after)


def test_a_change_in_each_of_thousands_of_entries_is_found() -> None:
    """Every entry's own line is a mark: one line goes and one comes for each."""
    before = [line for number in range(5_000) for line in (f"name: c{number}", "tier: gold")]
    after = [line.replace("gold", "silver") for line in before]

    assert ["-tier: gold", "+tier: silver"] * 5_000 == list(line_changes(before, after))
