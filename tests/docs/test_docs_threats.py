"""Each claim in the threat model and SECURITY.md cites a test that exists and runs.

Only text that the page marks as not claimed needs no test. These tests check that a cited test exists and is neither skipped
nor expected to fail; reviews check that it tests the claim. `skipif` is allowed, because CI meets every condition.
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
        """(file below tests/, test) of each cited test."""
        return tuple(_TEST.findall(self.text))

    def __str__(self) -> str:
        return f"{self.where}: {' '.join(self.text.split())[:40]}"


def sections(page: str) -> dict[str, str]:
    return dict(_SECTION.findall(page))


def claims(where: str, text: str) -> list[Claim]:
    """Paragraphs and bullet points of a section that claim something; a subsection, including tables, is one claim."""
    plain, *subsections = re.split(r"^### ", text, flags=re.MULTILINE)
    blocks = [block.strip() for block in (*_BLOCK.split(plain), *subsections)]
    return [Claim(where, block) for block in blocks if block and not block.startswith(NOT_CLAIMED)]


def stories(page: str) -> dict[str, tuple[str, str]]:
    """Sections that begin with a story, as (story, rest) by title; each is one threat."""
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
    """Names of the marks in an expression, including those of single parameters."""
    return {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)} & _FORBIDDEN_MARKS


@pytest.mark.parametrize("claim", [*CLAIMS, *EXPECTATIONS], ids=str)
def test_every_claim_cites_a_test(claim: Claim) -> None:
    """By file and test name; a file name is not sufficient."""
    assert claim.tests, f"name a test, or begin with {NOT_CLAIMED}"
    assert [] == _FILE_ONLY.findall(claim.text)


@pytest.mark.parametrize(
    ("file", "test"),
    NAMED,
    ids=str,
)
def test_cited_test_exists_and_runs(file: str, test: str) -> None:
    """The test is in the file, and no mark of the test or the file skips it or lets it fail."""
    body = tree(file).body
    functions = [node for node in body if isinstance(node, ast.FunctionDef) and node.name == test]
    assert 1 == len(functions)
    assert set() == {mark for decorator in functions[0].decorator_list for mark in marks(decorator)}
    for node in body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "pytestmark" for t in node.targets):
            assert set() == marks(node.value)


def test_each_story_is_a_sentence() -> None:
    """A story states the attacker and the target."""
    assert [] == [title for title, (story, _) in THREATS.items() if not story.endswith(".")]


def test_page_has_the_expected_structure() -> None:
    """Every section except for three known ones describes a threat."""
    frame = {"What is worth protecting", "Overview", "What is not covered"}
    expected = {"Confused deputy", "A leaked external ID", "A forged or edited module", "The wrong account", "The sandbox"}

    assert set() == expected - THREATS.keys()
    assert frame == sections(PAGE).keys() - THREATS.keys()
    assert len(CLAIMS) > 30
    assert len(NAMED) > 50
    assert len(EXPECTATIONS) > 5


def test_missing_citation_is_reported() -> None:
    """Claims without a test or with only a file name, and skip marks, are found; unclaimed text needs no test."""
    bullets = "\n- One. `a/test_b.py::test_c`\n- Two.\n  `test_d.py`\n- **Not claimed:** three.\n"
    found = claims("here", f"{bullets}\nFour.\n### Five\n\nAnd\n\n- more.\n")

    assert ["One.", "Two.", "Four.", "Five"] == [claim.text.split()[0] for claim in found]
    assert [(("a/test_b.py", "test_c"),), (), (), ()] == [claim.tests for claim in found]
    assert {"xfail"} == marks(ast.parse("pytest.mark.parametrize('x', [pytest.param(1, marks=pytest.mark.xfail)])"))
    assert {"skip"} == marks(ast.parse("[pytest.mark.slow, pytest.mark.skip('later')]"))
