"""Added and removed lines are shown literally, also in files with thousands of entries."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rolecall_generator.customers.edits import line_changes

LINES = st.lists(st.sampled_from(["a", "b", "c", "d", "", "  e"]), max_size=12)


def test_unchanged_lines_are_not_shown() -> None:
    """A changed field is shown as its old and its new line."""
    before = ["customers:", "  - name: a", "    tier: gold", "  - name: b", "    tier: gold"]
    after = ["customers:", "  - name: a", "    tier: silver", "  - name: b", "    tier: gold", "    role: r"]

    assert ["-    tier: gold", "+    tier: silver", "+    role: r"] == list(line_changes(before, after))


@given(LINES, LINES)
def test_added_and_removed_lines_are_the_difference(before: list[str], after: list[str]) -> None:
    """Applying them to the old text gives the lines of the new text."""
    changes = list(line_changes(before, after))
    gone = [line[1:] for line in changes if line.startswith("-")]
    come = [line[1:] for line in changes if line.startswith("+")]

    assert sorted([*before, *come]) == sorted([*after, *gone])
    assert bool(changes) == (before != after)


def test_change_in_each_of_thousands_of_entries_is_found() -> None:
    """One line is removed and one is added per entry."""
    before = [line for number in range(5_000) for line in (f"name: c{number}", "tier: gold")]
    after = [line.replace("gold", "silver") for line in before]

    assert ["-tier: gold", "+tier: silver"] * 5_000 == list(line_changes(before, after))
