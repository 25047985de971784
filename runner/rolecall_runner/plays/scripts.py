"""Python functions and third-party tasks in plays: static validation, and loading before a run."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from rolecall_generator.text import suggest
from rolecall_runner.plays.play_model import PlayError

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


@lru_cache(maxsize=256)
def load_function(function: str, folder: Path) -> Callable[..., Any]:
    """Import a function whose reference is valid according to `validate_function`. Raises PlayError."""
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
