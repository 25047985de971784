"""Answers of a query equal those of plain boto3 loops, account by account, with small pages and under faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from query_rig import MOMENT, REGIONS, QueryRig, seeded
from rolecall_runner.inventory.targets import Target
from rolecall_runner.query.answers import Reason
from rolecall_runner.query.spec import FollowUp, QuerySpec, RegionChoice
from rolecall_runner.query.validate import find_query, validate_query
from rolecall_runner.redact import to_json_values

NAMES = ("account1", "account2", "denied")
Loop = Callable[[Any], list[Any]]


def fill(rig: QueryRig) -> None:
    """Content that differs from account to account and from Region to Region."""
    for number, target in enumerate(rig.targets, start=1):
        for offset, region in enumerate(REGIONS):
            ec2 = rig.boto3_client(target, "ec2", region)
            for _ in range(5 + number + offset):  # each a reservation, which is what pages count
                ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1)
            ec2.create_volume(AvailabilityZone=f"{region}a", Size=number + offset)
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
        iam.create_login_profile(UserName="user0", Password="correct horse battery")
        iam.create_login_profile(UserName="user1", Password="correct horse battery")
        device = iam.create_virtual_mfa_device(VirtualMFADeviceName=f"mfa{number}")["VirtualMFADevice"]["SerialNumber"]
        iam.enable_mfa_device(
            UserName="user1", SerialNumber=device, AuthenticationCode1="123456", AuthenticationCode2="654321"
        )
        s3 = rig.boto3_client(target, "s3", REGIONS[0])
        for bucket in ("open", "shut"):
            s3.create_bucket(Bucket=f"{bucket}-{target.account_id}", ACL="public-read" if bucket == "open" else "private")


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueryRig]:
    """Three accounts with content, one of which may list buckets alone."""
    with seeded(tmp_path_factory.mktemp("query"), NAMES) as made:
        fill(made)
        yield made


def instances(client: Any) -> list[Any]:
    pages = client.get_paginator("describe_instances").paginate()
    return [each["InstanceId"] for page in pages for group in page["Reservations"] for each in group["Instances"]]


def volumes(client: Any) -> list[Any]:
    found = client.describe_volumes(Filters=[{"Name": "status", "Values": ["available"]}])["Volumes"]
    return [{"id": each["VolumeId"], "created": each["CreateTime"].isoformat()} for each in found]


def tables(client: Any) -> list[Any]:
    return [name for page in client.get_paginator("list_tables").paginate() for name in page["TableNames"]]


REGIONAL = [
    ("ec2", "describe_instances", {}, "Reservations[].Instances[].InstanceId", instances),
    (
        "ec2",
        "DescribeVolumes",
        {"Filters": [{"Name": "status", "Values": ["available"]}]},
        "Volumes[].{id: VolumeId, created: CreateTime}",
        volumes,
    ),
    ("dynamodb", "list-tables", {}, "TableNames", tables),
]


def bare(rows: Any) -> list[Any]:
    """Rows of one bare value as that value."""
    return [row["value"] if set(row) == {"value"} else dict(row) for row in rows]


def ordered(values: list[Any]) -> list[Any]:
    return sorted(values, key=str)


@pytest.mark.parametrize("page_size", [None, 5])
@pytest.mark.parametrize(("service", "operation", "parameters", "select", "loop"), REGIONAL)
def test_regional_answers_are_those_of_a_plain_loop(
    rig: QueryRig,
    page_size: int | None,
    service: str,
    operation: str,
    parameters: dict[str, Any],
    select: str,
    loop: Loop,
) -> None:
    """Every account and Region that may answer says what boto3 says there, whatever the page size."""
    question = validate_query(QuerySpec(service, operation, parameters, select=select, page_size=page_size))

    for target, answer in zip(rig.targets, rig.ask(question), strict=True):
        expected = [
            (region, [] if target.name == "denied" else ordered(loop(rig.boto3_client(target, service, region))))
            for region in REGIONS
        ]
        assert expected == [(place.region, ordered(bare(place.rows))) for place in answer.places]


def test_pages_are_really_small(rig: QueryRig) -> None:
    """Six instances at five a page take two calls."""
    before = len(rig.lines)
    rig.ask(validate_query(QuerySpec("ec2", "describe_instances", regions=("us-east-1",), page_size=5)))

    asked = [line for line in rig.lines[before:] if "DescribeInstances" in line and rig.targets[0].account_id in line]
    assert 2 == len(asked)


def test_a_whole_reply_is_the_row_when_there_is_nothing_to_list(rig: QueryRig) -> None:
    """Without a selection and without a list, the reply itself is the row, times as text."""
    question = validate_query(QuerySpec("dynamodb", "describe_table", {"TableName": "table0"}, regions=("us-east-1",)))
    target = rig.targets[0]
    client = rig.boto3_client(target, "dynamodb", "us-east-1")

    (answer, *_) = rig.ask(question)

    assert [to_json_values(client.describe_table(TableName="table0"))] == list(answer.places[0].rows)


def test_what_does_not_distribute_is_asked_of_the_joined_answer(rig: QueryRig) -> None:
    """A count over pages of five is the count of all."""
    question = validate_query(
        QuerySpec(
            "ec2", "describe_instances", select="length(Reservations[].Instances[])", page_size=5, regions=("us-east-1",)
        )
    )

    answers = rig.ask(question)

    assert [[{"value": 6}], [{"value": 7}], []] == [list(answer.places[0].rows) for answer in answers]


def test_global_services_are_asked_once_an_account(rig: QueryRig) -> None:
    """IAM answers for the whole account, whatever Regions the manifest has."""
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
    """Each account is asked for its own instances, by a filter with its id and label."""
    question = validate_query(
        QuerySpec("ec2", "describe_instances", select="Reservations[].OwnerId", regions=("us-east-1",)),
        ['Filters=[{"Name":"owner-id","Values":["{account_id}"]}]'],
    )

    answers = rig.ask(question)

    owners = [set(bare(answer.places[0].rows)) for answer in answers[:2]]
    assert [{target.account_id} for target in rig.targets[:2]] == owners


def test_enabled_regions_come_from_the_account(rig: QueryRig) -> None:
    """The Regions asked are those that the account says it has; one who may not list them says so once."""
    question = validate_query(QuerySpec("ec2", "describe_vpcs", select="Vpcs[].VpcId", regions=RegionChoice.ENABLED))

    answers = rig.ask(question)

    client = rig.boto3_client(rig.targets[0], "ec2", "us-east-1")
    assert sorted(each["RegionName"] for each in client.describe_regions()["Regions"]) == [
        place.region for place in answers[0].places
    ]
    assert [("", Reason.DENIED, "UnauthorizedOperation")] == [
        (place.region, place.reason, place.code) for place in answers[2].places
    ]


def test_a_denied_account_is_a_result_with_its_reason(rig: QueryRig) -> None:
    """The others answer; who was denied says so for each Region, with AWS's code."""
    answers = rig.ask(validate_query(QuerySpec("ec2", "describe_instances")))

    assert [
        {"account": "denied", "region": region, "reason": "denied", "code": "UnauthorizedOperation"} for region in REGIONS
    ] == [
        {key: trouble[key] for key in ("account", "region", "reason", "code")}
        for answer in answers
        for trouble in answer.troubles()
    ]


def test_rows_carry_where_and_when(rig: QueryRig) -> None:
    """A row names account, id, Region and the time of asking."""
    row = next(rig.ask(validate_query(QuerySpec("ec2", "describe_instances")))[0].rows())

    assert ("account1", "200000000000", "us-east-1", MOMENT.isoformat()) == (
        row.account,
        row.account_id,
        row.region,
        row.time,
    )


def test_a_limit_ends_the_pages(rig: QueryRig) -> None:
    """No page is asked for after enough rows."""
    before = len(rig.lines)
    question = validate_query(
        QuerySpec(
            "ec2", "describe_instances", select="Reservations[].Instances[]", page_size=5, limit=3, regions=("us-east-1",)
        )
    )

    answers = rig.ask(question)

    assert [3, 3, 0] == [len(list(answer.rows())) for answer in answers]
    assert 3 == len([line for line in rig.lines[before:] if "DescribeInstances" in line])


def test_users_without_mfa_are_found_by_further_calls(rig: QueryRig) -> None:
    """Of users with a password, the one without a device is a row; users without a password are not."""
    answers = rig.ask(validate_query(find_query("users-without-mfa")))

    assert [["user0"], ["user0"], []] == [[row.values["user"] for row in answer.rows()] for answer in answers]


def test_public_buckets_are_found_by_further_calls(rig: QueryRig) -> None:
    """A bucket open to all is a row; one whose further calls are denied is shown with a note, not passed over."""
    answers = rig.ask(validate_query(find_query("public-buckets")))

    assert [["open-200000000000"], ["open-200000000001"]] == [
        [row.values["bucket"] for row in answer.rows()] for answer in answers[:2]
    ]
    assert ["open-200000000002", "shut-200000000002"] == [row.values["bucket"] for row in answers[2].rows()]
    assert 3 == len(answers[2].places[0].notes)
    assert all("AccessDenied" in note and "for 2 of the rows" in note for note in answers[2].places[0].notes)


@pytest.mark.parametrize("name", ["ec2-instances", "unattached-volumes", "open-security-groups", "dynamodb-tables"])
def test_shipped_queries_answer(rig: QueryRig, name: str) -> None:
    """Each account that may answer does, and rows have the columns that the query names."""
    wanted = find_query(name)

    answers = rig.ask(validate_query(wanted))

    assert {Reason.OK} == {place.reason for answer in answers[:2] for place in answer.places}
    rows = [row for answer in answers for row in answer.rows()]
    assert rows or name == "open-security-groups"
    assert {frozenset()} >= {frozenset(set(wanted.columns) - set(row.values)) for row in rows}


def test_a_broken_further_call_fails_its_place_alone(rig: QueryRig) -> None:
    """A further call that fails for another reason than a refusal leaves no half answer."""
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
