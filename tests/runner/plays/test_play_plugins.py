"""Third-party tasks by entry point, and functions that cannot be loaded."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from play_rig import run_play, write
from query_rig import manifest_text
from rolecall_runner.plays.play_file import installed_tasks, load_factory, load_function
from rolecall_runner.plays.play_model import PlayError
from rolecall_runner.sandbox.provisioning.seed import actor_environment, in_process_sandbox

CODE = """
from rolecall_runner.execution.interface import Outcome

class Count:
    name = "acme.count"

    def __init__(self, arguments):
        self.arguments = arguments

    def __call__(self, target):
        return Outcome(data={"changed": True, "account": target.name, **self.arguments})

def owners(arguments):
    def ask(session, account):
        vpcs = session.client("ec2").describe_vpcs()["Vpcs"]
        return sorted({vpc["OwnerId"] for vpc in vpcs})[: arguments["most"]]
    return ask

broken = 7
"""
POINTS = """
[rolecall.tasks]
acme.count = acme_tasks:Count
acme.owners = acme_tasks:owners
acme.broken = acme_tasks:broken
acme.gone = acme_gone:task
"""
PLAY = """
- hosts: all
  tasks:
    - acme.count: {depth: "{{ name }}!"}
      register: counted
    - acme.owners: {most: 1}
      register: owned
    - assert:
        that:
          - counted.changed and counted.data.depth == name ~ '!'
          - owned.data == [account_id]
"""


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A third-party distribution on sys.path."""
    site = tmp_path / "site"
    info = site / "acme_tasks-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-tasks\nVersion: 1.0\n", "utf-8")
    (info / "entry_points.txt").write_text(POINTS, "utf-8")
    (site / "acme_tasks.py").write_text(CODE, "utf-8")
    monkeypatch.syspath_prepend(str(site))
    yield tmp_path
    sys.modules.pop("acme_tasks", None)


def test_third_party_task_runs_by_name(acme: Path) -> None:
    """A factory returns a Task, or a function of session and account; arguments are rendered per account."""
    write(acme, accounts__yaml=manifest_text(["one", "two"]), play__yaml=PLAY)

    with in_process_sandbox(acme / "accounts.yaml", acme / "output") as world:
        environ = actor_environment(world.sandbox, world.backend)
        done = run_play("play.yaml", cwd=acme, environ=environ)
        checked = run_play("play.yaml", "--check", "--limit", "one", cwd=acme, environ=environ)

    assert 0 == done.code, done.out + done.err
    assert 2 == done.out.count("ok=3   changed=1")
    assert 2 == checked.out.count("not run in check mode")


def test_installed_tasks_are_listed_without_import(acme: Path) -> None:
    """Names come from the metadata of the distribution."""
    assert acme.exists()
    assert {"acme.count", "acme.owners", "acme.broken", "acme.gone"} <= set(installed_tasks())
    assert "acme_tasks" not in sys.modules


@pytest.mark.parametrize(
    ("name", "words"), [("acme.broken", "is not callable"), ("acme.gone", "cannot be loaded: ModuleNotFoundError")]
)
def test_broken_third_party_task_is_error_before_the_run(acme: Path, name: str, words: str) -> None:
    """With the name of the task and a hint."""
    assert acme.exists()
    with pytest.raises(PlayError, match=words) as raised:
        load_factory(installed_tasks()[name])

    assert raised.value.hint


def test_functions_are_loaded_from_modules_and_files(tmp_path: Path) -> None:
    """`module:function`, and `file.py:function` relative to the play."""
    write(tmp_path, own__py="def f(session, account):\n    return 7\n")

    assert 7 == load_function("own.py:f", tmp_path)(None, None)
    assert "{}" == load_function("json:dumps", tmp_path)({})


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("no_such_module_here:f", "ModuleNotFoundError"),
        ("json:no_such_function", "AttributeError"),
        ("json:__name__", "is not callable"),
        ("raises.py:f", "ZeroDivisionError"),
    ],
)
def test_function_that_cannot_be_loaded_is_error_with_hint(tmp_path: Path, function: str, words: str) -> None:
    """For any exception during the import."""
    write(tmp_path, raises__py="1 / 0\ndef f(session, account): ...\n")

    with pytest.raises(PlayError, match=words) as raised:
        load_function(function, tmp_path)

    assert raised.value.hint
