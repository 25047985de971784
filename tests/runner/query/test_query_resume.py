"""Interrupted queries resume, and unsuccessful accounts are retried with the query in the run record."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import command_rig
from manifests import customer
from query_rig import manifest_text
from rolecall_runner.execution.journal import JournalError, RunRecord
from rolecall_runner.inventory.targets import Selection
from rolecall_runner.query.query_run import from_record, to_record
from rolecall_runner.query.spec import QuerySpec, RegionChoice
from rolecall_runner.query.validate import check_reads, shipped_queries, validate_query
from rolecall_runner.sandbox.provisioning.seed import actor_environment, in_process_sandbox

ASK = ("ec2", "describe_vpcs", "-s", "Vpcs[].{vpc: VpcId}")
COUNT = 24
RECORD = RunRecord("20261124-191500-0a1b2c", "query", "accounts.yaml", "f00d", "all", 3, "2026-11-24T19:15:00+00:00")
QUESTIONS = [
    *(validate_query(wanted) for wanted in shipped_queries()),
    validate_query(
        QuerySpec(
            "ec2",
            "describe_instances",
            regions=("us-east-1", "eu-west-1"),
            columns=("a", "b"),
            where="a",
            page_size=5,
            limit=3,
            reveal=True,
        ),
        ['Filters=[{"Name":"vpc-id","Values":["{variables.vpc}","{{name}}"]}]', "MaxResults={labels.size}"],
    ),
    validate_query(QuerySpec("ec2", "describe_vpcs", regions=RegionChoice.ENABLED)),
]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.title)
def test_run_record_keeps_query_and_selection(question: QuerySpec) -> None:
    """What is read from a record equals the original query and selection."""
    choice = Selection("tier=gold", 5, 7, "20261123-191500-0a1b2c")

    record = replace(RECORD, options=to_record(question, check_reads(question), choice))

    assert (choice, question) == from_record(record)


@pytest.mark.parametrize(
    "what", ["", "[]", '{"query": "ec2 DescribeVpcs"}', '{"selection": {}, "settings": {"service": "x"}}']
)
def test_record_without_query_is_error(what: str) -> None:
    """A record that rolecall did not write is an error with the run's name."""
    with pytest.raises(JournalError, match="run 20261124-191500-0a1b2c does not contain its query"):
        from_record(replace(RECORD, options=what))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a manifest of three accounts."""
    (tmp_path / "accounts.yaml").write_text(manifest_text(["account1", "account2", "account3"]), "utf-8")
    return tmp_path


def run(folder: Path, *arguments: str) -> command_rig.Ended:
    return command_rig.runner("query", *arguments, cwd=folder)


def accounts(text: str) -> set[str]:
    return {json.loads(line)["account"] for line in text.splitlines()}


def test_retry_queries_only_unsuccessful_accounts(folder: Path) -> None:
    """The throttled account gets the same query again; successful accounts are not queried."""
    faults = f"throttle=1,actions=ec2:DescribeVpcs,accounts={customer(1)['account_id']}"
    options = ("--sandbox", "--format", "jsonl")
    first = run(folder, *ASK, *options, "--faults", faults, "--timeout", "8")

    again = run(folder, "--retry", "last", *options)
    nothing_left = run(folder, "--retry", "last", *options)

    assert (9, {"account1", "account3"}) == (first.code, accounts(first.out)), first.err
    assert (0, {"account2"}) == (again.code, accounts(again.out)), again.err
    assert all(set(json.loads(line)) >= {"region", "vpc"} for line in again.out.splitlines())
    assert (0, True) == (nothing_left.code, "all of its accounts succeeded" in nothing_left.err)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--resume", "last", "ec2", "describe_vpcs"), "--resume repeats the query of run last"),
        (("--resume", "last", "--limit", "account1"), "--resume repeats the query of run last"),
        (("--resume", "last", "--retry", "last"), "--resume repeats the query of run last"),
        (("--retry", "last", "--where", "vpc"), "--retry repeats the query of run last"),
        (("--retry", "last"), "no runs of query found"),
    ],
)
def test_resume_and_retry_accept_no_other_query(folder: Path, arguments: tuple[str, ...], words: str) -> None:
    """Another query is an error that names the option, and so is a missing run."""
    done = run(folder, *arguments)

    assert words in done.err
    assert 2 == done.code


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """Two dozen slow accounts; the folder, and the environment of the backend role."""
    home = tmp_path_factory.mktemp("again")
    (home / "accounts.yaml").write_text(manifest_text([f"account{number}" for number in range(COUNT)]), "utf-8")
    with in_process_sandbox(home / "accounts.yaml", home / "output", faults="slow=1:0.05") as found:
        yield home, actor_environment(found.sandbox, found.backend)


def start(world: tuple[Path, dict[str, str]], *arguments: str) -> subprocess.Popen[str]:
    folder, environ = world
    return command_rig.start_runner("query", "--format", "json", *arguments, cwd=folder, environ=environ)


def again(world: tuple[Path, dict[str, str]], *arguments: str) -> command_rig.Ended:
    """Run the query to its end with many concurrent accounts."""
    folder, environ = world
    return command_rig.runner("query", "--format", "json", "--forks", "32", *arguments, cwd=folder, environ=environ)


def said(text: str) -> list[tuple[Any, ...]]:
    """The rows of a JSON report, without their timestamps."""
    return sorted((row["account"], row["region"], row["vpc"]) for row in json.loads(text)["rows"])


def wait_for_lines(runs: Path, lines: int, child: subprocess.Popen[str]) -> None:
    while child.poll() is None and sum(each.read_bytes().count(b"\n") for each in runs.glob("*/results.jsonl")) < lines:
        time.sleep(0.01)


@pytest.fixture(scope="module")
def calm(world: tuple[Path, dict[str, str]]) -> str:
    """The report of an undisturbed run."""
    done = again(world, *ASK, "--runs", "calm")
    assert {f"account{number}" for number in range(COUNT)} == {account for account, _, _ in said(done.out)}, done.err
    return done.out


@pytest.mark.parametrize(
    ("sign", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGKILL, -signal.SIGKILL, marks=pytest.mark.slow)],
)
def test_interrupted_run_resumes_to_same_rows(
    world: tuple[Path, dict[str, str]], calm: str, sign: signal.Signals, code: int
) -> None:
    """Ctrl-C prints the command to resume; after it, as after a kill, the rows are those of an undisturbed run."""
    runs = world[0] / sign.name
    child = start(world, *ASK, "--runs", sign.name, "--forks", "2")
    wait_for_lines(runs, 5, child)
    child.send_signal(sign)
    _, errors = child.communicate(timeout=120)
    (kept_run,) = runs.iterdir()
    before = (kept_run / "results.jsonl").read_bytes().count(b"\n")

    resumed = again(world, "--resume", "last", "--runs", sign.name)

    names = [json.loads(line)["target"] for line in (kept_run / "results.jsonl").read_text().splitlines()]
    assert code == child.returncode, errors
    assert 5 <= before < COUNT
    assert (COUNT, COUNT) == (len(names), len(set(names))), resumed.err
    assert said(calm) == said(resumed.out)
    if sign is signal.SIGINT:
        assert f"{before} of {COUNT} accounts are done" in errors
        assert f"runner query --resume {kept_run.name} --forks 2 --runs {sign.name} --format json\n" in errors
