"""The fleet as a Python object: results, rows and verdicts of a few customers in a sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from play_rig import write
from query_rig import manifest_text
from rolecall_generator.errors import RolecallError
from rolecall_runner.api import AccountClients, Fleet
from rolecall_runner.aws.aws_errors import Status
from rolecall_runner.execution.execution_options import ExecutionOptions
from rolecall_runner.execution.interface import Outcome
from rolecall_runner.inventory.targets import Target
from rolecall_runner.query.spec import QueryError


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A fleet of two customers who may read and one who may not, in a sandbox of its own."""
    folder = write(tmp_path_factory.mktemp("fleet"), accounts__yaml=manifest_text(["one", "two", "denied"]))
    with Fleet(
        folder / "accounts.yaml", out=folder / "output", sandbox=True, execution=ExecutionOptions(runs=folder / "runs")
    ) as made:
        yield made


def owner(session: AccountClients, account: Target) -> dict[str, Any]:
    """A function of one's own: whose networks these are."""
    vpcs = session.client("ec2", "eu-west-1").describe_vpcs()["Vpcs"]
    return {"owner": {vpc["OwnerId"] for vpc in vpcs}, "at": datetime(2026, 11, 24, tzinfo=UTC), "tier": account.labels}


def test_a_function_is_called_for_every_account(fleet: Fleet) -> None:
    """Its data are JSON values; who refuses is a result with AWS's code."""
    found = {result.target: result for result in fleet.run(owner)}

    assert {"owner": ["200000000000"], "at": "2026-11-24T00:00:00+00:00", "tier": {"tier": "silver"}} == found["one"].data
    assert (Status.REFUSED, "UnauthorizedOperation", "owner") == (
        found["denied"].status, found["denied"].code, found["denied"].task,
    )  # fmt: skip


def test_what_a_function_raises_is_that_accounts_result(fleet: Fleet) -> None:
    """The others are not touched by it."""

    def wrong(_session: AccountClients, account: Target) -> Outcome:
        if account.name == "one":
            raise ValueError("no")
        return Outcome(Status.SKIPPED, {"why": "b"}, "not wanted")

    found = {result.target: result for result in fleet.run(wrong)}

    assert (Status.FAILED, "ValueError: no") == (found["one"].status, found["one"].error)
    assert (Status.SKIPPED, {"why": "b"}) == (found["two"].status, found["two"].data)


def test_rows_come_with_where_they_are_from(fleet: Fleet) -> None:
    """Rows of all who answer, and next to them who did not."""
    rows = fleet.query("ec2", "describe_vpcs", select="Vpcs[].OwnerId", regions=["us-east-1"])

    assert [("one", "us-east-1", "200000000000"), ("two", "us-east-1", "200000000001")] == sorted(
        (row.account, row.region, row.values["value"]) for row in rows
    )
    assert [("denied", "denied")] == [(each["account"], each["reason"]) for each in rows.errors]


def test_verdicts_are_those_of_the_roll_call(fleet: Fleet) -> None:
    """Every customer answers; the run is kept."""
    assert ["denied", "one", "two"] == sorted(verdict.name for verdict in fleet.verify())
    assert list(fleet.execution.runs.glob("*/results.jsonl"))


def test_a_writing_operation_is_refused(fleet: Fleet) -> None:
    """Nothing is asked without allow_write."""
    with pytest.raises(QueryError, match="is not a read operation"):
        fleet.query("ec2", "delete_vpc", {"VpcId": "vpc-1"})


def test_nothing_happens_before_the_first_question(tmp_path: Path) -> None:
    """A fleet of a manifest that is not there can be made; asking it is an error of the manifest."""
    made = Fleet(tmp_path / "none.yaml")

    with pytest.raises(RolecallError, match="no such file"):
        _ = made.accounts
