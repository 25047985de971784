"""Verify runs under heavy faults and repeated kills: no wrong verdict and no lost result."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from command_rig import Ended, start_runner
from rolecall_runner.sandbox.provisioning.provision import AdminClient
from rolecall_runner.sandbox.provisioning.seed import actor_environment, in_process_sandbox

FAULTS = "throttle=0.3,5xx=0.1,cut=0.05,expired=0.02,at-most=3,seed=11"


def write_manifest(folder: Path, count: int) -> Path:
    """Customers with the same role name, so that one backend role can carry a thousand."""
    lines = [
        "version: 1",
        'backend: {account_id: "111111111111", grant: fixed-role-name}',
        "permission_sets:",
        "  read: {statements: [{actions: ['ec2:DescribeVpcs'], resources: ['*']}]}",
        "defaults: {permissions: [read], role: VendorAccess}",
        "customers:",
        *(
            f'  - {{name: customer{number:04}, account_id: "{200_000_000_000 + number}", external_id: "{number:032x}"}}'
            for number in range(count)
        ),
    ]
    path = folder / "accounts.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


@contextmanager
def world(folder: Path, count: int, faults: str = "") -> Iterator[dict[str, str]]:
    """A sandbox with this many customers, two of them misconfigured; yields the environment of its backend role."""
    manifest = write_manifest(folder, count)
    with in_process_sandbox(manifest, folder / "output", faults=faults) as found:
        operator = AdminClient(found.sandbox.url)
        for number, change in ((3, _without_external_id), (7, _trusting_somebody_else)):
            with operator.acting_in(str(200_000_000_000 + number)):
                iam = operator.client("iam")
                trust = iam.get_role(RoleName="VendorAccess")["Role"]["AssumeRolePolicyDocument"]
                change(trust["Statement"][0])
                iam.update_assume_role_policy(RoleName="VendorAccess", PolicyDocument=json.dumps(trust))
        yield actor_environment(found.sandbox, found.backend)


def _without_external_id(statement: dict[str, Any]) -> None:
    del statement["Condition"]


def _trusting_somebody_else(statement: dict[str, Any]) -> None:
    statement["Principal"] = {"AWS": "999999999999"}


def start(folder: Path, environ: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    options = ("--actions", "none", "--no-drift", "--format", "json", "--quiet")
    return start_runner("verify", *options, *arguments, cwd=folder, environ=environ)


def run(folder: Path, environ: dict[str, str], *arguments: str) -> Ended:
    """Run to the end in a separate process: the sandbox keeps this one busy."""
    child = start(folder, environ, *arguments)
    out, err = child.communicate(timeout=1200)
    return Ended(child.returncode, out, err)


def report(done: Ended) -> dict[str, dict[str, Any]]:
    """The report of each account without what differs between runs: times, attempts, generated IDs."""
    body = json.loads(done.out)
    return {
        account["name"]: {
            "mark": account["mark"],
            "checks": [(check["step"], check["mark"], check["code"]) for check in account["checks"]],
            "causes": [diagnosis["cause"] for diagnosis in account["diagnoses"]],
        }
        for account in body["verdicts"]
    }


@pytest.mark.slow
def test_faults_do_not_change_verdicts_or_lose_results(tmp_path: Path) -> None:
    """No verdict of 1,000 accounts is wrong with 30 % throttles, 10 % 5xx, cut connections and expired sessions.

    Accounts where a call failed in all its attempts are inconclusive; retried runs complete them.
    """
    count = 1000
    marks: dict[str, str] = {}
    with world(tmp_path, count, FAULTS) as environment:
        done = run(tmp_path, environment, "--timeout", "600", "--forks", "32")
        first = report(done)
        for _ in range(8):
            marks |= {name: account["mark"] for name, account in report(done).items()}
            if set(marks.values()) <= {"ok", "failed"}:
                break
            done = run(tmp_path, environment, "--timeout", "600", "--forks", "32", "--retry", "last")

    assert {f"customer{number:04}" for number in range(count)} == set(first)
    wrong = {"customer0003": "failed", "customer0007": "failed"}
    assert set(wrong.values()) | {"ok", "inconclusive"} >= {account["mark"] for account in first.values()}
    assert wrong == {name: mark for name, mark in marks.items() if mark != "ok"}


@pytest.mark.slow
def test_run_killed_repeatedly_resumes_to_same_report(tmp_path: Path) -> None:
    """SIGKILL at 20 random moments, then --resume: the final report is the same, with one result per account."""
    chance = random.Random(5)  # noqa: S311 - times, not secrets
    with world(tmp_path, 400, "slow=1:0.05") as environment:
        undisturbed = report(run(tmp_path, environment, "--runs", "calm", "--forks", "32"))
        arguments: tuple[str, ...] = ("--runs", "wild", "--forks", "3")
        kills = 0
        while kills < 20:
            child = start(tmp_path, environment, *arguments)
            time.sleep(chance.uniform(1.2, 2.6))
            if child.poll() is not None:
                break
            child.send_signal(signal.SIGKILL)
            child.communicate()
            kills += 1
            if list((tmp_path / "wild").glob("*/run.json")):
                arguments = ("--runs", "wild", "--resume", "last", "--forks", "3")
        last = run(tmp_path, environment, "--runs", "wild", "--resume", "last", "--forks", "32")
    lines = (next((tmp_path / "wild").iterdir()) / "results.jsonl").read_text().splitlines()
    names = [json.loads(line)["target"] for line in lines]

    assert kills == 20, "the run ended before it was killed twenty times: make it longer"
    assert undisturbed == report(last)
    assert (400, 400) == (len(names), len(set(names)))
    assert {"failed"} == {undisturbed[name]["mark"] for name in ("customer0003", "customer0007")}
