"""Column types: from AWS's model where it has them, else from values, without loss of data."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_runner.data.column_types import (
    ListOf,
    MapOf,
    Scalar,
    Struct,
    Type,
    merge,
    row_type,
    type_from_json,
    type_to_json,
    widen,
    widen_row,
)
from rolecall_runner.query.validate import shipped_queries

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def over(values: list[Any]) -> Type:
    known: Type = Scalar.NULL
    for value in values:
        known = widen(known, value)
    return known


@pytest.mark.parametrize(
    ("service", "operation", "column", "kind"),
    [
        ("s3", "ListBuckets", "CreationDate", Scalar.TIMESTAMP),
        ("rds", "DescribeDBInstances", "AllocatedStorage", Scalar.LONG),
        ("rds", "DescribeDBInstances", "MultiAZ", Scalar.BOOLEAN),
        ("ec2", "DescribeVpcs", "Tags", ListOf(Struct({"Key": Scalar.STRING, "Value": Scalar.STRING}))),
        ("sqs", "GetQueueAttributes", "Attributes", MapOf(Scalar.STRING)),
        ("cloudwatch", "GetMetricStatistics", "Average", Scalar.DOUBLE),
        ("kms", "GetParametersForImport", "ImportToken", Scalar.BLOB),
        # It may contain itself.
        ("dynamodb", "GetItem", "Item", None),
    ],
)
def test_columns_have_types_of_model(service: str, operation: str, column: str, kind: Type | None) -> None:
    """Each kind of shape has its type; a recursive shape is nested JSON."""
    found = row_type(service, operation, None).fields[column]

    if kind is None:
        assert '"json"' in str(type_to_json(found)).replace("'", '"')
    else:
        assert kind == found


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ("Reservations[].Instances[].InstanceId", {"value": Scalar.STRING}),
        ("Reservations[].Instances[].{at: LaunchTime, n: length(Tags)}", {"at": Scalar.TIMESTAMP, "n": Scalar.LONG}),
        ("Reservations[].Instances[].{name: Tags[?Key=='Name'].Value | [0]}", {"name": Scalar.STRING}),
        ("Reservations[].Instances[].{state: State.Name || 'none', on: State.Name == 'running'}",
         {"state": Scalar.STRING, "on": Scalar.BOOLEAN}),
        ("Reservations[].Instances[] | [?Platform].{cpus: CpuOptions.CoreCount}", {"cpus": Scalar.LONG}),
        ("Reservations[].Instances[].[InstanceId, LaunchTime]", {}),
        ("Nothing.At.All", {}),
    ],
)  # fmt: skip
def test_jmespath_result_has_type_of_model(select: str, expected: dict[str, Type]) -> None:
    """Through fields, projections, filters, pipes and functions; the type of a literal comes from values."""
    found = row_type("ec2", "DescribeInstances", select).fields

    assert expected == found


@pytest.mark.parametrize("query", shipped_queries(), ids=lambda query: query.name)
def test_shipped_query_columns_have_model_types(query: Any) -> None:
    """Every column that a shipped query selects from its first call."""
    assert [] == [name for name, kind in row_type(query.service, query.operation, query.select).fields.items() if not kind]
    assert row_type(query.service, query.operation, query.select).fields


def test_unknown_operation_has_no_model_types() -> None:
    """A journal of a newer botocore can still be read."""
    assert Struct({}) == row_type("ec2", "DescribeTheFuture", None)


@pytest.mark.parametrize(
    ("known", "value", "expected"),
    [
        (Scalar.TIMESTAMP, "2026-11-24T09:00:00+00:00", Scalar.TIMESTAMP),
        (Scalar.TIMESTAMP, "yesterday", Scalar.STRING),
        (Scalar.TIMESTAMP, "2026-11-24T09:00:00", Scalar.STRING),
        (Scalar.BLOB, "eA==", Scalar.BLOB),
        (Scalar.BLOB, "eB==", Scalar.STRING),
        (Scalar.LONG, 2**60, Scalar.LONG),
        (Scalar.LONG, 2**64, Scalar.JSON),
        (Scalar.INTEGER, 0.5, Scalar.DOUBLE),
        (Scalar.DOUBLE, 2**53 + 1, Scalar.JSON),
        (Scalar.BOOLEAN, 1, Scalar.JSON),
        (Scalar.LONG, True, Scalar.JSON),
        (Scalar.STRING, {"a": 1}, Scalar.JSON),
        (Scalar.STRING, "\ud800", Scalar.JSON),
        (ListOf(Scalar.NULL), [1, 2.5], ListOf(Scalar.DOUBLE)),
        (ListOf(Scalar.STRING), "text", Scalar.JSON),
        (MapOf(Scalar.NULL), {"a": "x"}, MapOf(Scalar.STRING)),
        (Struct({"a": Scalar.LONG}), {"b": "x"}, Struct({"a": Scalar.LONG, "b": Scalar.STRING})),
        (Struct({"a": Scalar.LONG}), {"A": 1}, Scalar.JSON),
        (Scalar.NULL, {str(number): number for number in range(301)}, Scalar.JSON),
        (Scalar.NULL, None, Scalar.NULL),
    ],
)
def test_value_widens_type_minimally(known: Type, value: Any, expected: Type) -> None:
    """The new type is the narrowest one that fits both."""
    assert expected == widen(known, value)


@given(st.lists(VALUES, max_size=5))
def test_widened_type_fits_all_values(values: list[Any]) -> None:
    """Widening again by any of the values returns the same object."""
    known = over(values)

    assert all(widen(known, value) is known for value in values)


@given(st.lists(VALUES, max_size=4), st.lists(VALUES, max_size=4))
def test_types_of_two_runs_merge(one: list[Any], other: list[Any]) -> None:
    """The common type fits both and does not depend on the order of the runs."""
    merged = merge(over(one), over(other))

    assert all(widen(merged, value) is merged for value in [*one, *other])
    assert type_to_json(merged) == type_to_json(merge(merged, over(one)))


@given(st.lists(st.dictionaries(st.text(max_size=3), VALUES, max_size=3), max_size=4))
def test_types_round_trip_through_schema(rows: list[dict[str, Any]]) -> None:
    known = Struct({})
    for row in rows:
        known = widen_row(known, row)

    assert known == type_from_json(type_to_json(known))
