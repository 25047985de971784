"""The security review as a PDF, laid out by reportlab's platypus from the same `Review` as the HTML page.

Importing this module requires the extra `pdf`. The same review gives the same bytes: reportlab's invariant mode leaves out
dates and random IDs, and page streams are not compressed, so that the bytes do not depend on the zlib in use.

The fonts are PDF's built-in ones, which need no embedding and cover Windows-1252. Any other character, and any that a reader
could not see, is written as its code point, as in `<U+65E5>`: nothing is dropped, nothing passes for something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from html import escape
from io import BytesIO

from reportlab.graphics.shapes import Drawing, Group, Path, Polygon, Rect, String
from reportlab.lib.colors import Color, HexColor, white
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import CondPageBreak, Flowable, Paragraph, Preformatted, SimpleDocTemplate, Table

from rolecall_generator.bundle.review.content import NOTE, ProofSummary, Review, ReviewDocument
from rolecall_generator.bundle.review.phrases import GrantDescription, Phrase, PhraseValue, format_phrase
from rolecall_generator.reports.graph import (
    BOX_WIDTH,
    HEADER,
    LINE,
    PAD,
    TOP,
    Curve,
    EdgeState,
    Graph,
    GraphLayout,
    GraphNode,
    describe,
    lay_out,
)
from rolecall_generator.reports.graph import Rect as Shape

REGULAR, BOLD, MONO = "Helvetica", "Helvetica-Bold", "Courier"
MARGIN = 40
WIDTH = A4[0] - 2 * MARGIN
COLUMN_GAP = 16
"""Lengths are in points."""

INK, SOFT, RULE, PLATE = map(HexColor, ("#1f2328", "#57606a", "#ccd3d9", "#f4f6f8"))
GREEN, RED, AMBER, BLUE = map(HexColor, ("#1a7f37", "#cf222e", "#9a5b00", "#4080bf"))
BANNERS = {"good": (GREEN, HexColor("#e9f7ed")), "bad": (RED, HexColor("#fdeeee")), "none": (SOFT, PLATE)}
OUTCOMES = {"ok": GREEN, "failed": RED, "delegated": SOFT}

BODY = ParagraphStyle("body", fontName=REGULAR, fontSize=8.2, leading=10.4, textColor=INK, spaceAfter=1.2)
SMALL = ParagraphStyle("small", BODY, fontSize=7.2, leading=9, textColor=SOFT)
HEADING = ParagraphStyle("heading", BODY, fontName=BOLD, fontSize=10, leading=13, spaceBefore=8, spaceAfter=3)
LABELLED = ParagraphStyle(
    "labelled", BODY, leftIndent=92, bulletColor=SOFT, bulletFontName=REGULAR, bulletFontSize=BODY.fontSize
)
CODE = ParagraphStyle("code", BODY, fontName=MONO, fontSize=6.3, leading=7.5, spaceAfter=6)
LONG_DOCUMENT = 70
"""With more lines than this, policy documents fill the page's width, so that copied text is not interleaved."""

SMALLEST_SCALE, LARGEST_SCALE, HIGHEST_PICTURE = 0.45, 0.72, 190
"""A graph that would be drawn smaller than the smallest scale is unreadable, and is described in sentences."""

EDGES = {EdgeState.UNINTENDED: RED, EdgeState.BROKEN: AMBER, EdgeState.UNDECIDED: AMBER}
DASHES = {EdgeState.DELEGATED: (2, 3), EdgeState.BROKEN: (5, 4), EdgeState.UNDECIDED: (5, 4)}
LABEL_SIZE, LABEL_WIDTH, LABEL_GAP = 11.5, 190, 20
"""An edge's label: its font size, its largest width, and its distance from the role."""

MISSING_GLYPHS = (
    "<U+...> is the Unicode number of a character that the fonts of this PDF do not have; the HTML page shows it."
)


def review_pdf(review: Review) -> bytes:
    """The review as a PDF of A4 pages, with a bookmark per section."""
    target = BytesIO()
    template = SimpleDocTemplate(
        target,
        pagesize=A4,
        leftMargin=MARGIN - 6,  # platypus frames have a padding of 6 points
        rightMargin=MARGIN - 6,
        topMargin=MARGIN - 6,
        bottomMargin=MARGIN - 6,
        title=f"Security review: {review.title}",
        subject=str(review.lead),
        author="rolecall",
        creator="rolecall",
        lang="en-GB",
        displayDocTitle=True,
        invariant=1,
        pageCompression=0,
    )
    margins = partial(_margins, review=review)
    template.build(list(_story(review)), onFirstPage=margins, onLaterPages=margins)
    return target.getvalue()


def visible(text: str) -> str:
    """The text with every character that the fonts lack, or that a reader cannot see, as its code point."""
    return "".join(
        sign if sign.isprintable() and len(sign.encode("cp1252", errors="ignore")) == 1 else f"<U+{ord(sign):04X}>"
        for sign in text
    )


def clipped(text: str, font: str, size: float, width: float) -> str:
    """The text as `visible` gives it, with its middle left out if it is wider than `width`."""
    plain = fitted = visible(text)
    kept = len(plain)
    while kept > 1 and (wide := stringWidth(fitted, font, size)) > width:
        kept = min(kept - 1, int(kept * width / wide) + 1)
        fitted = f"{plain[: kept - kept // 2]}…{plain[len(plain) - kept // 2 :]}"
    return fitted


def _margins(canvas: Canvas, _template: SimpleDocTemplate, review: Review) -> None:
    """Draw a page's foot, and the document's title at the head of every page but the first."""
    page = canvas.getPageNumber()
    canvas.saveState()
    canvas.setFont(REGULAR, 7)
    canvas.setFillColor(SOFT)
    origin = "Everything here is derived from the access that is applied."
    foot = f"Page {page}. Generated by rolecall from {review.source}. {origin}"
    canvas.drawString(MARGIN, MARGIN - 18, clipped(foot, REGULAR, 7, WIDTH))
    if page > 1:
        head = f"Security review: {review.title}, continued"
        canvas.drawString(MARGIN, A4[1] - MARGIN + 10, clipped(head, REGULAR, 7, WIDTH))
    canvas.restoreState()


def _story(review: Review) -> Iterator[Flowable]:
    yield _banner(review)
    yield _paragraph(review.lead, spaceBefore=5)
    yield from _heading("Who can assume it, and on which condition")
    for fact in review.facts:
        yield _labelled(fact.label, fact.value)
    if any(visible(str(fact.value)) != str(fact.value) for fact in review.facts):
        yield Paragraph(escape(MISSING_GLYPHS), SMALL)
    if review.graph.edges:
        yield from _graph(review.graph)
    yield from _heading("What it allows")
    for grant in review.grants:
        yield from _grant(grant)
    if not review.grants:
        yield Paragraph("Nothing: it has no permissions.", BODY)
    yield from _heading("Proof")
    yield from _proof(review.verdict)
    if review.revocations:
        yield from _heading("How to revoke it")
        yield from (_labelled(method.label, method.steps) for method in review.revocations)
    if review.documents:
        yield from _heading("Policy documents")
        yield from _documents(review.documents)


def _heading(title: str) -> tuple[Flowable, Flowable]:
    """A section's heading, on a new page if there is no room for a few lines below it."""
    return CondPageBreak(60), _Heading(title, HEADING)


class _Heading(Paragraph):  # type: ignore[misc]
    """A heading that is a bookmark as well."""

    def draw(self) -> None:
        title = self.getPlainText()
        self.canv.bookmarkHorizontal(title, 0, self.height)
        self.canv.addOutlineEntry(title, title)
        super().draw()


def _markup(phrase: Phrase) -> str:
    """The phrase in reportlab's paragraph markup: values in the fixed-width font, everything escaped."""
    return "".join(
        f'<font face="{MONO}" size="-0.6">{_escaped(part.text)}</font>'
        if isinstance(part, PhraseValue) and not part.prose
        else _escaped(part.text if isinstance(part, PhraseValue) else part)
        for part in phrase.parts
    )


def _escaped(text: str) -> str:
    """The text for paragraph markup; several spaces in a row, which paragraphs would merge, stay as they are."""
    return re.sub(" {2,}", lambda found: "&nbsp;" * len(found.group()), escape(visible(text)))


def _paragraph(phrase: Phrase, style: ParagraphStyle = BODY, **changes: object) -> Paragraph:
    return Paragraph(_markup(phrase), ParagraphStyle("changed", style, **changes) if changes else style)


def _labelled(label: str, phrase: Phrase) -> Paragraph:
    """A phrase with a label in front of it."""
    return Paragraph(_markup(phrase), LABELLED, bulletText=label)


def _table(rows: Sequence[Sequence[Flowable | str]], widths: Sequence[float], *style: tuple[object, ...]) -> Table:
    """A table without space around its cells, except for what `style` adds. A row must fit on a page."""
    bare = [(f"{side}PADDING", (0, 0), (-1, -1), 0) for side in ("LEFT", "RIGHT", "TOP", "BOTTOM")]
    return Table(rows, widths, style=[*bare, ("VALIGN", (0, 0), (-1, -1), "TOP"), *style])


def _banner(review: Review) -> Table:
    colour, paper = BANNERS[review.verdict.state]
    rows = [
        [_paragraph(Phrase((review.verdict.summary,)), fontName=BOLD, textColor=colour)],
        [_paragraph(Phrase((str(review.title),)), fontName=BOLD, fontSize=15, leading=19)],
    ]
    whole = (0, 0), (-1, -1)
    padding = ("LEFTPADDING", *whole, 10), ("TOPPADDING", (0, 0), (0, 0), 7), ("BOTTOMPADDING", (0, -1), (0, -1), 6)
    return _table(rows, [WIDTH], ("BACKGROUND", *whole, paper), ("LINEBEFORE", *whole, 4, colour, "butt"), *padding)


def _grant(grant: GrantDescription) -> Iterator[Paragraph]:
    mark = RED if grant.broad else INK
    yield Paragraph(_markup(grant.sentence), ParagraphStyle("grant", BODY, leftIndent=9, bulletColor=mark), bulletText="•")
    for warning in grant.warnings:
        yield _paragraph(warning, leftIndent=9, textColor=mark)
    if grant.source is not None:
        levels = f"{grant.levels}. " if grant.levels else ""
        yield _paragraph(format_phrase(f"{levels}{{}}.", grant.source), SMALL, leftIndent=9)


def _proof(verdict: ProofSummary) -> Iterator[Flowable]:
    if not verdict.rows:
        yield Paragraph(_escaped(verdict.summary), BODY)
        return
    rows = []
    for row in verdict.rows:
        times = f" ({row.requests:,} times)" if row.requests > 1 else ""
        outcome = _paragraph(row.outcome, fontName=BOLD, textColor=OUTCOMES[row.state])
        rows.append([Paragraph(_escaped(f"{row.request}{times}"), BODY), outcome])
    yield _table(rows, [WIDTH * 0.6, WIDTH * 0.4], ("LINEABOVE", (0, 0), (-1, -1), 0.5, RULE))
    for failure in verdict.failures:
        yield _paragraph(failure, textColor=RED)
    for role in verdict.roles:
        yield _paragraph(role.sentence)
        for line in role.lines:
            yield _paragraph(line, leftIndent=9)
    yield Paragraph(_escaped(NOTE), SMALL)


def _documents(documents: Sequence[ReviewDocument]) -> Iterator[Flowable]:
    """The policy documents, two next to each other if all of them are short, so that each table row fits on a page."""
    width = (WIDTH - COLUMN_GAP) / 2
    columns = [_code(document.text, width - 4) for document in documents]
    if any(len(code.lines) > LONG_DOCUMENT for code in columns):
        for document in documents:
            yield _paragraph(document.title, SMALL, keepWithNext=1)
            yield _code(document.text, WIDTH)
        return
    for at in range(0, len(documents), 2):
        titles = [_paragraph(document.title, SMALL) for document in documents[at : at + 2]]
        widths = [width, COLUMN_GAP, width][: 2 * len(titles) - 1]
        shades = [("BACKGROUND", (column, 1), (column, 1), PLATE) for column in range(0, len(widths), 2)]
        rows = [_spaced(titles), _spaced(columns[at : at + 2])]
        yield _table(rows, widths, *shades, ("LEFTPADDING", (0, 1), (-1, 1), 4), ("NOSPLIT", (0, 0), (-1, -1)))


def _spaced(cells: Sequence[Flowable]) -> list[Flowable | str]:
    """The cells of a row with an empty one between them."""
    return [part for cell in cells for part in ("", cell)][1:]


def _code(text: str, width: float) -> Preformatted:
    limit = int(width / stringWidth("m", MONO, CODE.fontSize))
    lines = []
    for line in text.split("\n"):
        rest = visible(line)
        while len(rest) > limit:
            lines.append(rest[:limit])
            rest = f"    {rest[limit:]}"
        lines.append(rest)
    return Preformatted("\n".join(lines), CODE)


def _graph(graph: Graph) -> Iterator[Flowable]:
    """The graph as a picture, or in sentences if the picture would be too small to read."""
    yield from _heading("Access graph")
    layout = lay_out(graph)
    boxes = [box.shape for box in (*layout.callers, *layout.roles)]
    bottom = max(shape.y + shape.height for shape in boxes)
    scale = min(WIDTH / layout.width, HIGHEST_PICTURE / (bottom - TOP + 4), LARGEST_SCALE)
    if scale >= SMALLEST_SCALE:
        yield _Picture(layout, bottom + 2, scale).drawing
        return
    yield from (Paragraph(f"{_escaped(join_sentences)}.", BODY) for join_sentences in describe(graph))


class _Picture:
    """The graph's layout as vectors. `bottom` is its lower edge: the layout's y axis points down, and that of a PDF up."""

    def __init__(self, layout: GraphLayout, bottom: float, scale: float) -> None:
        self._shapes = Group(transform=(scale, 0, 0, scale, 0, 0))
        self.drawing = Drawing(layout.width * scale, (bottom - TOP + 2) * scale, self._shapes, hAlign="CENTER")
        self._bottom = bottom
        # Edges that are not as intended come last, so that nothing covers them.
        curves = sorted(layout.curves, key=lambda curve: curve.edge.state.failed)
        boxes = (*layout.callers, *layout.roles)
        for box in boxes:
            if box.account.title:
                self._rectangle(box.shape, PLATE)
                at = (box.shape.x + 10, box.shape.y + HEADER - 8)
                self._text(box.account.title, at, BOX_WIDTH - 2 * PAD, SOFT)
        for curve in curves:
            self._curve(curve)
        for box in boxes:
            for node, shape in box.nodes:
                self._node(node, shape)
        for curve in curves:
            self._label(curve)

    def _rectangle(self, shape: Shape, fill: Color, **style: object) -> None:
        y = self._bottom - shape.y - shape.height
        stroke = {"strokeColor": RULE, "strokeWidth": 0.8} | style
        self._shapes.add(Rect(shape.x, y, shape.width, shape.height, fillColor=fill, **stroke))

    def _text(
        self, text: str, at: tuple[float, float], width: float, fill: Color, *, bold: bool = False, anchor: str = "start"
    ) -> None:
        font, size = (BOLD, 13) if bold else (REGULAR, LABEL_SIZE)
        look = {"fontName": font, "fontSize": size, "fillColor": fill, "textAnchor": anchor}
        self._shapes.add(String(at[0], self._bottom - at[1], clipped(text, font, size, width), **look))

    def _node(self, node: GraphNode, shape: Shape) -> None:
        self._rectangle(shape, white)
        note = " of ".join(part for part in (node.kind, node.note) if part)
        x, middle = shape.x + 10, shape.y + shape.height / 2
        self._text(node.name, (x, middle - 3 if note else middle + 4), shape.width - 20, INK, bold=True)
        self._text(note, (x, middle + 12), shape.width - 20, SOFT)

    def _curve(self, curve: Curve) -> None:
        """The edge: a curve as far as its label, a straight line under the label, and the arrow's head."""
        (x1, y1), (x2, y2) = curve.start, curve.end
        y1, y2 = self._bottom - y1, self._bottom - y2
        state = curve.edge.state
        colour = EDGES.get(state, BLUE)
        level = x2 - LABEL_GAP - _label_width(curve)
        bend = (level - x1) / 2
        path = Path(strokeColor=colour, strokeWidth=3.2 if state is EdgeState.UNINTENDED else 1.6, fillColor=None)
        path.strokeDashArray = DASHES.get(state)
        path.moveTo(x1, y1)
        path.curveTo(x1 + bend, y1, level - bend, y2, level, y2)
        path.lineTo(x2 - 7, y2)
        self._shapes.add(path)
        self._shapes.add(Polygon([x2, y2, x2 - 9, y2 - 4.5, x2 - 9, y2 + 4.5], fillColor=colour, strokeColor=None))

    def _label(self, curve: Curve) -> None:
        """The edge's conditions on a white plate in front of the role."""
        (x, y), words, width = curve.end, curve.edge.label, _label_width(curve)
        top = y - LINE * len(words) / 2
        self._rectangle(Shape(x - LABEL_GAP - width, top, width, LINE * len(words)), white, strokeColor=None)
        for number, word in enumerate(words):
            at = (x - LABEL_GAP - 4, top + LINE * number + 11)
            self._text(word, at, LABEL_WIDTH, EDGES.get(curve.edge.state, SOFT), anchor="end")


def _label_width(curve: Curve) -> float:
    fitted = (clipped(word, REGULAR, LABEL_SIZE, LABEL_WIDTH) for word in curve.edge.label)
    return max(float(stringWidth(word, REGULAR, LABEL_SIZE)) for word in fitted) + 8
