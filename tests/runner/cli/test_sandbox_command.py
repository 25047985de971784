"""The commands `runner sandbox` and `runner rehearse` as a person runs them."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from manifests import NOTES

PROGRAM = "from rolecall_runner.cli import app; app(prog_name='runner')"
ROLE = "arn:aws:iam::222222222222:role/role1"
EXTERNAL_ID = "0f0c4f7c1e6b4a1d9a52b7c3d8e9f101"


def runner(*arguments: str | Path, cwd: Path, path: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run `runner` in a folder, as an ordinary process; `path` is its PATH."""
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200", "TERM": "dumb"}
    if path is not None:
        environment["PATH"] = path
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


@pytest.fixture
def notes(tmp_path: Path) -> Iterator[Path]:
    """A folder with the notes' manifest; a sandbox that a test left running there is ended."""
    shutil.copy(NOTES, tmp_path / "accounts.yaml")
    yield tmp_path
    if (tmp_path / ".rolecall/sandbox/sandbox.json").exists():
        runner("sandbox", "down", cwd=tmp_path)


def client(environment: dict[str, str], service: str, monkeypatch: pytest.MonkeyPatch) -> object:
    """A client that the printed environment makes, and nothing else."""
    for key in [key for key in os.environ if key.startswith("AWS_")]:
        monkeypatch.delenv(key)
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    return boto3.Session().client(service)


def test_up_env_status_logs_down(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The printed environment acts as the backend role and as the person; down ends all of it and leaves no credentials."""
    up = runner("sandbox", "up", cwd=notes)
    backend = json.loads(runner("sandbox", "env", "--format", "json", cwd=notes).stdout)
    reena = json.loads(runner("sandbox", "env", "--as", "reena", "--format", "json", cwd=notes).stdout)
    status = json.loads(runner("sandbox", "status", "--format", "json", cwd=notes).stdout)
    sts = client(backend, "sts", monkeypatch)
    assumed = sts.assume_role(RoleArn=ROLE, RoleSessionName="roll", ExternalId=EXTERNAL_ID)  # type: ignore[attr-defined]
    with pytest.raises(ClientError) as refused:
        sts.assume_role(RoleArn=ROLE, RoleSessionName="roll")  # type: ignore[attr-defined]
    who = client(reena, "sts", monkeypatch).get_caller_identity()["Arn"]  # type: ignore[attr-defined]
    logs = runner("sandbox", "logs", cwd=notes).stdout
    private = stat.S_IMODE((notes / ".rolecall/sandbox/environments.json").stat().st_mode)
    down = runner("sandbox", "down", cwd=notes)

    assert (0, 0) == (up.returncode, down.returncode), up.stderr
    assert "6 accounts, as planned from" in up.stdout
    assert (True, 6) == (status["running"], len(status["accounts"]))
    assert "arn:aws:sts::222222222222:assumed-role/role1/roll" == assumed["AssumedRoleUser"]["Arn"]
    assert "AccessDenied" == refused.value.response["Error"]["Code"]
    assert "arn:aws:iam::078352025563:user/reena" == who
    assert "sts:AssumeRole us-east-1 403 AccessDenied" in logs
    assert assumed["Credentials"]["SecretAccessKey"] not in logs
    assert 0o600 == private
    assert not (notes / ".rolecall/sandbox/environments.json").exists()
    assert 1 == runner("sandbox", "status", cwd=notes).returncode


def test_env_for_a_shell_can_be_evaluated(notes: Path) -> None:
    """What env prints is shell: it unsets what would win, and exports the rest."""
    runner("sandbox", "up", cwd=notes)
    text = runner("sandbox", "env", cwd=notes).stdout
    done = subprocess.run(
        ["bash", "-c", f'{text}\necho "$AWS_ENDPOINT_URL ${{AWS_PROFILE-unset}}"'],
        env={"PATH": os.environ["PATH"], "AWS_PROFILE": "mine"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert re.fullmatch(r"http://127\.0\.0\.1:\d+ unset\n", done.stdout)


@pytest.mark.slow
def test_state_survives_a_restart_on_request(notes: Path) -> None:
    """With --keep-state a bucket made in one run is there in the next; without it nothing is."""
    for kept, expected in ((True, ["kept"]), (False, [])):
        flags = ["--keep-state"] if kept else []
        runner("sandbox", "up", *flags, cwd=notes)
        if kept:
            environment = _operator_environment(notes)
            _operator(environment).create_bucket(Bucket="kept")  # type: ignore[attr-defined]
            runner("sandbox", "down", cwd=notes)
            runner("sandbox", "up", *flags, cwd=notes)
        environment = _operator_environment(notes)
        buckets = _operator(environment).list_buckets()["Buckets"]  # type: ignore[attr-defined]
        runner("sandbox", "down", cwd=notes)
        assert expected == [bucket["Name"] for bucket in buckets]


def _operator_environment(folder: Path) -> dict[str, str]:
    """The variables of the sandbox's operator."""
    found: dict[str, str] = json.loads(runner("sandbox", "env", "--as", "operator", "--format", "json", cwd=folder).stdout)
    return found


def _operator(environment: dict[str, str]) -> object:
    """An S3 client of the sandbox's operator in account1."""
    common = {"endpoint_url": environment["AWS_ENDPOINT_URL"], "region_name": "us-east-1"}
    sts = boto3.client(
        "sts",
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
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


def test_its_folder_is_for_the_owner_only(notes: Path) -> None:
    """Under a umask that gives everyone everything, folders are 0700 and files 0600 all the same."""
    before = os.umask(0)
    try:
        runner("sandbox", "up", cwd=notes)
    finally:
        os.umask(before)
    home = notes / ".rolecall"
    made = [home, *home.rglob("*")]

    assert {"sandbox.json", "environments.json", "sandbox.log", "sandbox.lock", "wanted.json"} <= {
        each.name for each in made
    }
    assert [] == [each for each in made if stat.S_IMODE(each.lstat().st_mode) != (0o700 if each.is_dir() else 0o600)]


def test_a_record_that_others_may_write_is_refused(notes: Path) -> None:
    """It says which process to end and where to send credentials: another user could have put theirs there."""
    runner("sandbox", "up", cwd=notes)
    record = notes / ".rolecall" / "sandbox" / "sandbox.json"
    record.chmod(0o666)
    done = runner("sandbox", "status", cwd=notes)
    record.chmod(0o600)

    assert 5 == done.returncode
    assert "sandbox.json" in done.stderr


def test_a_second_sandbox_in_the_same_folder_is_refused(notes: Path) -> None:
    """One folder has one sandbox; the error says where it runs and how to end it."""
    runner("sandbox", "up", cwd=notes)
    again = runner("sandbox", "up", cwd=notes)

    assert 7 == again.returncode
    assert "a sandbox is already running at http://127.0.0.1:" in again.stderr
    assert "runner sandbox down" in again.stderr


def test_what_keeps_it_from_starting_is_said(notes: Path) -> None:
    """A port in use, a bad fault plan, a broken manifest: one clear message each, and no process stays."""
    runner("sandbox", "up", cwd=notes)
    url = json.loads(runner("sandbox", "status", "--format", "json", cwd=notes).stdout)["url"]
    port = runner("sandbox", "up", "--home", "other", "--port", url.rpartition(":")[2], cwd=notes)
    faults = runner("sandbox", "up", "--home", "other", "--faults", "thrttle=1", cwd=notes)
    (notes / "bad.yaml").write_text("version: 2\n")
    manifest = runner("sandbox", "up", "bad.yaml", "--home", "other", cwd=notes)
    nobody = runner("sandbox", "env", "--as", "nobody", cwd=notes)
    absent = runner("sandbox", "env", "--home", "other", cwd=notes)

    for done, words in (
        (port, "in use"),
        (faults, "thrttle"),
        (manifest, "bad.yaml:1:"),
        (nobody, "there is no nobody in the sandbox"),
        (absent, "no sandbox is running"),
    ):
        assert done.returncode not in (0, 1, 70), done.stderr
        assert words in done.stderr
        assert "Traceback" not in done.stderr


def test_rehearsal_without_terraform_says_which_way_it_went(notes: Path) -> None:
    """Without Terraform on PATH the modules' files are provisioned, compared and taken away, and the report says so."""
    done = runner("rehearse", cwd=notes, path="/nonexistent")
    machine = json.loads(runner("rehearse", "--only", "account1", "--format", "json", cwd=notes, path="/nonexistent").stdout)

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "no terraform or tofu is on PATH" in done.stdout
    assert "6 of 6 modules applied by parsed modules" in done.stdout
    assert ("parsed modules", ["customers/account1"], True) == (
        machine["how"],
        [module["path"] for module in machine["modules"]],
        machine["passed"],
    )
