"""The threat model names tests; they are there, and each threat has some."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
PAGE = (TESTS.parent / "docs" / "threat-model.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`((?:[\w-]+/)*test_\w+\.py)(?:::(\w+))?`", PAGE)))
THREATS = re.findall(r"^## ([^\n]+)\n\n\*([^\n]+(?:\n[^\n]+)*)\*\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_a_test_that_the_threat_model_names_is_there(file: str, test: str) -> None:
    """The file is there, and the test in it."""
    path = TESTS / file

    assert path.is_file()
    assert not test or re.search(rf"^def {test}\(", path.read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize(("title", "story", "answer"), THREATS, ids=[title for title, _, _ in THREATS])
def test_each_threat_has_a_story_and_a_proof(title: str, story: str, answer: str) -> None:
    """Who attacks whom in a sentence, and at least one test of what stands against it."""
    assert story.endswith(".")
    assert re.search(r"`(?:[\w-]+/)*test_\w+\.py", answer), title


def test_all_threats_are_read() -> None:
    """The page's form is the one that these tests read."""
    expected = {"Confused deputy", "A leaked external id", "A forged or edited module", "The wrong account", "The sandbox"}

    assert set() == expected - {title for title, _, _ in THREATS}
    assert len(NAMED) > 30
