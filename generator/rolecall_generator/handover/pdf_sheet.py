"""Pages that fill from the top: headings, rows, tables and documents in columns, and a new page where one is full."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rolecall_generator.handover.pdf_file import PageMarks, document
from rolecall_generator.handover.pdf_ink import (
    BOLD,
    MONO,
    PAGE,
    REGULAR,
    Colour,
    fill,
    line,
    lines,
    rectangle,
    run,
    stroke,
)
from rolecall_generator.handover.pdf_picture import INK, SOFT
from rolecall_generator.handover.pdf_text import fixed, shortened, wrapped
from rolecall_generator.handover.words import Phrase

MARGIN = 40.0
TOP = 34.0
WIDTH = PAGE[0] - 2 * MARGIN
BODY = 8.2
LEADING = 10.4
_BOTTOM = 36.0
_HEADING = 10.0
_CODE = 6.3
_CODE_LEADING = 7.5
_CODE_GAP = 16.0
_CODE_TITLE = 9.2
_CODE_AFTER = 8.0
_CODE_PAPER: Colour = (0.965, 0.973, 0.98)
_TIGHT = 0.88
_RULE: Colour = (0.84, 0.86, 0.89)


class Sheet:
    """A document in the making. `y` is the height above the paper's lower edge from which the next thing hangs."""

    def __init__(self, title: str, subject: str, foot: str) -> None:
        self._title = title
        self._subject = subject
        self._foot = foot
        self._pages: list[PageMarks] = []
        self._marks: list[str] = []
        self._headings: list[tuple[str, float]] = []
        self.y = PAGE[1] - TOP

    def draw(self, marks: Iterable[str]) -> None:
        """Add operators to the page."""
        self._marks += marks

    def room_for(self, height: float) -> None:
        """Begin a new page unless so much is left on this one."""
        if self.y - height < _BOTTOM:
            self._end_page()
            self.y = PAGE[1] - TOP
            self._small(f"{self._title}, continued", self.y - 6)
            self.y -= 22

    @property
    def left(self) -> float:
        """Points that are left on the page."""
        return self.y - _BOTTOM

    def heading(self, words: str, x: float = MARGIN) -> None:
        """A section's heading, which is a bookmark too in a document of several pages."""
        self.draw((fill(INK), line(run(words, BOLD, _HEADING), x, self.y - _HEADING)))
        self._headings.append((words, self.y + 4))
        self.y -= _HEADING + 6

    def paragraph(self, phrase: Phrase, x: float, wide: float, *, size: float = BODY, colour: Colour = INK) -> None:
        """Text that hangs from `y`; a new page begins between lines where it must."""
        leading = size * LEADING / BODY
        for runs in wrapped(phrase, wide, size):
            self.room_for(leading)
            self.draw((fill(colour), line(runs, x, self.y - size)))
            self.y -= leading

    def row(self, label: str, phrase: Phrase, x: float, widths: tuple[float, float]) -> None:
        """A label in soft ink, and beside it what is said."""
        beside, wide = widths
        self.room_for(LEADING * min(3, len(wrapped(phrase, wide, BODY))))
        self.draw((fill(SOFT), line(run(label, REGULAR, BODY), x, self.y - BODY)))
        self.paragraph(phrase, x + beside, wide)
        self.y -= 1.2

    def rule(self, x: float, wide: float) -> None:
        """A thin line across."""
        self.draw((stroke(_RULE, 0.5), f"{x:.2f} {self.y:.2f} m {x + wide:.2f} {self.y:.2f} l S"))

    def documents(self, documents: Sequence[tuple[Phrase, str]]) -> None:
        """Documents in two columns, which go on over as many pages as they need."""
        wide = (WIDTH - _CODE_GAP) / 2
        signs = int((wide - 8) / (_CODE * 0.6))
        blocks = [(wrapped(title, wide, 7.4), fixed(text, signs)) for title, text in documents]
        _Columns(self, wide, blocks).flow()

    def finish(self) -> bytes:
        """The document's bytes."""
        self._end_page()
        return document(self._title, self._subject, self._pages)

    @property
    def page(self) -> int:
        """The number of the page that is being filled."""
        return len(self._pages) + 1

    def _end_page(self) -> None:
        self._small(f"{self._foot} Page {self.page}.", _BOTTOM - 16)
        self._pages.append(PageMarks("\n".join(self._marks), tuple(self._headings)))
        self._marks, self._headings = [], []

    def _small(self, words: str, y: float) -> None:
        fitted = shortened(words, REGULAR, WIDTH / 7)
        self.draw((fill(SOFT), line(run(fitted, REGULAR, 7), MARGIN, y)))


_Block = tuple[tuple[str, ...], tuple[str, ...]]


class _Columns:
    """Two columns of code. A document begins in the other column where it would be broken in this one and fits there."""

    def __init__(self, sheet: Sheet, wide: float, blocks: Sequence[_Block]) -> None:
        self._sheet = sheet
        self._wide = wide
        self._blocks = blocks
        self._scale = 1.0
        # A little smaller rather than a second page for a few lines.
        if self._needed(blocks) > sheet.left >= self._needed(blocks) * _TIGHT:
            self._scale = _TIGHT
        self._leading = _CODE_LEADING * self._scale
        self._column = 0
        self._used = 0.0
        self._lowest = 0.0
        self._height = 0.0

    def flow(self) -> None:
        """Draw all documents and leave `y` below the longer column."""
        self._begin(self._blocks)
        for at, block in enumerate(self._blocks):
            title, rest = block
            if self._used and self._used + self._high(block) > self._height:
                self._next(self._blocks[at:])
            self._title(title)
            while rest:
                fits = int((self._height - self._used) / self._leading)
                if fits < 1:
                    self._next([((), rest), *self._blocks[at + 1 :]])
                    continue
                self._text(rest[:fits])
                rest = rest[fits:]
            self._used += _CODE_AFTER * self._scale
        self._sheet.y -= max(self._lowest, self._used)

    def _high(self, block: _Block) -> float:
        title, text = block
        return (len(title) * _CODE_TITLE + len(text) * _CODE_LEADING + _CODE_AFTER) * self._scale

    def _needed(self, blocks: Sequence[_Block]) -> float:
        heights = [self._high(block) for block in blocks]
        return max(sum(heights) / 2, *heights) + 1

    def _begin(self, left: Sequence[_Block]) -> None:
        """The height of the columns on this page: balanced where what is left fits, else all that there is."""
        self._height = min(self._sheet.left, self._needed(left))
        self._column, self._used, self._lowest = 0, 0.0, 0.0

    def _next(self, left: Sequence[_Block]) -> None:
        if self._column == 0:
            self._lowest, self._column, self._used = self._used, 1, 0.0
            return
        self._sheet.room_for(self._sheet.left + 1)
        self._begin(left)

    @property
    def _x(self) -> float:
        return MARGIN + self._column * (self._wide + _CODE_GAP)

    def _title(self, title: tuple[str, ...]) -> None:
        for runs in title:
            self._sheet.draw((fill(SOFT), line(runs, self._x, self._sheet.y - self._used - 7)))
            self._used += _CODE_TITLE * self._scale

    def _text(self, strings: tuple[str, ...]) -> None:
        size, high = _CODE * self._scale, len(strings) * self._leading
        top = self._sheet.y - self._used
        self._sheet.draw(
            (
                fill(_CODE_PAPER),
                rectangle(self._x, top - high - 2, self._wide, high + 3, "f"),
                fill(INK),
                lines(list(strings), MONO, size, self._leading, (self._x + 4, top - size)),
            )
        )
        self._used += high
