"""The threat model and SECURITY.md claim what tests hold: each claim names one that is there and that runs.

Only what the page marks as not claimed stands without a test. Whether a test would fail without what it is named for is a
matter of reviews; that it exists, and is neither skipped nor expected to fail, is checked here. A condition (`skipif`) is
allowed: CI meets all of them.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
PAGE = (TESTS.parent / "docs" / "threat-model.md").read_text("utf-8")
SECURITY = (TESTS.parent / "SECURITY.md").read_text("utf-8")
NOT_CLAIMED = "**Not claimed:**"
_TEST = re.compile(r"`((?:[\w-]+/)*test_\w+\.py)::(test_\w+)`")
_FILE_ONLY = re.compile(r"`(?:[\w-]+/)*test_\w+\.py`")
_SECTION = re.compile(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_STORY = re.compile(r"\A\n\*([^*]+)\*\n(.*)\Z", re.DOTALL)
_BLOCK = re.compile(r"^- |\n\s*\n", re.MULTILINE)
_FORBIDDEN_MARKS = frozenset({"skip", "xfail"})


@dataclass(frozen=True, slots=True)
class Claim:
    """A paragraph or a bullet point of a page."""

    where: str
    text: str

    @property
    def tests(self) -> tuple[tuple[str, str], ...]:
        """(file below tests/, test) of each test that it names."""
        return tuple(_TEST.findall(self.text))

    def __str__(self) -> str:
        return f"{self.where}: {' '.join(self.text.split())[:40]}"


def sections(page: str) -> dict[str, str]:
    return dict(_SECTION.findall(page))


def claims(where: str, text: str) -> list[Claim]:
    """The paragraphs and bullet points of a section that claim something; a subsection is one claim, tables and all."""
    plain, *subsections = re.split(r"^### ", text, flags=re.MULTILINE)
    blocks = [block.strip() for block in (*_BLOCK.split(plain), *subsections)]
    return [Claim(where, block) for block in blocks if block and not block.startswith(NOT_CLAIMED)]


def stories(page: str) -> dict[str, tuple[str, str]]:
    """The sections that begin with a story, as (story, rest) by title: one threat each."""
    found = ((title, _STORY.match(text)) for title, text in sections(page).items())
    return {title: (match[1], match[2]) for title, match in found if match is not None}


THREATS = stories(PAGE)
CLAIMS = [claim for title, (_, rest) in THREATS.items() for claim in claims(title, rest)]
EXPECTATIONS = claims("SECURITY.md", sections(SECURITY)["What rolecall guarantees"])
NAMED = sorted({test for claim in (*CLAIMS, *EXPECTATIONS) for test in claim.tests} | set(_TEST.findall(PAGE + SECURITY)))


@cache
def tree(file: str) -> ast.Module:
    return ast.parse((TESTS / file).read_text("utf-8"))


def marks(node: ast.AST) -> set[str]:
    """Names of the marks in an expression, those of single parameters too."""
    return {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)} & _FORBIDDEN_MARKS


@pytest.mark.parametrize("claim", [*CLAIMS, *EXPECTATIONS], ids=str)
def test_a_claim_names_a_test(claim: Claim) -> None:
    """By file and name: a whole file shows no one which of its tests would fail."""
    assert claim.tests, f"name a test, or begin with {NOT_CLAIMED}"
    assert [] == _FILE_ONLY.findall(claim.text)


@pytest.mark.parametrize(
    ("file", "test"),
    NAMED,
    ids=str,
)
def test_a_named_test_is_there_and_runs(file: str, test: str) -> None:
    """The test is in the file, and no mark of it or of the file skips it or lets it fail."""
    body = tree(file).body
    functions = [node for node in body if isinstance(node, ast.FunctionDef) and node.name == test]
    assert 1 == len(functions)
    assert set() == {mark for decorator in functions[0].decorator_list for mark in marks(decorator)}
    for node in body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "pytestmark" for t in node.targets):
            assert set() == marks(node.value)


def test_each_story_is_a_sentence() -> None:
    """Who attacks whom."""
    assert [] == [title for title, (story, _) in THREATS.items() if not story.endswith(".")]


def test_all_claims_are_read() -> None:
    """The page's form is the one that these tests read: every section but the frame tells a threat."""
    frame = {"What is worth protecting", "The picture", "What is not covered"}
    expected = {"Confused deputy", "A leaked external ID", "A forged or edited module", "The wrong account", "The sandbox"}

    assert set() == expected - THREATS.keys()
    assert frame == sections(PAGE).keys() - THREATS.keys()
    assert len(CLAIMS) > 30
    assert len(NAMED) > 50
    assert len(EXPECTATIONS) > 5


def test_the_reading_has_teeth() -> None:
    """A claim without a test, a file alone and a mark are noticed; what is not claimed needs no test."""
    bullets = "\n- One. `a/test_b.py::test_c`\n- Two.\n  `test_d.py`\n- **Not claimed:** three.\n"
    found = claims("here", f"{bullets}\nFour.\n### Five\n\nAnd\n\n- more.\n")

    assert ["One.", "Two.", "Four.", "Five"] == [claim.text.split()[0] for claim in found]
    assert [(("a/test_b.py", "test_c"),), (), (), ()] == [claim.tests for claim in found]
    assert {"xfail"} == marks(ast.parse("pytest.mark.parametrize('x', [pytest.param(1, marks=pytest.mark.xfail)])"))
    assert {"skip"} == marks(ast.parse("[pytest.mark.slow, pytest.mark.skip('later')]"))
