"""`runner play` over a sandbox of a few customers: output, recap, exit codes, skipped tasks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from play_rig import run_play, write
from query_rig import manifest_text
from rolecall_runner.sandbox.provisioning.seed import actor_environment, in_process_sandbox

CHECKS = """
import json
from pathlib import Path

def mark(session, account, text="x"):
    with (Path(__file__).parent / "ran.txt").open("a") as file:
        file.write(f"{account.name} {text}\\n")
    return {"changed": text == "y", "text": text}

def vpcs(session, account):
    pages = session.client("ec2").get_paginator("describe_vpcs").paginate()
    return [vpc["VpcId"] for page in pages for vpc in page["Vpcs"]]

def secret(session, account):
    raise ValueError("aws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")

def show(session, account):
    return {"aws_secret_access_key": "hunter2", "text": "token AKIAIOSFODNN7EXAMPLE"}
"""
AUDIT = """
- name: Look
  hosts: all
  vars:
    wanted: 1
    twice: "{{ wanted * 2 }}"
  tasks:
    - name: List networks
      query:
        service: ec2
        operation: describe_vpcs
        parameters: {Filters: [{Name: owner-id, Values: ["{{ account_id }}"]}]}
        select: "Vpcs[].{vpc: VpcId, owner: OwnerId}"
      register: found
      ignore_errors: true
      tags: [inventory]
    - name: Only gold ones
      assert:
        that:
          - found.rows | length == twice
          - found.rows | map(attribute='owner') | unique | list == [account_id]
        success_msg: "{{ name }} has {{ found.rows | length }}"
      when: labels.tier == 'gold'
    - name: Count by hand
      script: checks.py:vpcs
      register: hand
      changed_when: result.data | length > 0
      notify: [tell]
      when: not found.failed
  handlers:
    - name: tell
      assert:
        that: hand.data == found.rows | selectattr('region', 'equalto', regions[0]) | map(attribute='vpc') | list
        success_msg: the same
"""
PICKY = """
- hosts: all
  {}
  tasks:
    - assert: {{that: name != 'one'}}
    - script: checks.py:mark
"""


class World(NamedTuple):
    """A folder with a manifest and a script, and the environment of a sandbox with its customers."""

    folder: Path
    environ: dict[str, str]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A sandbox with two customers that may read and one that may not."""
    names = ["one", "two", "denied"]
    folder = write(tmp_path_factory.mktemp("play"), accounts__yaml=manifest_text(names), checks__py=CHECKS)
    with in_process_sandbox(folder / "accounts.yaml", folder / "output") as made:
        yield World(folder, actor_environment(made.sandbox, made.backend))


def play_of(world: World, text: str, *arguments: str) -> tuple[int, str, str]:
    """Run a play over the sandbox."""
    write(world.folder, play__yaml=text)
    (world.folder / "ran.txt").unlink(missing_ok=True)
    done = run_play("play.yaml", *arguments, cwd=world.folder, environ=world.environ)
    return done.code, done.out, done.err


def ran(world: World) -> list[str]:
    """The output of the script `mark`, sorted, since accounts run concurrently."""
    path = world.folder / "ran.txt"
    return sorted(path.read_text("utf-8").splitlines()) if path.exists() else []


def recap_of(out: str) -> dict[str, str]:
    """The lines of the recap by account, without zeros."""
    lines = out.partition("PLAY RECAP")[2].splitlines()[1:]
    return {line.partition(":")[0].strip(): " ".join(re.findall(r"\w+=[1-9]\d*", line.partition(":")[2])) for line in lines}


def test_output_resembles_ansible(world: World) -> None:
    """Tasks, one line per account, a handler, the recap; a denied account fails, and is ignored where configured."""
    code, out, err = play_of(world, AUDIT, "--forks", "1")

    assert (0, "") == (code, err)
    assert [
        "", "PLAY [Look] " + "*" * 67, "", "TASK [List networks] " + "*" * 58, "ok: [one] => 2 rows", "ok: [two] => 2 rows",
    ] == out.splitlines()[:6]  # fmt: skip
    assert "failed: [denied]: FAILED! => us-east-1: An error occurred (UnauthorizedOperation)" in out
    assert "...ignoring" in out
    assert ["ok: [two] => two has 2"] == re.findall(r"ok: \[.*has.*", out)
    assert "skipping: [one] => (when: labels.tier == 'gold')" in out
    assert "RUNNING HANDLER [tell] " in out
    assert {
        "one": "ok=3 changed=1 skipped=1", "two": "ok=4 changed=1", "denied": "skipped=2 ignored=1",
    } == recap_of(out)  # fmt: skip


def test_json_output_has_plays_tasks_and_hosts(world: World) -> None:
    code, out, _ = play_of(world, AUDIT, "--format", "json", "--limit", "one")
    body = json.loads(out)

    tasks = body["plays"][0]["tasks"]
    assert 0 == code
    assert ["List networks", "Only gold ones", "Count by hand", "tell"] == [task["name"] for task in tasks]
    assert {"region", "vpc", "owner"} == set(tasks[0]["hosts"]["one"]["rows"][0])
    assert (3, 1) == (body["stats"]["one"]["ok"], body["stats"]["one"]["changed"])


def test_failed_account_is_removed_from_the_play(world: World) -> None:
    """The others continue; the exit code reports the failure."""
    text = """
- hosts: all
  tasks:
    - query: {service: ec2, operation: describe_vpcs}
    - script: checks.py:mark
- hosts: all
  tasks:
    - script: {function: "checks.py:mark", arguments: {text: "{{ name }}!"}}
"""
    code, out, _ = play_of(world, text)

    assert (1, ["one one!", "one x", "two two!", "two x"]) == (code, ran(world))
    assert "failed=1" == recap_of(out)["denied"]


def test_check_mode_skips_scripts_and_write_queries(world: World) -> None:
    text = """
- hosts: one
  tasks:
    - query: {service: ec2, operation: describe_vpcs}
    - script: checks.py:mark
    - query: {service: ec2, operation: create_vpc, parameters: {CidrBlock: 10.0.0.0/16}, allow_write: true}
    - assert: {that: check_mode}
"""
    code, out, _ = play_of(world, text, "--check")

    assert (0, []) == (code, ran(world))
    assert {"one": "ok=2 skipped=2"} == recap_of(out)
    assert "skipping: [one] => (not run in check mode)" in out


def test_write_query_requires_task_key_and_option(world: World) -> None:
    """With `allow_write` only in the task, no call is made, and there is a hint."""
    text = """
- hosts: one
  tasks:
    - query: {service: ec2, operation: create_vpc, parameters: {CidrBlock: 10.0.0.0/16}, allow_write: true}
"""
    code, out, err = play_of(world, text)
    allowed, recap, _ = play_of(world, text, "--allow-write")

    assert (2, "", True) == (code, out, "play.yaml:4:7" in err and "--allow-write" in err)
    assert (1, {"one": "failed=1"}) == (allowed, recap_of(recap))  # the customer's role may not


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--tags", "a"), ["one a", "one always"]),
        (("--skip-tags", "a"), ["one always", "one plain"]),
        (("--tags", "never"), ["one always", "one never"]),
        (("--start-at-task", "pl*"), ["one plain"]),
        ((), ["one a", "one always", "one plain"]),
    ],
)
def test_tags_and_start_at_task_select_tasks(world: World, arguments: tuple[str, ...], expected: list[str]) -> None:
    """The same tasks as in Ansible."""
    script = "script: {{function: 'checks.py:mark', arguments: {{text: {0}}}}}"
    task = f"    - name: {{0}}\n      tags: [{{1}}]\n      {script}\n"
    pairs = (("never", "never"), ("always", "always"), ("a", "a"), ("plain", ""))
    tasks = "".join(task.format(*pair) for pair in pairs)
    code, _, err = play_of(world, f"- hosts: one\n  tasks:\n{tasks}", *arguments)

    assert (0, expected) == (code, ran(world)), err


def test_loop_runs_once_per_item(world: World) -> None:
    """`item` is the current entry, `results` has all, and one changed entry makes the task changed."""
    text = """
- hosts: one
  tasks:
    - script: {function: "checks.py:mark", arguments: {text: "{{ item }}"}}
      loop: "{{ ['x', 'y', name] }}"
      when: item != 'x'
      register: each
    - assert:
        that:
          - each.changed
          - each.results | map(attribute='skipped') | list == [true, false, false]
          - each.results | map(attribute='item') | list == ['x', 'y', 'one']
"""
    code, out, err = play_of(world, text)

    assert (0, ["one one", "one y"], {"one": "ok=2 changed=1"}) == (code, ran(world), recap_of(out)), err


@pytest.mark.parametrize(
    ("head", "expected", "words"),
    [
        ("serial: [1]", [], "NO MORE ACCOUNTS LEFT: every account of the batch failed"),
        ("serial: [3]", ["denied x", "two x"], ""),
        # One of three is more than 30 %, and less than 40 %.
        ("max_fail_percentage: 30", [], "33 % of the batch failed, more than max_fail_percentage: 30"),
        ("max_fail_percentage: 40", ["denied x", "two x"], ""),
    ],
)
def test_failed_batch_ends_the_play(world: World, head: str, expected: list[str], words: str) -> None:
    """The second batch does not start if all of the first failed, nor does the next task if too many failed."""
    code, out, _ = play_of(world, PICKY.format(head))

    assert (1, expected, True) == (code, ran(world), words in out)


def test_until_retries_the_task(world: World) -> None:
    """A script that never meets the condition is called once plus `retries` times."""
    text = """
- hosts: one
  tasks:
    - script: checks.py:mark
      register: got
      until: got.data.text == 'z'
      retries: 2
      delay: 0
"""
    code, out, _ = play_of(world, text)

    assert (1, ["one x"] * 3) == (code, ran(world))
    assert "conditions not met after 3 attempts: got.data.text == 'z'" in out


def test_undefined_variable_is_error_with_name(world: World) -> None:
    """For example a result that was not registered since tags skipped its task."""
    text = """
- hosts: one
  tasks:
    - script: checks.py:mark
      register: got
      tags: [some]
    - assert: {that: got.data.text == 'x'}
    - assert: {that: got.data.nothing == 'x'}
"""
    _, out, _ = play_of(world, text, "--skip-tags", "some")
    _, other, _ = play_of(world, text)

    assert "fatal: [one]: FAILED! => {{ got.data.text == 'x' }}: 'got' is undefined" in out
    assert "has no attribute 'nothing'" in other


@pytest.mark.parametrize("form", ["table", "json"])
@pytest.mark.parametrize("function", ["secret", "show"])
def test_output_contains_no_secret(world: World, form: str, function: str) -> None:
    _, out, err = play_of(world, f"- hosts: one\n  tasks:\n    - script: checks.py:{function}\n", "--format", form)

    assert [] == [word for word in ("wJalrXUtnFEMI", "hunter2", "AKIAIOSFODNN7EXAMPLE") if word in out + err]
    assert "(hidden)" in out


def test_list_options_run_nothing(world: World) -> None:
    """Tasks, tags and accounts are listed without credentials or a sandbox."""
    write(world.folder, play__yaml=AUDIT)
    done = run_play("play.yaml", "--list-tasks", "--list-hosts", "--limit", "one", cwd=world.folder)
    body = json.loads(run_play("play.yaml", "--list-tasks", "--format", "json", cwd=world.folder).out)

    assert [
        "play #1 (Look): all", "  hosts (1):", "    one", "  tasks:", "    List networks    TAGS: [inventory]",
    ] == done.out.splitlines()[:5]  # fmt: skip
    assert {"name": "Only gold ones", "tags": []} == body[0]["tasks"][1]


@pytest.mark.parametrize(
    ("text", "arguments", "code", "words"),
    [
        (AUDIT, ("--limit", "onne"), 2, "did you mean one?"),
        (AUDIT, ("--tags", "inventry"), 2, "write inventory"),
        (AUDIT, ("--start-at-task", "List network"), 2, "write List networks"),
        (AUDIT, ("--manifest", "none.yaml"), 3, "none.yaml:1:1: "),
        ("- hosts: onne\n  tasks: []\n", (), 2, "play.yaml:1:3: hosts: onne selects no account\n  hint: did you mean one?"),
    ],
)
def test_usage_error_has_exit_code_and_hint(
    world: World, text: str, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """An invalid hosts pattern is reported with its location in the file."""
    ended, _, err = play_of(world, text, *arguments)

    assert (code, True, True) == (ended, words in err, "hint: " in err), err


def test_variables_are_evaluated_lazily(world: World) -> None:
    """One may refer to a later result; an unused one may be undefined."""
    text = """
- hosts: one
  vars:
    unused: "{{ labels.nothing }}"
    said: "{{ got.data.text }}"
    whole: "{{ said }}!"
  tasks:
    - script: checks.py:mark
      register: got
    - assert: {that: whole == 'x!'}
"""
    code, out, _ = play_of(world, text)

    assert (0, {"one": "ok=2"}) == (code, recap_of(out)), out
