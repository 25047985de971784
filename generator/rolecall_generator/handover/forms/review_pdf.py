"""The review on paper: one A4 page for an ordinary customer, more where policies are long."""

from __future__ import annotations

from itertools import islice

from rolecall_generator.checks.formats.picture import describe
from rolecall_generator.handover.pdf_ink import Colour, fill, line, rectangle, shown
from rolecall_generator.handover.pdf_picture import INK, SMALLEST, SOFT, Picture
from rolecall_generator.handover.pdf_sheet import BODY, LEADING, MARGIN, WIDTH, Sheet
from rolecall_generator.handover.pdf_text import wrapped
from rolecall_generator.handover.words import Phrase, Value, say
from rolecall_generator.handover.words_permissions import Grant
from rolecall_generator.handover.words_proof import NOTE, ProofRow, Verdict
from rolecall_generator.handover.words_review import Review
from rolecall_generator.handover.words_revoke import Way

_GREEN: Colour = (0.1, 0.5, 0.22)
_RED: Colour = (0.81, 0.13, 0.18)
_BANNERS: dict[str, tuple[Colour, Colour]] = {
    "good": (_GREEN, (0.914, 0.969, 0.929)),
    "bad": (_RED, (0.992, 0.933, 0.933)),
    "none": (SOFT, (0.957, 0.965, 0.973)),
}
_OUTCOMES = {"ok": _GREEN, "failed": _RED, "delegated": _BANNERS["none"][0]}
_LABELS = 92.0
_CAME_OUT = 66.0
_WAYS = 74.0
_LEFT = 268.0
_GUTTER = 20.0
_HIGHEST_PICTURE = 190.0
_SENTENCES = 40
_NUMBERS = "<U+...> is the Unicode number of a character that this paper's fonts lack; the HTML page shows it."


def review_pdf(review: Review) -> bytes:
    """The review as PDF 1.3 or later, without compression; the same review gives the same bytes."""
    sheet = Sheet(
        f"Security review: {review.title}",
        str(review.lead),
        f"Made by rolecall from {review.source}. Everything here is read from the access that is applied.",
    )
    _banner(sheet, review)
    sheet.heading("Who, and on which condition")
    for fact in review.facts:
        sheet.row(fact.label, fact.said, MARGIN, (_LABELS, WIDTH - _LABELS))
    if any(shown(str(fact.said)) != str(fact.said) for fact in review.facts):
        sheet.paragraph(Phrase((_NUMBERS,)), MARGIN + _LABELS, WIDTH - _LABELS, size=7.2, colour=SOFT)
    _picture(sheet, review)
    _grants(sheet, review.grants)
    _pair(sheet, review)
    if review.documents:
        sheet.y -= 6
        sheet.room_for(90)
        sheet.heading("The exact documents")
        sheet.documents([(document.title, document.text) for document in review.documents])
    return sheet.finish()


def _banner(sheet: Sheet, review: Review) -> None:
    colour, paper = _BANNERS[review.verdict.standing]
    inner = WIDTH - 24
    title = wrapped(review.title, inner, 15, bold=True)
    lead = wrapped(review.lead, inner, BODY)
    verdict = wrapped(Phrase((review.verdict.said,)), inner, 9, bold=True)
    high = 12 + 12 * len(verdict) + 19 * len(title) + LEADING * len(lead)
    sheet.draw((fill(paper), rectangle(MARGIN, sheet.y - high, WIDTH, high, "f")))
    sheet.draw((fill(colour), rectangle(MARGIN, sheet.y - high, 4, high, "f")))
    y = sheet.y - 7
    for runs in verdict:
        sheet.draw((line(runs, MARGIN + 14, y - 9),))
        y -= 12
    for runs in title:
        sheet.draw((fill(INK), line(runs, MARGIN + 14, y - 15)))
        y -= 19
    for runs in lead:
        sheet.draw((line(runs, MARGIN + 14, y - BODY),))
        y -= LEADING
    sheet.y -= high + 10


def _picture(sheet: Sheet, review: Review) -> None:
    """The picture, or its sentences where it would be too small to read."""
    if not review.graph.edges:
        return
    sheet.y -= 6
    picture = Picture(review.graph, MARGIN, WIDTH, _HIGHEST_PICTURE)
    readable = picture.scale >= SMALLEST
    sheet.room_for((picture.height if readable else 3 * LEADING) + 20)
    sheet.heading("Who reaches what")
    if readable:
        sheet.draw(picture.operators(sheet.y))
        sheet.y -= picture.height + 2
        return
    for sentence in islice(describe(review.graph), _SENTENCES):
        sheet.paragraph(Phrase((Value(sentence, prose=True), ".")), MARGIN, WIDTH)
    left = len(review.graph.edges) - _SENTENCES
    if left > 0:
        sheet.paragraph(Phrase((f"And {left:,} more; the HTML page has all.",)), MARGIN, WIDTH)


def _grants(sheet: Sheet, grants: tuple[Grant, ...]) -> None:
    sheet.y -= 6
    sheet.room_for(40)
    sheet.heading("What it may do")
    if not grants:
        sheet.paragraph(Phrase(("Nothing: no permission hangs on it.",)), MARGIN, WIDTH)
    for grant in grants:
        sheet.room_for(2 * LEADING)
        mark = _RED if grant.sweeping else (0.8, 0.83, 0.85)
        sheet.draw((fill(mark), rectangle(MARGIN, sheet.y - LEADING + 1, 2.2, LEADING - 2, "f")))
        sheet.paragraph(grant.said, MARGIN + 9, WIDTH - 9)
        for warning in grant.warnings:
            sheet.paragraph(warning, MARGIN + 9, WIDTH - 9, colour=_RED if grant.sweeping else INK)
        if grant.source is not None:
            levels = Phrase((f"{grant.levels}. ",)) if grant.levels else Phrase(())
            sheet.paragraph(say("{}{}.", levels, grant.source), MARGIN + 9, WIDTH - 9, size=7.4, colour=SOFT)
        sheet.y -= 3


def _pair(sheet: Sheet, review: Review) -> None:
    """The proof on the left, how to revoke on the right; one below the other where they do not fit side by side."""
    verdict, ways = review.verdict, review.ways
    beside = bool(verdict.rows and ways) and not verdict.failures
    left, right = (_LEFT, WIDTH - _LEFT - _GUTTER) if beside else (WIDTH, WIDTH)
    rows = [_lines_of(row, left) for row in verdict.rows]
    high = sum(len(wrapped(way.how, right - _WAYS, BODY)) * LEADING + 2 for way in ways) + 20
    proof = sum(_height(row) for row in rows) + 54
    sheet.y -= 6
    sheet.room_for(max(high, proof) if beside else 60)
    top, page = sheet.y, sheet.page
    _proof(sheet, verdict, rows, left)
    if not ways:
        return
    below = sheet.y
    if beside and sheet.page == page:
        sheet.y = top
        _ways(sheet, ways, MARGIN + left + _GUTTER, right)
        sheet.y = min(sheet.y, below) if sheet.page == page else sheet.y
        return
    sheet.y -= 6
    sheet.room_for(min(high, 200))
    _ways(sheet, ways, MARGIN, right)


_Row = tuple[tuple[str, ...], tuple[str, ...], Colour]
"""A row of the proof: the lines of the request, those of what came out, and their colour."""


def _lines_of(row: ProofRow, wide: float) -> _Row:
    outcomes = _outcomes(wide)
    times = f" ({row.asked:,} times)" if row.asked > 1 else ""
    request = wrapped(Phrase((f"{row.request}{times}",)), wide - outcomes - 6, BODY)
    return request, wrapped(row.outcome, outcomes, BODY, bold=True), _OUTCOMES[row.standing]


def _outcomes(wide: float) -> float:
    """Width of the column of what came out."""
    return _CAME_OUT if wide < WIDTH else 2 * _CAME_OUT


def _height(row: _Row) -> float:
    return max(len(row[0]), len(row[1])) * LEADING + 2.4


def _proof(sheet: Sheet, verdict: Verdict, rows: list[_Row], wide: float) -> None:
    sheet.heading("What is proven")
    for request, outcome, colour in rows:
        high = _height((request, outcome, colour))
        sheet.room_for(high)
        sheet.rule(MARGIN, wide)
        for x, runs, ink in ((MARGIN, request, INK), (MARGIN + wide - _outcomes(wide), outcome, colour)):
            marks = (line(text, x, sheet.y - BODY - 1.2 - at * LEADING) for at, text in enumerate(runs))
            sheet.draw((fill(ink), *marks))
        sheet.y -= high
    for failure in verdict.failures:
        sheet.paragraph(failure, MARGIN, wide, colour=_RED)
        sheet.y -= 2
    sheet.y -= 2
    note = NOTE if verdict.rows else verdict.said
    sheet.paragraph(Phrase((note,)), MARGIN, wide, size=7.2, colour=SOFT)


def _ways(sheet: Sheet, ways: tuple[Way, ...], x: float, wide: float) -> None:
    sheet.heading("How to take it back", x)
    for way in ways:
        sheet.row(way.when, way.how, x, (_WAYS, wide - _WAYS))
