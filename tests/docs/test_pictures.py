"""The pictures of README and site show actual output, and exist for light and dark pages. `make pictures` draws them."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
from tools.dark_pictures import DRAWINGS, dark, paths_of
from tools.review_picture import THEMES as SCHEMES
from tools.review_picture import digest, path_of, recorded_digest, review_page, with_digest
from tools.terminal_pictures import SESSIONS, THEMES, Recorded, Session, draw, drawn_text, record
from tools.terminal_pictures import path_of as path_of_session

SLOW = {"session"}  # starts a sandbox


@pytest.mark.parametrize("name", DRAWINGS)
def test_dark_drawing_is_current(name: str) -> None:
    light, target = paths_of(name)

    assert dark(light.read_text("utf-8")) == target.read_text("utf-8")


def test_color_without_dark_counterpart_is_an_error() -> None:
    with pytest.raises(KeyError, match="#123456"):
        dark('<svg viewBox="0 0 1 1"><rect fill="#123456"/></svg>')


@pytest.mark.parametrize(
    "session", [pytest.param(each, id=each.name, marks=pytest.mark.slow if each.name in SLOW else ()) for each in SESSIONS]
)
def test_picture_shows_the_actual_session(session: Session, tmp_path: Path) -> None:
    """The commands of a picture print the text that both of its variants show, except for times and IDs."""
    recorded = record(session, tmp_path)

    assert {theme: drawn_text(draw(session, recorded, theme)) for theme in THEMES} == {
        theme: drawn_text(path_of_session(session, theme).read_text("utf-8")) for theme in THEMES
    }


@pytest.mark.parametrize("session", SESSIONS, ids=lambda each: each.name)
@pytest.mark.parametrize("theme", THEMES)
def test_picture_has_a_title_and_loads_nothing(session: Session, theme: str) -> None:
    text = path_of_session(session, theme).read_text("utf-8")
    svg = Xml.fromstring(text)  # noqa: S314 - made here

    assert session.title == svg.findtext("{http://www.w3.org/2000/svg}title")
    assert "http" not in text.replace('xmlns="http://www.w3.org/2000/svg"', "")


def test_different_output_is_a_different_picture() -> None:
    """Another line, and another place in a line, change the drawn text; escape sequences and times do not."""
    session = Session("x", "x", ("gen check",))
    shown, other, moved, colored = (
        drawn_text(draw(session, [Recorded("gen check", (line,))], "dark"))
        for line in ("a 1.5 s <ok> | b", "a 1.5 s <no> | b", "a 1.5 s <ok>  | b", "a 2.5 s <ok> \x1b[32m|\x1b[0m b")
    )

    assert ["$ gen check", "a SECONDS <ok> | b"] == shown == colored
    assert shown != other
    assert shown != moved


def test_review_screenshots_are_current(tmp_path: Path) -> None:
    """They record the checksum of the page that `gen bundle` writes."""
    expected = digest(review_page(tmp_path))

    assert dict.fromkeys(SCHEMES, expected) == {theme: recorded_digest(path_of(theme).read_bytes()) for theme in SCHEMES}


def test_checksum_is_read_back_from_a_screenshot() -> None:
    png = path_of("light").read_bytes()
    plain = png.replace(b"page-sha256", b"other-entry")

    assert recorded_digest(plain) is None
    assert "ab12" == recorded_digest(with_digest(plain, "ab12"))
