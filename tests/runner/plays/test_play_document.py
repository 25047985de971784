"""Errors in a play file are reported with line, column and hint before anything is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from rolecall_runner.plays.play_file import load_plays, parse_plays
from rolecall_runner.plays.play_model import PlayFileError

HEAD = "- hosts: all\n  tasks:\n"
MARK = "§"
"""The location of the error in the content of a play."""


def task(*lines: str) -> str:
    """A play with one task."""
    return HEAD + "    - " + "\n      ".join(lines) + "\n"


def play(*lines: str) -> str:
    """A play without tasks, with these lines."""
    return "- hosts: all\n  " + "\n  ".join(lines) + "\n  tasks: []\n"


BAD = {
    "empty": ("§", "the file is empty", "- hosts: all"),
    "only a comment": ("§# later\n", "the file is empty", "gen init"),
    "no list": ("§hosts: all\ntasks: []\n", "a play file must contain a list", "- hosts: all"),
    "no mapping": ("- §all\n", "a play must be a mapping", "- hosts: all"),
    "not YAML": ("- hosts: §[all\n", "not YAML", "close the bracket"),
    "a tab": ("- hosts: all\n§\ttasks: []\n", "not YAML", "indent with spaces"),
    "a key twice": (play("§hosts: all"), "duplicate key hosts", "keep one"),
    "unknown key of a play": (play("§task: []"), "task is not a valid key of a play", "write tasks"),
    "what Ansible has beyond": (
        play("§gather_facts: no"),
        "gather_facts is not a valid key of a play",
        "remove it; valid keys",
    ),
    "no hosts": ("- §name: x\n  tasks: []\n", "a play has no key hosts", "add hosts: all"),
    "no tasks": ("- §hosts: all\n", "a play has no key tasks", "add tasks:"),
    "hosts of no text": ("- hosts: §{a: b}\n  tasks: []\n", "hosts of a play is not a string", "use a string"),
    "tasks of no list": ("- hosts: all\n  tasks: §{}\n", "tasks of a play is not a list", "start each item"),
    "a task of no mapping": (HEAD + "    - §verify\n", "an item of tasks is not a mapping", "start it with `- name: ...`"),
    "serial of 0": (play("serial: §0"), "serial 0 is not a batch size", "an integer from 1"),
    "serial of 200%": (play("serial: [1, §200%]"), "serial '200%'", "a percentage"),
    "serial of words": (play("serial: §few"), "serial 'few'", "a percentage"),
    "serial of nothing": (play("serial: §[]"), "serial is an empty list", "use a number"),
    "too large a share may fail": (play("max_fail_percentage: §101"), "is not a number from 0 to 100", "from 0 to 100"),
    "a share of words": (play("max_fail_percentage: §x"), "is not a number", "from 0 to 100"),
    "tags of no texts": (play("tags: §{a: b}"), "tags of a play is not a list", "[one, two]"),
    "vars of no mapping": (play("vars: §[a]"), "vars of a play is not a mapping", "KEY: VALUE"),
    "a variable over an account's own": (play("vars: {§name: x}"), "the variable name name is reserved", "use another name"),
    "a variable that is no name": (
        play("vars: {§a-b: x}"),
        "the variable name a-b is not a valid identifier",
        "letters, digits and _",
    ),
    "a variable before its own": (play("vars:", '  one: §"{{ two }}"', "  two: 2"), "two is undefined", "defined variables"),
    "a task that does nothing": (task("§name: x"), 'the task "x" has no action', "add one of query, verify"),
    "a task that does two things": (
        task("§verify:", "assert: {that: 'true'}"),
        "has several actions: verify, assert",
        "use one task per action",
    ),
    "unknown key of a task": (task("verify:", "§wen: 'true'"), "wen is not a valid key of a task", "write when"),
    "unknown module": (task("§shell: ls"), "shell is not a valid key of a task", "remove it; valid keys"),
    "a name of no text": (task("name: §[x]", "verify:"), "is not a string", "use a string"),
    "when with braces": (task("verify:", 'when: §"{{ name }}"'), "expressions have no {{ }} here", "remove"),
    "when of no expression": (task("verify:", "when: §name =="), "is not a valid expression", "see the Jinja documentation"),
    "when of a mapping": (task("verify:", "when: §{a: b}"), "when of a task is not an expression", "found.rows"),
    "the second of two conditions": (
        task("verify:", "when:", "  - name == 'a'", "  - §naem == 'b'"),
        "naem is undefined",
        "write name",
    ),
    "an unknown filter": (task("verify:", "when: §name | uper == 'A'"), "No filter named 'uper'", "filters and tests"),
    "a statement in a text": (
        task("assert:", "  that: 'true'", '  fail_msg: §"{% if x %}y{% endif %}"'),
        "contains a statement",
        "use only {{",
    ),
    "an open brace": (
        task("assert:", "  that: 'true'", '  fail_msg: §"{{ name"'),
        "is not a valid expression",
        "see the Jinja",
    ),
    "item without a loop": (task("verify:", "when: §item == 1"), "item is defined only in a loop", "add loop:"),
    "result too early": (task("verify:", "when: §result.failed"), "result is undefined", "defined variables"),
    "a result of a later task": (
        HEAD + "    - verify:\n      when: §found.failed\n    - verify:\n      register: found\n",
        "found is undefined",
        "register it in an earlier task",
    ),
    "a loop of no list": (task("verify:", "loop: §few"), "loop of a task is not a list", "use a list"),
    "an unknown name in a loop": (task("verify:", 'loop: §"{{ naem }}"'), "naem is undefined", "write name"),
    "register of no name": (
        task("verify:", "register: §my-result"),
        "'my-result' is reserved or not a valid identifier",
        "letters",
    ),
    "register over an account's own": (
        task("verify:", "register: §labels"),
        "'labels' is reserved or not a valid identifier",
        "letters",
    ),
    "retries without until": (task("verify:", "§retries: 3"), "retries of a task requires until", "add until:"),
    "retries of no number": (
        task("verify:", "until: 'true'", "retries: §many"),
        "is not an integer of at least 0 ('many')",
        "0 or more",
    ),
    "delay below 0": (task("verify:", "until: 'true'", "delay: §-1"), "is not a number of at least 0", "at least 0"),
    "ignore_errors of a number": (
        task("verify:", "ignore_errors: §1"),
        "ignore_errors of a task is not a Boolean",
        "use true or false",
    ),
    "a handler that is not there": (
        task("verify:", "notify: §tel") + "  handlers:\n    - name: tell\n      verify:\n",
        "no handler is named tel",
        "write tell",
    ),
    "unknown key of a query": (
        task("query:", "  service: ec2", "  operation: describe_vpcs", "  §filter: x"),
        "filter is not a valid key of query",
        "write",
    ),
    "an empty query": (task("query:§"), "no query given", "service and operation"),
    "two questions": (
        task("query: {service: ec2, operation: describe_vpcs, named: §s3-buckets}"),
        "mutually exclusive",
        "shipped query",
    ),
    "a service without an operation": (task("query: {service: §ec2}"), "no operation of ec2", "add the operation"),
    "an unknown service": (task("query: {service: §ecc2, operation: describe_vpcs}"), "ecc2", "ec2"),
    "an unknown operation": (task("query: {service: ec2, operation: §describe_vpc}"), "describe_vpc", "describe_vpcs"),
    "a service by expression": (
        task("query:", '  service: §"{{ name }}"', "  operation: describe_vpcs"),
        "service of a query is not a constant string",
        "without expressions",
    ),
    "no JMESPath": (
        task("query: {service: ec2, operation: describe_vpcs, select: §'Vpcs[}'}"),
        "is not a valid JMESPath",
        "jmespath",
    ),
    "an unknown parameter": (
        task("query:", "  service: ec2", "  operation: describe_vpcs", "  parameters: §{Filter: []}"),
        "Filter",
        "Filters",
    ),
    "an unknown Region": (
        task("query: {service: ec2, operation: describe_vpcs, regions: §mars-1}"),
        "'mars-1' is not a Region",
        "enabled",
    ),
    "an unknown named query": (task("query: {named: §s3-bucket}"), "unknown query 's3-bucket'", "s3-buckets"),
    "a query file that is not there": (task("query: {file: §none.yaml}"), "cannot be read", "use a YAML file"),
    "a limit of 0": (
        task("query: {service: ec2, operation: describe_vpcs, limit: §0}"),
        "limit: ",
        "Maximum number of rows",
    ),
    "a query that writes": (
        task("query: {service: ec2, operation: §delete_vpc, parameters: {VpcId: vpc-1}}"),
        "ec2 DeleteVpc is not a read operation",
        "add allow_write: true",
    ),
    "an expression inside parameters": (
        task(
            "query:", "  service: ec2", "  operation: describe_vpcs", "  parameters:", "    VpcIds:", '      - §"{{ vpc }}"'
        ),
        "vpc is undefined",
        "add it to vars",
    ),
    "unknown key of verify": (task("verify: {§drif: true}"), "drif is not a valid key of verify", "write drift"),
    "unknown choice of verify": (task("verify: {actions: §som}"), "actions of verify is 'som'", "use one of"),
    "assert without that": (task("assert: §{fail_msg: x}"), "assert has no key that", "add that:"),
    "assert of an unknown name": (task("assert: {that: §nam == 'x'}"), "nam is undefined", "write name"),
    "a script without a function": (task("script: §{arguments: {}}"), "script has no key function", "add function:"),
    "a script of no form": (task("script: §checks.py"), "'checks.py' is not a function reference", "file.py:function"),
    "a script that is not there": (task("script: §none.py:f"), "none.py cannot be read", "the folder of the play file"),
    "a function that is not there": (task("script: §checks.py:lok"), "checks.py has no function lok", "write look"),
    "a script of no Python": (task("script: §broken.py:f"), "broken.py is not valid Python", "fix line 2"),
    "script arguments of no mapping": (
        task("script: {function: 'checks.py:look', arguments: §[1]}"),
        "arguments of script is not a mapping",
        "KEY: VALUE",
    ),
    "a third party's arguments": (
        task("acme.inventory: §deep"),
        "the arguments of acme.inventory are not a mapping",
        "KEY: VALUE",
    ),
    "nearly a third party's": (
        task("§acme.inventry: {}"),
        "acme.inventry is not a valid key of a task",
        "write acme.inventory",
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a play's scripts."""
    made = tmp_path_factory.mktemp("plays")
    (made / "checks.py").write_text("def look(session, account):\n    return 1\n", "utf-8")
    (made / "broken.py").write_text("x = 1\ndef f(:\n", "utf-8")
    return made


@pytest.mark.parametrize(("text", "what", "hint"), BAD.values(), ids=BAD)
def test_error_has_location_and_hint(text: str, what: str, hint: str, folder: Path) -> None:
    """Each is one problem with line, column, message and hint."""
    before, _, after = text.partition(MARK)
    with pytest.raises(PlayFileError) as raised:
        parse_plays(before + after, "play.yaml", folder, ["acme.inventory"])

    place = (before.count("\n") + 1, len(before) - before.rfind("\n"))
    found = [(each.line, each.column) for each in raised.value.problems if what in each.what and hint in each.hint]
    assert [place] == found, str(raised.value)


def test_all_problems_of_a_file_are_reported_in_order(folder: Path) -> None:
    """Two plays with one error each are two problems; the message has the count."""
    with pytest.raises(PlayFileError) as raised:
        parse_plays("- hosts: all\n- hosts: all\n  task: []\n", "play.yaml", folder)

    assert [(1, 3), (2, 3), (3, 3)] == [(each.line, each.column) for each in raised.value.problems]
    assert str(raised.value).endswith("3 problems in the play file")
    assert str(raised.value).startswith("play.yaml:1:3: ")


def test_missing_file_is_error_with_name(tmp_path: Path) -> None:
    with pytest.raises(PlayFileError, match=r"none\.yaml:1:1: .*\n  hint: specify a play file"):
        load_plays(tmp_path / "none.yaml")


def test_loading_a_play_does_not_run_its_scripts(tmp_path: Path) -> None:
    """A script file is parsed, not imported."""
    (tmp_path / "loud.py").write_text("raise SystemExit('run')\ndef f(session, account): ...\n", "utf-8")

    (play,) = parse_plays(task("script: loud.py:f"), "play.yaml", tmp_path)

    assert "script" == play.tasks[0].action.kind


def test_registered_results_are_available_in_later_plays(folder: Path) -> None:
    """As in Ansible."""
    text = task("verify:", "register: first") + task("assert: {that: not first.failed}")

    assert 2 == len(parse_plays(text, "play.yaml", folder))


def test_tasks_inherit_tags_of_the_play(folder: Path) -> None:
    """In addition to their own; tags are split at commas."""
    (play,) = parse_plays("- hosts: [a, b]\n  tags: x\n  tasks:\n    - verify:\n      tags: y, z\n", "p.yaml", folder)

    assert ("a:b", frozenset("xyz")) == (play.hosts, play.tasks[0].tags)


@pytest.mark.parametrize("name", ["audit.yaml", "verify-batches.yaml"])
def test_example_plays_are_valid(name: str) -> None:
    assert load_plays(Path(__file__).resolve().parents[3] / "examples" / "plays" / name)
