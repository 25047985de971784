"""Rows of a query equal those of boto3 loops per account, with small pages and under faults."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from query_rig import MOMENT, REGIONS, QueryRig, seeded
from rolecall_runner.query.execute import Reason
from rolecall_runner.query.spec import FollowUp, QuerySpec, RegionChoice
from rolecall_runner.query.validate import find_query, validate_query
from rolecall_runner.redact import to_json_values
from rolecall_runner.sandbox.protocol.faults import FaultPlan, RegionDisabled, ServiceDenied

NAMES = ("account1", "account2", "denied")
INSTANCES = "Reservations[].Instances[]"
FAULTS = FaultPlan(
    1, (RegionDisabled(actions="rds:*", regions="eu-west-1"), ServiceDenied(actions="lambda:*", regions="eu-west-1"))
)


def of_one_region(service: str, operation: str, *arguments: str, **settings: Any) -> QuerySpec:
    """A valid query in us-east-1."""
    return validate_query(QuerySpec(service, operation, regions=("us-east-1",), **settings), arguments)


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
    with seeded(tmp_path_factory.mktemp("query"), NAMES, FAULTS) as made:
        fill(made)
        yield made


def bare(rows: Any) -> list[Any]:
    """Rows with one plain value as that value."""
    return [row["value"] if set(row) == {"value"} else dict(row) for row in rows]


def test_reply_without_list_is_one_row(rig: QueryRig) -> None:
    """Without an expression and without a list, the reply is the row, with times as strings."""
    client = rig.boto3_client(rig.targets[0], "dynamodb", "us-east-1")

    (answer, *_) = rig.ask(of_one_region("dynamodb", "describe_table", parameters={"TableName": "table0"}))

    assert [to_json_values(client.describe_table(TableName="table0"))] == list(answer.places[0].rows)


def test_non_distributive_expression_uses_merged_reply(rig: QueryRig) -> None:
    """A count over pages of five is the total count."""
    answers = rig.ask(of_one_region("ec2", "describe_instances", select=f"length({INSTANCES})", page_size=5))

    assert [[{"value": 6}], [{"value": 7}], []] == [list(answer.places[0].rows) for answer in answers]


def test_parameters_are_filled_from_the_customer(rig: QueryRig) -> None:
    """Each account is queried with a filter on its own ID and label."""
    owner = 'Filters=[{"Name":"owner-id","Values":["{account_id}"]}]'
    answers = rig.ask(of_one_region("ec2", "describe_instances", owner, select="Reservations[].OwnerId"))

    owners = [set(bare(answer.places[0].rows)) for answer in answers[:2]]
    assert [{target.account_id} for target in rig.targets[:2]] == owners


@pytest.mark.parametrize(
    ("service", "operation", "reason"),
    [("rds", "describe_db_instances", Reason.FAILED), ("lambda", "list_functions", Reason.DENIED)],
)
def test_failed_region_does_not_affect_other_regions(rig: QueryRig, service: str, operation: str, reason: Reason) -> None:
    """A Region that is denied, or rejects the session although every account has it, has its own reason."""
    answer = rig.ask(validate_query(QuerySpec(service, operation)))[0]

    assert [("us-east-1", Reason.OK), ("eu-west-1", reason)] == [(place.region, place.reason) for place in answer.places]


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

    expected = ("account1", "200000000000", "us-east-1", MOMENT.isoformat())
    assert expected == (row.account, row.account_id, row.region, row.time)


@pytest.mark.parametrize(("limit", "rows", "calls"), [(3, 3, 1), (6, 6, 2), (None, 6, 2)])
def test_limit_stops_pagination(rig: QueryRig, limit: int | None, rows: int, calls: int) -> None:
    """Six instances at five per page take two calls."""
    before = len(rig.lines)
    answer = rig.ask(of_one_region("ec2", "describe_instances", select=INSTANCES, page_size=5, limit=limit))[0]

    asked = [line for line in rig.lines[before:] if "DescribeInstances" in line and rig.targets[0].account_id in line]
    assert (rows, calls) == (len(list(answer.rows())), len(asked))


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
