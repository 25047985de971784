"""The commands `runner sandbox` and `runner rehearse` on the command line."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from command_rig import runner, start_runner
from manifests import NOTES
from rolecall_runner.sandbox.protocol.aws_protocol import SandboxError
from rolecall_runner.sandbox.server.state_dir import (
    SandboxRequest,
    StateDir,
    StoppedSandbox,
    find_sandbox,
    start_sandbox,
    stop_sandbox,
)

ROLE = "arn:aws:iam::222222222222:role/role1"
EXTERNAL_ID = "0f0c4f7c1e6b4a1d9a52b7c3d8e9f101"


def up(folder: Path, *arguments: str | Path) -> str:
    """Start a sandbox, which outlives the starting process; returns the output."""
    child = start_runner("sandbox", "up", *arguments, cwd=folder)
    out, err = child.communicate(timeout=120)
    assert 0 == child.returncode, err
    return out


def environment(folder: Path, actor: str = "backend_role") -> dict[str, str]:
    """The variables that `runner sandbox env` prints."""
    found: dict[str, str] = json.loads(runner("sandbox", "env", "--as", actor, "--format", "json", cwd=folder).out)
    return found


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A sandbox with the example accounts, started with umask 0: folder and output."""
    folder = tmp_path_factory.mktemp("sandbox")
    shutil.copy(NOTES, folder / "accounts.yaml")
    before = os.umask(0)
    try:
        out = up(folder)
    finally:
        os.umask(before)
    yield folder, out
    stop_sandbox(StateDir(folder / ".rolecall/sandbox"))


@pytest.fixture
def running(started: tuple[Path, str]) -> Path:
    """The folder of the running sandbox."""
    return started[0]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[StateDir]:
    """The folder of a new sandbox, which is stopped after the test."""
    place = StateDir(tmp_path / "home")
    yield place
    stop_sandbox(place)


@pytest.fixture
def starting(home: StateDir) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds the folder's lock like a starting sandbox, and never finishes."""
    home.folder.mkdir()
    lock = os.open(home.lock, os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    command = ["/bin/sh", "-c", "read line", str(home.folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=(lock,))
    os.pwrite(lock, str(process.pid).encode(), 0)
    os.close(lock)
    yield process
    process.kill()
    process.communicate()


def client(variables: dict[str, str], service: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client created with only the printed environment."""
    for key in [key for key in os.environ if key.startswith("AWS_")]:
        monkeypatch.delenv(key)
    for key, value in variables.items():
        monkeypatch.setenv(key, value)
    return boto3.Session().client(service)


def test_up_prints_and_status_lists_the_accounts(started: tuple[Path, str]) -> None:
    """The modules are planned from the manifest where none are written."""
    folder, out = started
    status = json.loads(runner("sandbox", "status", "--format", "json", cwd=folder).out)

    assert "6 accounts, as planned from" in out
    assert (True, 6) == (status["running"], len(status["accounts"]))


def test_env_acts_as_backend_role_and_as_user(running: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trust policy is enforced; the log has the calls without secrets."""
    sts = client(environment(running), "sts", monkeypatch)
    assumed = sts.assume_role(RoleArn=ROLE, RoleSessionName="roll", ExternalId=EXTERNAL_ID)
    with pytest.raises(ClientError) as refused:
        sts.assume_role(RoleArn=ROLE, RoleSessionName="roll")
    who = client(environment(running, "reena"), "sts", monkeypatch).get_caller_identity()["Arn"]
    logs = runner("sandbox", "logs", cwd=running).out

    assert "arn:aws:sts::222222222222:assumed-role/role1/roll" == assumed["AssumedRoleUser"]["Arn"]
    assert "AccessDenied" == refused.value.response["Error"]["Code"]
    assert "arn:aws:iam::078352025563:user/reena" == who
    assert "sts:AssumeRole us-east-1 403 AccessDenied" in logs
    times = [datetime.fromisoformat(line.split()[0]) for line in logs.splitlines()]
    assert times == sorted(times)
    assert {timedelta(0)} == {time.utcoffset() for time in times}
    assert assumed["Credentials"]["SecretAccessKey"] not in logs


def test_env_output_can_be_evaluated_by_a_shell(running: Path) -> None:
    text = runner("sandbox", "env", cwd=running).out
    done = subprocess.run(
        ["bash", "-c", f'{text}\necho "$AWS_ENDPOINT_URL ${{AWS_PROFILE-unset}}"'],
        env={"PATH": os.environ["PATH"], "AWS_PROFILE": "mine"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert re.fullmatch(r"http://127\.0\.0\.1:\d+ unset\n", done.stdout)


def test_folder_is_owner_only(running: Path) -> None:
    home = running / ".rolecall"
    made = [home, *home.rglob("*")]

    assert {"sandbox.json", "environments.json", "sandbox.log", "sandbox.lock", "wanted.json"} <= {
        each.name for each in made
    }
    assert [] == [each for each in made if stat.S_IMODE(each.lstat().st_mode) != (0o700 if each.is_dir() else 0o600)]


def test_record_writable_by_others_is_refused(running: Path) -> None:
    """Another user could have replaced the process ID to stop and the address that receives credentials."""
    record = running / ".rolecall" / "sandbox" / "sandbox.json"
    record.chmod(0o666)
    done = runner("sandbox", "status", cwd=running)
    record.chmod(0o600)

    assert (5, True) == (done.code, "sandbox.json" in done.err)


def test_start_error_is_reported(running: Path) -> None:
    """An existing sandbox, a port in use, an invalid fault plan, a broken manifest: one error message each."""
    url = json.loads(runner("sandbox", "status", "--format", "json", cwd=running).out)["url"]
    (running / "bad.yaml").write_text("version: 2\n")
    other = ("--home", "other")
    for arguments, code, words in (
        (("up",), 7, f"a sandbox is already running at {url}"),
        (("up", *other, "--port", url.rpartition(":")[2]), 7, "in use"),
        (("up", *other, "--faults", "thrttle=1"), 2, "thrttle"),
        (("up", "bad.yaml", *other), 3, "bad.yaml:1:"),
        (("env", "--as", "nobody"), 2, "there is no nobody in the sandbox"),
        (("env", *other), 7, "no sandbox is running"),
    ):
        done = runner("sandbox", *arguments, cwd=running)

        assert (code, True) == (done.code, words in done.err), done.err
        assert "Traceback" not in done.err


def test_sandbox_with_damaged_record_stops(home: StateDir, tmp_path: Path) -> None:
    """It could not be found again, so it ends and its folder is free; `down` leaves no credentials."""
    place = ("--home", str(home.folder))
    up(tmp_path, *place)
    first = find_sandbox(home)
    home.record.write_text("{", "utf-8")
    deadline = time.monotonic() + 20
    while home.record.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    up(tmp_path, *place)
    second = find_sandbox(home)
    had_credentials = home.environments.exists()
    down = runner("sandbox", "down", *place, cwd=tmp_path)

    assert first is not None
    assert second is not None
    assert first.pid != second.pid
    assert (0, True, True, False) == (down.code, second.url in down.out, had_credentials, home.environments.exists())
    assert 1 == runner("sandbox", "status", *place, cwd=tmp_path).code
    assert (None, None) == (find_sandbox(home), stop_sandbox(home))


def test_second_start_is_refused_while_the_first_one_starts(
    home: StateDir, starting: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """Only one of two starts in a folder gets the lock; the other one is refused."""
    with pytest.raises(SandboxError, match="another sandbox is starting or running in this folder"):
        start_sandbox(home, SandboxRequest(None, str(tmp_path)))

    assert (None, False) == (starting.poll(), home.request.exists())


def test_down_stops_a_sandbox_that_is_still_starting(home: StateDir, starting: subprocess.Popen[bytes]) -> None:
    """`down` directly after an interrupted `up` stops the process, although it has no record yet."""
    assert StoppedSandbox(starting.pid, "") == stop_sandbox(home)
    assert -signal.SIGTERM == starting.wait()


@pytest.mark.slow
def test_keep_state_survives_restart(notes: Path) -> None:
    """With --keep-state a bucket exists after a restart, without it it does not."""
    for kept, expected in ((True, ["kept"]), (False, [])):
        flags = ["--keep-state"] if kept else []
        up(notes, *flags)
        if kept:
            _operator(notes).create_bucket(Bucket="kept")
            runner("sandbox", "down", cwd=notes)
            up(notes, *flags)
        buckets = _operator(notes).list_buckets()["Buckets"]
        runner("sandbox", "down", cwd=notes)
        assert expected == [bucket["Name"] for bucket in buckets]


def _operator(folder: Path) -> Any:
    """An S3 client of the sandbox's operator in account1."""
    variables = environment(folder, "operator")
    common = {"endpoint_url": variables["AWS_ENDPOINT_URL"], "region_name": "us-east-1"}
    sts = boto3.client(
        "sts",
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        **common,
    )
    role = "arn:aws:iam::222222222222:role/OrganizationAccountAccessRole"
    answer = sts.assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    return boto3.client(
        "s3",
        aws_access_key_id=answer["AccessKeyId"],
        aws_secret_access_key=answer["SecretAccessKey"],
        aws_session_token=answer["SessionToken"],
        **common,
    )


def test_rehearsal_without_terraform_reports_its_backend(notes: Path) -> None:
    """Without Terraform on PATH the parsed modules are provisioned, compared and removed; the report has the backend."""
    without = {"PATH": "/nonexistent"}
    done = runner("rehearse", cwd=notes, environ=without)
    machine = json.loads(runner("rehearse", "--only", "account1", "--format", "json", cwd=notes, environ=without).out)

    assert 0 == done.code, done.out + done.err
    assert "neither terraform nor tofu is on PATH" in done.out
    assert "6 of 6 modules applied by parsed modules" in done.out
    assert ("parsed modules", ["customers/account1"], True) == (
        machine["method"],
        [module["path"] for module in machine["modules"]],
        machine["passed"],
    )
