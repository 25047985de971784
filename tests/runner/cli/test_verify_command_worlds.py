"""The command `runner verify` with failures: an open role, persistent throttles, Ctrl-C."""

from __future__ import annotations

import json
import re
import signal
import time
from pathlib import Path
from typing import Any

from command_rig import Ended, runner, start_runner
from manifests import NOTES
from rolecall_runner.sandbox.provisioning.provision import AdminClient
from rolecall_runner.sandbox.provisioning.seed import InProcessSandbox, actor_environment, in_process_sandbox

QUICK = ("--actions", "none", "--no-drift")


def verify(world: InProcessSandbox, folder: Path, *arguments: str) -> Ended:
    return runner("verify", *arguments, cwd=folder, environ=actor_environment(world.sandbox, world.backend))


def with_trust(world: InProcessSandbox, account_id: str, role: str, change: Any) -> None:
    operator = AdminClient(world.sandbox.url)
    with operator.acting_in(account_id):
        iam = operator.client("iam")
        trust = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
        change(trust["Statement"][0])
        iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(trust))


def test_sandbox_option_checks_users_of_switch_role(notes: Path) -> None:
    """With --sandbox group, policies, membership, password and MFA device are checked."""
    done = json.loads(runner("verify", "--sandbox", "--limit", "reena-in-sumesh", "--format", "json", cwd=notes).out)

    assert {"configuration": {"ok", "skipped"}} == {
        "configuration": {check["mark"] for check in done["verdicts"][0]["checks"] if check["step"] == "configuration"}
    }
    assert done["ok"]


def test_selected_accounts_are_listed_without_calls(notes: Path) -> None:
    """For a check of --limit before a run."""
    done = runner("verify", "--list-accounts", "--limit", "account[12]", "--format", "json", cwd=notes)
    plain = runner("verify", "--list-accounts", "--limit", "account1", cwd=notes)

    assert ["account1", "account2"] == [each["name"] for each in json.loads(done.out)]
    assert [["account1", "222222222222", "arn:aws:iam::222222222222:role/role1"]] == [
        row.split() for row in plain.out.splitlines()
    ]


def test_open_role_fails_and_retry_verifies_only_it(notes: Path) -> None:
    """A role without the external ID condition has exit code 1 and a cause."""
    with in_process_sandbox(NOTES, Path("nowhere")) as world:
        kept: dict[str, Any] = {}
        with_trust(world, "333333333333", "role2", lambda statement: kept.update(statement.pop("Condition")))
        first = verify(world, notes, *QUICK)
        with_trust(world, "333333333333", "role2", lambda statement: statement.update(Condition=kept))
        again = json.loads(verify(world, notes, *QUICK, "--retry", "last", "--format", "json").out)
        nothing = verify(world, notes, *QUICK, "--retry", "last")

    assert 1 == first.code
    assert "account2" in first.out
    assert "[no-external-id-condition]" in first.out
    assert ["account2"] == [verdict["name"] for verdict in again["verdicts"]]
    assert again["ok"]
    assert (0, True) == (nothing.code, "all of its accounts succeeded" in nothing.err)


def test_unreachable_accounts_are_inconclusive(notes: Path) -> None:
    """No check is failed or ok: exit code 9."""
    with in_process_sandbox(
        NOTES, Path("nowhere"), faults="denied=organizations,throttle=1,actions=sts:AssumeRole"
    ) as throttled:
        done = verify(throttled, notes, *QUICK, "--timeout", "3")

    assert 9 == done.code, done.out
    assert "inconclusive=" in done.out


def test_ctrl_c_prints_finished_accounts_and_resume_command(notes: Path) -> None:
    """SIGINT during a run: exit code 130, the recap of the finished accounts, and the command to resume."""
    with in_process_sandbox(NOTES, Path("nowhere"), faults="slow=1:0.15") as world:
        environment = actor_environment(world.sandbox, world.backend)
        child = start_runner("verify", *QUICK, "--engine", "serial", "--verbose", cwd=notes, environ=environment)
        journal = None
        while journal is None or not journal.read_text():
            journal = next(notes.glob(".rolecall/runs/*/results.jsonl"), None)
            assert child.poll() is None, child.communicate()
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
        done = verify(world, notes, "--resume", "last", "--format", "json")

    assert 130 == child.returncode, out + err
    assert re.search(r"hint: runner verify --resume \S+ --engine serial --verbose$", err, re.MULTILINE)
    assert "account1" in out
    assert 4 == len(json.loads(done.out)["verdicts"])
