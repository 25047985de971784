"""Accounts with different content, small pages and faults: rows and calls equal those of boto3 loops."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from query_rig import REGIONS, QueryRig, seeded
from rolecall_generator.iam.catalog.actions import action_of
from rolecall_runner.inventory.targets import Target
from rolecall_runner.query.answers import GLOBAL, Reason
from rolecall_runner.query.operations import Operation, find_operation
from rolecall_runner.query.spec import FollowUp, QuerySpec
from rolecall_runner.query.validate import validate_query
from rolecall_runner.sandbox.protocol.faults import CutConnection, FaultPlan, ServerError, Throttle

_START = "rolecall_start"


class SmallPages:
    """Cuts the replies of one operation to `size` items on the client side."""

    def __init__(self, operation: Operation, size: int) -> None:
        assert operation.paging is not None
        self._asked: str = operation.paging["input_token"]
        self._given: str = operation.paging["output_token"]
        self._more: str | None = operation.paging.get("more_results")
        self._items = operation.result_keys[0]
        self._name = operation.name
        self._size = size

    def register(self, client: Any) -> None:
        """Register the handlers of the client."""
        service = client.meta.service_model.service_id.hyphenize()
        client.meta.events.register(f"before-parameter-build.{service}.{self._name}", self._begin)
        client.meta.events.register(f"after-call.{service}.{self._name}", self._cut)

    def _begin(self, params: dict[str, Any], context: dict[str, Any], **_event: object) -> None:
        context[_START] = int(params.pop(self._asked, "0"))

    def _cut(self, parsed: dict[str, Any], context: dict[str, Any], **_event: object) -> None:
        if self._items in parsed:
            items, end = parsed[self._items], context[_START] + self._size
            parsed[self._items] = items[context[_START] : end]
            if self._more is not None:
                parsed[self._more] = end < len(items)
            if end < len(items):
                parsed[self._given] = str(end)


VOLATILE = {"databases": {"LatestRestorableTime"}}
"""What the sandbox (moto 5.2.5) makes anew at each call, as the time of asking."""


def faults(in_a_row: int) -> FaultPlan:
    """30 % throttles, 10 % 5xx, 5 % cut connections. Throttles in a row are limited, since each costs seconds."""
    return FaultPlan(
        5,
        (
            Throttle(0.3, at_most=in_a_row),
            ServerError(0.1, at_most=1),
            CutConnection(0.05, at_most=1),
        ),
    )


@dataclass(frozen=True)
class Case:
    """One operation as a query, and the equivalent boto3 loop.

    `size` is the number of items per page: of the sandbox where it paginates (the query's page size), else cut by the test
    (moto 5.2.5 does not paginate some operations; a short list of buckets has no token).
    """

    wanted: QuerySpec
    loop: Callable[[Any], list[Any]]
    size: int

    @property
    def operation(self) -> Operation:
        """The first call."""
        return find_operation(self.wanted.service, self.wanted.operation)

    @property
    def regions(self) -> tuple[str, ...]:
        """The Regions of the query."""
        return REGIONS[:1] if self.wanted.service in {"iam", "s3"} else REGIONS


def pages(client: Any, operation: str, key: str) -> list[Any]:
    return [item for page in client.get_paginator(operation).paginate() for item in page[key]]


def buckets(client: Any) -> list[Any]:
    found = client.list_buckets()["Buckets"]
    return [{**bucket, "place": client.get_bucket_location(Bucket=bucket["Name"])["LocationConstraint"]} for bucket in found]


def tables(client: Any) -> list[Any]:
    names = pages(client, "list_tables", "TableNames")
    return [{"name": name, **client.describe_table(TableName=name)["Table"]} for name in names]


def instance_count(client: Any) -> list[Any]:
    return [{"value": sum(len(group["Instances"]) for group in pages(client, "describe_instances", "Reservations"))}]


def lists(service: str, operation: str, key: str, size: int, *, cut: bool = False) -> Case:
    """All items of an operation, unchanged."""
    wanted = QuerySpec(service, operation, page_size=None if cut else size, reveal=True)
    return Case(wanted, lambda client: pages(client, operation, key), size)


LOCATION = FollowUp("s3", "get_bucket_location", "place", {"Bucket": "{item.Name}"}, "LocationConstraint")
TABLE = FollowUp("dynamodb", "describe_table", "*", {"TableName": "{item.name}"}, "Table")
COUNTED = QuerySpec("ec2", "describe_instances", select="length(Reservations[].Instances[])", page_size=5)
CASES = {
    "instances": lists("ec2", "describe_instances", "Reservations", 5),
    "how-many": Case(COUNTED, instance_count, 5),
    "volumes": lists("ec2", "describe_volumes", "Volumes", 4, cut=True),
    "groups": lists("ec2", "describe_security_groups", "SecurityGroups", 2, cut=True),
    "databases": lists("rds", "describe_db_instances", "DBInstances", 1),
    "functions": lists("lambda", "list_functions", "Functions", 2, cut=True),
    "users": lists("iam", "list_users", "Users", 2, cut=True),
    "buckets": Case(QuerySpec("s3", "list_buckets", for_each=(LOCATION,)), buckets, 2),
    "tables": Case(
        QuerySpec("dynamodb", "list_tables", select="TableNames[].{name: @}", for_each=(TABLE,), page_size=1), tables, 1
    ),
}


def as_json(value: Any) -> Any:
    """A reply as JSON, with times in ISO 8601."""
    return json.loads(json.dumps(value, default=lambda moment: moment.isoformat()))


def answer_of_loops(rig: QueryRig, target: Target, case: Case) -> list[tuple[str, Reason, Any]]:
    """The items of the loop per Region, or once for a global service."""
    found = []
    for region in case.regions:
        with rig.plain_client(target, case.wanted.service, region) as client:
            found.append((region if len(case.regions) > 1 else GLOBAL, Reason.OK, as_json(case.loop(client))))
    return found


def assert_equal(rig: QueryRig, name: str, *, workers: int) -> None:
    """Compare every account's rows with the loop's, and the number of calls with the expected pages."""
    case = CASES[name]
    if case.wanted.page_size is None:
        for region in case.regions:
            SmallPages(case.operation, case.size).register(rig.connections.get()[0].client(case.wanted.service, region))
    before = len(rig.lines)
    answers = rig.ask(validate_query(case.wanted), engine="threads", workers=workers)
    asked = [line for line in rig.lines[before:] if f" {action_of(case.wanted.service, case.operation.name)} " in line]
    expected = [answer_of_loops(rig, target, case) for target in rig.targets]
    drop = VOLATILE.get(name, set())

    for target, places, answer in zip(rig.targets, expected, answers, strict=True):
        found = [(place.region, place.reason, [bare(row, drop) for row in place.rows]) for place in answer.places]
        assert [(region, reason, [bare(row, drop) for row in rows]) for region, reason, rows in places] == found, target.name
    counts = [len(rows) for places in expected for _, _, rows in places]
    good = sum(line.endswith(" 200") for line in asked)
    assert len(asked) > good  # some calls failed
    assert max(counts) > case.size or name == "how-many"
    assert sum(max(1, math.ceil(count / case.size)) for count in counts) <= good


def bare(row: Mapping[str, Any], drop: Collection[str]) -> dict[str, Any]:
    """A row without these columns."""
    return {key: value for key, value in row.items() if key not in drop}


QUICK = ("instances", "groups", "functions", "users", "buckets", "tables")


@pytest.fixture(
    scope="module",
    params=[pytest.param(2, id="two accounts"), pytest.param(50, marks=pytest.mark.slow, id="fifty accounts")],
)
def rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueryRig]:
    """Accounts with different content; every third call fails."""
    names = [f"account{number}" for number in range(1, request.param + 1)]
    in_a_row = 1 if request.param == 2 else 2
    with seeded(tmp_path_factory.mktemp("loops"), names, faults(in_a_row)) as made:
        made.fill(in_a_row, most=8)
        yield made


@pytest.mark.parametrize("name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CASES])
def test_rows_equal_those_of_boto3_loops(rig: QueryRig, name: str) -> None:
    """Small pages, throttles, 5xx and cut connections: the same items in the same order."""
    assert_equal(rig, name, workers=min(32, 3 * len(rig.targets)))
