"""Queries under denials, throttles and server errors: reasons for the former, complete rows despite the latter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from query_rig import REGIONS, seeded
from rolecall_runner.query.answers import Reason
from rolecall_runner.query.spec import QuerySpec
from rolecall_runner.query.validate import validate_query
from rolecall_runner.sandbox.protocol.faults import Fault, FaultPlan, RegionDisabled, ServerError, ServiceDenied, Throttle

READS = "ec2:DescribeInstances|iam:ListUsers"
INSTANCES = "Reservations[].Instances[].InstanceId"


def plain_loop(client: Any) -> list[str]:
    """Instance IDs as a boto3 loop finds them, with ten attempts per call."""
    pages = client.get_paginator("describe_instances").paginate()
    return sorted(each["InstanceId"] for page in pages for group in page["Reservations"] for each in group["Instances"])


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (RegionDisabled(regions="eu-west-1"), Reason.FAILED),
        (ServiceDenied(actions="ec2:*", regions="eu-west-1"), Reason.DENIED),
    ],
)
def test_failed_region_does_not_affect_other_regions(tmp_path: Path, rule: Fault, reason: Reason) -> None:
    """A Region that is denied, or rejects the session although every account has it, has its own reason."""
    with seeded(tmp_path, ["account1"], FaultPlan(1, (rule,))) as rig:
        (answer,) = rig.ask(validate_query(QuerySpec("ec2", "describe_vpcs")))

    assert [("us-east-1", Reason.OK), ("eu-west-1", reason)] == [(place.region, place.reason) for place in answer.places]


def test_rows_are_complete_under_faults(tmp_path: Path) -> None:
    """Throttles and 5xx in a quarter of all calls change no row."""
    rules = (
        Throttle(0.2, at_most=2, actions=READS),
        ServerError(0.1, at_most=1, actions=READS),
    )
    wanted = [
        validate_query(QuerySpec("ec2", "describe_instances", select=INSTANCES, page_size=5)),
        validate_query(QuerySpec("iam", "list_users", select="Users[].UserName", page_size=2)),
    ]
    with seeded(tmp_path, ["account1", "account2"], FaultPlan(7, rules)) as rig:
        for target in rig.targets:
            for region in REGIONS:
                for _ in range(6):
                    rig.boto3_client(target, "ec2", region).run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1)
            for user in range(5):
                rig.boto3_client(target, "iam", "us-east-1").create_user(UserName=f"user{user}")
        found = [rig.ask(question, engine="threads") for question in wanted]
        expected = [[(plain_loop(rig.boto3_client(target, "ec2", region))) for region in REGIONS] for target in rig.targets]

    assert expected == [[sorted(row["value"] for row in place.rows) for place in answer.places] for answer in found[0]]
    assert [[f"user{user}" for user in range(5)]] * 2 == [
        [row["value"] for row in answer.places[0].rows] for answer in found[1]
    ]
