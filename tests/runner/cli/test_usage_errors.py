"""Usage errors and interrupted or damaged state: exit codes, error locations and hints of `runner`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

import pytest

from command_rig import runner
from rolecall_generator.errors import SelectionError
from rolecall_runner.execution import RUNS
from rolecall_runner.execution.journal import Journal, RunRecord
from rolecall_runner.inventory.targets import select

RECORD = RunRecord(
    "20261124-191500-0a1b2c",
    "verify",
    "accounts.yaml",
    "f00d",
    "all",
    3,
    datetime(2026, 11, 24, tzinfo=UTC).isoformat(),
    "verify",
)


@pytest.mark.parametrize(
    ("command", "code", "where"),
    [
        # Verification of live accounts injects no faults, so the option is an error instead of being ignored.
        (("verify", "--faults", "throttle=1"), 2, "--faults"),
        (("query", "s3", "list_buckets", "--faults", "throttle=1"), 2, "--faults"),
        # A named provider folder is never replaced by a rehearsal without Terraform.
        (("rehearse", "--plugin-dir", "nowhere"), 2, "nowhere"),
        # An error of the operating system is not an internal error.
        (("sandbox", "up", "--home", "accounts.yaml"), 5, "accounts.yaml"),
        # A resumed run keeps its accounts, so another selection is an error instead of being ignored.
        (("verify", "--resume", "last", "--retry", "last"), 2, "--resume: --retry"),
        (("verify", "--resume", "last", "--limit", "account1"), 2, "--resume: --limit"),
        (("verify", "--resume", "last", "--sample", "1"), 2, "--resume: --sample"),
        # An empty variable in a script is an empty pattern or path.
        (("verify", "--limit", ""), 2, "--limit"),
        (("verify", "--limit", " , "), 2, "--limit"),
        (("verify", "--out", ""), 2, "--out"),
        (("rehearse", "--out", ""), 2, "--out"),
        (("sandbox", "up", "--out", ""), 2, "--out"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_usage_error_has_place_and_hint(notes: Path, command: tuple[str, ...], code: int, where: str) -> None:
    """Nothing is printed to standard output, and nothing is started."""
    done = runner(*command, cwd=notes)

    assert (code, "") == (done.code, done.out)
    assert where in done.err.splitlines()[0].removeprefix("error: ")
    assert "\n  hint: " in done.err
    assert ["accounts.yaml"] == [path.name for path in notes.iterdir()]


@pytest.mark.parametrize("option", ["--resume", "--retry"])
def test_missing_run_is_usage_error(notes: Path, option: str) -> None:
    """A folder without any run is reported differently from a name without a match."""
    none = runner("verify", option, "last", cwd=notes)
    Journal.start(notes / RUNS, RECORD).close()
    other = runner("verify", option, "0000", cwd=notes)

    assert (2, 2) == (none.code, other.code)
    assert "error: .rolecall/runs: no runs of verify found\n  hint: " in none.err
    assert "error: .rolecall/runs: no such run: 0000\n  hint: `runner history`" in other.err


def test_broken_run_does_not_hide_other_runs(notes: Path) -> None:
    """`runner history` lists a run whose results cannot be read, with a warning, and shows the others."""
    for _ in range(2):
        assert 0 == runner("verify", "--sandbox", "--limit", "account1", "--actions", "none", cwd=notes).code
    broken, whole = sorted(path.name for path in (notes / ".rolecall/runs").iterdir())
    (notes / ".rolecall/runs" / broken / "results.jsonl").write_text("garbage\n", "utf-8")
    table, body = runner("history", cwd=notes), runner("history", "--format", "json", cwd=notes)

    assert (0, 0) == (table.code, body.code)
    assert {broken: None, whole: {"ok": 1}} == {run["run_id"]: run["counts"] for run in json.loads(body.out)}
    assert [True, True] == [words in table.out for words in (broken, "cannot be read")]
    assert f"warning: .rolecall/runs/{broken}/results.jsonl:1: " in table.err


def test_ctrl_c_during_sandbox_start_leaves_it_starting(notes: Path) -> None:
    """Ctrl-C ends only the waiting: the message explains how to stop the sandbox."""
    with mock.patch("rolecall_runner.cli.sandbox.start_sandbox", side_effect=KeyboardInterrupt):
        done = runner("sandbox", "up", cwd=notes)

    assert 130 == done.code
    assert "interrupted; the sandbox is still starting\n  hint: " in done.err
    assert "runner sandbox down" in done.err


def test_manifest_without_accounts_is_reported_before_the_pattern() -> None:
    """No pattern could match, so the error is about the manifest."""
    with pytest.raises(SelectionError) as refused:
        select((), "all")

    assert ("the manifest has no customer and no switch role", None) == (refused.value.what, refused.value.where)
