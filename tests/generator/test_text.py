"""The sanitizer: nothing that it lets through can do more than be read, and ordinary names stay as they are."""

from __future__ import annotations

import json
import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostile_text import FRIENDLY, HOSTILE, leaks
from rolecall_generator.text import first_hidden_index, json_text, sanitize_line, sanitize_lines

ANY = st.text(st.characters(), max_size=40) | st.lists(st.sampled_from(HOSTILE), max_size=4).map("".join)


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_hostile_text_is_harmless(text: str) -> None:
    """On one line and on several."""
    assert [] == leaks(sanitize_line(text))
    assert "\n" not in sanitize_line(text)
    assert [] == leaks(sanitize_lines(text))


@given(ANY)
def test_any_text_is_harmless(text: str) -> None:
    """Whatever it holds; the length stays on one line, so that styles and widths do."""
    assert [] == leaks(sanitize_line(text))
    assert "\n" not in sanitize_line(text)
    assert len(text) == len(sanitize_line(text))
    assert [] == leaks(sanitize_lines(text))


@given(ANY)
def test_sanitizing_twice_is_sanitizing_once(text: str) -> None:
    """A printer may call it although the console does."""
    assert sanitize_line(text) == sanitize_line(sanitize_line(text))
    assert sanitize_lines(text) == sanitize_lines(sanitize_lines(text))


@pytest.mark.parametrize("text", FRIENDLY)
def test_ordinary_names_stay(text: str) -> None:
    """Accents, scripts, emoji with their selector."""
    assert text == sanitize_line(text) == sanitize_lines(text)
    assert first_hidden_index(text) is None


@pytest.mark.parametrize("text", ["arn:aws:s3:::bucket/key", "a::b", "10.0.0.0/8 ::/0", "##", "a # [b]"])
def test_what_only_looks_like_a_command_stays(text: str) -> None:
    """ARNs hold colons."""
    assert text == sanitize_line(text)


def test_every_control_and_format_character_is_covered() -> None:
    """All that Unicode calls control, format, surrogate, line or paragraph separator, as this Python knows them."""
    kinds = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    every = [chr(code) for code in range(sys.maxunicode + 1)]

    assert [] == [
        ascii(each)
        for each in every
        if unicodedata.category(each) in kinds and each not in "\t\n\r" and first_hidden_index(f"a{each}") != 1
    ]


def test_letters_and_symbols_are_not_covered() -> None:
    """Of letters, marks, numbers and symbols only invisible ones are replaced."""
    every = (chr(code) for code in range(sys.maxunicode + 1))
    replaced = [each for each in every if unicodedata.category(each)[0] in "LNSP" and sanitize_line(each) != each]

    assert ["\u115f", "\u1160", "\u3164", "\uffa0", "\ufffd"][:4] == replaced


@given(
    st.recursive(
        ANY | st.none() | st.integers(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY, inner, max_size=3)
    )
)
def test_json_is_harmless_and_unchanged(value: object) -> None:
    """In ASCII and with letters of all scripts; nothing is lost."""
    for ascii_only in (True, False):
        text = json_text(value, ascii_only=ascii_only)

        assert [] == leaks(text)
        assert json.dumps(value) == json.dumps(json.loads(text))


@given(ANY)
def test_json_for_people_and_lines_agree(text: str) -> None:
    """An indented document is harmless too."""
    assert not re.search("[^\n\x20-\x7e]", json_text({text: [text]}, indent=2))
