"""A play file to plays: every problem of the file at once, each with line, column and mend. Nothing of it is run."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rolecall_generator.errors import Problem
from rolecall_generator.manifest.messages import suggest
from rolecall_generator.manifest.source import parse_source
from rolecall_generator.manifest.textfile import read_text
from rolecall_generator.manifest.tree import START, ListNode, MapNode
from rolecall_runner.play.actions import action_of
from rolecall_runner.play.errors import PlayFileError
from rolecall_runner.play.fields import Fields, Report
from rolecall_runner.play.models import DEFAULT_DELAY_SECONDS, DEFAULT_RETRIES, Play, PlayTask
from rolecall_runner.play.names import ACCOUNT, Names
from rolecall_runner.play.serial import steps_of
from rolecall_runner.play.templating import Value

PLAY_KEYS = ("name", "hosts", "vars", "serial", "max_fail_percentage", "tags", "tasks", "handlers")
TASK_KEYS = (
    "name", "when", "loop", "register", "tags", "until", "retries", "delay", "ignore_errors", "notify", "changed_when",
    "failed_when",
)  # fmt: skip
ACTIONS = ("query", "verify", "assert", "script")
_START = "- hosts: all\n    tasks: ..."


@dataclass(slots=True)
class _Book:
    """What reading one file gathers: its folder, third parties' tasks, names that are registered so far."""

    report: Report
    folder: Path
    plugins: Collection[str]
    registered: set[str] = field(default_factory=set)


def load_plays(path: Path, plugins: Collection[str] = ()) -> tuple[Play, ...]:
    """Read a play file. `plugins` are names of tasks from third parties. Raises PlayFileError with all problems."""
    text = read_text(path, str(path))
    if isinstance(text, Problem):
        mend = "name a file of plays" if text.what == "there is no such file" else text.mend
        raise PlayFileError([Problem(text.file, text.line, text.column, text.what, mend)])
    return parse_plays(text, str(path), path.parent, plugins)


def parse_plays(text: str, file: str, folder: Path, plugins: Collection[str] = ()) -> tuple[Play, ...]:
    """Plays of a text; `file` is its name in messages, scripts are looked for in `folder`. Raises PlayFileError."""
    report = Report(file)
    if not text.strip():
        raise PlayFileError([Problem(file, 1, 1, "the file is empty", f"write {_START}")])
    source = parse_source(text, file)
    if source.problems:
        raise PlayFileError(source.problems)
    book = _Book(report, folder, plugins)
    plays = tuple(_plays(source.tree, book))
    if report.problems:
        raise PlayFileError(sorted(report.problems, key=lambda each: (each.line, each.column)))
    return plays


def _plays(tree: Any, book: _Book) -> Iterator[Play]:
    if not isinstance(tree, ListNode) or not tree:
        book.report.add(getattr(tree, "mark", START), "a file of plays is a list", f"start with {_START}")
        return
    for item, mark in zip(tree, tree.marks, strict=True):
        if isinstance(item, MapNode):
            yield _play(item, book)
        else:
            book.report.add(mark, "a play is a mapping", f"write {_START}")


def _play(node: MapNode, book: _Book) -> Play:
    fields = Fields(node, book.report, "a play")
    fields.known(PLAY_KEYS)
    hosts = ":".join(fields.texts("hosts")) if isinstance(node.get("hosts"), ListNode) else fields.text("hosts")
    if "hosts" not in node:
        book.report.add(node.mark, "a play has no hosts", "add hosts: all, or a pattern as of --limit")
    if "tasks" not in node:
        book.report.add(node.mark, "a play has no tasks", "add tasks: and a list of them")
    tags = frozenset(fields.texts("tags"))
    variables = _variables(fields.map("vars"), book)
    names = Names(frozenset(variables), book.registered, book.report)
    tasks = tuple(_task(each, book, names, tags) for each in fields.maps("tasks"))
    handlers = tuple(_task(each, book, names, tags) for each in fields.maps("handlers"))
    _check_handlers(fields, tasks, handlers)
    _check_variables(fields.map("vars") if isinstance(node.get("vars"), MapNode) else MapNode(node.mark), book)
    percentage = fields.number("max_fail_percentage", 100, most=100) if "max_fail_percentage" in node else None
    place = book.report.place(node.mark)
    steps = steps_of(fields)
    return Play(fields.text("name", hosts), place, hosts, variables, steps, percentage, tasks, handlers)


def _variables(node: MapNode, book: _Book) -> dict[str, Value]:
    fields = Fields(node, book.report, "vars")
    made: dict[str, Value] = {}
    for key in node:
        found = fields.value(key)
        if not key.isidentifier() or key in ACCOUNT:
            why = "is the account's own" if key in ACCOUNT else "is no name for an expression"
            book.report.add(node.marks[key][0], f"the variable {key} {why}", "choose a name of letters, digits and _")
        if found is not None:
            made[key] = found
    return made


def _check_variables(node: MapNode, book: _Book) -> None:
    """Variables may use earlier ones and, since each is made when a task needs it, results of the play's tasks."""
    for index, key in enumerate(node):
        names = Names(frozenset(list(node)[:index]), book.registered, book.report)
        names.check_tree(node[key], node.marks[key][1])


def _task(node: MapNode, book: _Book, names: Names, tags: frozenset[str]) -> PlayTask:
    kinds = [key for key in node if key in ACTIONS or key in book.plugins]
    name = node.get("name")
    fields = Fields(node, book.report, f'the task "{name}"' if isinstance(name, str) else "a task")
    fields.known((*ACTIONS, *TASK_KEYS, *book.plugins))
    if len(kinds) != 1:
        what = f"does two things: {' and '.join(kinds)}" if kinds else "does nothing"
        mend = "make a task of each" if kinds else f"add one of {', '.join((*ACTIONS, *sorted(book.plugins)))}"
        book.report.add(node.mark, f"{fields.owner} {what}", mend)
    kind = kinds[0] if kinds else "assert"
    action = action_of(kind, fields, book.folder, names.inside(looping="loop" in node)) if kinds else action_of("", fields)
    register = _register(fields, book)
    return PlayTask(
        name=fields.text("name", kind),
        place=book.report.place(node.mark),
        action=action,
        tags=tags | frozenset(fields.texts("tags")),
        register=register,
        ignore_errors=fields.flag("ignore_errors"),
        notify=fields.texts("notify"),
        retries=fields.count("retries", DEFAULT_RETRIES),
        delay=fields.number("delay", DEFAULT_DELAY_SECONDS),
        **_conditions(fields, names),
    )


def _conditions(fields: Fields, names: Names) -> dict[str, Any]:
    """Loop and conditions; those about the result know it as `result`, too."""
    node = fields.node
    loop = fields.value("loop")
    if loop is not None and not isinstance(loop.body, list) and loop.constant:
        fields.bad("loop", f"loop of {fields.owner} is not a list", "write a list, or {{ an expression that gives one }}")
    names.check_tree(node.get("loop"), fields.mark("loop"))
    for key in ("retries", "delay"):
        if key in node and "until" not in node:
            fields.report.add(node.marks[key][0], f"{key} of {fields.owner} has no until", "add until: with a condition")
    inside = names.inside(looping=loop is not None)
    found = {key: fields.conditions(key) for key in ("when", "until", "changed_when", "failed_when")}
    for key, conditions in found.items():
        here = inside if key == "when" else inside.with_result()
        here.check_each(fields.places(key), conditions)
    optional = {key: found[key] if key in node else None for key in ("changed_when", "failed_when")}
    return {"loop": loop, "when": found["when"], "until": found["until"], **optional}


def _register(fields: Fields, book: _Book) -> str | None:
    register = fields.text("register") or None
    if register is None:
        return None
    if not register.isidentifier() or register in ACCOUNT:
        fields.bad("register", f"register {register!r} is no free name for an expression", "use letters, digits and _")
    book.registered.add(register)
    return register


def _check_handlers(fields: Fields, tasks: tuple[PlayTask, ...], handlers: tuple[PlayTask, ...]) -> None:
    known = [handler.name for handler in handlers]
    places = [node for key in ("tasks", "handlers") for node in fields.node.get(key) or () if isinstance(node, MapNode)]
    for node, task in zip(places, (*tasks, *handlers), strict=False):
        for name in task.notify:
            if name not in known:
                mark = node.marks["notify"][1]
                fields.report.add(mark, f"no handler is called {name}", suggest(name, known, "add it below handlers"))
