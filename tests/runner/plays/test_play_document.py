"""Errors in a play file are reported with line, column and hint before anything is run."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from rolecall_runner.plays.play_file import load_plays, parse_plays
from rolecall_runner.plays.play_model import PlayFileError

HEAD = "- hosts: all\n  tasks:\n"


class Bad(NamedTuple):
    """An invalid play: its content, the location of the error (line and column from 1), parts of message and hint."""

    text: str
    line: int
    column: int
    what: str
    hint: str


def task(*lines: str) -> str:
    """A play with one task, which starts at line 3 and column 7."""
    return HEAD + "    - " + "\n      ".join(lines) + "\n"


LIST = "query: {service: ec2, operation: describe_vpcs}"
BAD = {
    "empty": Bad("", 1, 1, "the file is empty", "- hosts: all"),
    "only a comment": Bad("# later\n", 1, 1, "the file is empty", "gen init"),
    "no list": Bad("hosts: all\ntasks: []\n", 1, 1, "a play file must contain a list", "- hosts: all"),
    "no mapping": Bad("- all\n", 1, 3, "a play must be a mapping", "- hosts: all"),
    "not YAML": Bad("- hosts: [all\n", 1, 10, "not YAML", "close the bracket"),
    "a tab": Bad("- hosts: all\n\ttasks: []\n", 2, 1, "not YAML", "indent with spaces"),
    "a key twice": Bad("- hosts: all\n  hosts: all\n  tasks: []\n", 2, 3, "duplicate key hosts", "keep one"),
    "unknown key of a play": Bad(
        "- hosts: all\n  task: []\n  tasks: []\n", 2, 3, "task is not a valid key of a play", "write tasks"
    ),
    "what Ansible has beyond": Bad(
        "- hosts: all\n  gather_facts: no\n  tasks: []\n",
        2,
        3,
        "gather_facts is not a valid key of a play",
        "remove it; valid keys",
    ),
    "no hosts": Bad("- name: x\n  tasks: []\n", 1, 3, "a play has no key hosts", "add hosts: all"),
    "no tasks": Bad("- hosts: all\n", 1, 3, "a play has no key tasks", "add tasks:"),
    "hosts of no text": Bad("- hosts: {a: b}\n  tasks: []\n", 1, 10, "hosts of a play is not a string", "use a string"),
    "tasks of no list": Bad("- hosts: all\n  tasks: {}\n", 2, 10, "tasks of a play is not a list", "start each item"),
    "a task of no mapping": Bad(
        HEAD + "    - verify\n", 3, 7, "an item of tasks is not a mapping", "start it with `- name: ...`"
    ),
    "serial of 0": Bad(
        "- hosts: all\n  serial: 0\n  tasks: []\n", 2, 11, "serial 0 is not a batch size", "an integer from 1"
    ),
    "serial of 200%": Bad("- hosts: all\n  serial: [1, 200%]\n  tasks: []\n", 2, 15, "serial '200%'", "a percentage"),
    "serial of words": Bad("- hosts: all\n  serial: few\n  tasks: []\n", 2, 11, "serial 'few'", "a percentage"),
    "serial of nothing": Bad("- hosts: all\n  serial: []\n  tasks: []\n", 2, 11, "serial is an empty list", "use a number"),
    "too large a share may fail": Bad(
        "- hosts: all\n  max_fail_percentage: 101\n  tasks: []\n", 2, 24, "is not a number from 0 to 100", "from 0 to 100"
    ),
    "a share of words": Bad(
        "- hosts: all\n  max_fail_percentage: x\n  tasks: []\n", 2, 24, "is not a number", "from 0 to 100"
    ),
    "tags of no texts": Bad(
        "- hosts: all\n  tags: {a: b}\n  tasks: []\n", 2, 9, "tags of a play is not a list", "[one, two]"
    ),
    "vars of no mapping": Bad(
        "- hosts: all\n  vars: [a]\n  tasks: []\n", 2, 9, "vars of a play is not a mapping", "KEY: VALUE"
    ),
    "a variable over an account's own": Bad(
        "- hosts: all\n  vars: {name: x}\n  tasks: []\n", 2, 10, "the variable name name is reserved", "use another name"
    ),
    "a variable that is no name": Bad(
        "- hosts: all\n  vars: {a-b: x}\n  tasks: []\n",
        2,
        10,
        "the variable name a-b is not a valid identifier",
        "letters, digits and _",
    ),
    "a variable before its own": Bad(
        '- hosts: all\n  vars:\n    one: "{{ two }}"\n    two: 2\n  tasks: []\n',
        3,
        10,
        "two is undefined",
        "defined variables",
    ),
    "a task that does nothing": Bad(task("name: x"), 3, 7, 'the task "x" has no action', "add one of query, verify"),
    "a task that does two things": Bad(
        task("verify:", "assert: {that: 'true'}"), 3, 7, "has several actions: verify, assert", "use one task per action"
    ),
    "unknown key of a task": Bad(task("verify:", "wen: 'true'"), 4, 7, "wen is not a valid key of a task", "write when"),
    "unknown module": Bad(task("shell: ls"), 3, 7, "shell is not a valid key of a task", "remove it; valid keys"),
    "a name of no text": Bad(task("name: [x]", "verify:"), 3, 13, "is not a string", "use a string"),
    "when with braces": Bad(task("verify:", 'when: "{{ name }}"'), 4, 13, "expressions have no {{ }} here", "remove"),
    "when of no expression": Bad(
        task("verify:", "when: name =="), 4, 13, "is not a valid expression", "see the Jinja documentation"
    ),
    "when of a mapping": Bad(task("verify:", "when: {a: b}"), 4, 13, "when of a task is not an expression", "found.rows"),
    "the second of two conditions": Bad(
        task("verify:", "when:", "  - name == 'a'", "  - naem == 'b'"), 6, 11, "naem is undefined", "write name"
    ),
    "an unknown filter": Bad(
        task("verify:", "when: name | uper == 'A'"), 4, 13, "No filter named 'uper'", "filters and tests"
    ),
    "a statement in a text": Bad(
        task("assert:", "  that: 'true'", '  fail_msg: "{% if x %}y{% endif %}"'),
        5,
        19,
        "contains a statement",
        "use only {{",
    ),
    "an open brace": Bad(
        task("assert:", "  that: 'true'", '  fail_msg: "{{ name"'), 5, 19, "is not a valid expression", "see the Jinja"
    ),
    "item without a loop": Bad(task("verify:", "when: item == 1"), 4, 13, "item is defined only in a loop", "add loop:"),
    "result too early": Bad(task("verify:", "when: result.failed"), 4, 13, "result is undefined", "defined variables"),
    "a result of a later task": Bad(
        HEAD + "    - verify:\n      when: found.failed\n    - verify:\n      register: found\n",
        4,
        13,
        "found is undefined",
        "register it in an earlier task",
    ),
    "a loop of no list": Bad(task("verify:", "loop: few"), 4, 13, "loop of a task is not a list", "use a list"),
    "an unknown name in a loop": Bad(task("verify:", 'loop: "{{ naem }}"'), 4, 13, "naem is undefined", "write name"),
    "register of no name": Bad(
        task("verify:", "register: my-result"), 4, 17, "'my-result' is reserved or not a valid identifier", "letters"
    ),
    "register over an account's own": Bad(
        task("verify:", "register: labels"), 4, 17, "'labels' is reserved or not a valid identifier", "letters"
    ),
    "retries without until": Bad(task("verify:", "retries: 3"), 4, 7, "retries of a task requires until", "add until:"),
    "retries of no number": Bad(
        task("verify:", "until: 'true'", "retries: many"), 5, 16, "is not an integer of at least 0 ('many')", "0 or more"
    ),
    "delay below 0": Bad(
        task("verify:", "until: 'true'", "delay: -1"), 5, 14, "is not a number of at least 0", "at least 0"
    ),
    "ignore_errors of a number": Bad(
        task("verify:", "ignore_errors: 1"), 4, 22, "ignore_errors of a task is not a Boolean", "use true or false"
    ),
    "a handler that is not there": Bad(
        task("verify:", "notify: tel") + "  handlers:\n    - name: tell\n      verify:\n",
        4,
        15,
        "no handler is named tel",
        "write tell",
    ),
    "unknown key of a query": Bad(
        task("query:", "  service: ec2", "  operation: describe_vpcs", "  filter: x"),
        6,
        9,
        "filter is not a valid key of query",
        "write",
    ),
    "an empty query": Bad(task("query:"), 3, 13, "no query given", "service and operation"),
    "two questions": Bad(
        task("query: {service: ec2, operation: describe_vpcs, named: s3-buckets}"),
        3,
        62,
        "mutually exclusive",
        "shipped query",
    ),
    "a service without an operation": Bad(task("query: {service: ec2}"), 3, 24, "no operation of ec2", "add the operation"),
    "an unknown service": Bad(task("query: {service: ecc2, operation: describe_vpcs}"), 3, 24, "ecc2", "ec2"),
    "an unknown operation": Bad(
        task("query: {service: ec2, operation: describe_vpc}"), 3, 40, "describe_vpc", "describe_vpcs"
    ),
    "a service by expression": Bad(
        task("query:", '  service: "{{ name }}"', "  operation: describe_vpcs"),
        4,
        18,
        "service of a query is not a constant string",
        "without expressions",
    ),
    "no JMESPath": Bad(
        task("query: {service: ec2, operation: describe_vpcs, select: 'Vpcs[}'}"),
        3,
        63,
        "is not a valid JMESPath",
        "jmespath",
    ),
    "an unknown parameter": Bad(
        task("query:", "  service: ec2", "  operation: describe_vpcs", "  parameters: {Filter: []}"),
        6,
        21,
        "Filter",
        "Filters",
    ),
    "an unknown Region": Bad(
        task("query: {service: ec2, operation: describe_vpcs, regions: mars-1}"),
        3,
        64,
        "'mars-1' is not a Region",
        "enabled",
    ),
    "an unknown named query": Bad(task("query: {named: s3-bucket}"), 3, 22, "unknown query 's3-bucket'", "s3-buckets"),
    "a query file that is not there": Bad(task("query: {file: none.yaml}"), 3, 21, "cannot be read", "use a YAML file"),
    "a limit of 0": Bad(
        task("query: {service: ec2, operation: describe_vpcs, limit: 0}"), 3, 62, "limit: ", "Maximum number of rows"
    ),
    "a query that writes": Bad(
        task("query: {service: ec2, operation: delete_vpc, parameters: {VpcId: vpc-1}}"),
        3,
        40,
        "ec2 DeleteVpc is not a read operation",
        "add allow_write: true",
    ),
    "an expression inside parameters": Bad(
        task(
            "query:", "  service: ec2", "  operation: describe_vpcs", "  parameters:", "    VpcIds:", '      - "{{ vpc }}"'
        ),
        8,
        15,
        "vpc is undefined",
        "add it to vars",
    ),
    "unknown key of verify": Bad(task("verify: {drif: true}"), 3, 16, "drif is not a valid key of verify", "write drift"),
    "unknown choice of verify": Bad(task("verify: {actions: som}"), 3, 25, "actions of verify is 'som'", "use one of"),
    "assert without that": Bad(task("assert: {fail_msg: x}"), 3, 15, "assert has no key that", "add that:"),
    "assert of an unknown name": Bad(task("assert: {that: nam == 'x'}"), 3, 22, "nam is undefined", "write name"),
    "a script without a function": Bad(
        task("script: {arguments: {}}"), 3, 15, "script has no key function", "add function:"
    ),
    "a script of no form": Bad(
        task("script: checks.py"), 3, 15, "'checks.py' is not a function reference", "file.py:function"
    ),
    "a script that is not there": Bad(
        task("script: none.py:f"), 3, 15, "none.py cannot be read", "the folder of the play file"
    ),
    "a function that is not there": Bad(task("script: checks.py:lok"), 3, 15, "checks.py has no function lok", "write look"),
    "a script of no Python": Bad(task("script: broken.py:f"), 3, 15, "broken.py is not valid Python", "fix line 2"),
    "script arguments of no mapping": Bad(
        task("script: {function: 'checks.py:look', arguments: [1]}"),
        3,
        55,
        "arguments of script is not a mapping",
        "KEY: VALUE",
    ),
    "a third party's arguments": Bad(
        task("acme.inventory: deep"), 3, 23, "the arguments of acme.inventory are not a mapping", "KEY: VALUE"
    ),
    "nearly a third party's": Bad(
        task("acme.inventry: {}"), 3, 7, "acme.inventry is not a valid key of a task", "write acme.inventory"
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a play's scripts."""
    made = tmp_path_factory.mktemp("plays")
    (made / "checks.py").write_text("def look(session, account):\n    return 1\n", "utf-8")
    (made / "broken.py").write_text("x = 1\ndef f(:\n", "utf-8")
    return made


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_error_has_location_and_hint(bad: Bad, folder: Path) -> None:
    """Each is one problem with line, column, message and hint."""
    with pytest.raises(PlayFileError) as raised:
        parse_plays(bad.text, "play.yaml", folder, ["acme.inventory"])

    found = raised.value.problems
    place = [(each.line, each.column) for each in found if bad.what in each.what and bad.hint in each.hint]
    assert [(bad.line, bad.column)] == place, str(raised.value)


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
