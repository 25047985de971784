"""YAML to the tree: the same values as PyYAML's own, whatever the input no exception."""

from __future__ import annotations

import gc

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rolecall_generator.manifest.yaml_source.nodes import MapNode, mark_of
from rolecall_generator.manifest.yaml_source.yaml_loader import parse_source, resolve_plain

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12)
TREES = st.dictionaries(
    TEXT,
    st.recursive(
        TEXT | st.integers() | st.booleans() | st.none(),
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5),
        max_leaves=20,
    ),
    min_size=1,
    max_size=5,
)


@given(tree=TREES, flow=st.booleans())
def test_what_a_yaml_library_writes_is_read_back(tree: dict[str, object], *, flow: bool) -> None:
    """Any tree of text keys comes back as it was, in block and in flow style.

    Text that only YAML 1.2 takes for a number is left out: the library writes it without quotes, and it is refused.
    """
    text = yaml.safe_dump(tree, default_flow_style=flow, allow_unicode=True)
    source = parse_source(text, "f")
    if not source.problems and not _numbers_of_1_2(tree):
        assert tree == source.tree


def _numbers_of_1_2(value: object) -> bool:
    if isinstance(value, dict):
        return any(_numbers_of_1_2(item) for item in value.values())
    if isinstance(value, list):
        return any(_numbers_of_1_2(item) for item in value)
    return isinstance(value, str) and not isinstance(resolve_plain(value), str)


@given(text=st.text(max_size=200) | st.text("[]{}:,-&*!?|>'\"#%@` \nab1<~", max_size=60))
def test_no_text_raises(text: str) -> None:
    """Whatever the text, reading gives a tree or problems whose places lie in the file."""
    source = parse_source(text, "f")
    assert source.tree is not None or source.problems
    lines = len(text.splitlines()) + 2
    assert all(1 <= problem.line <= lines and problem.column >= 1 for problem in source.problems)


@pytest.mark.parametrize(
    "text", ["012345678901", "0", "1e5", "12e3456", "0x1f", "0o17", ".5", "yes", "Off", "~", "", "2026-11-01", "1:30"]
)
def test_what_any_yaml_reader_takes_for_something_else_is_no_text(text: str) -> None:
    """Plain scalars that YAML 1.1 or 1.2 reads as number, boolean, date or nothing are not silently text."""
    kind = type(resolve_plain(text))
    assert (kind is str) is (text == "0o17")


def test_marks_survive_aliases_and_nesting() -> None:
    """An alias has its own place; what is inside it has the anchor's."""
    tree = parse_source("a: &x\n  b: 1\nc: *x\n", "f").tree
    assert isinstance(tree, MapNode)
    assert (2, 3) == (mark_of(tree, ("c",)).line, mark_of(tree, ("c",)).column)
    assert (1, 5) == (mark_of(tree, ("c", "b")).line, mark_of(tree, ("c", "b")).column)


def test_garbage_collection_goes_on_afterwards() -> None:
    """Reading pauses the collector and puts it back."""
    parse_source("a: [", "f")
    assert gc.isenabled()
