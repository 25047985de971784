"""A run of plays is kept: the history has it, a cut run goes on where it was, those who did not end well are asked again."""

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
from rolecall_runner.execution.execution_options import ExecutionOptions
from rolecall_runner.execution.interface import Result
from rolecall_runner.execution.journal import list_runs, read_results
from rolecall_runner.plays.action_handlers import HandlerFactory
from rolecall_runner.plays.play_model import PlayError
from rolecall_runner.plays.play_runner import Runner
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
    """A folder with a manifest, a play and its script, a sandbox, and runs of one test alone."""

    def __init__(self, folder: Path, environ: dict[str, str], runs: Path) -> None:
        self.folder = folder
        self.runs = runs
        self._environ = environ
        for name in ("ran.txt", "cut", "down"):
            (folder / name).unlink(missing_ok=True)
        write(folder, hint__yaml=PLAY)

    def play(self, *arguments: str) -> Ended:
        """`runner play ARGUMENTS`, one account after the other."""
        more = ("--runs", str(self.runs), "--forks", "1")
        return run_play(*arguments, *more, cwd=self.folder, environ=self._environ)

    def ran(self) -> list[str]:
        """What the script did, sorted."""
        path = self.folder / "ran.txt"
        return sorted(path.read_text("utf-8").splitlines()) if path.exists() else []

    def touch(self, name: str) -> None:
        """Let something go wrong."""
        (self.folder / name).touch()

    def history(self) -> list[dict[str, Any]]:
        """What `runner history` says of the runs, the latest first."""
        done = runner("history", "--format", "json", "--runs", str(self.runs), cwd=self.folder)
        found: list[dict[str, Any]] = json.loads(done.out)
        return found

    def results(self) -> list[Result]:
        """All results of the latest run."""
        return list(read_results(self.runs, list_runs(self.runs)[0].run_id))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """A sandbox of three customers, and the environment in which it is asked."""
    names = ["one", "two", "three"]
    folder = write(tmp_path_factory.mktemp("kept"), accounts__yaml=manifest_text(names), marks__py=SCRIPT)
    with in_process_sandbox(folder / "accounts.yaml", folder / "output") as made:
        yield folder, actor_environment(made.sandbox, made.backend)


@pytest.fixture
def world(place: tuple[Path, dict[str, str]], tmp_path: Path) -> World:
    """The sandbox with no runs yet."""
    return World(*place, tmp_path / "runs")


def recap(out: str) -> list[str]:
    """The recap's lines."""
    return out.partition("PLAY RECAP")[2].splitlines()[1:]


def test_a_run_of_plays_is_in_the_history(world: World) -> None:
    """With the number of its accounts and how they came out; each task of each account is a line of its results."""
    done = world.play("hint.yaml")

    assert (0, WHOLE) == (done.code, world.ran())
    assert [("play", 3, {"ok": 3}, True)] == [
        (run["task"], run["total"], run["counts"], bool(run["ended"])) for run in world.history()
    ]
    tasks = ("First", "Second", "tell", "All were fixed")
    assert sorted((name, task) for name in ("one", "two", "three") for task in tasks) == sorted(
        (result.target, result.task) for result in world.results()
    )


def test_a_run_that_was_cut_goes_on_where_it_was(world: World) -> None:
    """Nothing that was done is done again, what was registered is known, handlers are told, and the recap is whole."""
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


def test_a_complete_run_does_nothing_when_it_is_resumed(world: World) -> None:
    """Its output comes again; no account is asked."""
    first = world.play("hint.yaml", "--format", "json")
    again = world.play("--resume", "last", "--format", "json")

    assert (0, WHOLE) == (again.code, world.ran())
    assert json.loads(first.out) == json.loads(again.out)


def test_a_retry_plays_for_those_who_failed(world: World) -> None:
    """In a run of its own, from the first task on; who ended well is left alone."""
    world.touch("down")
    failed = world.play("hint.yaml")
    (world.folder / "down").unlink()
    (world.folder / "ran.txt").unlink()
    done = world.play("--retry", "last")

    assert (1, 0) == (failed.code, done.code)
    assert ["two first", "two first of two", "two told"] == world.ran()
    assert [(1, {"ok": 1}), (3, {"ok": 2, "failed": 1})] == [(run["total"], run["counts"]) for run in world.history()]
    assert "all of its accounts succeeded" in world.play("--retry", "last").err


def test_an_ignored_failure_is_none_of_the_account(world: World) -> None:
    """It is kept with its error, but no one needs to be asked again for it."""
    world.touch("down")
    write(world.folder, hint__yaml="- hosts: all\n  tasks:\n    - {name: Try, script: marks.py:mark, ignore_errors: true}\n")
    done = world.play("hint.yaml", "--format", "json")
    again = world.play("--resume", "last", "--format", "json")

    assert 0 == done.code
    assert [{"ok": 3}] == [run["counts"] for run in world.history()]
    assert {"one": "", "two": "ValueError: down", "three": ""} == {result.target: result.error for result in world.results()}
    assert json.loads(done.out) == json.loads(again.out)
    assert 1 == json.loads(again.out)["stats"]["two"]["ignored"]


def test_a_play_that_has_changed_cannot_be_gone_on_with(world: World) -> None:
    """What was done belongs to another play; a retry takes the file as it is."""
    world.play("hint.yaml")
    write(world.folder, hint__yaml=PLAY.replace("Second", "Other"))
    done = world.play("--resume", "last")

    assert int(ExitCode.OUTPUT) == done.code
    assert "hint.yaml: the play file has changed since run" in " ".join(done.err.split())


def test_a_secret_is_not_kept_and_a_run_that_needs_it_cannot_go_on(world: World) -> None:
    """The run's folder has no password; a later task would get a wrong one, so it is said."""
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
def test_what_cannot_be_meant_is_a_slip(world: World, arguments: tuple[str, ...], said: str) -> None:
    """A run to go on with says by itself what is played; nothing is asked and no folder made."""
    done = world.play(*arguments)

    assert int(ExitCode.USAGE) == done.code
    assert said in " ".join(done.err.split())
    assert not world.runs.exists()


@pytest.mark.parametrize("engine", ["processes", "dask"])
def test_plays_run_in_one_process(world: World, engine: str) -> None:
    """Variables, conditions and scripts of a play live in one process: other engines are refused."""
    fleet = Fleet(world.folder / "accounts.yaml", out=world.folder / "output", execution=ExecutionOptions(engine))

    with pytest.raises(PlayError, match="plays require an engine with one process"):
        list(Runner(fleet, HandlerFactory(fleet, world.folder, {})).run(()))


def test_a_run_that_nobody_can_start_leaves_nothing(world: World) -> None:
    """Without credentials the command ends before there is a folder."""
    done = run_play("hint.yaml", "--runs", str(world.runs), cwd=world.folder)

    assert int(ExitCode.CALLER) == done.code
    assert not world.runs.exists()


def test_sql_sees_what_tasks_came_to(world: World) -> None:
    """A row for each task in each account, with what was registered as JSON; the run is among the runs."""
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
