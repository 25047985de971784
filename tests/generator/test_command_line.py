"""Command lines that people copy."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from rolecall_generator.text import DEFAULT_MANIFEST, DEFAULT_OUT, command_line, shell_word


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
def test_a_command_gets_the_manifest_where_it_takes_it(words: str, expected: str) -> None:
    """Commands about a manifest take it as their first argument, others as an option."""
    assert expected == command_line(words, Path("my fleet.yaml"), Path("o"))


def test_what_is_usual_is_not_said() -> None:
    """The shortest line that does it."""
    assert "gen bundle acme" == command_line("gen bundle acme", DEFAULT_MANIFEST, DEFAULT_OUT)


@pytest.mark.parametrize(
    "name", [b"plain.yaml", b"it's.yaml", b"a b$c`d.yaml", b"\xff'\xfe.yaml", b"\xff\\n.yaml", "é.yaml".encode()]
)
def test_a_shell_reads_back_any_name(name: bytes) -> None:
    """Also one whose bytes are no text."""
    word = shell_word(os.fsdecode(name))

    assert name == subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True).stdout
