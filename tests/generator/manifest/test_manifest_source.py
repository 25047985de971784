"""The YAML reader: the same values as PyYAML, and no exception for any input."""

from __future__ import annotations

import gc

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rolecall_generator.manifest.yaml_source import MapNode, mark_of, parse_source, resolve_plain

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
def test_output_of_pyyaml_is_read_unchanged(tree: dict[str, object], *, flow: bool) -> None:
    """Any tree with string keys, in block and in flow style.

    Strings that only YAML 1.2 parses as numbers are left out: PyYAML does not quote them, and the reader rejects them.
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
def test_any_text_is_read_without_exception(text: str) -> None:
    """Reading returns a tree or problems with locations inside the file."""
    source = parse_source(text, "f")
    assert source.tree is not None or source.problems
    lines = len(text.splitlines()) + 2
    assert all(1 <= problem.line <= lines and problem.column >= 1 for problem in source.problems)


@pytest.mark.parametrize(
    "text", ["012345678901", "0", "1e5", "12e3456", "0x1f", "0o17", ".5", "yes", "Off", "~", "", "2026-11-01", "1:30"]
)
def test_ambiguous_plain_scalars_are_not_strings(text: str) -> None:
    """Plain scalars that YAML 1.1 or 1.2 parses as number, boolean, date or null are not accepted as strings."""
    kind = type(resolve_plain(text))
    assert (kind is str) is (text == "0o17")


def test_aliases_and_nested_values_have_locations() -> None:
    """An alias has its own location; values inside it have those at the anchor."""
    tree = parse_source("a: &x\n  b: 1\nc: *x\n", "f").tree
    assert isinstance(tree, MapNode)
    assert (2, 3) == (mark_of(tree, ("c",)).line, mark_of(tree, ("c",)).column)
    assert (1, 5) == (mark_of(tree, ("c", "b")).line, mark_of(tree, ("c", "b")).column)


def test_garbage_collector_is_enabled_after_reading() -> None:
    """Reading disables it temporarily."""
    parse_source("a: [", "f")
    assert gc.isenabled()
