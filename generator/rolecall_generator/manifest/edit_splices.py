"""A text with cuts and insertions to come: all of them at offsets of the text as it was read."""

from __future__ import annotations

from collections.abc import Sequence

from rolecall_generator.manifest.edit_error import EditError
from rolecall_generator.manifest.edit_nodes import Lines, Node, nodes_of


class Splices:
    """The text, its lines and nodes, and the edits collected so far. `file` names it in messages.

    A text whose last line is not ended is worked on as if it were; the result is not ended either.
    """

    def __init__(self, text: str, file: str) -> None:
        lines = Lines(text)
        self._unended = bool(text) and lines.next(len(text)) == lines.end(len(text)) and lines.start(len(text)) != len(text)
        self.text = text + lines.newline(len(text)) if self._unended else text
        self.file = file
        self.lines = Lines(self.text)
        self.root = nodes_of(text)
        self._splices: list[tuple[int, int, str]] = []

    def replace(self, start: int, end: int, new: str) -> None:
        """Put `new` in place of the characters from start to end; insertions at one offset keep the order of the calls."""
        self._splices.append((start, end, new))

    def insert_lines(self, offset: int, new: Sequence[str]) -> None:
        """Put whole lines (without breaks) below the line that holds `offset`."""
        newline = self.lines.newline(offset)
        below = self.lines.next(offset)
        self.replace(below, below, "".join(line + newline for line in new))

    def keep_anchors(self, *doomed: Node) -> None:
        """Raise EditError when something outside of the doomed nodes repeats what they hold."""
        inside = [node for one in doomed for node in one.within()]
        anchors = {node.anchor: node for node in inside if node.anchor and node.kind != "alias"}
        if not anchors or self.root is None:
            return
        going = {id(node) for node in inside}
        for node in self.root.within():
            if node.kind == "alias" and node.anchor in anchors and id(node) not in going:
                line = self.lines.number(node.start)
                what = f"the anchor &{node.anchor} stands here, and line {line} repeats it (*{node.anchor})"
                raise self.refusal(anchors[node.anchor].start, what, f"write the value out in line {line}, then run again")

    def refusal(self, offset: int, what: str, mend: str) -> EditError:
        """An EditError at the place of an offset."""
        line = self.lines.number(offset)
        column = offset - self.lines.start(offset) + 1
        return EditError(what, where=f"{self.file}:{line}:{column}", mend=mend)

    def result(self) -> str:
        """The text with all edits made. Raises EditError where two of them touch the same characters."""
        parts: list[str] = []
        done = 0
        for start, end, new in sorted(self._splices, key=lambda splice: (splice[0], splice[1])):
            if start < done:
                raise self.refusal(start, "two changes touch the same text", "make them one after the other")
            parts += (self.text[done:start], new)
            done = end
        text = "".join([*parts, self.text[done:]])
        return text[: self.lines.last_break(text)] if self._unended else text
