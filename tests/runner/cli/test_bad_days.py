"""Bad days of `runner`: options that mean nothing here, folders that are none."""

from __future__ import annotations

import json
from pathlib import Path
from unittest import mock

import pytest

from command_rig import runner
from manifests import NOTES


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A folder with the notes' manifest."""
    (tmp_path / "accounts.yaml").write_bytes(NOTES.read_bytes())
    return tmp_path


@pytest.mark.parametrize("command", [["verify"], ["query", "s3", "list_buckets"]], ids=lambda words: words[0])
def test_faults_are_never_silently_left_out(notes: Path, command: list[str]) -> None:
    """--faults without --sandbox is refused: a roll call of live accounts has no faults to make."""
    done = runner(*command, "--faults", "throttle=1", cwd=notes)

    assert (2, "") == (done.code, done.out)
    assert "error: --faults: faults require a sandbox\n  hint: add --sandbox" in done.err


def test_a_plugin_folder_that_is_not_there_is_said(notes: Path) -> None:
    """Who names a folder of providers does not want a rehearsal without Terraform in its place."""
    done = runner("rehearse", "--plugin-dir", notes / "nowhere", cwd=notes)

    assert (2, "") == (done.code, done.out)
    assert "nowhere: folder not found\n  hint: " in done.err


def test_a_home_that_is_no_folder_is_the_systems_refusal(notes: Path) -> None:
    """A sandbox whose folder cannot be made ends with the code for output and the path, not as a fault of rolecall's."""
    done = runner("sandbox", "up", "--home", notes / "accounts.yaml", cwd=notes)

    assert (5, "") == (done.code, done.out)
    assert f"error: {notes / 'accounts.yaml'}: operating system error: " in done.err


@pytest.mark.parametrize(("option", "value"), [("--retry", "last"), ("--limit", "account1"), ("--sample", "1")])
def test_a_resumed_run_takes_no_other_choice(notes: Path, option: str, value: str) -> None:
    """--resume goes on with the accounts of its run; another choice next to it is refused and never left out in silence."""
    done = runner("verify", "--resume", "last", option, value, cwd=notes)

    assert (2, "") == (done.code, done.out)
    assert f"{option} cannot be used with --resume\n  hint: leave {option} out" in done.err


def test_a_broken_run_hides_no_other_run(notes: Path) -> None:
    """`runner history` lists a run whose results cannot be read, says where, and shows the others."""
    for _ in range(2):
        assert 0 == runner("verify", "--sandbox", "--limit", "account1", "--actions", "none", cwd=notes).code
    broken, whole = sorted(path.name for path in (notes / ".rolecall/runs").iterdir())
    (notes / ".rolecall/runs" / broken / "results.jsonl").write_text("garbage\n", "utf-8")
    table, body = runner("history", cwd=notes), runner("history", "--format", "json", cwd=notes)

    assert (0, 0) == (table.code, body.code)
    assert {broken: None, whole: {"ok": 1}} == {run["run_id"]: run["counts"] for run in json.loads(body.out)}
    assert [True, True] == [words in table.out for words in (broken, "cannot be read")]
    assert f"warning: .rolecall/runs/{broken}/results.jsonl:1: " in table.err


def test_ctrl_c_while_a_sandbox_starts_says_that_it_goes_on(notes: Path) -> None:
    """Ctrl-C ends the waiting, not the sandbox: the message says so, and how to end it."""
    with mock.patch("rolecall_runner.cli.sandbox.start", side_effect=KeyboardInterrupt):
        done = runner("sandbox", "up", cwd=notes)

    assert 130 == done.code
    assert "interrupted; the sandbox is still starting\n  hint: " in done.err
    assert "runner sandbox down" in done.err
