"""The security review as a PDF: its whole content can be read back, whatever it holds, and its bytes are reproducible."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader
from pypdf.generic import Destination
from reportlab.pdfbase.pdfmetrics import stringWidth

from review_worlds import changed, handovers_of, notes, with_trust
from rolecall_generator.bundle.forms.interface import Handover
from rolecall_generator.bundle.review.content import Review, review_of
from rolecall_generator.bundle.review.pdf import clipped, review_pdf, visible
from rolecall_generator.bundle.review.phrases import Phrase, PhraseValue, say
from rolecall_generator.manifest.models import Manifest
from strategies_manifest import manifests

ORDINARY = sorted(path for path in notes() if not path.endswith("trusted"))
RED_LINE = b".811765 .133333 .180392 RG"
TEXT = st.text(st.characters(codec="utf-8"), max_size=60)


def reader_of(review: Review) -> PdfReader:
    """The PDF as a reader sees it; it must be sound to the last reference."""
    return PdfReader(BytesIO(review_pdf(review)), strict=True)


def words_of(review: Review) -> str:
    """The document's text without spaces and without the heads and feet of its pages."""
    lines = [line for page in reader_of(review).pages for line in page.extract_text().splitlines()]
    kept = (line for line in lines if not line.endswith(", continued") and "Made by rolecall from" not in line)
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


def test_each_section_has_a_bookmark_on_its_page() -> None:
    """The outline lists the sections in order, and each entry leads to the page that shows its heading."""
    sections = [
        "Who can assume it, and on which condition", "Who reaches what", "What it allows", "Proof", "How to revoke it",
        "Policy documents",
    ]  # fmt: skip
    reader = reader_of(review_of(people(40, group_in="trusting")))
    found = [item for item in reader.outline if isinstance(item, Destination)]
    pages = [reader.get_destination_page_number(item) for item in found]

    assert sections == [item.title for item in found]
    assert None not in pages
    assert all(str(item.title) in reader.pages[page or 0].extract_text() for item, page in zip(found, pages, strict=True))


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

        assert [] == [str(phrase) for phrase in said if squeezed(visible(str(phrase))) not in words]
        assert [] == [document.text for document in review.documents if visible(squeezed(document.text)) not in words]


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
    assert seen == visible(text)


@given(TEXT, st.integers(4, 20))
def test_names_in_the_picture_fit_their_boxes(text: str, limit: int) -> None:
    """A long name keeps both ends around an ellipsis, and is never wider than its box."""
    assert stringWidth(clipped(text, "Helvetica", 10, limit * 10), "Helvetica", 10) <= limit * 10


def test_the_picture_is_drawn_as_vectors() -> None:
    """Names, accounts and conditions are text, edges are curves, and there is no image."""
    page = reader_of(review_of(notes()["customers/account1"])).pages[0]
    marks = page.get_contents()

    assert marks is not None
    assert [] == list(page.images)
    assert b" c " in marks.get_data()
    assert all(word in page.extract_text() for word in ("backend_role", "vendor · 111111111111", "external id"))


def test_what_is_wrong_is_red() -> None:
    """A way in that no one meant is drawn in red, and its counterexample is written out."""
    handover = notes()["customers/account1"]
    role = next(iter(handover.module.access.roles.values()))
    assert role.trust is not None
    review = review_of(with_trust(handover, replace(role.trust.statements[0], conditions=())))
    marks = review_pdf(review)

    assert squeezed("without an external id, although this is not intended.") in words_of(review)
    assert RED_LINE in marks
    assert RED_LINE not in review_pdf(review_of(handover))


@pytest.mark.parametrize("count", [0, 1, 12, 60])
def test_a_crowded_picture_becomes_sentences(count: int) -> None:
    """However many people there are, each reach is drawn where it can be read, or said."""
    review = review_of(people(count, group_in="trusting", trust="users" if count else "account"))
    words = words_of(review)

    assert "Whoreacheswhat" in words
    assert [] == [user for user in range(count) if f"person{user}" not in words]


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
    assert [] == [str(document.title) for document in review.documents if squeezed(document.text) not in words]


MARKUP = (
    "</para></font><img src='/etc/hostname'/><a href='http://x'>a</a><br/>&amp;&#65;<onDraw name='x'/>]]> a  b ${x} %s \\ ()"
)


def hostile(text: str) -> Review:
    """A review in which every value is this text."""
    review, value = review_of(notes()["customers/account1"]), say("{}", text)
    return replace(
        review,
        title=value,
        lead=value,
        source=text,
        facts=tuple(replace(fact, said=value) for fact in review.facts),
        grants=tuple(replace(grant, said=value, source=value, warnings=(value,)) for grant in review.grants),
        verdict=replace(review.verdict, said=text, failures=(Phrase((PhraseValue(text, prose=True),)),)),
        ways=tuple(replace(way, how=value) for way in review.ways),
        documents=tuple(replace(document, title=value, text=text) for document in review.documents),
    )


@pytest.mark.parametrize("text", [MARKUP, "x" * 400, "日本語" * 60, "word " * 400])
def test_values_are_printed_as_they_are(text: str) -> None:
    """Reportlab's markup, long words, long lines and long documents: no image, no link, and no character is lost."""
    review = hostile(text)
    reader = reader_of(review)
    values = 3 + len(review.facts) + 3 * len(review.grants) + 1 + len(review.ways) + 2 * len(review.documents)

    assert values <= words_of(review).count(squeezed(visible(text)))
    assert [] == [page for page in reader.pages if list(page.images) or page.get("/Annots")]
