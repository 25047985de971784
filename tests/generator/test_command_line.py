"""Printed command lines that users copy."""

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
def test_manifest_is_argument_or_option_of_the_command(words: str, expected: str) -> None:
    """Commands whose first argument is the manifest have it there, others have it as an option."""
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
