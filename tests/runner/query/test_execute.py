"""Rows from replies: JMESPath over pages, pagination and retries against small fakes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from rolecall_runner.aws.clients import Clients
from rolecall_runner.aws.credentials import Credentials, Sessions
from rolecall_runner.aws.failures import Status
from rolecall_runner.execution.interface import ProcessLocal
from rolecall_runner.inventory.targets import Target
from rolecall_runner.query.execute import (
    QueryTask,
    RegionResult,
    compile_jmespath,
    distributes,
    query_region,
    rows_of,
    search,
)
from rolecall_runner.query.operations import find_operation
from rolecall_runner.query.parameters import FillContext
from rolecall_runner.query.spec import QueryError, QuerySpec
from rolecall_runner.query.validate import find_query, validate_query

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


MOMENT = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
TARGET = Target("acme", "222222222222", "aws", "arn:aws:iam::222222222222:role/r", regions=("us-east-1", "xx-new-1"))


class Client:
    """A client with one operation, a function of its parameters."""

    def __init__(self, method: str, answer: Callable[..., Any]) -> None:
        setattr(self, method, answer)


def asked(question: QuerySpec, method: str, answer: Callable[..., Any]) -> RegionResult:
    """The answer of one Region, from a client with one operation."""
    client = Client(method, answer)
    return query_region(validate_query(question), lambda _service: client, FillContext(TARGET, MOMENT, "us-east-1"))


def test_operation_without_paginator_is_paginated() -> None:
    """Cost Explorer's NextPageToken is only in the model; relative dates and the token are passed on."""
    sent: list[dict[str, Any]] = []

    def costs(**parameters: Any) -> Any:
        sent.append(parameters)
        group = {"Keys": [f"service{len(sent)}"], "Metrics": {"UnblendedCost": {"Amount": "1.5", "Unit": "USD"}}}
        more = {"NextPageToken": "more"} if len(sent) == 1 else {}
        return {"ResultsByTime": [{"Groups": [group]}], **more}

    found = asked(find_query("cost-by-service"), "get_cost_and_usage", costs)

    assert [("service1", "1.5", "USD"), ("service2", "1.5", "USD")] == [tuple(row.values()) for row in found.rows]
    assert {"Start": "2026-10-01", "End": "2026-11-01"} == sent[0]["TimePeriod"]
    assert [None, "more"] == [each.get("NextPageToken") for each in sent]


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
    sent: list[str | None] = []

    def users(**parameters: Any) -> Any:
        sent.append(parameters.get("Marker"))
        return replies[len(sent) - 1]

    found = asked(QuerySpec("iam", "list_users", select="Users[].UserName"), "list_users", users)

    assert ([{"value": "ann"}], markers) == ([dict(row) for row in found.rows], sent)


def test_merged_reply_keeps_members_that_are_not_lists() -> None:
    """The expression can select a member next to the paginated list."""
    pages = iter([{"Users": [{}], "IsTruncated": True, "Marker": "m"}, {"Users": [{}], "IsTruncated": False}])
    question = QuerySpec("iam", "list_users", select="{n: length(Users), cut: IsTruncated}")

    assert 2 == asked(question, "list_users", lambda **_all: next(pages)).rows[0]["n"]


@pytest.mark.parametrize("reveal", [False, True])
def test_sensitive_values_are_hidden_unless_revealed(reveal: bool) -> None:
    """Those marked in AWS's model, and session tokens, which are not marked."""
    secrets = {"SecretAccessKey": "s3cret", "SessionToken": "t0ken"}
    reply = {"Credentials": {"AccessKeyId": "ASIAX", **secrets, "Expiration": MOMENT}}
    found = asked(QuerySpec("sts", "get_session_token", reveal=reveal), "get_session_token", lambda **_all: reply)

    assert [reveal, reveal] == [secret in str(found) for secret in secrets.values()]


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
