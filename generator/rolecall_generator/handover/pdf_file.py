"""From the marks of pages to a PDF file: reportlab writes it, and lends its frame to documents of one page.

reportlab formats every object of a file anew: 0.9 ms, of which nearly all documents need the same. So a file of one page is
written once, and for each document title, subject and marks are put into it and its table of places is moved accordingly.
A test holds that the bytes are those that reportlab writes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING

from rolecall_generator.handover.pdf_ink import FACES, PAGE, string

if TYPE_CHECKING:
    from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]

_TITLE, _SUBJECT, _MARKS = "TITLE-OF-THE-DOCUMENT", "SUBJECT-OF-THE-DOCUMENT", "% MARKS-OF-THE-PAGE"
_PLACE = re.compile(rb"(\d{10}) 00000 n")
_ID = re.compile(rb"<[0-9a-f]{32}>")
_START = re.compile(rb"startxref\n\d+\n")


@dataclass(frozen=True, slots=True)
class PageMarks:
    """A page: operators of its content stream, and headings with their height above the paper's lower edge in points."""

    operators: str
    headings: tuple[tuple[str, float], ...] = ()


def document(title: str, subject: str, pages: Sequence[PageMarks]) -> bytes:
    """The file, the same bytes whenever it is made. Streams stay readable: the zip compresses them anyway.

    Headings are bookmarks in a document of several pages; on a single one nobody needs them.
    """
    plain = title + subject
    if len(pages) == 1 and plain.isascii() and plain.isprintable():
        return _frame().filled(title, subject, pages[0].operators)
    return written(title, subject, pages)


def written(title: str, subject: str, pages: Sequence[PageMarks]) -> bytes:
    """The file as reportlab writes it."""
    target = BytesIO()
    canvas = _canvas(target, title, subject)
    sections = 0
    for page in pages:
        canvas.addLiteral(page.operators)
        for words, top in page.headings if len(pages) > 1 else ():
            sections += 1
            canvas.bookmarkPage(f"section{sections}", fit="XYZ", left=0, top=top, zoom=0)
            canvas.addOutlineEntry(words, f"section{sections}")
        canvas.showPage()
    canvas.save()
    return target.getvalue()


def _canvas(target: BytesIO, title: str, subject: str) -> Canvas:
    from reportlab.pdfgen.canvas import Canvas  # noqa: PLC0415 - `gen --help` must not pay for reportlab

    canvas = Canvas(target, pagesize=PAGE, invariant=1, pageCompression=0, lang="en-GB", initialFontSize=1)
    canvas.setTitle(title)
    canvas.setSubject(subject)
    canvas.setAuthor("rolecall")
    canvas.setCreator("rolecall")
    canvas.setViewerPreference("DisplayDocTitle", "true")
    for face in FACES:
        canvas.setFont(face, 1)
    return canvas


@dataclass(frozen=True, slots=True)
class _Frame:
    """A file of one page with the places where documents differ: what stands there, where it begins and where it ends."""

    file: bytes
    slots: tuple[tuple[str, int, int], ...]
    table: int
    """Where the table of places (xref) begins; all slots are before it."""

    overhead: int
    """Length of the page's stream without the marks."""

    def filled(self, title: str, subject: str, marks: str) -> bytes:
        """The file with these values, which are ASCII."""
        length = str(self.overhead + len(marks))
        values = {"title": string(title), "subject": string(subject), "length": length, "marks": marks}
        body, moves, at = b"", [], 0
        for name, begin, end in self.slots:
            value = values[name].encode("ascii")
            body += self.file[at:begin] + value
            moves.append((begin, len(value) - (end - begin)))
            at = end
        body += self.file[at : self.table]

        def moved(place: int) -> int:
            return place + sum(move for begin, move in moves if begin < place)

        name_of_file = hashlib.md5(body, usedforsecurity=False).hexdigest().encode()
        tail = _PLACE.sub(lambda found: b"%010d 00000 n" % moved(int(found.group(1))), self.file[self.table :])
        tail = _ID.sub(b"<" + name_of_file + b">", tail)
        return body + _START.sub(b"startxref\n%d\n" % len(body), tail)


@lru_cache(maxsize=1)
def _frame() -> _Frame:
    file = written(_TITLE, _SUBJECT, [PageMarks(_MARKS)])
    length = re.search(rb"/Length (\d+)", file)
    if length is None:
        raise ValueError("the page has no stream")
    slots = [("length", *length.span(1))]
    for name, text in (("title", string(_TITLE)), ("subject", string(_SUBJECT)), ("marks", _MARKS)):
        begin = file.index(text.encode())
        slots.append((name, begin, begin + len(text)))
    table = file.index(b"\nxref\n") + 1
    return _Frame(file, tuple(sorted(slots, key=lambda slot: slot[1])), table, int(length[1]) - len(_MARKS))
