"""Pagination and retries against small fakes: operations without a botocore paginator, Regions without the service."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from rolecall_runner.aws.clients import Clients
from rolecall_runner.aws.credentials import Credentials, Sessions
from rolecall_runner.aws.failures import Status
from rolecall_runner.execution.interface import ProcessLocal
from rolecall_runner.inventory.targets import Target
from rolecall_runner.query.execute import QueryTask, query_region
from rolecall_runner.query.parameters import FillContext
from rolecall_runner.query.spec import QuerySpec
from rolecall_runner.query.validate import find_query, validate_query

MOMENT = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
TARGET = Target("acme", "222222222222", "aws", "arn:aws:iam::222222222222:role/r", regions=("us-east-1", "xx-new-1"))


class Client:
    """A client with one operation, a function of its parameters."""

    def __init__(self, method: str, answer: Callable[..., Any]) -> None:
        setattr(self, method, answer)


def test_operation_without_paginator_is_paginated() -> None:
    """Cost Explorer's NextPageToken is only in the model; relative dates and the token are passed on."""
    asked: list[dict[str, Any]] = []

    def costs(**parameters: Any) -> Any:
        asked.append(parameters)
        group = {"Keys": [f"service{len(asked)}"], "Metrics": {"UnblendedCost": {"Amount": "1.5", "Unit": "USD"}}}
        more = {"NextPageToken": "more"} if len(asked) == 1 else {}
        return {"ResultsByTime": [{"Groups": [group]}], **more}

    question = validate_query(find_query("cost-by-service"))
    found = query_region(
        question, lambda _service: Client("get_cost_and_usage", costs), FillContext(TARGET, MOMENT, "us-east-1")
    )

    assert [("service1", "1.5", "USD"), ("service2", "1.5", "USD")] == [tuple(row.values()) for row in found.rows]
    assert {"Start": "2026-10-01", "End": "2026-11-01"} == asked[0]["TimePeriod"]
    assert [None, "more"] == [each.get("NextPageToken") for each in asked]


@pytest.mark.parametrize(
    ("replies", "markers"),
    [
        ([{"Users": [{"UserName": "ann"}], "IsTruncated": False}], [None]),
        ([{"Users": [{"UserName": "ann"}], "IsTruncated": False, "Marker": "m"}], [None]),
        ([{"Users": [], "IsTruncated": True, "Marker": "m"}, {"Users": [{"UserName": "ann"}]}], [None, "m"]),
    ],
    ids=["one page", "a token and no more", "two pages"],
)
def test_each_page_is_requested_once(replies: list[dict[str, Any]], markers: list[str | None]) -> None:
    """The first page is not requested again when there are more, and no page after the last one."""
    asked: list[str | None] = []

    def users(**parameters: Any) -> Any:
        asked.append(parameters.get("Marker"))
        return replies[len(asked) - 1]

    question = validate_query(QuerySpec("iam", "list_users", select="Users[].UserName"))
    found = query_region(question, lambda _service: Client("list_users", users), FillContext(TARGET, MOMENT, "us-east-1"))

    assert ([{"value": "ann"}], markers) == ([dict(row) for row in found.rows], asked)


def test_merged_reply_keeps_members_that_are_not_lists() -> None:
    """The expression can select a member next to the paginated list."""
    question = validate_query(QuerySpec("iam", "list_users", select="{n: length(Users), cut: IsTruncated}"))
    pages = iter([{"Users": [{}], "IsTruncated": True, "Marker": "m"}, {"Users": [{}], "IsTruncated": False}])

    found = query_region(
        question, lambda _service: Client("list_users", lambda **_all: next(pages)), FillContext(TARGET, MOMENT, "us-east-1")
    )

    assert 2 == found.rows[0]["n"]


def test_sensitive_values_are_hidden_unless_revealed() -> None:
    """Those marked in AWS's model, and session tokens, which are not marked."""
    reply = {
        "Credentials": {"AccessKeyId": "ASIAX", "SecretAccessKey": "s3cret", "SessionToken": "t0ken", "Expiration": MOMENT}
    }
    client = Client("get_session_token", lambda **_all: reply)
    filling = FillContext(TARGET, MOMENT, "us-east-1")

    hidden = query_region(validate_query(QuerySpec("sts", "get_session_token")), lambda _service: client, filling)
    shown = query_region(
        validate_query(QuerySpec("sts", "get_session_token", reveal=True)), lambda _service: client, filling
    )

    assert "s3cret" not in str(hidden)
    assert "t0ken" not in str(hidden)
    assert "s3cret" == shown.rows[0]["Credentials"]["SecretAccessKey"]


class FakeClients(Clients):
    """Clients by Region."""

    def __init__(self, by_region: dict[str, Any]) -> None:
        self._by_region = by_region

    def client(self, service: str, region: str) -> Any:  # noqa: ARG002 - one service per test
        return self._by_region[region]


class FakeSession:
    def get_frozen_credentials(self) -> Credentials:
        return Credentials("a", "b", "c", MOMENT)

    def renew(self) -> None:
        return None


class FakeSessions(Sessions):
    def __init__(self) -> None:
        self.only = FakeSession()

    def session(self, target: Target) -> Any:  # noqa: ARG002 - one account per test
        return self.only


def task(question: QuerySpec, **by_region: Any) -> QueryTask:
    clients = FakeClients({name.replace("_", "-"): client for name, client in by_region.items()})
    return QueryTask(question, ProcessLocal(lambda: (clients, FakeSessions())), now=lambda: MOMENT)


def test_region_without_the_service_is_detected_once() -> None:
    """A timeout where the endpoint data has no such service applies to the Region, so later accounts do not wait for it."""
    tried: list[str] = []

    def silent(**_all: Any) -> Any:
        tried.append("xx-new-1")
        raise EndpointConnectionError(endpoint_url="https://ec2.xx-new-1.amazonaws.com")

    one = Client("describe_vpcs", lambda **_all: {"Vpcs": [{"VpcId": "vpc-1"}]})
    asking = task(validate_query(QuerySpec("ec2", "describe_vpcs")), us_east_1=one, xx_new_1=Client("describe_vpcs", silent))

    outcomes = [asking(TARGET), asking(TARGET)]

    assert [Status.OK, Status.OK] == [outcome.status for outcome in outcomes]
    assert [["ok", "not-in-region"]] * 2 == [[place["reason"] for place in each.data["places"]] for each in outcomes]
    assert ["xx-new-1"] == tried


def test_only_the_throttled_region_is_retried() -> None:
    asked: list[str] = []

    def at(region: str, failures: int) -> Client:
        def answer(**_all: Any) -> Any:
            asked.append(region)
            if asked.count(region) <= failures:
                raise ClientError({"Error": {"Code": "Throttling", "Message": "slow"}}, "DescribeVpcs")
            return {"Vpcs": []}

        return Client("describe_vpcs", answer)

    asking = task(
        validate_query(QuerySpec("ec2", "describe_vpcs")), us_east_1=at("us-east-1", 1), xx_new_1=at("xx-new-1", 0)
    )

    assert Status.OK is asking(TARGET).status
    assert ["us-east-1", "xx-new-1", "us-east-1"] == asked
