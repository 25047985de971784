"""The sanitizer replaces characters that control a terminal or are invisible, and keeps ordinary names; commands to copy."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostile_text import FRIENDLY, HOSTILE, leaks
from rolecall_generator.text import (
    DEFAULT_MANIFEST,
    DEFAULT_OUT,
    command_line,
    escape_markup,
    first_hidden_index,
    json_text,
    markdown_code,
    sanitize_line,
    sanitize_lines,
    shell_word,
)

ANY = st.text(st.characters(), max_size=40) | st.lists(st.sampled_from(HOSTILE), max_size=4).map("".join)


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_hostile_text_is_sanitized(text: str) -> None:
    assert [] == leaks(sanitize_line(text))
    assert "\n" not in sanitize_line(text)
    assert [] == leaks(sanitize_lines(text))


@given(ANY)
def test_any_text_is_sanitized(text: str) -> None:
    """For any content; as one line the length is kept, so that styles and column widths are valid."""
    assert [] == leaks(sanitize_line(text))
    assert "\n" not in sanitize_line(text)
    assert len(text) == len(sanitize_line(text))
    assert [] == leaks(sanitize_lines(text))


@given(ANY)
def test_any_text_is_sanitized_in_markup(text: str) -> None:
    """On pages and in Markdown, where values may not be changed more than on a terminal."""
    assert [] == leaks(escape_markup(text))
    assert [] == leaks(markdown_code(text))


def test_values_that_resemble_workflow_commands_are_kept_in_markup() -> None:
    """A tag value that a customer types from the walkthrough, for example."""
    assert ("`::error::x`", "&#58;:error::x", "\ufffd:error::x") == (
        markdown_code("::error::x"),
        escape_markup("::error::x"),
        sanitize_line("::error::x"),
    )


@given(ANY)
def test_sanitizing_is_idempotent(text: str) -> None:
    """Text can be sanitized both by a formatter and by the console."""
    assert sanitize_line(text) == sanitize_line(sanitize_line(text))
    assert sanitize_lines(text) == sanitize_lines(sanitize_lines(text))


@pytest.mark.parametrize("text", FRIENDLY)
def test_ordinary_names_are_unchanged(text: str) -> None:
    """Accents, all scripts, and emoji with variation selectors."""
    assert text == sanitize_line(text) == sanitize_lines(text)
    assert first_hidden_index(text) is None


@pytest.mark.parametrize("text", ["arn:aws:s3:::bucket/key", "a::b", "10.0.0.0/8 ::/0", "##", "a # [b]"])
def test_text_similar_to_workflow_commands_is_unchanged(text: str) -> None:
    """ARNs contain colons."""
    assert text == sanitize_line(text)


def test_every_control_and_format_character_is_replaced() -> None:
    """All characters of the Unicode categories control, format, surrogate, line separator and paragraph separator."""
    kinds = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    every = [chr(code) for code in range(sys.maxunicode + 1)]

    assert [] == [
        ascii(each)
        for each in every
        if unicodedata.category(each) in kinds and each not in "\t\n\r" and first_hidden_index(f"a{each}") != 1
    ]


def test_letters_and_symbols_are_not_replaced() -> None:
    every = (chr(code) for code in range(sys.maxunicode + 1))
    replaced = [each for each in every if unicodedata.category(each)[0] in "LNSP" and sanitize_line(each) != each]

    assert ["\u115f", "\u1160", "\u3164", "\uffa0", "\ufffd"][:4] == replaced


@given(
    st.recursive(
        ANY | st.none() | st.integers(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY, inner, max_size=3)
    )
)
def test_json_is_sanitized_and_unchanged(value: object) -> None:
    """With and without ASCII escapes; the parsed value is the same."""
    for ascii_only in (True, False):
        text = json_text(value, ascii_only=ascii_only)

        assert [] == leaks(text)
        assert json.dumps(value) == json.dumps(json.loads(text))


@given(ANY)
def test_indented_json_is_sanitized(text: str) -> None:
    assert not re.search("[^\n\x20-\x7e]", json_text({text: [text]}, indent=2))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("gen terraform", "gen terraform 'my fleet.yaml' --out o"),
        ("runner verify --limit acme", "runner verify 'my fleet.yaml' --limit acme --out o"),
        ("gen bundle acme", "gen bundle acme --manifest 'my fleet.yaml' --out o"),
        ("gen customer rotate-external-id acme --finish",
         "gen customer rotate-external-id acme --finish --manifest 'my fleet.yaml' --out o"),
        ("runner status", "runner status --manifest 'my fleet.yaml' --out o"),
    ],
)  # fmt: skip
def test_manifest_is_argument_or_option_of_the_command(words: str, expected: str) -> None:
    assert expected == command_line(words, Path("my fleet.yaml"), Path("o"))


def test_default_paths_are_omitted() -> None:
    assert "gen bundle acme" == command_line("gen bundle acme", DEFAULT_MANIFEST, DEFAULT_OUT)


@pytest.mark.parametrize(
    "name", [b"plain.yaml", b"it's.yaml", b"a b$c`d.yaml", b"\xff'\xfe.yaml", b"\xff\\n.yaml", "é.yaml".encode()]
)
def test_shell_parses_any_quoted_name(name: bytes) -> None:
    """Also a name whose bytes are not valid UTF-8."""
    word = shell_word(os.fsdecode(name))

    assert name == subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True).stdout
