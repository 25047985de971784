"""JMESPath over pages: which expressions may be asked page by page, and what their finds are as rows."""

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
def test_what_distributes_finds_the_same_page_by_page(expression: str, pages: list[list[Any]]) -> None:
    """The finds of all pages one after the other are those of the joined answer."""
    joined = search(expression, {"Groups": [item for page in pages for item in page]})
    by_page = [item for page in pages for item in search(expression, {"Groups": page})]

    assert distributes(expression, ["Groups"])
    assert joined == by_page


@pytest.mark.parametrize("expression", AS_A_WHOLE)
def test_what_looks_at_the_whole_is_not_asked_page_by_page(expression: str) -> None:
    """Slices, indexes, functions, pipes and other lists need the joined answer."""
    assert not distributes(expression, ["Groups"])


def test_nested_lists_of_pages_distribute_too() -> None:
    """CloudFront's pages carry DistributionList.Items."""
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
def test_finds_become_rows(found: Any, columns: tuple[str, ...], expected: list[Any]) -> None:
    """Objects are rows, lists are many, bare values get a column."""
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
def test_a_wrong_expression_says_where(expression: str, place: str) -> None:
    """The error has the column at which the expression stops making sense."""
    with pytest.raises(QueryError) as raised:
        compile_jmespath(expression)

    assert place in str(raised.value)


def test_an_expression_that_does_not_fit_the_answer_is_our_error() -> None:
    """A function of numbers over texts is said as such."""
    with pytest.raises(QueryError, match="cannot be applied to the reply"):
        search("sum(Groups)", {"Groups": ["a"]})
