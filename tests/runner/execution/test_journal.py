"""The journal: results survive a kill, and finished targets are not run again."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rolecall_generator.errors import InterruptedRunError, RolecallError
from rolecall_runner.aws.failures import Status
from rolecall_runner.execution.interface import Result
from rolecall_runner.execution.journal import (
    Journal,
    JournalError,
    RunRecord,
    UnsafeRunError,
    find_run,
    keys_to_retry,
    list_runs,
    narrow_targets,
    new_run_id,
    read_record,
    read_results,
)
from rolecall_runner.inventory import Selection, Target

NOW = datetime(2026, 11, 24, 19, 15, tzinfo=UTC)
RECORD = RunRecord("20261124-191500-0a1b2c", "verify", "accounts.yaml", "f00d", "all", 3, NOW.isoformat(), options="verify")


def result(name: str, status: Status = Status.OK, **changes: object) -> Result:
    return replace(Result(name, "verify", status, NOW, 0.5, data={"n": [1, "ü\n"]}), **changes)  # type: ignore[arg-type]


def recorded(runs: Path, *results: Result, run_id: str = RECORD.run_id) -> Path:
    """The folder of a run with these results."""
    with Journal.start(runs, replace(RECORD, run_id=run_id)) as journal:
        for each in results:
            journal.add(each)
    return runs / run_id


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """The folder of three runs without results."""
    for run_id in ("20261124-191500-0a1b2c", "20261125-080000-ffffff", "20261123-080000-0b0b0b"):
        recorded(tmp_path, run_id=run_id)
    return tmp_path


def test_results_round_trip(tmp_path: Path) -> None:
    """With every field, line breaks and any language."""
    written = [
        result("a"),
        result("b", Status.FAILED, error="no\nyes", code="AccessDenied", attempts=3, data=None),
        result("a", kind="switch-role"),
    ]
    recorded(tmp_path, *written)

    assert written == list(read_results(tmp_path, RECORD.run_id))
    assert RECORD == read_record(tmp_path, RECORD.run_id)


def test_resumed_run_skips_finished_targets(tmp_path: Path) -> None:
    """A target is finished if its line is complete; an incomplete line is cut off and the target is run again."""
    lines = recorded(tmp_path, result("a"), result("b", Status.FAILED)) / "results.jsonl"
    lines.write_bytes(lines.read_bytes() + json.dumps(result("c").to_json()).encode())

    with Journal.resume(tmp_path, RECORD.run_id, fingerprint="f00d") as journal:
        assert {("customer", "a"), ("customer", "b")} == journal.done
        journal.add(result("c"))

    assert ["a", "b", "c"] == [each.target for each in read_results(tmp_path, RECORD.run_id)]


@pytest.mark.parametrize("cut", range(0, 200, 7))
def test_file_truncated_at_any_byte_resumes(tmp_path: Path, cut: int) -> None:
    """Only complete lines before the truncation count."""
    lines = recorded(tmp_path, result("a"), result("b")) / "results.jsonl"
    content = lines.read_bytes()
    lines.write_bytes(content[:cut])

    with Journal.resume(tmp_path, RECORD.run_id, fingerprint="f00d") as journal:
        assert content[:cut].count(b"\n") == len(journal.done)
    assert content[: content[:cut].rfind(b"\n") + 1] == lines.read_bytes()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fingerprint": "beef"}, "the manifest has changed since run"),
        ({"rehearsal": True}, "used AWS and cannot be resumed with a sandbox"),
    ],
)
def test_run_of_other_manifest_or_endpoint_does_not_resume(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    """Results of two manifests, or of AWS and a sandbox, never share a file."""
    Journal.start(tmp_path, RECORD).close()

    with pytest.raises(JournalError, match=said):
        Journal.resume(tmp_path, RECORD.run_id, **{"fingerprint": "f00d"} | changes)


def test_running_run_is_not_resumed(tmp_path: Path) -> None:
    """Otherwise two processes would run every target."""
    with Journal.start(tmp_path, RECORD), pytest.raises(JournalError, match="still in progress"):
        Journal.resume(tmp_path, RECORD.run_id, fingerprint="f00d")


def test_results_survive_sigkill(tmp_path: Path) -> None:
    """`add` flushes a result before it returns: SIGKILL right after loses nothing and releases the lock."""
    script = (
        "import os, sys; from pathlib import Path; from test_journal import RECORD, result\n"
        "from rolecall_runner.execution.journal import Journal\n"
        "journal = Journal.start(Path(sys.argv[1]), RECORD)\n"
        "for number in range(100): journal.add(result(str(number)))\n"
        "os.kill(os.getpid(), 9)"
    )
    root = Path(__file__).resolve().parents[3]
    paths = [str(root / "generator"), str(root / "runner"), str(Path(__file__).parent)]
    child = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {paths}\n{script}", str(tmp_path)], check=False
    )

    assert -9 == child.returncode
    with Journal.resume(tmp_path, RECORD.run_id, fingerprint="f00d") as journal:
        assert {("customer", str(number)) for number in range(100)} == journal.done


def test_unsuccessful_targets_are_retried(tmp_path: Path) -> None:
    """The last result of a target counts."""
    recorded(
        tmp_path, result("a", Status.FAILED), result("a"), result("b", Status.INCONCLUSIVE), result("c", Status.SKIPPED),
        result("d", Status.UNREACHABLE, kind="switch-role"),
    )  # fmt: skip

    assert {("customer", "b"), ("switch-role", "d")} == keys_to_retry(tmp_path, RECORD.run_id)


def test_retry_refers_to_its_run_by_id(tmp_path: Path) -> None:
    """`last` becomes the retry itself once it is recorded, and the retry may be resumed."""
    targets = tuple(Target(name, "111111111111", "aws", f"arn:aws:iam::111111111111:role/{name}") for name in "ab")
    recorded(tmp_path, result("a"), result("b", Status.FAILED))

    narrowed, selection = narrow_targets(targets, Selection(retry="last"), tmp_path, task="verify")
    Journal.start(tmp_path, replace(RECORD, run_id="20261125-080000-ffffff", started="2026-11-25T08:00:00+00:00")).close()

    assert (("b",), RECORD.run_id) == (tuple(target.name for target in narrowed), selection.retry)
    assert (narrowed, selection) == narrow_targets(targets, selection, tmp_path, task="verify")


def test_runs_are_listed_latest_first(runs: Path) -> None:
    """Other folders and unreadable records are ignored."""
    (runs / "notes").mkdir()
    (runs / "20261126-080000-000000").mkdir()

    assert ["ffffff", "0a1b2c", "0b0b0b"] == [record.short_id for record in list_runs(runs)]
    assert [] == list_runs(runs, task="query")
    assert [] == list_runs(runs / "nowhere")


@pytest.mark.parametrize(
    ("name", "short_id"), [("last", "ffffff"), ("previous", "0a1b2c"), ("0b0b", "0b0b0b"), ("20261124", "0a1b2c")]
)
def test_run_is_found_by_position_id_or_prefix(runs: Path, name: str, short_id: str) -> None:
    """By ID, random part, or a prefix of either."""
    assert short_id == find_run(runs, name).short_id


@pytest.mark.parametrize(
    ("name", "task", "said"),
    [("0", None, "2 runs"), ("xyz", None, "no such run: xyz"), ("previous", "query", "no runs of query found")],
)
def test_ambiguous_or_unknown_run_is_error(runs: Path, name: str, task: str | None, said: str) -> None:
    """The hint has the command that lists the runs."""
    with pytest.raises(JournalError, match=said):
        find_run(runs, name, task=task)


def test_end_of_run_is_recorded(tmp_path: Path) -> None:
    """A run without an end was interrupted. Resuming a complete run changes its end only with a new result."""

    def ended() -> str:
        return read_record(tmp_path, RECORD.run_id).ended

    with Journal.start(tmp_path, RECORD) as journal:
        assert "" == ended()
        journal.end(NOW)
    assert NOW.isoformat() == ended()
    for results, later in (([], NOW), ([result("a")], NOW + timedelta(hours=2))):
        with Journal.resume(tmp_path, RECORD.run_id, fingerprint=RECORD.fingerprint) as resumed:
            for each in results:
                resumed.add(each)
            resumed.end(NOW + timedelta(hours=2))
        assert later.isoformat() == ended()


@pytest.mark.parametrize("body", ['{"version": 1}', "{", "[]"])
def test_damaged_record_is_error_with_file_name(tmp_path: Path, body: str) -> None:
    (recorded(tmp_path) / "run.json").write_text(body)

    with pytest.raises(JournalError, match=r"run\.json: the run's record cannot be read"):
        read_record(tmp_path, RECORD.run_id)


def test_invalid_complete_line_is_error_with_line_number(tmp_path: Path) -> None:
    """The file was edited, so it is not repaired."""
    with (recorded(tmp_path, result("a")) / "results.jsonl").open("a") as file:
        file.write("{}\n")

    with pytest.raises(JournalError, match=r"results\.jsonl:2: the line is not a valid result"):
        list(read_results(tmp_path, RECORD.run_id))


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022, 0o077, 0o777], ids=oct)
def test_results_are_owner_only(tmp_path: Path, umask: int) -> None:
    """Folders are 0700 and files 0600, with any umask."""
    runs = tmp_path / ".rolecall" / "runs"
    before = os.umask(umask)
    try:
        with Journal.start(runs, RECORD) as journal:
            journal.add(result("a"))
            journal.end(NOW)
        with Journal.resume(runs, RECORD.run_id, fingerprint="f00d") as journal:
            journal.add(result("b"))
    finally:
        os.umask(before)
    made = [tmp_path / ".rolecall", *(tmp_path / ".rolecall").rglob("*")]

    assert 5 == len(made)
    assert [] == [each for each in made if stat.S_IMODE(each.lstat().st_mode) != (0o700 if each.is_dir() else 0o600)]


def read_all(runs: Path) -> None:
    """Its record and its results."""
    list_runs(runs)
    list(read_results(runs, RECORD.run_id))


USES = [
    list_runs,
    lambda runs: find_run(runs, "last"),
    lambda runs: read_record(runs, RECORD.run_id),
    lambda runs: Journal.resume(runs, RECORD.run_id, fingerprint="f00d"),
]


@pytest.mark.parametrize("mode", [0o666, 0o620, 0o602], ids=oct)
@pytest.mark.parametrize("name", ["run.json", "results.jsonl", "."])
def test_run_writable_by_others_is_refused(tmp_path: Path, name: str, mode: int) -> None:
    """Another user could have changed its record or results. The error has path and hint."""
    folder = recorded(tmp_path, result("a"))
    (folder / name).chmod(mode | 0o100 * (name == "."))

    with pytest.raises(UnsafeRunError) as error:
        read_all(tmp_path)
    assert str(folder) in str(error.value.where)
    assert error.value.hint
    assert 5 == error.value.exit_code


@pytest.mark.parametrize("use", USES, ids=["list", "find", "record", "resume"])
def test_every_lookup_checks_permissions(tmp_path: Path, use: Callable[[Path], object]) -> None:
    """None ignores such a run like a damaged one."""
    (recorded(tmp_path, result("a")) / "run.json").chmod(0o666)

    with pytest.raises(UnsafeRunError):
        use(tmp_path)


@pytest.mark.parametrize("name", ["run.json", "results.jsonl"])
def test_symlink_in_run_folder_is_refused(tmp_path: Path, name: str) -> None:
    """Its target is not a file of the run."""
    folder = recorded(tmp_path, result("a"))
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(UnsafeRunError):
        read_all(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("name", ["run.json", "results.jsonl", "."])
def test_run_of_another_user_is_refused(tmp_path: Path, name: str) -> None:
    """In a shared folder such as /tmp."""
    folder = recorded(tmp_path, result("a"))
    os.chown(folder / name, 12345, -1)

    with pytest.raises(UnsafeRunError):
        read_all(tmp_path)


def test_run_readable_by_others_is_accepted(tmp_path: Path) -> None:
    """Earlier versions wrote 0755 and 0644: no other user could change them."""
    folder = recorded(tmp_path, result("a"))
    folder.chmod(0o755)
    for each in folder.iterdir():
        each.chmod(0o644)

    assert [RECORD] == list_runs(tmp_path)
    assert [result("a")] == list(read_results(tmp_path, RECORD.run_id))


def test_run_ids_sort_by_time_in_utc() -> None:
    """A local clock with an offset is converted to UTC."""
    local = datetime.fromisoformat("2026-11-24T20:15:00+01:00")

    assert "20261124-191500-0a1b2c" == new_run_id(local, lambda count: "0a1b2c" * (count == 3))


def fail(journal: Journal, error: Exception, *results: Result) -> None:
    """A run that ends with an error after these results."""
    with contextlib.suppress(type(error)), journal:
        for each in results:
            journal.add(each)
        raise error


def test_run_that_fails_before_first_result_is_removed(tmp_path: Path) -> None:
    """For example when the cluster is refused: there is nothing to resume."""
    fail(Journal.start(tmp_path, RECORD), RolecallError("refused"))

    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [RolecallError("lost"), InterruptedRunError("interrupted"), ValueError("a fault")])
def test_started_run_is_kept_after_any_error(tmp_path: Path, error: Exception) -> None:
    """Neither a run with a result, an existing run, nor an interrupted one is removed."""
    fail(Journal.start(tmp_path, RECORD), error, result("a"))
    fail(Journal.resume(tmp_path, RECORD.run_id, fingerprint="f00d"), error)
    fail(Journal.start(tmp_path, replace(RECORD, run_id="20261124-191500-0a1b2d")), InterruptedRunError("interrupted"))

    assert [1, 0] == [len(list(read_results(tmp_path, each))) for each in (RECORD.run_id, "20261124-191500-0a1b2d")]
    assert 2 == len(list_runs(tmp_path))
