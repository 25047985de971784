"""The commands `runner onboard` and `runner status` on the command line."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Iterator

import pytest

from command_rig import Ended, runner, start_runner
from manifests import NOTES
from onboard_rig import Stage, staged


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A sandbox with the example accounts; account1 has not applied its module."""
    with staged(NOTES, tmp_path_factory.mktemp("fleet")) as found:
        found.take_away()
        yield found


@pytest.fixture(autouse=True)
def fresh(stage: Stage) -> None:
    for path in (stage.folder / "output").glob("status*.json"):
        path.unlink()


def run(stage: Stage, *arguments: str) -> Ended:
    return runner(*arguments, cwd=stage.folder, environ=stage.environ)


def test_applied_customer_is_verified(stage: Stage) -> None:
    """Exit code 0, the message to send between two marks, and the next command."""
    done = run(stage, "onboard", "account2")
    lines = done.out.splitlines()

    assert 0 == done.code, done.out + done.err
    assert re.fullmatch(r"rehearsal \(sandbox\): ✓ account2 is verified: .* \(run \d{8}-\d{6}-[0-9a-f]{6}\)", lines[0])
    assert ["-------- message to account2 --------", "[rehearsal (sandbox): do not send this]"] == lines[1:3]
    assert ["-------- end of the message --------", "next: gen bundle account2"] == lines[-2:]
    assert "account2: the role can be assumed\n" == done.err


def test_customer_without_apply_exits_with_code_1(stage: Stage) -> None:
    """With --once, the likely causes with hints for the vendor, the customer message, and the next command."""
    done = run(stage, "onboard", "account1", "--once")

    assert 1 == done.code
    assert done.out.startswith(
        "rehearsal (sandbox): ✗ the role of account1 cannot be assumed yet (1 attempt): AWS refuses: "
    )
    assert "[role-missing]" in done.out
    assert "`aws iam get-role --role-name role1`" in " ".join(done.out.split())
    assert "next: runner onboard account1" == done.out.splitlines()[-1]


def test_json_output(stage: Stage) -> None:
    """One object, nothing else on either stream; the same exit codes."""
    good, bad = (run(stage, "onboard", name, "--once", "--format", "json") for name in ("account2", "account1"))
    bodies = [json.loads(done.out) for done in (good, bad)]

    assert [(0, ""), (1, "")] == [(done.code, done.err) for done in (good, bad)]
    assert [(True, True), (False, False)] == [(body["verified"], body["can_assume"]) for body in bodies]
    assert [bodies[0]["entry"]["verified"]["run"], None] == [body["run"] for body in bodies]
    assert bodies[1]["message"].startswith("[rehearsal (sandbox): do not send this]\n\nHello,")
    assert [True, True] == [body["rehearsal"] for body in bodies]
    assert {"customer", "account_id", "result", "attempts", "waited_seconds", "verdict"} < set(bodies[0])


def test_unknown_caller_exits_with_code_8(stage: Stage) -> None:
    """STS is unreachable, and the status file is not written."""
    environ = {**stage.environ, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    done = runner("onboard", "account1", "--once", cwd=stage.folder, environ=environ)

    assert (8, False) == (done.code, (stage.folder / "output" / "status.sandbox.json").exists())
    assert "hint: " in done.err


def test_usage_error_has_hint(stage: Stage) -> None:
    """An invalid duration, an unknown name, another role on AWS."""
    cases = {
        ("account1", "--every", "0s"): "--every: '0s' is not a valid duration",
        ("account1", "--timeout", "soon"): "use a duration such as 30s, 15m, 2h, 7d or 1h30m",
        ("acount1",): "did you mean account1?",
        ("reena-in-sumesh",): "reena-in-sumesh is a switch role",
        ("account1", "--as", "backend_role"): "--as: --as requires a sandbox",
    }
    for arguments, words in cases.items():
        done = run(stage, "onboard", *arguments)

        assert (2, True) == (done.code, words in done.err), done.err


def test_ctrl_c_ends_the_wait_and_prints_next_command(stage: Stage) -> None:
    """Exit code 130 without a traceback; the handover is recorded."""
    with start_runner("onboard", "account1", cwd=stage.folder, environ=stage.environ) as child:
        assert child.stderr is not None
        first = child.stderr.readline()
        time.sleep(0.2)  # the line is printed just before the pause starts
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)

    assert first.startswith("account1: not yet: AWS refuses: the role does not exist")
    assert (130, "") == (child.returncode, out), err
    assert "interrupted; last result of account1: AWS refuses" in err
    assert "hint: runner onboard account1 continues the wait; recorded results are kept" in err
    assert "Traceback" not in err
    assert json.loads((stage.folder / "output" / "status.sandbox.json").read_text())["customers"]["account1"]["handed_over"]


def test_verify_updates_the_status(stage: Stage) -> None:
    """The file has all results of runner verify, with the run ID; sandbox and AWS have separate files."""
    verified = run(stage, "verify", "--actions", "none", "--no-drift", "--format", "json")
    run_id = json.loads(verified.out)["run"]["run_id"]
    shown = json.loads(run(stage, "status", "--format", "json").out)
    plain = json.loads(runner("status", "--format", "json", cwd=stage.folder).out)

    assert {"account1": "not-handed-over", "account2": "verified", "account3": "verified"} == {
        row["name"]: row["state"] for row in shown["accounts"] if row["kind"] == "customer"
    }
    assert {run_id} == {row["entry"]["last_run"]["run"] for row in shown["accounts"] if "last_run" in row["entry"]}
    assert (True, False) == (shown["rehearsal"], plain["rehearsal"])
    assert {"not-handed-over": 4} == {state: count for state, count in plain["counts"].items() if count}


def test_broken_status_file_does_not_fail_verify(stage: Stage) -> None:
    """It is a warning with a hint; result and exit code of the run do not change."""
    (stage.folder / "output" / "status.sandbox.json").write_text("{")
    done = run(stage, "verify", "--actions", "none", "--no-drift", "--limit", "account2")
    shown = run(stage, "status")

    assert (0, True) == (done.code, "1 of 1 account passed" in done.out.splitlines()[-1])
    assert "warning: output/status.sandbox.json: the status file is damaged (it is not JSON)" in done.err
    assert (5, True) == (shown.code, "hint: restore it from version control" in shown.err)


def test_interrupted_verify_updates_the_status(stage: Stage) -> None:
    verify = ("verify", "--verbose", "--limit", "account2:account3", "--forks", "1")
    with start_runner(*verify, cwd=stage.folder, environ=stage.environ) as child:
        assert child.stderr is not None
        first = child.stderr.readline()
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=60)
    found = json.loads((stage.folder / "output" / "status.sandbox.json").read_text())["customers"]

    assert "account2: ok" in first
    assert "ok" == found["account2"]["last_run"]["mark"]
