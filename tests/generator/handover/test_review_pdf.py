"""The reviewer's page on paper: every word can be read back, whatever it holds, and the bytes are always the same."""

from __future__ import annotations

import re
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader
from pypdf.generic import Destination

from review_worlds import changed, handovers_of, notes, with_trust
from rolecall_generator.handover.forms.review_pdf import review_pdf
from rolecall_generator.handover.model import Handover
from rolecall_generator.handover.pdf_file import PageMarks, document, written
from rolecall_generator.handover.pdf_ink import MONO, REGULAR, shown, string, width
from rolecall_generator.handover.pdf_text import fixed, shortened, wrapped
from rolecall_generator.handover.words import say
from rolecall_generator.handover.words_review import Review, review_of
from rolecall_generator.manifest.models import Manifest
from strategies_manifest import manifests

ORDINARY = sorted(path for path in notes() if not path.endswith("trusted"))
_ID = re.compile(rb"<[0-9a-f]{32}>")
TEXT = st.text(st.characters(codec="utf-8"), max_size=60)
ASCII = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=60)


def reader_of(review: Review) -> PdfReader:
    """The PDF as a reader sees it; it must be sound to the last reference."""
    return PdfReader(BytesIO(review_pdf(review)), strict=True)


def words_of(review: Review) -> str:
    """All words of the document without blanks, heads and feet of pages left out."""
    lines = [line for page in reader_of(review).pages for line in page.extract_text().splitlines()]
    kept = (line for line in lines if not line.endswith(", continued") and not line.startswith("Made by rolecall"))
    return squeezed("".join(kept))


def squeezed(text: str) -> str:
    """Text without blanks: lines are broken anywhere."""
    return "".join(text.split())


def tagged(**tags: str) -> Review:
    """The review of a customer with these tags."""
    entry = {"name": "a", "account_id": "222222222222", "external_id": "id-1", "tags": tags}
    return review_of(changed(customers=[entry])["customers/a"])


def people(count: int, **changes: Any) -> Handover:
    """The trusting side of a switch role with so many users."""
    entry = {
        "name": "s", "trusting": {"name": "one", "account_id": "333333333333"},
        "trusted": {"name": "two", "account_id": "444444444444"}, "role": "switched", "permissions": ["read"],
        "group": "people", "users": [{"name": f"person{number}"} for number in range(count)],
    }  # fmt: skip
    return changed(switch_roles=[entry | changes])["switch-roles/s/trusting"]


@pytest.mark.parametrize("path", ORDINARY)
def test_an_ordinary_role_needs_one_page(path: str) -> None:
    """Customers and switch roles of the notes: one page of A4."""
    pages = reader_of(review_of(notes()[path])).pages

    assert 1 == len(pages)
    assert (595, 842) == (round(pages[0].mediabox.width), round(pages[0].mediabox.height))


def test_the_document_says_what_it_is() -> None:
    """Title and language, for windows, shelves and those who listen."""
    reader = reader_of(review_of(notes()["customers/account1"]))
    metadata = reader.metadata

    assert metadata is not None
    assert ("Security review: Access to account 222222222222 (account1)", "rolecall") == (metadata.title, metadata.author)
    assert "en-GB" == str(reader.root_object["/Lang"])


@settings(deadline=None)
@given(ASCII | TEXT, ASCII, st.lists(TEXT.map(shown).map(string).map("{} Tj".format)))
def test_the_lent_frame_gives_the_bytes_that_reportlab_writes(title: str, subject: str, marks: list[str]) -> None:
    """All but the file's id, which is a digest of all that is before it: equal files have equal ids."""
    page = PageMarks("\n".join(marks))
    quick = document(title, subject, [page])

    assert _ID.sub(b"", written(title, subject, [page])) == _ID.sub(b"", quick)
    assert quick == document(title, subject, [page])
    assert quick != document(f"{title}.", subject, [page])


def test_several_pages_have_bookmarks() -> None:
    """A bookmark for each section, but on a single page none."""
    sections = [
        "Who, and on which condition", "Who reaches what", "What it may do", "What is proven", "How to take it back",
        "The exact documents",
    ]  # fmt: skip
    several = reader_of(review_of(people(40, group_in="trusting"))).outline

    assert sections == [item.title for item in several if isinstance(item, Destination)]
    assert [] == reader_of(review_of(notes()["customers/account1"])).outline


def test_the_same_review_gives_the_same_bytes() -> None:
    """No date and no chance is in the file."""
    review = review_of(notes()["customers/account1"])

    assert review_pdf(review) == review_pdf(review)


@settings(max_examples=8, deadline=None)
@given(manifests())
def test_every_word_can_be_read_back(values: dict[str, Any]) -> None:
    """Facts, grants, ways and documents of any manifest stand in the PDF's text."""
    for handover in handovers_of(Manifest.model_validate(values)).values():
        review = review_of(handover)
        words = words_of(review)
        said = [
            *(fact.said for fact in review.facts),
            *(grant.said for grant in review.grants),
            *(w.how for w in review.ways),
        ]

        assert [] == [str(phrase) for phrase in said if squeezed(shown(str(phrase))) not in words]
        assert [] == [document.text for document in review.documents if shown(squeezed(document.text)) not in words]


def test_characters_without_a_glyph_are_written_as_their_numbers() -> None:
    """Latin stays as it is; the rest is never dropped and never drawn as something else, and a note says what it means."""
    words = words_of(tagged(Ort="Zürich", 部署="情"))

    assert "Ort=Zürich" in words
    assert "<U+90E8><U+7F72>=<U+60C5>" in words
    assert squeezed("<U+...> is the Unicode number of a character") in words
    assert "Unicodenumber" not in words_of(tagged(Ort="Zürich"))


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a\u202eb", "a<U+202E>b"),
        ("a\x00b", "a<U+0000>b"),
        ("a\u00adb", "a<U+00AD>b"),
        ("a\ud800b", "a<U+D800>b"),
        ("€é", "€é"),
    ],
)
def test_what_cannot_be_seen_is_made_visible(text: str, seen: str) -> None:
    """Marks that turn text round, control characters, soft hyphens, halves of characters: each by its number."""
    assert seen == shown(text)


@given(TEXT, st.integers(60, 400))
def test_lines_are_never_wider_than_asked(text: str, wide: int) -> None:
    """Wrapped text stays inside its column, also where one word is longer than a line."""
    for size in (7, 15):
        for line in wrapped(say("It is {}, and so on.", text), wide, size):
            assert _wide(line) <= wide + 0.01


@given(TEXT, st.integers(20, 80))
def test_documents_are_broken_at_the_width_of_their_column(text: str, signs: int) -> None:
    """No line of a document is longer than so many characters, and none is lost."""
    lines = fixed(text, signs)

    assert squeezed(shown(text.replace("\n", ""))) == squeezed("".join(map(_text, lines)))
    assert all(len(_text(line)) <= signs for line in lines)


@given(TEXT, st.integers(4, 20))
def test_names_in_the_picture_fit_their_boxes(text: str, limit: int) -> None:
    """A long name keeps both ends around an ellipsis, and is never wider than its box."""
    assert width(shortened(text, REGULAR, limit), REGULAR) <= limit


def test_the_picture_is_drawn_as_vectors() -> None:
    """Names, accounts and conditions are text, edges are curves, and there is no image."""
    page = reader_of(review_of(notes()["customers/account1"])).pages[0]
    marks = page.get_contents()

    assert marks is not None
    assert [] == list(page.images)
    assert b" c " in marks.get_data()
    assert all(word in page.extract_text() for word in ("backend_role", "vendor · 111111111111", "external id"))


def test_what_is_wrong_is_red() -> None:
    """A way in that nobody meant is drawn in red, and its counterexample is written out."""
    handover = notes()["customers/account1"]
    role = next(iter(handover.module.access.roles.values()))
    assert role.trust is not None
    review = review_of(with_trust(handover, replace(role.trust.statements[0], conditions=())))
    marks = review_pdf(review)

    assert squeezed("without an external id, although nobody meant that.") in words_of(review)
    assert b"0.81 0.13 0.18 RG" in marks
    assert b"0.81 0.13 0.18 RG" not in review_pdf(review_of(handover))


@pytest.mark.parametrize("count", [0, 1, 12, 60])
def test_a_crowded_picture_becomes_sentences(count: int) -> None:
    """However many people there are, each reach is drawn where it can be read, or said."""
    review = review_of(people(count, group_in="trusting", trust="users" if count else "account"))
    words = words_of(review)

    assert "Whoreacheswhat" in words
    assert [] == [user for user in range(min(count, 40)) if f"person{user}" not in words]


def test_long_policies_flow_over_pages() -> None:
    """Statements that need several pages are all there, each page with its head and foot."""
    actions = [f"ec2:Describe{first}{second}*" for first in "ABCDEFGHIJ" for second in "abcdefghij"]
    statements = [{"sid": f"S{number}", "actions": actions, "resources": ["*"]} for number in range(3)]
    sets = {name: {"statements": statements, "attach": "managed"} for name in ("read", "more")}
    review = review_of(changed(permission_sets=sets, defaults={"permissions": ["read", "more"]})["customers/a"])
    pages = [page.extract_text() for page in reader_of(review).pages]
    words = words_of(review)

    assert len(pages) >= 3
    assert all("continued" in page for page in pages[1:])
    assert all(f"Page {number}." in page for number, page in enumerate(pages, 1))
    assert [] == [document.title for document in review.documents if squeezed(document.text) not in words]


def _pieces(line: str) -> list[tuple[str, float, str]]:
    """Font, size and PDF string of every run of a line."""
    found = []
    for piece in line.split(" Tj")[:-1]:
        font, size, rest = piece.strip().split(" ", 2)
        found.append((font, float(size), rest.removeprefix("Tf ")))
    return found


def _text(string: str) -> str:
    """A PDF string read back."""
    plain, at = "", 1
    while at < len(string) - 1:
        if string[at] == "\\":
            octal = string[at + 1 : at + 4]
            is_octal = octal.isdigit()
            plain += bytes([int(octal, 8)]).decode("cp1252") if is_octal else string[at + 1]
            at += 4 if is_octal else 2
        else:
            plain += string[at]
            at += 1
    return plain


def _wide(line: str) -> float:
    faces = {"/F1": REGULAR, "/F3": MONO}
    return sum(width(_text(string), faces[font]) * size for font, size, string in _pieces(line))
