"""The lines that an edit takes out of a text and puts into it, for a file of any size.

`difflib` alone takes minutes for a file of thousands of entries that changed in each. An edit keeps the order of what it
leaves alone, so lines that stand once in both texts are sure marks, and only what lies between two of them is compared.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Sequence


def line_changes(before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    """Lines that go, with a - before them, and that come, with a +, in the order of the texts."""
    old, new = 0, 0
    for mark_old, mark_new in (*_marks(before, after), (len(before), len(after))):
        yield from _between(before[old:mark_old], after[new:mark_new])
        old, new = mark_old + 1, mark_new + 1


def _marks(before: Sequence[str], after: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Indexes of lines that stand once in both texts, as far as they follow each other in both."""
    times_before, times_after = Counter(before), Counter(after)
    where = {line: number for number, line in enumerate(after) if times_after[line] == 1}
    last = -1
    for number, line in enumerate(before):
        found = where.get(line, -1)
        if found > last and times_before[line] == 1:
            last = found
            yield number, found


def _between(before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    if before == after:
        return
    for tag, old_start, old_end, new_start, new_end in difflib.SequenceMatcher(None, before, after, False).get_opcodes():
        if tag != "equal":
            yield from (f"-{line}" for line in before[old_start:old_end])
            yield from (f"+{line}" for line in after[new_start:new_end])
