"""What a task does, read from its key: query, verify, assert, script, or a third party's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from rolecall_generator.errors import RolecallError
from rolecall_generator.manifest.tree import MapNode
from rolecall_runner.play.fields import Fields
from rolecall_runner.play.models import Action, AssertAction, PluginAction, QueryAction, ScriptAction, VerifyAction
from rolecall_runner.play.names import Names
from rolecall_runner.play.scripts import look_at
from rolecall_runner.play.templating import NOTHING, Value
from rolecall_runner.specification import build
from rolecall_runner.tasks.query.preflight import judge
from rolecall_runner.tasks.query.spec import QuerySpec
from rolecall_runner.tasks.query.validate import base_query, override, validate
from rolecall_runner.tasks.verify.spec import Actions, VerifySpec

QUERY_KEYS = (
    *(name for name in QuerySpec.__dataclass_fields__ if name not in {"for_each", "name", "description"}),
    "file",
    "named",
    "allow_write",
)
"""Keys of a query task: settings of the query, and where it takes the others from."""
VERIFY_KEYS = ("actions", "drift")
"""Keys of a verify task."""
_CONSTANT = ("service", "operation", "named", "file")

# The form of `parameters`, doubled braces first; a test holds that what was escaped comes out as it was.
_NAME = r"[a-z_]+(?:\.[^{}]*)?(?:[+-]\d+[a-z]?)?"
_PLACEHOLDER = re.compile(rf"\{{\{{{_NAME}\}}\}}|\{{{_NAME}\}}")


def action_of(kind: str, fields: Fields, folder: Path = Path(), names: Names | None = None) -> Action:
    """The action under the task's key `kind`; problems are reported. Without a kind one that does nothing."""
    if not kind or names is None:
        return AssertAction(())
    reader = _READERS.get(kind)
    if reader is None:
        return _plugin(kind, fields, names)
    return reader(fields, folder, names)


def _query(fields: Fields, folder: Path, names: Names) -> Action:
    inner = Fields(fields.map("query"), fields.report, "query")
    inner.known(QUERY_KEYS)
    arguments = fields.value("query") or NOTHING
    names.check_tree(fields.node["query"], fields.mark("query"))
    body = dict(arguments.body) if isinstance(arguments.body, dict) else {}
    allow_write = inner.flag("allow_write")
    body.pop("allow_write", None)
    if isinstance(body.get("file"), str):
        body["file"] = str(folder / body["file"])
    for key in _CONSTANT:
        if key in body and not isinstance(body[key], str):
            inner.bad(key, f"{key} of a query is no plain text", "write it out: it is the same for every account")
            return QueryAction(NOTHING)
    return _judged(QueryAction(replace(arguments, body=body), allow_write=allow_write), inner)


def _judged(action: QueryAction, inner: Fields) -> QueryAction:
    """Check what does not depend on the account, and whether the query writes."""
    body: dict[str, Any] = action.arguments.body
    fixed = {key: item for key, item in body.items() if value_constant(item)}
    try:
        spec = validate(spec_of(fixed))
    except RolecallError as error:
        words = f"{error.where} {error.what}"
        named = [key for key in reversed(QUERY_KEYS) if key in body and key.rstrip("s") in words]
        key = error.where if error.where in body else next(iter(named), "")
        inner.report.add(inner.mark(key) if key else inner.node.mark, error.what, error.mend or "mend the query")
        return action
    writing = [each for each in (judge(*call) for call in spec.calls) if not each.reads]
    if writing and not action.allow_write:
        each = writing[0]
        inner.report.add(
            inner.mark("operation"),
            f"{each.service} {each.operation} is no read operation: the access level of {each.action} is {each.level}",
            "add allow_write: true to the query, and --allow-write to the command",
        )
    return replace(action, writes=bool(writing))


def spec_of(arguments: Mapping[str, Any]) -> QuerySpec:
    """The unchecked query of a task's rendered arguments; they override those of a shipped query or a query file.

    Raises QueryError.
    """
    service, operation, named, file = (str(arguments[key]) if arguments.get(key) else None for key in _CONSTANT)
    settings = {key: value for key, value in arguments.items() if key in QUERY_KEYS and key not in _CONSTANT}
    return override(base_query(service, operation, named=named, file=Path(file) if file else None), **settings)


def escaped(given: Any) -> Any:
    """The value of an expression with its braces doubled, so that a query takes them literally."""
    if isinstance(given, str):
        return _PLACEHOLDER.sub(lambda match: f"{{{match[0]}}}", given)
    if isinstance(given, Mapping):
        return {key: escaped(item) for key, item in given.items()}
    return [escaped(item) for item in given] if isinstance(given, list | tuple) else given


def value_constant(body: Any) -> bool:
    """Whether a compiled value holds no expression."""
    return Value(body, frozenset()).constant


def _verify(fields: Fields, _folder: Path, _names: Names) -> Action:
    inner = Fields(fields.map("verify"), fields.report, "verify")
    inner.known(VERIFY_KEYS)
    default = VerifySpec()
    actions = inner.choice("actions", default.actions, get_args(Actions))
    return VerifyAction(build(VerifySpec, {"actions": actions, "drift": inner.flag("drift", default=default.drift)}))


def _assert(fields: Fields, _folder: Path, names: Names) -> Action:
    inner = Fields(fields.map("assert"), fields.report, "assert")
    inner.known(("that", "fail_msg", "success_msg"))
    if "that" not in inner.node:
        fields.report.add(inner.node.mark, "assert has no that", "add that: with a condition, or a list of them")
    that = inner.conditions("that")
    messages = inner.value("fail_msg"), inner.value("success_msg")
    names.check_each(inner.places("that"), that)
    for key in ("fail_msg", "success_msg"):
        names.check_tree(inner.node.get(key), inner.mark(key))
    return AssertAction(that, *messages)


def _script(fields: Fields, folder: Path, names: Names) -> Action:
    found = fields.node["script"]
    arguments: Value | None = None
    if isinstance(found, MapNode):
        inner = Fields(found, fields.report, "script")
        inner.known(("function", "arguments"))
        if "function" not in found:
            fields.report.add(found.mark, "script has no function", "add function: module:function, or file.py:function")
        function = inner.text("function")
        inner.map("arguments")
        arguments = inner.value("arguments")
        mark = inner.mark("function")
        names.check_tree(found.get("arguments"), inner.mark("arguments"))
    else:
        function, mark = fields.text("script"), fields.mark("script")
    if function:
        for what, mend in look_at(function, folder):
            fields.report.add(mark, what, mend)
    return ScriptAction(function, arguments or Value({}, frozenset()))


def _plugin(kind: str, fields: Fields, names: Names) -> Action:
    found = fields.node[kind]
    if found is not None and not isinstance(found, MapNode):
        fields.bad(kind, f"{kind} takes arguments by name", "write `KEY: VALUE` lines below it")
    arguments = fields.value(kind)
    names.check_tree(found, fields.mark(kind))
    return PluginAction(kind, arguments if isinstance(found, MapNode) and arguments else Value({}, frozenset()))


_READERS: dict[str, Callable[[Fields, Path, Names], Action]] = {
    "query": _query,
    "verify": _verify,
    "assert": _assert,
    "script": _script,
}
