"""Customers in CSV files."""

from __future__ import annotations

import pytest

from rolecall_generator.manifest.loader import parse_csv
from rolecall_generator.manifest.messages import translate
from rolecall_generator.manifest.models import Customer, IncludedFile


def customers(text: str) -> tuple[Customer, ...]:
    source = parse_csv(text, "fleet.csv")
    assert () == source.problems
    return IncludedFile.model_validate(source.tree).customers


def test_every_kind_of_column_is_read() -> None:
    """Strings, lists, numbers, booleans, tags, labels and variables are read into their fields; empty cells are ignored."""
    (customer,) = customers(
        "name, account_id ,permissions,regions,max_session_seconds,session_tags,tag:team,label:tier,variable:x,role\n"
        "a,012345678901,s3-read; ec2-read,eu-west-1 eu-central-1,7200,TRUE,blue,gold,1,\n"
    )
    expected = Customer(
        name="a",
        account_id="012345678901",
        permissions=("s3-read", "ec2-read"),
        regions=("eu-west-1", "eu-central-1"),
        max_session_seconds=7200,
        session_tags=True,
        tags={"team": "blue"},
        labels={"tier": "gold"},
        variables={"x": "1"},
    )
    assert expected == customer


def test_short_rows_and_blank_lines_are_accepted() -> None:
    """Missing cells at the end of a row and empty lines between rows are ignored."""
    found = customers("name,account_id,role\r\na,222222222222\r\n\r\n,,\r\nb,333333333333,r\r\n")
    assert [("a", None), ("b", "r")] == [(customer.name, customer.role) for customer in found]


@pytest.mark.parametrize(
    ("text", "line", "column", "what", "hint"),
    [
        ("", 1, 1, "no header row", "name,account_id"),
        ("name,acount_id\n", 1, 2, "unknown column acount_id", "write account_id"),
        ("name,zzzzz\n", 1, 2, "unknown column zzzzz", "tag:KEY"),
        ("name,name\n", 1, 2, "duplicate column name", "keep one"),
        ("name,tag:\n", 1, 2, "has no key", "tag:KEY"),
        ("name,account_id\na,222222222222,x\n", 2, 3, "3 cells, the header 2", "quote cells"),
        ('name,account_id\n"a', 2, 1, "not CSV", "quote cells"),
        ('name,account_id\n"a"b,1\n', 2, 1, "not CSV", "quote cells"),
    ],
)
def test_invalid_csv_has_problem_with_line_and_field(text: str, line: int, column: int, what: str, hint: str) -> None:
    """The line is that of the file, and the column is the number of the field."""
    (problem,) = parse_csv(text, "fleet.csv").problems
    assert (line, column) == (problem.line, problem.column)
    assert what in problem.what
    assert hint in problem.hint


def test_line_of_problem_counts_line_breaks_in_cells() -> None:
    """Lines are those of the file, not rows: a quoted line break shifts the following rows."""
    source = parse_csv('name,account_id,variable:note\na,222222222222,"two\nlines"\nb,33,\n', "fleet.csv")
    try:
        IncludedFile.model_validate(source.tree)
    except ValueError as error:
        found = translate(error, source.tree, "fleet.csv", IncludedFile)  # type: ignore[arg-type]
    ((problem, _),) = found
    assert ("fleet.csv", 4, 2) == (problem.file, problem.line, problem.column)
