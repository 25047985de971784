"""The picture of who reaches what as vectors on a PDF page: the same layout as the SVG, on white paper."""

from __future__ import annotations

from collections.abc import Iterator

from rolecall_generator.checks.formats.picture import Graph, Node, Standing
from rolecall_generator.checks.formats.picture_layout import BOX_WIDTH, HEADER, LINE, PAD, TOP, Box, Curve, Rect, lay_out
from rolecall_generator.handover.pdf_ink import BOLD, REGULAR, Colour, fill, line, rectangle, run, stroke, width
from rolecall_generator.handover.pdf_text import shortened

INK: Colour = (0.12, 0.14, 0.16)
SOFT: Colour = (0.35, 0.39, 0.43)
_BOX: Colour = (0.957, 0.965, 0.973)
_LINE: Colour = (0.8, 0.83, 0.85)
_WHITE: Colour = (1, 1, 1)
_GOOD: Colour = (0.25, 0.5, 0.75)
_BAD: Colour = (0.81, 0.13, 0.18)
_WARN: Colour = (0.6, 0.36, 0)

_COLOURS = {Standing.UNINTENDED: _BAD, Standing.BROKEN: _WARN, Standing.UNDECIDED: _WARN}
_DASHES = {Standing.DELEGATED: "[2 3] 0 d", Standing.BROKEN: "[5 4] 0 d", Standing.UNDECIDED: "[5 4] 0 d"}

SMALLEST = 0.45
"""Below this scale nobody can read the picture."""

_GAP = 20
_STRAIGHT = 190


class Picture:
    """The picture from `left` on, as wide as `wide` points and at most as high as `highest`."""

    def __init__(self, graph: Graph, left: float, wide: float, highest: float) -> None:
        self._layout = lay_out(graph)
        boxes = (*self._layout.callers, *self._layout.roles)
        bottom = max((box.shape.y + box.shape.height for box in boxes), default=TOP)
        self._first = min((box.shape.y for box in boxes), default=TOP) - 2
        self.scale = min(wide / self._layout.width, highest / (bottom - self._first), 0.72)
        self.height = (bottom - self._first) * self.scale
        self._left = left + (wide - self._layout.width * self.scale) / 2
        self._top = 0.0

    def operators(self, top: float) -> Iterator[str]:
        """The picture's marks, hanging from `top`; edges that are wrong come last, so that nothing covers them."""
        self._top = top
        curves = sorted(self._layout.curves, key=lambda curve: curve.edge.standing.failed)
        boxes = (*self._layout.callers, *self._layout.roles)
        for box in boxes:
            yield from self._frame(box)
        for curve in curves:
            yield from self._curve(curve)
        for box in boxes:
            for node, shape in box.nodes:
                yield from self._node(node, shape)
        for curve in curves:
            yield from self._label(curve)

    def _x(self, x: float) -> float:
        return self._left + x * self.scale

    def _y(self, y: float) -> float:
        return self._top - (y - self._first) * self.scale

    def _rectangle(self, shape: Rect, colour: Colour) -> Iterator[str]:
        yield fill(colour)
        yield stroke(_LINE, 0.6)
        wide, high = shape.width * self.scale, shape.height * self.scale
        yield rectangle(self._x(shape.x), self._y(shape.y + shape.height), wide, high, "B")

    def _text(self, text: str, face: str, size: float, x: float, y: float, *, limit: float = BOX_WIDTH) -> str:
        fitted = shortened(text, face, limit / size)
        return line(run(fitted, face, round(size * self.scale, 2)), self._x(x), self._y(y))

    def _frame(self, box: Box) -> Iterator[str]:
        if box.account.title:
            yield from self._rectangle(box.shape, _BOX)
            yield fill(SOFT)
            limit = BOX_WIDTH - 2 * PAD - 4
            yield self._text(box.account.title, REGULAR, 11.5, box.shape.x + 10, box.shape.y + HEADER - 8, limit=limit)

    def _node(self, node: Node, shape: Rect) -> Iterator[str]:
        yield from self._rectangle(shape, _WHITE)
        middle = shape.y + shape.height / 2
        note = f"{node.kind} of {node.note}" if node.kind and node.note else node.kind or node.note
        yield fill(INK)
        limit = shape.width - 20
        yield self._text(node.name, BOLD, 13, shape.x + 10, middle - (3 if note else -4), limit=limit)
        if note:
            yield fill(SOFT)
            yield self._text(note, REGULAR, 11.5, shape.x + 10, middle + 12, limit=limit)

    def _curve(self, curve: Curve) -> Iterator[str]:
        (x1, y1), (x2, y2) = curve.start, curve.end
        standing = curve.edge.standing
        colour = _COLOURS.get(standing, _GOOD)
        level = x2 - _GAP - min(self._label_width(curve), _STRAIGHT)
        bend = (level - x1) * 0.5
        points = ((x1 + bend, y1), (level - bend, y2), (level, y2))
        yield stroke(colour, (3.2 if standing is Standing.UNINTENDED else 1.6) * self.scale)
        yield _DASHES.get(standing, "[] 0 d")
        path = " ".join(f"{self._x(x):.2f} {self._y(y):.2f}" for x, y in points)
        yield f"{self._x(x1):.2f} {self._y(y1):.2f} m {path} c {self._x(x2 - 7):.2f} {self._y(y2):.2f} l S [] 0 d"
        yield fill(colour)
        tip = ((x2, y2), (x2 - 9, y2 - 4.5), (x2 - 9, y2 + 4.5))
        (ax, ay), *rest = ((self._x(x), self._y(y)) for x, y in tip)
        yield f"{ax:.2f} {ay:.2f} m " + " ".join(f"{x:.2f} {y:.2f} l" for x, y in rest) + " f"

    def _label(self, curve: Curve) -> Iterator[str]:
        """The conditions just before the role, right-aligned on a white plate."""
        (x, y), words = curve.end, curve.edge.label
        right, top, wide = x - _GAP, y - LINE * len(words) / 2, self._label_width(curve)
        yield fill(_WHITE)
        low = self._y(top + LINE * len(words))
        yield rectangle(self._x(right - wide + 3), low, wide * self.scale, LINE * len(words) * self.scale, "f")
        yield fill(_COLOURS.get(curve.edge.standing, SOFT))
        for number, word in enumerate(words):
            fitted = shortened(word, REGULAR, _STRAIGHT / 11.5)
            begin = right - width(fitted, REGULAR) * 11.5
            yield self._text(word, REGULAR, 11.5, begin, top + LINE * number + 11, limit=_STRAIGHT)

    @staticmethod
    def _label_width(curve: Curve) -> float:
        longest = max(width(shortened(word, REGULAR, _STRAIGHT / 11.5), REGULAR) for word in curve.edge.label)
        return longest * 11.5 + 8
