"""Rows as JSON, JSON Lines, CSV and tables: the same rows in each, written as accounts finish."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hostile_text import HOSTILE, leaks
from rolecall_runner.dataframes import record_of
from rolecall_runner.query.execute import QueryResult, Reason, RegionResult
from rolecall_runner.reports import RowWriter
from rolecall_runner.reports.formatters.csv import CsvRowWriter
from rolecall_runner.reports.formatters.json import JsonLines, JsonRows
from rolecall_runner.reports.formatters.table import TableRows
from rolecall_runner.reports.rows import MissingResults

TIME = "2026-11-24T09:00:00+00:00"
VALUES = st.dictionaries(
    st.sampled_from(["id", "name", "region", "deep"]),
    st.none() | st.booleans() | st.integers() | st.text() | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    max_size=4,
)


def answer(name: str, *rows: Mapping[str, Any], region: str = "eu-west-1") -> QueryResult:
    return QueryResult(name, "222222222222", (RegionResult(region, Reason.OK, TIME, rows),))


DENIED = QueryResult(
    "denied", "333333333333", (RegionResult("eu-west-1", Reason.DENIED, TIME, code="AccessDenied", error="not you"),)
)
UNREACHABLE = QueryResult("unreachable", "444444444444", reason=Reason.UNREACHABLE, error="no connection")


def written(writer: RowWriter, *answers: QueryResult) -> None:
    for each in answers:
        writer.add(each)
    writer.close()


@given(st.lists(st.lists(VALUES, max_size=3), max_size=3))
def test_json_and_json_lines_have_the_same_rows(accounts: list[list[dict[str, Any]]]) -> None:
    """For any values, both round-trip."""
    answers = [answer(f"a{number}", *rows) for number, rows in enumerate(accounts)]
    one, lines = io.StringIO(), io.StringIO()
    written(JsonRows(one.write, {"query": "x"}), *answers)
    written(JsonLines(lines.write), *answers)
    records = [record_of(row) for each in answers for row in each.rows()]

    assert records == json.loads(one.getvalue())["rows"]
    assert records == [json.loads(line) for line in lines.getvalue().splitlines()]


def test_json_has_errors_with_counts_by_reason() -> None:
    text = io.StringIO()
    written(JsonRows(text.write, {"query": "x"}), answer("a", {"id": 1}), DENIED, UNREACHABLE)
    body = json.loads(text.getvalue())

    assert [("denied", "eu-west-1", "denied", "AccessDenied"), ("unreachable", "", "unreachable", "")] == [
        (each["account"], each["region"], each["reason"], each["code"]) for each in body["not_answered"]
    ]
    assert (3, 1, {"ok": 1, "denied": 1, "unreachable": 1}) == (body["accounts"], body["row_count"], body["places"])


def test_column_named_like_a_location_key_is_kept() -> None:
    """A value named region does not replace the queried Region."""
    (row,) = answer("a", {"region": "mine"}).rows()

    assert ("eu-west-1", "mine") == (record_of(row)["region"], record_of(row)["value_region"])


@given(st.lists(st.lists(VALUES, max_size=3), min_size=1, max_size=3))
def test_csv_keeps_columns_of_later_rows(accounts: list[list[dict[str, Any]]]) -> None:
    """The columns are those of the first account with rows; others are JSON in the last column."""
    text = io.StringIO(newline="")
    answers = [answer(f"a{number}", *rows) for number, rows in enumerate(accounts)]
    written(CsvRowWriter(text.write), *answers)
    header, *lines = list(csv.reader(io.StringIO(text.getvalue(), newline="")))
    records = [record_of(row) for each in answers for row in each.rows()]

    assert len(records) == len(lines)
    for record, line in zip(records, lines, strict=True):
        cells = dict(zip(header, line, strict=True))
        more = json.loads(cells.pop("more") or "{}")
        assert set(record) <= set(cells) | set(more)
        assert all(record[key] == value for key, value in more.items())


def test_csv_escapes_formulas() -> None:
    """Strings that are formulas get an apostrophe; numbers stay numbers."""
    text = io.StringIO(newline="")
    written(CsvRowWriter(text.write, ("a", "b", "c")), answer("x", {"a": "=1+1", "b": "-5", "c": "@SUM(A1)"}))

    assert f"x,222222222222,eu-west-1,{TIME},'=1+1,-5,'@SUM(A1)" == text.getvalue().splitlines()[1]


FORMULAS = [
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "\uff1d1",
    "\uff0b1",
    "\uff0d1+1",
    "\uff20x",
    "\ufe621",
    "\u22121+1",
    "-inf",
    "-1_000",
]
BEFORE = ["", " ", "   ", "\t", "\r", "\n", "\r\n", "\ufeff", "\u200b", "\u00a0", "\u3000", "\ufeff ", "\x00", "\u202e"]


def csv_of(value: str, *, on_terminal: bool = False) -> tuple[list[str], list[str]]:
    """The header and the only row for a value in a column named like it."""
    text = io.StringIO(newline="")
    written(CsvRowWriter(text.write, on_terminal=on_terminal), answer("x", {value: value}))
    header, row = csv.reader(io.StringIO(text.getvalue(), newline=""))
    return header, row


@pytest.mark.parametrize("on_terminal", [False, True])
@pytest.mark.parametrize("formula", FORMULAS, ids=ascii)
def test_formula_is_escaped_in_header_and_value(formula: str, *, on_terminal: bool) -> None:
    """With any prefix or character width; the formula stays readable behind an apostrophe."""
    for before in BEFORE:
        header, row = csv_of(before + formula, on_terminal=on_terminal)

        assert (True, True, True) == (header[4].startswith("'"), row[4].startswith("'"), formula in row[4]), ascii(before)


@pytest.mark.parametrize("number", ["-5", "+5", "-0.5", "-1e-3", "5", "-.5"])
def test_numeric_string_is_not_escaped(number: str) -> None:
    """AWS returns many numbers as strings."""
    assert number == csv_of(number)[1][4]


@pytest.mark.parametrize(("value", "cell"), [(-5, "-5"), (-0.5, "-0.5"), (True, "true"), (None, "")])
def test_non_string_values_are_not_escaped(value: object, cell: str) -> None:
    text = io.StringIO(newline="")
    written(CsvRowWriter(text.write, ("a",)), answer("x", {"a": value}))

    assert cell == text.getvalue().splitlines()[1].split(",")[4]


@pytest.mark.parametrize("value", ["a\nb", 'a"\n"b', "a,b\nc"])
def test_line_breaks_are_kept_in_files_and_replaced_on_terminal(value: str) -> None:
    """In a file they are quoted; on a terminal they could forge rows."""
    assert value == csv_of(value)[1][4]
    assert value.replace("\n", " ") == csv_of(value, on_terminal=True)[1][4]


@pytest.mark.parametrize("on_terminal", [False, True])
@given(value=st.text(st.characters(), max_size=30) | st.lists(st.sampled_from(HOSTILE), max_size=3).map("".join))
def test_any_value_gives_safe_csv(value: str, *, on_terminal: bool) -> None:
    """No control or invisible character, no CI workflow command, no formula, one record per row."""
    text = io.StringIO(newline="")
    written(CsvRowWriter(text.write, on_terminal=on_terminal), answer(value, {value: value}))
    rows = list(csv.reader(io.StringIO(text.getvalue(), newline="")))

    assert [] == leaks(text.getvalue())
    assert [6, 6] == [len(row) for row in rows]
    assert [] == [
        cell for row in rows for cell in row if cell.lstrip(" \N{REPLACEMENT CHARACTER}\n\t").startswith(tuple("=@"))
    ]


def test_csv_without_rows_has_header() -> None:
    text = io.StringIO(newline="")
    written(CsvRowWriter(text.write, ("id",)), answer("a"))

    assert "account,account_id,region,time,id\r\n" == text.getvalue()


def table(*answers: QueryResult, width: int | None = None, columns: tuple[str, ...] = (), first: int = 2) -> str:
    text = io.StringIO()
    console = Console(file=text, force_terminal=width is not None, width=width or 80, color_system=None, highlight=False)
    written(TableRows(console, columns, first_rows=first), *answers)
    return text.getvalue()


def test_table_is_printed_in_chunks_under_one_header() -> None:
    """Later rows keep columns and widths; a new column is mentioned below the table."""
    text = table(answer("a", {"id": "i-1"}, {"id": "i-2"}), answer("b", {"id": "i-3", "late": 1}))
    lines = [line.split() for line in text.splitlines() if line.strip(" ─━-")]

    assert ["account", "region", "id"] == lines[0]
    assert [["a", "eu-west-1", "i-1"], ["a", "eu-west-1", "i-2"], ["b", "eu-west-1", "i-3"]] == lines[1:4]
    assert "later rows also have: late" in text


def test_wide_cells_wrap_on_terminal_and_not_in_pipe() -> None:
    wide = answer("a", {"id": "x" * 300})

    assert max(len(line.rstrip()) for line in table(wide, width=60).splitlines()) <= 60
    assert 300 == table(wide, width=60).count("x")
    assert "x" * 300 in table(wide)


LONG = ["x" * 90, "-" * 20 + " " + "y" * 70, "two words here"]
WORDS = ["", "a", *LONG, "日本語テキスト", "👍 ok", " lead", "end  ", "e\u0301", "a  b"]


@given(
    st.lists(st.lists(st.sampled_from(WORDS), min_size=2, max_size=2), min_size=1, max_size=5),
    st.sampled_from([60, 120]),
)
def test_table_layout_equals_rich(found: list[list[str]], width: int) -> None:
    """Cells wrap at words and are padded by display width, including wide and combining characters."""
    text, expected = io.StringIO(), io.StringIO()
    ours, theirs = (
        Console(file=each, force_terminal=True, width=width, color_system=None, highlight=False) for each in (text, expected)
    )
    writer = TableRows(ours)
    written(writer, answer("acme", *({"first": one, "a second": other} for one, other in found)))
    oracle = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
    for name, size in writer._widths.items():
        oracle.add_column(name, width=size, overflow="fold")
    for one, other in found:
        oracle.add_row(*map(Text, ("acme", "eu-west-1", one, other)))
    theirs.print(oracle)

    assert expected.getvalue() == text.getvalue()
    assert max(map(cell_len, text.getvalue().splitlines())) <= width


def test_table_replaces_control_characters() -> None:
    """Escape sequences and newlines in a customer's tag become spaces."""
    text = table(answer("a", {"id": "\x1b[31mred\nline\u202e"}))

    assert not set("\x1b\u202e") & set(text)
    assert "[31mred line" in text


def test_errors_are_grouped_by_reason() -> None:
    """A thousand accounts with one reason are one line with a few names, in constant memory."""
    troubles = MissingResults()
    for number in range(1000):
        place = RegionResult("eu-west-1", Reason.DENIED, TIME, code="AccessDenied", error="not you")
        troubles.add(QueryResult(f"a{number}", "222222222222", (place,)))
    (line,) = troubles.lines()

    assert "denied: a0 eu-west-1, a1 eu-west-1, a2 eu-west-1 and 997 more: not you" == line


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_rows_are_written_before_the_next_account(kind: str) -> None:
    out: list[str] = []
    writer: RowWriter = JsonLines(out.append) if kind == "jsonl" else CsvRowWriter(out.append)

    def coming() -> Iterator[QueryResult]:
        for number in range(3):
            yield answer(f"a{number}", {"id": number})
            assert f"a{number}" in out[-1]

    for each in coming():
        writer.add(each)
