"""JMESPath over pages: which expressions can be evaluated per page, and how matches become rows."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_runner.query.answers import compile_jmespath, distributes, rows_of, search
from rolecall_runner.query.operations import find_operation
from rolecall_runner.query.spec import QueryError

PAGE_BY_PAGE = (
    "Groups[]",
    "Groups[*].Id",
    "Groups[].Items[].Id",
    "Groups[].Items[*].Id",
    "Groups[?Id > `1`].Items[].{id: Id}",
    "Groups[].[Id, Items[0].Id]",
    "Groups[].Items[][]",
    "Groups[].length(Items)",
)
AS_A_WHOLE = (
    "Groups",
    "Groups[0]",
    "Groups[:2].Id",
    "Groups[-1].Id",
    "length(Groups)",
    "sort_by(Groups, &Id)[].Id",
    "Groups[].Id | [0]",
    "{all: Groups[].Id}",
    "Others[].Id",
    "Owner.*",
)
GROUPS = st.lists(
    st.fixed_dictionaries(
        {"Id": st.integers(0, 3), "Items": st.lists(st.fixed_dictionaries({"Id": st.integers(0, 3)}), max_size=3)}
    ),
    max_size=4,
)


@given(st.sampled_from(PAGE_BY_PAGE), st.lists(GROUPS, max_size=4))
def test_distributive_expression_matches_same_per_page(expression: str, pages: list[list[Any]]) -> None:
    """The concatenated matches of all pages are those of the merged reply."""
    joined = search(expression, {"Groups": [item for page in pages for item in page]})
    by_page = [item for page in pages for item in search(expression, {"Groups": page})]

    assert distributes(expression, ["Groups"])
    assert joined == by_page


@pytest.mark.parametrize("expression", AS_A_WHOLE)
def test_expression_over_whole_reply_is_not_evaluated_per_page(expression: str) -> None:
    """Slices, indexes, functions, pipes and other lists need the merged reply."""
    assert not distributes(expression, ["Groups"])


def test_nested_paginated_list_is_evaluated_per_page() -> None:
    """CloudFront's pages have DistributionList.Items."""
    keys = find_operation("cloudfront", "list_distributions").result_keys

    assert distributes("DistributionList.Items[].Id", keys)
    assert not distributes("Items[].Id", keys)


@pytest.mark.parametrize(
    ("found", "columns", "expected"),
    [
        (None, (), []),
        ([], (), []),
        ({"a": 1}, (), [{"a": 1}]),
        ([{"a": 1}, {"b": 2}], (), [{"a": 1}, {"b": 2}]),
        (["x", "y"], (), [{"value": "x"}, {"value": "y"}]),
        (["x"], ("name",), [{"name": "x"}]),
        ([[1, 2]], ("one",), [{"one": 1, "column2": 2}]),
        (7, (), [{"value": 7}]),
    ],
)
def test_matches_become_rows(found: Any, columns: tuple[str, ...], expected: list[Any]) -> None:
    """An object is a row, a list is several, and a plain value gets a column."""
    assert expected == list(rows_of(found, columns))


@pytest.mark.parametrize(
    ("expression", "place"),
    [
        ("Groups[.Id", "column 8"),
        ("Groups[].", "unexpected end at column 10"),
        ("a b", "column 3"),
        ("lenght(a)", "no function lenght"),
    ],
)
def test_invalid_expression_is_error_with_column(expression: str, place: str) -> None:
    with pytest.raises(QueryError) as raised:
        compile_jmespath(expression)

    assert place in str(raised.value)


def test_expression_type_error_is_reported() -> None:
    """For example a numeric function applied to strings."""
    with pytest.raises(QueryError, match="cannot be applied to the reply"):
        search("sum(Groups)", {"Groups": ["a"]})
