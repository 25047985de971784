"""Daily commands: console links, programs as a customer, the history of runs."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import pytest

from command_rig import runner
from manifests import NOTES
from rolecall_runner.sandbox.provisioning.seed import actor_environment, in_process_sandbox


def test_switch_link_has_account_role_and_display_name(notes: Path) -> None:
    """For an unknown switch role the error lists the existing ones."""
    done = runner("switch-url", "reena-in-sumesh", cwd=notes)
    wrong = runner("switch-url", "reena", cwd=notes)

    assert (
        "https://signin.aws.amazon.com/switchrole?account=507074252730&roleName=reena-assumedRole&displayName=reena-in-sumesh\n"
        == done.out
    )
    assert (2, True) == (wrong.code, "the manifest has: reena-in-sumesh" in wrong.err)


def test_program_runs_as_the_customer(notes: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """GetCallerIdentity in the program returns the customer's role; its exit code becomes that of the command."""
    ask = (
        "import boto3, sys; print(boto3.client('sts').get_caller_identity()['Arn']);"
        "import os; print(os.environ['ROLECALL_ACCOUNT']); sys.exit(5)"
    )
    done = runner("shell", "account1", "--sandbox", "--", sys.executable, "-c", ask, cwd=notes)
    said = capfd.readouterr().out.splitlines()

    assert 5 == done.code, done.err
    assert said[0].startswith("arn:aws:sts::222222222222:assumed-role/role1/rolecall-")
    assert "account1" == said[1]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("shell", "acount1", "--sandbox"), 2, "did you mean account1?"),
        (("shell", "reena-in-sumesh", "--sandbox"), 2, "there is no customer reena-in-sumesh"),
        (("shell", "account1"), 8, "no AWS credentials found"),
        (("console", "account1"), 8, "--sandbox"),
        (("shell", "account1", "--profile", "nobody"), 8, "nobody"),
        (("shell", "account1", "--sandbox", "--", "no-such-program"), 7, "no-such-program cannot be started"),
    ],
)
def test_usage_error_has_exit_code_place_and_hint(notes: Path, arguments: tuple[str, ...], code: int, words: str) -> None:
    done = runner(*arguments, cwd=notes)

    assert code == done.code, done.err
    assert words in done.err
    assert "hint: " in done.err
    assert "Traceback" not in done.err


def test_shell_with_unreachable_sts_exits_with_code_8(notes: Path) -> None:
    environ = {
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    }
    done = runner("shell", "account1", cwd=notes, environ=environ)

    assert 8 == done.code
    assert "GetCallerIdentity failed" in done.err


def test_empty_history_has_hint(notes: Path) -> None:
    assert "runner verify" in runner("history", cwd=notes).out
    assert [] == json.loads(runner("history", "--format", "json", cwd=notes).out)


def test_cached_session_is_reused_by_next_command(notes: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """With --session-cache the second command assumes no role; a folder that others may read is refused."""
    shell = ("shell", "account1", "--session-cache", "kept", "--", "printenv", "AWS_ACCESS_KEY_ID")
    with in_process_sandbox(NOTES, Path("nowhere")) as world:
        environ = actor_environment(world.sandbox, world.backend)
        codes = [runner(*shell, cwd=notes, environ=environ).code for _ in range(2)]
        keys = capfd.readouterr().out.split()
        (notes / "kept").chmod(0o755)
        refused = runner(*shell, cwd=notes, environ=environ)

    assert [0, 0] == codes
    assert (2, 1) == (len(keys), len(set(keys)))
    assert [0o600] == [stat.S_IMODE(path.stat().st_mode) for path in (notes / "kept").iterdir()]
    assert (5, True) == (refused.code, "kept" in refused.err)
