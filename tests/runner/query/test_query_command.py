"""The `runner query` command in a sandbox."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command_rig import Ended, runner
from query_rig import manifest_text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a manifest of three accounts, one of which may only list buckets."""
    (tmp_path / "accounts.yaml").write_text(manifest_text(["account1", "account2", "denied"]), "utf-8")
    return tmp_path


def run(folder: Path, *arguments: str) -> Ended:
    return runner("query", *arguments, cwd=folder)


def test_rows_go_to_stdout_and_errors_to_stderr(folder: Path) -> None:
    """A denied account is predicted, queried and reported; the run does not fail, and is recorded."""
    done = run(folder, "ec2", "describe_vpcs", "-s", "Vpcs[].{vpc: VpcId}", "--sandbox", "--format", "jsonl")
    rows = [json.loads(line) for line in done.out.splitlines()]

    assert 0 == done.code, done.err
    assert {("account1", "us-east-1"), ("account1", "eu-west-1"), ("account2", "us-east-1"), ("account2", "eu-west-1")} == {
        (row["account"], row["region"]) for row in rows
    }
    assert all(row["vpc"].startswith("vpc-") for row in rows)
    assert "1 of 3 accounts have no permission for this in the manifest" in done.err
    assert "denied: denied us-east-1, denied eu-west-1" in done.err
    assert "4 rows from 3 accounts" in done.err
    (kept,) = (folder / ".rolecall" / "runs").iterdir()
    assert ("query", "ec2 DescribeVpcs") == (
        json.loads((kept / "run.json").read_text())["task"],
        json.loads(json.loads((kept / "run.json").read_text())["options"])["query"],
    )


def test_dry_run_sends_nothing(folder: Path) -> None:
    """It prints calls, count, action, access level and denied accounts; no credentials are needed and no run is recorded."""
    done = run(folder, "ec2", "describe_instances", "-p", "MaxResults=5", "--dry-run")
    body = json.loads(run(folder, "--named", "users-without-mfa", "--dry-run", "--format", "json").out)

    assert 0 == done.code, done.err
    assert 'ec2 DescribeInstances with {"MaxResults": 5}' in done.out
    assert "action ec2:DescribeInstances, access level List" in done.out
    assert "3 accounts, 6 first calls" in done.out
    assert "denied: ec2:DescribeInstances in us-east-1" in done.out
    assert (3, 3, True, ["denied"]) == (
        body["accounts"],
        body["places"],
        body["once_per_account"],
        [each["account"] for each in body["without_permission"]],
    )
    assert ["ListUsers", "GetLoginProfile", "ListMFADevices"] == [each["operation"] for each in body["calls"]]
    assert not (folder / ".rolecall").exists()


def test_write_query_requires_allow_write_and_yes(folder: Path) -> None:
    """Without --allow-write it is refused; without a terminal --yes is required too."""
    ask = ("ec2", "create_vpc", "-p", "CidrBlock=10.0.0.0/16", "--sandbox")
    refused, unasked = run(folder, *ask), run(folder, *ask, "--allow-write")

    assert (2, True) == (refused.code, "the access level of ec2:CreateVpc is Write" in refused.err), refused.err
    assert (2, True) == (unasked.code, "there is no terminal for the confirmation" in unasked.err)
    assert not (folder / ".rolecall").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("ec2", "describe_vpcz"), 2, "did you mean describe_vpcs"),
        (("ec2", "describe_vpcs", "-p", "MaxResults=x"), 2, "parameter MaxResults (integer)"),
        (("ec2", "describe_vpcs", "-s", "Vpcs[.x"), 2, "column 6"),
        (("ec2", "describe_vpcs", "-r", "mars-1"), 2, "'mars-1' is not a Region"),
        (("ec2", "describe_vpcs", "-l", "acount1"), 2, "account1"),
        (("iam", "get_user", "-p", "UserName={labels.nothing}", "--sandbox"), 2, "has no value for account1"),
        (("ec2", "describe_vpcs"), 8, "no AWS credentials found"),
        ((), 2, "no query given"),
    ],
)
def test_usage_error_has_place_and_hint(folder: Path, arguments: tuple[str, ...], code: int, words: str) -> None:
    """No run is recorded."""
    done = run(folder, *arguments)

    assert (code, True) == (done.code, words in done.err), done.err
    assert not (folder / ".rolecall").exists()


def test_shipped_queries_are_listed(tmp_path: Path) -> None:
    """Without a manifest."""
    done = run(tmp_path, "--list")

    assert 0 == done.code, done.err
    assert "users-without-mfa" in done.out


def test_persistent_throttling_exits_with_code_9(folder: Path) -> None:
    """The result is inconclusive."""
    done = run(
        folder, "dynamodb", "list_tables", "-l", "account1", "-r", "us-east-1", "--sandbox",
        "--faults", "throttle=1,actions=dynamodb:*", "--timeout", "3", "--quiet",
    )  # fmt: skip

    assert 9 == done.code, done.err
    assert "inconclusive: account1" in done.err
