"""Rows of a query equal those of boto3 loops per account, with small pages and under faults."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from query_rig import MOMENT, REGIONS, QueryRig, seeded
from rolecall_runner.inventory.targets import Target
from rolecall_runner.query.answers import Reason
from rolecall_runner.query.spec import FollowUp, QuerySpec, RegionChoice
from rolecall_runner.query.validate import find_query, validate_query
from rolecall_runner.redact import to_json_values

NAMES = ("account1", "account2", "denied")


def fill(rig: QueryRig) -> None:
    """Content that differs between accounts and Regions."""
    for number, target in enumerate(rig.targets, start=1):
        for offset, region in enumerate(REGIONS):
            ec2 = rig.boto3_client(target, "ec2", region)
            for _ in range(5 + number + offset):  # one reservation each, the unit of pagination
                ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1)
            dynamodb = rig.boto3_client(target, "dynamodb", region)
            for table in range(number + offset):
                dynamodb.create_table(
                    TableName=f"table{table}",
                    KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                    AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                    BillingMode="PAY_PER_REQUEST",
                )
        iam = rig.boto3_client(target, "iam", REGIONS[0])
        for user in range(4 + number):
            iam.create_user(UserName=f"user{user}")
        s3 = rig.boto3_client(target, "s3", REGIONS[0])
        for bucket in ("open", "shut"):
            s3.create_bucket(Bucket=f"{bucket}-{target.account_id}", ACL="public-read" if bucket == "open" else "private")


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueryRig]:
    """Three accounts with content, one of which may only list buckets."""
    with seeded(tmp_path_factory.mktemp("query"), NAMES) as made:
        fill(made)
        yield made


def bare(rows: Any) -> list[Any]:
    """Rows with one plain value as that value."""
    return [row["value"] if set(row) == {"value"} else dict(row) for row in rows]


def test_pages_are_small(rig: QueryRig) -> None:
    """Six instances at five per page take two calls."""
    before = len(rig.lines)
    rig.ask(validate_query(QuerySpec("ec2", "describe_instances", regions=("us-east-1",), page_size=5)))

    asked = [line for line in rig.lines[before:] if "DescribeInstances" in line and rig.targets[0].account_id in line]
    assert 2 == len(asked)


def test_reply_without_list_is_one_row(rig: QueryRig) -> None:
    """Without an expression and without a list, the reply is the row, with times as strings."""
    question = validate_query(QuerySpec("dynamodb", "describe_table", {"TableName": "table0"}, regions=("us-east-1",)))
    target = rig.targets[0]
    client = rig.boto3_client(target, "dynamodb", "us-east-1")

    (answer, *_) = rig.ask(question)

    assert [to_json_values(client.describe_table(TableName="table0"))] == list(answer.places[0].rows)


def test_non_distributive_expression_uses_merged_reply(rig: QueryRig) -> None:
    """A count over pages of five is the total count."""
    question = validate_query(
        QuerySpec(
            "ec2", "describe_instances", select="length(Reservations[].Instances[])", page_size=5, regions=("us-east-1",)
        )
    )

    answers = rig.ask(question)

    assert [[{"value": 6}], [{"value": 7}], []] == [list(answer.places[0].rows) for answer in answers]


def test_global_service_is_called_once_per_account(rig: QueryRig) -> None:
    """For any Regions in the manifest."""
    question = validate_query(QuerySpec("iam", "list_users", select="Users[].UserName"))

    answers = rig.ask(question)

    def loop(target: Target) -> list[str]:
        pages = rig.boto3_client(target, "iam", "us-east-1").get_paginator("list_users").paginate()
        return [user["UserName"] for page in pages for user in page["Users"]]

    assert [[("global", Reason.OK, loop(target))] for target in rig.targets[:2]] == [
        [(place.region, place.reason, bare(place.rows)) for place in answer.places] for answer in answers[:2]
    ]
    assert [("global", Reason.DENIED)] == [(place.region, place.reason) for place in answers[2].places]


def test_parameters_are_filled_from_the_customer(rig: QueryRig) -> None:
    """Each account is queried with a filter on its own ID and label."""
    question = validate_query(
        QuerySpec("ec2", "describe_instances", select="Reservations[].OwnerId", regions=("us-east-1",)),
        ['Filters=[{"Name":"owner-id","Values":["{account_id}"]}]'],
    )

    answers = rig.ask(question)

    owners = [set(bare(answer.places[0].rows)) for answer in answers[:2]]
    assert [{target.account_id} for target in rig.targets[:2]] == owners


def test_enabled_regions_come_from_the_account(rig: QueryRig) -> None:
    """An account that may not list its Regions has one error."""
    question = validate_query(QuerySpec("ec2", "describe_vpcs", select="Vpcs[].VpcId", regions=RegionChoice.ENABLED))

    answers = rig.ask(question)

    client = rig.boto3_client(rig.targets[0], "ec2", "us-east-1")
    assert sorted(each["RegionName"] for each in client.describe_regions()["Regions"]) == [
        place.region for place in answers[0].places
    ]
    assert [("", Reason.DENIED, "UnauthorizedOperation")] == [
        (place.region, place.reason, place.code) for place in answers[2].places
    ]


def test_denied_account_is_result_with_reason(rig: QueryRig) -> None:
    """The others succeed; the denied one has AWS's code for each Region."""
    answers = rig.ask(validate_query(QuerySpec("ec2", "describe_instances")))

    assert [
        {"account": "denied", "region": region, "reason": "denied", "code": "UnauthorizedOperation"} for region in REGIONS
    ] == [
        {key: trouble[key] for key in ("account", "region", "reason", "code")}
        for answer in answers
        for trouble in answer.errors()
    ]


def test_rows_have_account_region_and_time(rig: QueryRig) -> None:
    row = next(rig.ask(validate_query(QuerySpec("ec2", "describe_instances")))[0].rows())

    assert ("account1", "200000000000", "us-east-1", MOMENT.isoformat()) == (
        row.account,
        row.account_id,
        row.region,
        row.time,
    )


def test_limit_stops_pagination(rig: QueryRig) -> None:
    before = len(rig.lines)
    question = validate_query(
        QuerySpec(
            "ec2", "describe_instances", select="Reservations[].Instances[]", page_size=5, limit=3, regions=("us-east-1",)
        )
    )

    answers = rig.ask(question)

    assert [3, 3, 0] == [len(list(answer.rows())) for answer in answers]
    assert 3 == len([line for line in rig.lines[before:] if "DescribeInstances" in line])


def test_denied_per_row_call_is_a_note(rig: QueryRig) -> None:
    """The bucket is shown with a note instead of being left out."""
    answer = rig.ask(validate_query(find_query("public-buckets")))[2]

    assert ["open-200000000002", "shut-200000000002"] == [row.values["bucket"] for row in answer.rows()]
    assert 3 == len(answer.places[0].notes)
    assert all("AccessDenied" in note and "for 2 rows" in note for note in answer.places[0].notes)


def test_failed_per_row_call_fails_only_its_region(rig: QueryRig) -> None:
    """An error other than a refusal leaves no partial rows."""
    wanted = QuerySpec(
        "dynamodb",
        "list_tables",
        select="TableNames[].{table: @}",
        for_each=(FollowUp("dynamodb", "describe_table", "x", {"TableName": "no-such-table"}),),
    )

    answers = rig.ask(validate_query(wanted), attempts=1)

    assert [(Reason.FAILED, "ResourceNotFoundException", ())] * 2 == [
        (place.reason, place.code, place.rows) for place in answers[0].places
    ]
