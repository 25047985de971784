"""The house stands as drawn: which module may import which, and what the repository must never hold."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "rolecall_generator"
SOURCE = ROOT / "generator" / PACKAGE

# By package or module: the parts of rolecall_generator that it may import. Who is not named stands at the top of the
# house (commands and what they call) and is held by the other tests alone.
MAY_IMPORT = {
    "errors": set[str](),
    "iam": {"errors", "iam"},
    "manifest": {"errors", "iam", "manifest"},
    "plan": {"errors", "iam", "manifest", "plan"},
    "parse": {"errors", "iam", "checks.finding", "parse"},
    "checks.finding": set[str](),
    "hcl": set[str](),
    "render": {"iam", "hcl"},
}
# By library: the only parts that may import it.
ONLY_IN = {
    "jinja2": {"render"},
    "hcl2": {"parse"},
    "lark": {"parse"},
    "yaml": {"manifest"},
    "boto3": set[str](),
    "botocore": set[str](),
    "rolecall_runner": set[str](),
}


@cache
def modules() -> dict[str, ast.Module]:
    """Syntax trees by dotted name below the package; the package itself is the empty name."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text("utf-8"))
    return found


def imported_names(tree: ast.Module) -> Iterator[str]:
    """Everything that a module imports, in functions and for type checkers too; `from a import b` gives `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written in full, so that they can be searched for"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_modules(name: str) -> set[str]:
    """The package's own modules that a module imports, without those that only a type checker sees."""
    tree = modules()[name]
    unseen = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in imported_names(ast.Module(node.body, []))
    }
    found = set()
    for full in set(imported_names(tree)) - unseen:
        if full.startswith(f"{PACKAGE}."):
            inner = full.removeprefix(f"{PACKAGE}.")
            found.add(inner if inner in modules() else inner.rpartition(".")[0])
    return found - {""}


def is_in(name: str, parts: set[str]) -> bool:
    return any(name == part or name.startswith(f"{part}.") for part in parts)


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_imports_run_one_way(part: str) -> None:
    """No module of this part imports anything that stands above or beside it in the house."""
    inside = [name for name in modules() if is_in(name, {part})]
    assert inside, f"{part} is gone: draw the map anew"
    wrong = [
        f"{name} imports {other}"
        for name in inside
        for other in sorted(imported_modules(name))
        if not is_in(other, MAY_IMPORT[part])
    ]
    assert [] == wrong


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_has_one_home(library: str) -> None:
    """A library that only one part is to know is imported by no other, not even inside a function."""
    wrong = [
        name
        for name, tree in modules().items()
        if any(is_in(full, {library}) for full in imported_names(tree)) and not is_in(name, ONLY_IN[library])
    ]
    assert [] == wrong


def test_no_module_imports_itself_by_a_detour() -> None:
    """The modules can be put into an order in which each imports only earlier ones."""
    order = list(TopologicalSorter({name: imported_modules(name) for name in modules()}).static_order())
    assert set(modules()) <= set(order) | {""}


def test_help_pays_for_nothing_it_does_not_need() -> None:
    """`gen --help` loads neither boto3 nor python-hcl2 nor Jinja2, nor what they are made of."""
    heavy = ("boto3", "botocore", "hcl2", "lark", "jinja2")
    program = f"""
import sys
from {PACKAGE}.cli import app
try:
    app(["--help"])
except SystemExit as end:
    assert not end.code, end.code
print("loaded:", *(name for name in {heavy!r} if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)
    assert "loaded:" == done.stdout.splitlines()[-1]


def test_no_tracked_file_tells_where_it_was_written() -> None:
    """No file in git holds a package index's host or a path of the machine it was made on."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    # In parts, or this file would be the first find.
    forbidden = ["pypi" + ".org", "files.pythonhosted" + ".org", "/ro" + "ot/", "/wo" + "rk/"]
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    wrong = [
        f"{name}: {text}"
        for name in listed.split("\0")
        if name and (ROOT / name).is_file()
        for text in forbidden
        if text.encode() in (ROOT / name).read_bytes()
    ]
    assert [] == wrong
