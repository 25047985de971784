"""Parse play files: plays, their tasks with actions (query, verify, assert, script, third-party), and `serial` batches.

All problems of a file are reported in one pass, each with line, column, and hint. No code from the file is executed: script
files are parsed, and functions and third-party tasks are imported only before a run.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from math import floor
from pathlib import Path
from typing import Any, TypeVar, get_args

from rolecall_generator.errors import Problem, RolecallError
from rolecall_generator.manifest.yaml_source import START, ListNode, MapNode, YamlMark, parse_source, read_text
from rolecall_generator.text import suggest
from rolecall_runner.plays.play_fields import RESERVED_VARIABLES, ExpressionNames, Fields, PlayProblems
from rolecall_runner.plays.play_model import (
    DEFAULT_DELAY_SECONDS,
    DEFAULT_RETRIES,
    Action,
    AssertAction,
    Play,
    PlayError,
    PlayFileError,
    PlayStep,
    PlayTask,
    PluginAction,
    QueryAction,
    ScriptAction,
    VerifyAction,
)
from rolecall_runner.plays.templating import EMPTY_VALUE, Value
from rolecall_runner.query import QuerySpec, base_query, check_reads, override, validate_query
from rolecall_runner.specification import build
from rolecall_runner.verify import Actions, VerifySpec

T = TypeVar("T")
_PERCENT = re.compile(r"([0-9]+(?:\.[0-9]+)?)%")
_ALL_PERCENT = 100


def batches(accounts: Sequence[T], steps: Sequence[PlayStep]) -> Iterator[tuple[T, ...]]:
    """Yield the accounts in batches, in order. The last step applies to all further batches; without steps, one batch.

    As in Ansible, a percentage is rounded down, but a batch has at least one account.
    """
    start = 0
    total = len(accounts)
    sizes = [max(1, floor(step.size * total / _ALL_PERCENT) if step.percent else int(step.size)) for step in steps] or [
        total
    ]
    number = 0
    while start < total:
        size = sizes[min(number, len(sizes) - 1)]
        yield tuple(accounts[start : start + size])
        start += size
        number += 1


def steps_of(fields: Fields) -> tuple[PlayStep, ...]:
    """Read `serial`: a number, a percentage such as `30%`, or a list of these."""
    if "serial" not in fields.node:
        return ()
    found = fields.node["serial"]
    items = found if isinstance(found, ListNode) else [found]
    if not items:
        fields.add_problem("serial", "serial is an empty list", "use a number, a percentage such as 30%, or a list of these")
    return tuple(_read_step(item, mark, fields) for item, mark in zip(items, fields.places("serial"), strict=True))


def _read_step(item: Any, mark: YamlMark, fields: Fields) -> PlayStep:
    if isinstance(item, int) and not isinstance(item, bool) and item > 0:
        return PlayStep(item)
    match = _PERCENT.fullmatch(item) if isinstance(item, str) else None
    if match and 0 < float(match[1]) <= _ALL_PERCENT:
        return PlayStep(float(match[1]), percent=True)
    fields.report.add(mark, f"serial {item!r} is not a batch size", "use an integer from 1, or a percentage such as 30%")
    return PlayStep(1)


QUERY_KEYS = (
    *(name for name in QuerySpec.__dataclass_fields__ if name not in {"for_each", "name", "description"}),
    "file",
    "named",
    "allow_write",
)
"""Keys of a query task: the settings of the query, its source (`file` or `named`), and `allow_write`."""
VERIFY_KEYS = ("actions", "drift")
"""Keys of a verify task."""
_CONSTANT_KEYS = ("service", "operation", "named", "file")


def action_of(kind: str, fields: Fields, folder: Path, names: ExpressionNames) -> Action:
    """Read the action under the key `kind` of a task. Problems are added to the report."""
    return _READERS[kind](fields, folder, names) if kind in _READERS else _plugin(kind, fields, names)


def _query(fields: Fields, folder: Path, names: ExpressionNames) -> Action:
    inner = Fields(fields.map("query"), fields.report, "query")
    inner.check_keys(QUERY_KEYS)
    arguments = fields.value("query") or EMPTY_VALUE
    names.check_tree(fields.node["query"], fields.mark("query"))
    body = dict(arguments.body) if isinstance(arguments.body, dict) else {}
    allow_write = inner.flag("allow_write")
    body.pop("allow_write", None)
    if isinstance(body.get("file"), str):
        body["file"] = str(folder / body["file"])
    for key in _CONSTANT_KEYS:
        if key in body and not isinstance(body[key], str):
            inner.add_problem(key, f"{key} of a query is not a constant string", "use a string without expressions")
            return QueryAction(EMPTY_VALUE)
    return _validate_query_action(QueryAction(replace(arguments, body=body), allow_write=allow_write), inner)


def _validate_query_action(action: QueryAction, inner: Fields) -> QueryAction:
    """Validate the settings that do not depend on the account, and set `writes`."""
    body: dict[str, Any] = action.arguments.body
    fixed = {key: item for key, item in body.items() if Value(item, frozenset()).constant}
    try:
        spec = validate_query(spec_of(fixed))
    except RolecallError as error:
        message = f"{error.where} {error.what}"
        mentioned = [key for key in reversed(QUERY_KEYS) if key in body and key.rstrip("s") in message]
        key = error.where if error.where in body else next(iter(mentioned), "")
        inner.report.add(inner.mark(key) if key else inner.node.mark, error.what, error.hint or "fix the query")
        return action
    writing = [each for each in check_reads(spec, allow_write=True) if not each.reads]
    if writing and not action.allow_write:
        each = writing[0]
        inner.report.add(
            inner.mark("operation"),
            f"{each.service} {each.operation} is not a read operation: the access level of {each.action} is {each.level}",
            "add allow_write: true to the query, and --allow-write to the command",
        )
    return replace(action, writes=bool(writing))


def spec_of(arguments: Mapping[str, Any]) -> QuerySpec:
    """Build the query of a task from its rendered arguments, which override those of a shipped query or a query file.

    The query is not validated; see `validate_query`. Raises QueryError.
    """
    service, operation, named, file = (str(arguments[key]) if arguments.get(key) else None for key in _CONSTANT_KEYS)
    settings = {key: value for key, value in arguments.items() if key in QUERY_KEYS and key not in _CONSTANT_KEYS}
    return override(base_query(service, operation, named=named, file=Path(file) if file else None), **settings)


def _verify(fields: Fields, _folder: Path, _names: ExpressionNames) -> Action:
    inner = Fields(fields.map("verify"), fields.report, "verify")
    inner.check_keys(VERIFY_KEYS)
    default = VerifySpec()
    actions = inner.choice("actions", default.actions, get_args(Actions))
    return VerifyAction(build(VerifySpec, {"actions": actions, "drift": inner.flag("drift", default=default.drift)}))


def _assert(fields: Fields, _folder: Path, names: ExpressionNames) -> Action:
    inner = Fields(fields.map("assert"), fields.report, "assert")
    inner.check_keys(("that", "fail_msg", "success_msg"))
    if "that" not in inner.node:
        fields.report.add(inner.node.mark, "assert has no key that", "add that: with a condition or a list of conditions")
    that = inner.conditions("that")
    messages = inner.value("fail_msg"), inner.value("success_msg")
    names.check_each(inner.places("that"), that)
    for key in ("fail_msg", "success_msg"):
        names.check_tree(inner.node.get(key), inner.mark(key))
    return AssertAction(that, *messages)


def _script(fields: Fields, folder: Path, names: ExpressionNames) -> Action:
    found = fields.node["script"]
    arguments: Value | None = None
    if isinstance(found, MapNode):
        inner = Fields(found, fields.report, "script")
        inner.check_keys(("function", "arguments"))
        if "function" not in found:
            fields.report.add(found.mark, "script has no key function", "add function: module:function, or file.py:function")
        function = inner.string("function")
        inner.map("arguments")
        arguments = inner.value("arguments")
        mark = inner.mark("function")
        names.check_tree(found.get("arguments"), inner.mark("arguments"))
    else:
        function, mark = fields.string("script"), fields.mark("script")
    if function:
        for what, hint in validate_function(function, folder):
            fields.report.add(mark, what, hint)
    return ScriptAction(function, arguments or Value({}, frozenset()))


def _plugin(kind: str, fields: Fields, names: ExpressionNames) -> Action:
    found = fields.node[kind]
    if found is not None and not isinstance(found, MapNode):
        fields.add_problem(kind, f"the arguments of {kind} are not a mapping", "use `KEY: VALUE` lines")
    arguments = fields.value(kind)
    names.check_tree(found, fields.mark(kind))
    return PluginAction(kind, arguments if isinstance(found, MapNode) and arguments else Value({}, frozenset()))


_READERS: dict[str, Callable[[Fields, Path, ExpressionNames], Action]] = {
    "query": _query,
    "verify": _verify,
    "assert": _assert,
    "script": _script,
}


PLAY_KEYS = ("name", "hosts", "vars", "serial", "max_fail_percentage", "tags", "tasks", "handlers")
TASK_KEYS = (
    "name", "when", "loop", "register", "tags", "until", "retries", "delay", "ignore_errors", "notify", "changed_when",
    "failed_when",
)  # fmt: skip
ACTIONS = tuple(_READERS)
_START = "- hosts: all\n    tasks: ..."


@dataclass(slots=True)
class _ParseState:
    """State of the parser for one file. `plugins`: names of third-party tasks. `registered`: names registered so far."""

    report: PlayProblems
    folder: Path
    plugins: Collection[str]
    registered: set[str] = field(default_factory=set)


def load_plays(path: Path, plugins: Collection[str] = ()) -> tuple[Play, ...]:
    """Read a play file. `plugins`: names of third-party tasks. Raises PlayFileError with all problems."""
    text = read_text(path, str(path))
    if isinstance(text, Problem):
        hint = text.hint if path.exists() else "specify a play file"
        raise PlayFileError([Problem(text.file, text.line, text.column, text.what, hint)])
    return parse_plays(text, str(path), path.parent, plugins)


def parse_plays(text: str, file: str, folder: Path, plugins: Collection[str] = ()) -> tuple[Play, ...]:
    """Parse the content of a play file. `file`: its name in messages. `folder`: where scripts are. Raises PlayFileError."""
    report = PlayProblems(file)
    if not text.strip():
        raise PlayFileError([Problem(file, 1, 1, "the file is empty", f"start with {_START}")])
    source = parse_source(text, file)
    if source.problems:
        raise PlayFileError(source.problems)
    state = _ParseState(report, folder, plugins)
    plays = tuple(_plays(source.tree, state))
    if report.problems:
        raise PlayFileError(sorted(report.problems, key=lambda each: (each.line, each.column)))
    return plays


def _plays(tree: Any, state: _ParseState) -> Iterator[Play]:
    if not isinstance(tree, ListNode) or not tree:
        state.report.add(getattr(tree, "mark", START), "a play file must contain a list", f"start with {_START}")
        return
    for item, mark in zip(tree, tree.marks, strict=True):
        if isinstance(item, MapNode):
            yield _play(item, state)
        else:
            state.report.add(mark, "a play must be a mapping", f"use {_START}")


def _play(node: MapNode, state: _ParseState) -> Play:
    fields = Fields(node, state.report, "a play")
    fields.check_keys(PLAY_KEYS)
    hosts = ":".join(fields.strings("hosts")) if isinstance(node.get("hosts"), ListNode) else fields.string("hosts")
    if "hosts" not in node:
        state.report.add(node.mark, "a play has no key hosts", "add hosts: all, or a host pattern as for --limit")
    if "tasks" not in node:
        state.report.add(node.mark, "a play has no key tasks", "add tasks: with a list of tasks")
    tags = frozenset(fields.strings("tags"))
    variables = _variables(fields.map("vars"), state)
    names = ExpressionNames(frozenset(variables), state.registered, state.report)
    tasks = tuple(_task(each, state, names, tags) for each in fields.maps("tasks"))
    handlers = tuple(_task(each, state, names, tags) for each in fields.maps("handlers"))
    _check_handlers(fields, tasks, handlers)
    _check_variables(fields.map("vars") if isinstance(node.get("vars"), MapNode) else MapNode(node.mark), state)
    percentage = fields.number("max_fail_percentage", 100, most=100) if "max_fail_percentage" in node else None
    place = state.report.place(node.mark)
    steps = steps_of(fields)
    return Play(fields.string("name", hosts), place, hosts, variables, steps, percentage, tasks, handlers)


def _variables(node: MapNode, state: _ParseState) -> dict[str, Value]:
    fields = Fields(node, state.report, "vars")
    variables: dict[str, Value] = {}
    for key in node:
        found = fields.value(key)
        if not key.isidentifier() or key in RESERVED_VARIABLES:
            why = "is reserved" if key in RESERVED_VARIABLES else "is not a valid identifier"
            state.report.add(
                node.marks[key][0], f"the variable name {key} {why}", "use another name of letters, digits and _"
            )
        if found is not None:
            variables[key] = found
    return variables


def _check_variables(node: MapNode, state: _ParseState) -> None:
    """Report undefined names in variables.

    A variable may use earlier variables, and all registered results, because it is rendered when a task uses it.
    """
    for index, key in enumerate(node):
        names = ExpressionNames(frozenset(list(node)[:index]), state.registered, state.report)
        names.check_tree(node[key], node.marks[key][1])


def _task(node: MapNode, state: _ParseState, names: ExpressionNames, tags: frozenset[str]) -> PlayTask:
    kinds = [key for key in node if key in ACTIONS or key in state.plugins]
    name = node.get("name")
    fields = Fields(node, state.report, f'the task "{name}"' if isinstance(name, str) else "a task")
    fields.check_keys((*ACTIONS, *TASK_KEYS, *state.plugins))
    if len(kinds) != 1:
        what = f"has several actions: {', '.join(kinds)}" if kinds else "has no action"
        hint = "use one task per action" if kinds else f"add one of {', '.join((*ACTIONS, *sorted(state.plugins)))}"
        state.report.add(node.mark, f"{fields.owner} {what}", hint)
    kind = kinds[0] if kinds else "assert"
    inside = names.in_task(has_loop="loop" in node)
    action = action_of(kind, fields, state.folder, inside) if kinds else AssertAction(())
    register = _register(fields, state)
    return PlayTask(
        name=fields.string("name", kind),
        place=state.report.place(node.mark),
        action=action,
        tags=tags | frozenset(fields.strings("tags")),
        register=register,
        ignore_errors=fields.flag("ignore_errors"),
        notify=fields.strings("notify"),
        retries=fields.count("retries", DEFAULT_RETRIES),
        delay=fields.number("delay", DEFAULT_DELAY_SECONDS),
        **_conditions(fields, names),
    )


def _conditions(fields: Fields, names: ExpressionNames) -> dict[str, Any]:
    """Read the loop and the conditions of a task. All conditions except `when` may use `result`."""
    node = fields.node
    loop = fields.value("loop")
    if loop is not None and not isinstance(loop.body, list) and loop.constant:
        fields.add_problem(
            "loop", f"loop of {fields.owner} is not a list", "use a list, or an {{ expression }} that returns a list"
        )
    names.check_tree(node.get("loop"), fields.mark("loop"))
    for key in ("retries", "delay"):
        if key in node and "until" not in node:
            fields.report.add(node.marks[key][0], f"{key} of {fields.owner} requires until", "add until: with a condition")
    inside = names.in_task(has_loop=loop is not None)
    found = {key: fields.conditions(key) for key in ("when", "until", "changed_when", "failed_when")}
    for key, conditions in found.items():
        here = inside if key == "when" else inside.with_result()
        here.check_each(fields.places(key), conditions)
    optional = {key: found[key] if key in node else None for key in ("changed_when", "failed_when")}
    return {"loop": loop, "when": found["when"], "until": found["until"], **optional}


def _register(fields: Fields, state: _ParseState) -> str | None:
    register = fields.string("register") or None
    if register is None:
        return None
    if not register.isidentifier() or register in RESERVED_VARIABLES:
        fields.add_problem(
            "register",
            f"register {register!r} is reserved or not a valid identifier",
            "use another name of letters, digits and _",
        )
    state.registered.add(register)
    return register


def _check_handlers(fields: Fields, tasks: tuple[PlayTask, ...], handlers: tuple[PlayTask, ...]) -> None:
    known = [handler.name for handler in handlers]
    places = [node for key in ("tasks", "handlers") for node in fields.node.get(key) or () if isinstance(node, MapNode)]
    for node, task in zip(places, (*tasks, *handlers), strict=False):
        for name in task.notify:
            if name not in known:
                mark = node.marks["notify"][1]
                fields.report.add(mark, f"no handler is named {name}", suggest(name, known, "add it below handlers"))


GROUP = "rolecall.tasks"
"""Entry point group of third-party tasks. Each entry point is a factory that receives the arguments of the task (a mapping)
and returns a Task or a function `(session, account)`."""
_FORM = re.compile(r"(?P<file>[^:]+\.py)|(?P<module>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)")
_HINT = "use module:function, or file.py:function next to the play"


def validate_function(function: str, folder: Path) -> Iterator[tuple[str, str]]:
    """Yield problem and hint for an invalid function reference. Files are parsed; no code is executed or imported."""
    where, colon, name = function.rpartition(":")
    form = _FORM.fullmatch(where)
    if not colon or form is None or not name.isidentifier():
        yield f"{function!r} is not a function reference", _HINT
    elif form["file"]:
        yield from _validate_file(folder / where, where, name)


def _validate_file(path: Path, file: str, name: str) -> Iterator[tuple[str, str]]:
    try:
        tree = ast.parse(path.read_text("utf-8"))
    except OSError as error:
        yield f"{file} cannot be read: {error.strerror}", "the path is relative to the folder of the play file"
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        yield f"{file} is not valid Python: {getattr(error, 'msg', error)}", f"fix line {line}" if line else "fix the file"
    else:
        functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        variables = {target.id for node in tree.body if isinstance(node, ast.Assign | ast.ImportFrom | ast.Import)
                 for target in _bound_names(node)}  # fmt: skip
        if name not in functions and name not in variables:
            yield f"{file} has no function {name}", suggest(name, functions, "define it, or use one of")


def _bound_names(node: ast.Assign | ast.ImportFrom | ast.Import) -> Iterator[ast.Name]:
    if isinstance(node, ast.Assign):
        yield from (target for target in node.targets if isinstance(target, ast.Name))
    else:
        yield from (ast.Name((alias.asname or alias.name).partition(".")[0]) for alias in node.names)


def load_function(function: str, folder: Path) -> Callable[..., Any]:
    """Import a function whose reference is valid according to `validate_function`. Raises PlayError."""
    return _load_function(function, folder.absolute())


@lru_cache(maxsize=256)
def _load_function(function: str, folder: Path) -> Callable[..., Any]:
    where, _, name = function.rpartition(":")
    try:
        module = _import_file(folder / where) if where.endswith(".py") else importlib.import_module(where)
        found = getattr(module, name)
    except Exception as error:  # a third-party module may raise anything on import
        text = f"{function} cannot be loaded: {type(error).__name__}: {error}"
        raise PlayError(text, where="script", hint="fix the module, or install its dependencies") from error
    if not callable(found):
        raise PlayError(f"{function} is not callable", where="script", hint=_HINT)
    return found  # type: ignore[no-any-return]


def _import_file(path: Path) -> Any:
    name = f"rolecall_play_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(str(path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def installed_tasks() -> dict[str, EntryPoint]:
    """Entry points of the installed third-party tasks, by name. They are not loaded."""
    return {each.name: each for each in entry_points(group=GROUP)}


def load_factory(entry: EntryPoint) -> Callable[[Any], Any]:
    """Load the factory of a third-party task. Raises PlayError."""
    try:
        found = entry.load()
    except Exception as error:  # a third-party package may raise anything on import
        owner = entry.dist.name if entry.dist is not None else entry.value
        text = f"the task {entry.name} cannot be loaded: {type(error).__name__}: {error}"
        raise PlayError(text, where=owner, hint="reinstall the package, or remove the task") from error
    if not callable(found):
        raise PlayError(
            f"the entry point of the task {entry.name} is not callable",
            where=entry.value,
            hint="report this to the authors of the package",
        )
    return found  # type: ignore[no-any-return]
