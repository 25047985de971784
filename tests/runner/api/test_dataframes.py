"""Rows as data frames of the real libraries: no value is lost, whatever types the values have."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rolecall_generator.errors import ToolError
from rolecall_runner import dataframes
from rolecall_runner.api import Rows
from rolecall_runner.dataframes import record_of
from rolecall_runner.query.execute import QueryResult, Reason, RegionResult

TIME = "2026-11-30T09:00:00+00:00"


def rows_of(values: Sequence[dict[str, Any]], *, rehearsal: bool = False) -> Rows:
    place = RegionResult("us-east-1", Reason.OK, TIME, tuple(values))
    denied = RegionResult("eu-west-1", Reason.DENIED, TIME, code="AccessDenied", error="no")
    return Rows([QueryResult("one", "200000000000", (place, denied), rehearsal=rehearsal)])


def pandas_columns(rows: Rows) -> dict[str, list[Any]]:
    return {str(name): list(values) for name, values in rows.to_pandas().to_dict("list").items()}


def arrow_columns(rows: Rows) -> dict[str, list[Any]]:
    return dict(rows.to_arrow().to_pydict())


def polars_columns(rows: Rows) -> dict[str, list[Any]]:
    return rows.to_polars().to_dict(as_series=False)


LIBRARIES: dict[str, Callable[[Rows], dict[str, list[Any]]]] = {
    "pandas": pandas_columns,
    "pyarrow": arrow_columns,
    "polars": polars_columns,
}


def same(value: Any, found: Any) -> bool:
    """Whether a cell has the value: equal, absent, missing fields as None, or the JSON of the value."""
    if value is None:
        return found is None or (isinstance(found, float) and math.isnan(found))
    if isinstance(value, dict) and isinstance(found, dict):
        return all(same(value.get(key), found.get(key)) for key in {*value, *found})
    if isinstance(value, list) and isinstance(found, list):
        return len(value) == len(found) and all(map(same, value, found))
    if isinstance(found, str) and not isinstance(value, str):
        return bool(json.loads(found) == value)
    if isinstance(found, str) and found != value:
        return bool(json.loads(found) == value)
    return bool(value == found)


@pytest.mark.parametrize("library", LIBRARIES)
def test_columns_are_origin_and_values(library: str) -> None:
    """Types of the library for uniform columns; errors stay in `errors`; the origin columns exist without rows."""
    rows = rows_of([{"name": "a", "size": 1, "tags": ["x"]}, {"name": None, "size": 2, "region": "mine"}])
    found = LIBRARIES[library](rows)

    assert ["account", "account_id", "region", "time", "name", "size", "tags", "value_region"] == list(found)
    assert ["200000000000"] * 2 == found["account_id"]
    assert [1, 2] == found["size"]
    assert ["x"] == list(found["tags"][0])
    assert [("eu-west-1", "denied")] == [(each["region"], each["reason"]) for each in rows.errors]
    assert ["account", "account_id", "region", "time"] == list(LIBRARIES[library](Rows([])))


@pytest.mark.parametrize("library", LIBRARIES)
def test_rows_of_a_sandbox_are_marked(library: str) -> None:
    """As in the output of `runner query`."""
    assert [True] == LIBRARIES[library](rows_of([{"a": 1}], rehearsal=True))["rehearsal"]


MIXED = [1, "a", True, 2.5, None, {"a": 1}, {"b": [1, "c"]}, [1], ["a", None], 2**70, "", [], {}]


@pytest.mark.parametrize("library", LIBRARIES)
def test_mixed_column_keeps_every_value(library: str) -> None:
    """All pairs of types in one column."""
    for one in MIXED:
        for other in MIXED:
            values = [{"it": one}, {"it": other}]
            found = LIBRARIES[library](rows_of(values))["it"]
            assert all(same(given, cell) for given, cell in zip((one, other), found, strict=True)), (one, other, found)


SCALARS = st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats(allow_nan=False) | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3)
)


@pytest.mark.parametrize("library", LIBRARIES)
@settings(deadline=None, max_examples=80)
@given(st.lists(st.dictionaries(st.sampled_from(["a", "b", "time"]), VALUES, max_size=3), max_size=5))
def test_no_value_is_lost(library: str, values: list[dict[str, Any]]) -> None:
    """Any JSON values: every cell has its value, or the JSON of it."""
    records = [record_of(row) for row in rows_of(values)]
    found = LIBRARIES[library](rows_of(values))

    for name, cells in found.items():
        assert all(same(record.get(name), cell) for record, cell in zip(records, cells, strict=True)), (name, cells)


@pytest.mark.parametrize("library", LIBRARIES)
def test_missing_library_names_the_install_command(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error inside an installed library is not taken for a missing one."""
    method = {"pyarrow": "to_arrow"}.get(library, f"to_{library}")
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ToolError) as error:
        getattr(rows_of([{"a": 1}]), method)()
    assert f"pip install {library}" == error.value.hint

    def broken(_name: str) -> Any:
        raise ModuleNotFoundError("no part", name="part")

    monkeypatch.setattr(dataframes, "import_module", broken)
    with pytest.raises(ModuleNotFoundError, match="no part"):
        getattr(rows_of([{"a": 1}]), method)()
