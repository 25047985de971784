"""The Python API: results, rows and verdicts of a few customers in a sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from play_rig import write
from query_rig import manifest_text
from rolecall_generator.errors import RolecallError
from rolecall_runner.account_clients import AccountClients
from rolecall_runner.api import Fleet
from rolecall_runner.aws.failures import Status
from rolecall_runner.execution.interface import ExecutionOptions, Outcome
from rolecall_runner.inventory.targets import Target
from rolecall_runner.query.spec import QueryError


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A fleet in a new sandbox, with two customers that may read and one that may not."""
    folder = write(tmp_path_factory.mktemp("fleet"), accounts__yaml=manifest_text(["one", "two", "denied"]))
    with Fleet(
        folder / "accounts.yaml", out=folder / "output", sandbox=True, execution=ExecutionOptions(runs=folder / "runs")
    ) as made:
        yield made


def owner(session: AccountClients, account: Target) -> dict[str, Any]:
    """A user-defined function that returns the owner of the networks."""
    vpcs = session.client("ec2", "eu-west-1").describe_vpcs()["Vpcs"]
    return {"owner": {vpc["OwnerId"] for vpc in vpcs}, "at": datetime(2026, 11, 24, tzinfo=UTC), "tier": account.labels}


def test_function_is_called_for_every_account(fleet: Fleet) -> None:
    """Its data are JSON values; a refused account is a result with AWS's code."""
    found = {result.target: result for result in fleet.run(owner)}

    assert {"owner": ["200000000000"], "at": "2026-11-24T00:00:00+00:00", "tier": {"tier": "silver"}} == found["one"].data
    assert (Status.REFUSED, "UnauthorizedOperation", "owner") == (
        found["denied"].status, found["denied"].code, found["denied"].task,
    )  # fmt: skip


def test_exception_in_function_is_result_of_that_account(fleet: Fleet) -> None:
    """The other accounts are not affected."""

    def wrong(_session: AccountClients, account: Target) -> Outcome:
        if account.name == "one":
            raise ValueError("no")
        return Outcome(Status.SKIPPED, {"why": "b"}, "not wanted")

    found = {result.target: result for result in fleet.run(wrong)}

    assert (Status.FAILED, "ValueError: no") == (found["one"].status, found["one"].error)
    assert (Status.SKIPPED, {"why": "b"}) == (found["two"].status, found["two"].data)


def test_rows_include_account_and_region(fleet: Fleet) -> None:
    """Rows of all successful accounts, and separately the accounts without an answer."""
    rows = fleet.query("ec2", "describe_vpcs", select="Vpcs[].OwnerId", regions=["us-east-1"])

    assert [("one", "us-east-1", "200000000000"), ("two", "us-east-1", "200000000001")] == sorted(
        (row.account, row.region, row.values["value"]) for row in rows
    )
    assert [("denied", "denied")] == [(each["account"], each["reason"]) for each in rows.errors]


def test_verify_returns_verdicts_and_records_the_run(fleet: Fleet) -> None:
    """Every customer has a verdict."""
    assert ["denied", "one", "two"] == sorted(verdict.name for verdict in fleet.verify())
    assert list(fleet.execution.runs.glob("*/results.jsonl"))


def test_write_operation_requires_allow_write(fleet: Fleet) -> None:
    """No call is made without it."""
    with pytest.raises(QueryError, match="is not a read operation"):
        fleet.query("ec2", "delete_vpc", {"VpcId": "vpc-1"})


def test_manifest_is_read_on_first_use(tmp_path: Path) -> None:
    """A fleet with a missing manifest can be created; its first use raises a manifest error."""
    made = Fleet(tmp_path / "none.yaml")

    with pytest.raises(RolecallError, match="no such file"):
        _ = made.accounts
