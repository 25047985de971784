"""Runs of plays are recorded: they are in the history, resume after an interruption, and can be retried."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from command_rig import Ended, runner
from play_rig import run_play, write
from query_rig import manifest_text
from rolecall_generator.errors import ExitCode
from rolecall_runner.api import Fleet
from rolecall_runner.execution.interface import ExecutionOptions, Result
from rolecall_runner.execution.journal import list_runs, read_results
from rolecall_runner.plays.play_model import PlayError
from rolecall_runner.plays.play_runner import HandlerFactory, Runner
from rolecall_runner.plays.play_session import PlaySpec, RunFolder
from rolecall_runner.sandbox.provisioning.seed import actor_environment, in_process_sandbox

SCRIPT = """
import os
import signal
from pathlib import Path

HERE = Path(__file__).parent

def mark(session, account, text="x"):
    with (HERE / "ran.txt").open("a") as file:
        file.write(f"{account.name} {text}\\n")
    if (HERE / "cut").exists() and account.name == "two":
        (HERE / "cut").unlink()
        os.kill(os.getpid(), signal.SIGINT)
    if (HERE / "down").exists() and account.name == "two":
        raise ValueError("down")
    return {"changed": True, "text": f"{text} of {account.name}"}

def secret(session, account):
    mark(session, account)
    return {"password": "hunter2"}
"""
PLAY = """
- name: Hint
  hosts: all
  serial: [2, 1]
  tasks:
    - {name: First, script: {function: "marks.py:mark", arguments: {text: first}}, register: first, notify: [tell]}
    - {name: Second, script: {function: "marks.py:mark", arguments: {text: "{{ first.data.text }}"}}}
  handlers:
    - {name: tell, script: {function: "marks.py:mark", arguments: {text: told}}}
- name: Look
  hosts: all
  tasks:
    - {name: All were fixed, assert: {that: "first.data.text == 'first of ' ~ name"}}
"""
WHOLE = sorted(f"{name} {text}" for name in ("one", "two", "three") for text in ("first", f"first of {name}", "told"))


class World:
    """A folder with a manifest, a play and its script, a sandbox, and the runs of one test."""

    def __init__(self, folder: Path, environ: dict[str, str], runs: Path) -> None:
        self.folder = folder
        self.runs = runs
        self._environ = environ
        for name in ("ran.txt", "cut", "down"):
            (folder / name).unlink(missing_ok=True)
        write(folder, hint__yaml=PLAY)

    def play(self, *arguments: str) -> Ended:
        """`runner play ARGUMENTS` with one account at a time."""
        more = ("--runs", str(self.runs), "--forks", "1")
        return run_play(*arguments, *more, cwd=self.folder, environ=self._environ)

    def ran(self) -> list[str]:
        """The sorted output of the script."""
        path = self.folder / "ran.txt"
        return sorted(path.read_text("utf-8").splitlines()) if path.exists() else []

    def touch(self, name: str) -> None:
        """Create a marker file that changes what the script does."""
        (self.folder / name).touch()

    def history(self) -> list[dict[str, Any]]:
        """The runs in the output of `runner history`, latest first."""
        done = runner("history", "--format", "json", "--runs", str(self.runs), cwd=self.folder)
        found: list[dict[str, Any]] = json.loads(done.out)
        return found

    def results(self) -> list[Result]:
        """All results of the latest run."""
        return list(read_results(self.runs, list_runs(self.runs)[0].run_id))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """A sandbox of three customers, and the environment to use it."""
    names = ["one", "two", "three"]
    folder = write(tmp_path_factory.mktemp("kept"), accounts__yaml=manifest_text(names), marks__py=SCRIPT)
    with in_process_sandbox(folder / "accounts.yaml", folder / "output") as made:
        yield folder, actor_environment(made.sandbox, made.backend)


@pytest.fixture
def world(place: tuple[Path, dict[str, str]], tmp_path: Path) -> World:
    """The sandbox without runs."""
    return World(*place, tmp_path / "runs")


def recap(out: str) -> list[str]:
    """The lines of the recap."""
    return out.partition("PLAY RECAP")[2].splitlines()[1:]


def test_run_is_in_the_history(world: World) -> None:
    """With the number of accounts and their results; each task of each account is one line of results."""
    done = world.play("hint.yaml")

    assert (0, WHOLE) == (done.code, world.ran())
    assert [("play", 3, {"ok": 3}, True)] == [
        (run["task"], run["total"], run["counts"], bool(run["ended"])) for run in world.history()
    ]
    tasks = ("First", "Second", "tell", "All were fixed")
    assert sorted((name, task) for name in ("one", "two", "three") for task in tasks) == sorted(
        (result.target, result.task) for result in world.results()
    )


def test_interrupted_run_resumes_at_next_task(world: World) -> None:
    """Finished tasks are not run again, registered results are kept, handlers are notified, and the recap is complete."""
    whole = recap(world.play("hint.yaml").out)
    (world.folder / "ran.txt").unlink()
    world.touch("cut")
    cut = world.play("hint.yaml", "--timeout", "60")
    state = world.history()[0]
    resumed = world.play("--resume", "last")

    assert (130, "") == (cut.code, state["ended"])
    assert f"runner play --resume {state['run_id']} --forks 1 --timeout 60 --runs {world.runs}" in " ".join(cut.err.split())
    assert len(cut.out) < len(resumed.out)
    assert (0, whole, WHOLE) == (resumed.code, recap(resumed.out), world.ran())
    assert [(state["run_id"], True)] == [(run["run_id"], bool(run["ended"])) for run in world.history()[:1]]


def test_resumed_complete_run_only_prints_its_output(world: World) -> None:
    """No account is called."""
    first = world.play("hint.yaml", "--format", "json")
    again = world.play("--resume", "last", "--format", "json")

    assert (0, WHOLE) == (again.code, world.ran())
    assert json.loads(first.out) == json.loads(again.out)


def test_retry_runs_for_failed_accounts(world: World) -> None:
    """In a new run, from the first task on."""
    world.touch("down")
    failed = world.play("hint.yaml")
    (world.folder / "down").unlink()
    (world.folder / "ran.txt").unlink()
    done = world.play("--retry", "last")

    assert (1, 0) == (failed.code, done.code)
    assert ["two first", "two first of two", "two told"] == world.ran()
    assert [(1, {"ok": 1}), (3, {"ok": 2, "failed": 1})] == [(run["total"], run["counts"]) for run in world.history()]
    assert "all of its accounts succeeded" in world.play("--retry", "last").err


def test_ignored_failure_does_not_fail_the_account(world: World) -> None:
    """It is recorded with its error, but not retried."""
    world.touch("down")
    write(world.folder, hint__yaml="- hosts: all\n  tasks:\n    - {name: Try, script: marks.py:mark, ignore_errors: true}\n")
    done = world.play("hint.yaml", "--format", "json")
    again = world.play("--resume", "last", "--format", "json")

    assert 0 == done.code
    assert [{"ok": 3}] == [run["counts"] for run in world.history()]
    assert {"one": "", "two": "ValueError: down", "three": ""} == {result.target: result.error for result in world.results()}
    assert json.loads(done.out) == json.loads(again.out)
    assert 1 == json.loads(again.out)["stats"]["two"]["ignored"]


def test_changed_play_cannot_be_resumed(world: World) -> None:
    """Finished tasks belong to another play; a retry uses the current file."""
    world.play("hint.yaml")
    write(world.folder, hint__yaml=PLAY.replace("Second", "Other"))
    done = world.play("--resume", "last")

    assert int(ExitCode.OUTPUT) == done.code
    assert "hint.yaml: the play file has changed since run" in " ".join(done.err.split())


def test_secret_is_not_recorded_and_run_needing_it_cannot_resume(world: World) -> None:
    """A later task would get a wrong value, so resuming is an error."""
    write(
        world.folder,
        hint__yaml="- hosts: all\n  tasks:\n    - {name: Make, script: marks.py:secret, register: made}\n"
        "    - {name: Use, assert: {that: made.data.password == 'hunter2'}}\n",
    )
    world.touch("cut")
    cut = world.play("hint.yaml")
    kept = "".join(path.read_text("utf-8") for path in world.runs.rglob("*") if path.is_file())
    done = world.play("--resume", "last")

    assert (130, int(ExitCode.OUTPUT)) == (cut.code, done.code)
    assert "hunter2" not in kept
    assert "(hidden)" in kept
    assert re.search(r"task 'Make' registered a secret for one, which run \S+ does not store", " ".join(done.err.split()))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "no play file given"),
        (("hint.yaml", "--resume", "last"), "--resume repeats the play of run last"),
        (("--resume", "last", "--limit", "one"), "--resume repeats the play of run last"),
        (("--resume", "last", "--retry", "last"), "--resume repeats the play of run last"),
        (("--retry", "last", "--check"), "--retry repeats the play of run last"),
        (("--retry", "last"), "no runs of play found"),
    ],
)
def test_conflicting_arguments_are_usage_errors(world: World, arguments: tuple[str, ...], said: str) -> None:
    """A resumed run already determines the play; no call is made and no folder is created."""
    done = world.play(*arguments)

    assert int(ExitCode.USAGE) == done.code
    assert said in " ".join(done.err.split())
    assert not world.runs.exists()


@pytest.mark.parametrize("engine", ["processes", "dask"])
def test_other_engines_are_usage_errors(world: World, engine: str) -> None:
    """Variables, conditions and scripts of a play share one process."""
    fleet = Fleet(world.folder / "accounts.yaml", out=world.folder / "output", execution=ExecutionOptions(engine))

    record = RunFolder(PlaySpec(Path("hint.yaml"), ""), "20261124-191500-0a1b2c")

    with pytest.raises(PlayError, match="plays require an engine with one process"):
        list(Runner(fleet, HandlerFactory(fleet, world.folder, {}), record=record).run(()))


def test_run_without_credentials_creates_no_folder(world: World) -> None:
    done = run_play("hint.yaml", "--runs", str(world.runs), cwd=world.folder)

    assert int(ExitCode.CALLER) == done.code
    assert not world.runs.exists()


def test_task_results_are_a_sql_table(world: World) -> None:
    """One row per task and account, with registered results as JSON; the run is in `runs`."""
    world.play("hint.yaml", "--limit", "one")
    asked = (
        "select r.query, p.account, p.account_id, p.step, p.task, p.status, p.registered->>'$.data.text' as text "
        "from play_results p join runs r using (run_id) order by step"
    )
    done = runner("sql", asked, "--format", "json", "--runs", str(world.runs), cwd=world.folder)

    assert 0 == done.code, done.err
    assert [
        ("hint.yaml", "one", "0.handlers.0", "tell", "changed", "told of one"),
        ("hint.yaml", "one", "0.tasks.0", "First", "changed", "first of one"),
        ("hint.yaml", "one", "0.tasks.1", "Second", "changed", "first of one of one"),
        ("hint.yaml", "one", "1.tasks.0", "All were fixed", "ok", None),
    ] == [
        tuple(row[name] for name in ("query", "account", "step", "task", "status", "text"))
        for row in json.loads(done.out)["rows"]
    ]
    assert all(re.fullmatch(r"\d{12}", row["account_id"]) for row in json.loads(done.out)["rows"])
