"""Expressions in plays: typed, sandboxed, evaluated once, with errors for undefined names."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_runner.inventory.targets import Target
from rolecall_runner.plays.templating import TemplateError, compile_expression, compile_value
from rolecall_runner.query import escape_placeholders
from rolecall_runner.query.parameters import FillContext, fill

TARGET = Target("one", "200000000000", "aws", "arn:aws:iam::200000000000:role/r", tags={"a": "b"})
FILLING = FillContext(TARGET, datetime(2026, 11, 24, tzinfo=UTC), "us-east-1")


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ("plain", "plain"),
        ("{{ number }}", 3),
        ("{{ number }}!", "3!"),
        ("{{ number + 1 }} of {{ many | length }}", "4 of 2"),
        (["{{ many }}", {"key": "{{ number > 2 }}"}], [["a", "b"], {"key": True}]),
        ("{{ many | map('upper') | join('-') }}", "A-B"),
        ("{{ range(2) | list }}", [0, 1]),
        ("{{ missing | default('none') }}", "none"),
        ("{{ 'yes' if missing is defined else 'no' }}", "no"),
        ("{name} {{ '{{' }}", "{name} {{"),
        (None, None),
        (1.5, 1.5),
    ],
)
def test_values_keep_their_types(tree: Any, expected: Any) -> None:
    """A string that is only one expression keeps its type; with other characters it becomes a string."""
    assert expected == compile_value(tree).render({"number": 3, "many": ["a", "b"]})


def test_value_of_an_account_is_not_evaluated() -> None:
    """A customer's tag with braces stays a string."""
    assert "{{ 7 * 7 }}" == compile_value("{{ tags.note }}").render({"tags": {"note": "{{ 7 * 7 }}"}})


@pytest.mark.parametrize(
    "text",
    [
        "''.__class__.__mro__", "(1).__class__", "many.append(1)", "many.__init__.__globals__", "'x' * 10 ** 9",
        "9 ** 99999", "[1] * 100000000", "range(10 ** 8) | list", "labels.update({'a': 1})",
        "'{0.__class__}'.format(1)", "lipsum()", "cycler(1)", "self._TemplateReference__context",
    ],
)  # fmt: skip
def test_unsafe_expression_is_refused(text: str) -> None:
    """Access to Python internals, mutation, and values of excessive size."""
    with pytest.raises(TemplateError):
        compile_expression(text).value({"many": [1], "labels": {}})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("missing", "'missing' is undefined"),
        ("missing.rows", "'missing' is undefined"),
        ("known.rows", "has no attribute 'rows'"),
        ("known['rows']", "has no attribute 'rows'"),
        ("missing == 1", "'missing' is undefined"),
        ("many[7]", "has no element 7"),
        ("1 / 0", "division by zero"),
        ("many + 1", "can only concatenate"),
    ],
)
def test_undefined_name_is_error_with_name(text: str, words: str) -> None:
    """Other errors of an expression are errors without a traceback too."""
    with pytest.raises(TemplateError) as raised:
        compile_expression(text).value({"known": {"a": "z"}, "many": [1]})

    assert words in raised.value.what
    assert f"{{{{ {text} }}}}" == raised.value.where
    assert raised.value.hint


@pytest.mark.parametrize("text", ["a b", "a ==", "{{ a }}", "a }}{{ b", "a | nofilter", "a is notest", "{% if a %}", ""])
def test_invalid_expression_is_refused_at_load_time(text: str) -> None:
    with pytest.raises(TemplateError):
        compile_expression(text)


@pytest.mark.parametrize("text", ["{% set x = 1 %}", "{% for x in y %}{% endfor %}", "{% include 'x' %}", "{{ a", "{{ }}"])
def test_statements_are_refused_at_load_time(text: str) -> None:
    """Only expressions are allowed."""
    with pytest.raises(TemplateError):
        compile_value({"key": [text]})


@given(st.text(st.sampled_from("{}ab_.+-19 name{labels.x}today")))
def test_result_of_expression_is_not_a_query_placeholder(text: str) -> None:
    """Braces in a value stay unchanged in the parameters of a query."""
    assert [{"key": text}] == fill(escape_placeholders([{"key": text}]), FILLING)


@given(st.recursive(st.one_of(st.none(), st.booleans(), st.integers(), st.text("ab{}% ")), st.lists))
def test_data_pass_through_expressions_unchanged(data: Any) -> None:
    """A string that is only an expression returns the value of the variable."""
    assert data == compile_value("{{ x }}").render({"x": data})
