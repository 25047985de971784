"""The package: its files and its installation."""

from __future__ import annotations

import email
import fcntl
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tools.app_tree import PROGRAMS, program
from tools.build_release import (
    ROOT,
    RUNTIME_LOCK,
    build_packages,
    install,
    uv,
    write_bill_of_materials,
    write_man_pages,
)
from tools.man_page import page_name

DATED = {**os.environ, "SOURCE_DATE_EPOCH": "1760000000"}
SOURCES = {
    "generator/rolecall_generator": "rolecall_generator",
    "runner/rolecall": "rolecall",
    "runner/rolecall_runner": "rolecall_runner",
    "templates": "rolecall_generator/templates",
}
"""Path of each folder of the checkout in the wheel."""


@dataclass(frozen=True, slots=True)
class Built:
    """A wheel and the sdist that it was built from."""

    wheel: Path
    sdist: Path

    @property
    def named(self) -> str:
        """Name and version, as in file names."""
        return self.sdist.name.removesuffix(".tar.gz")

    def wheel_files(self) -> set[str]:
        return set(zipfile.ZipFile(self.wheel).namelist())

    def contents(self) -> Iterator[tuple[str, bytes]]:
        """Every file of both, with its content."""
        with zipfile.ZipFile(self.wheel) as wheel:
            yield from ((name, wheel.read(name)) for name in wheel.namelist())
        with tarfile.open(self.sdist) as sdist:
            yield from ((item.name, file.read()) for item in sdist if (file := sdist.extractfile(item)) is not None)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The package as `make dist` builds it from this checkout."""
    if shutil.which(uv()) is None:
        pytest.skip("uv is not here; make sets it up")
    out = tmp_path_factory.mktemp("dist")
    # The man pages are written into the checkout, which the workers of a parallel run share.
    with (tmp_path_factory.getbasetemp().parent / "man-pages.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        write_man_pages(ROOT)
        build_packages(ROOT, out, environment=DATED)
    return Built(next(out.glob("*.whl")), next(out.glob("*.tar.gz")))


def source_files(folder: str) -> list[str]:
    """Paths below a folder of the checkout that git tracks or would add; relative to the folder."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", folder]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    names = [name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]
    return [name.removeprefix(f"{folder}/") for name in names]


def man_pages() -> set[str]:
    """Names of the man pages: one per program and one per command."""
    return {f"{page_name(command)}.1" for name in PROGRAMS for command in program(name).walk()}


def test_wheel_has_only_packages_and_templates(built: Built) -> None:
    """All files of both packages, templates, man pages and metadata; no test, cache, output or example."""
    expected = {f"{target}/{name}" for folder, target in SOURCES.items() for name in source_files(folder)}
    expected |= {f"{built.named}.data/data/share/man/man1/{name}" for name in man_pages()}
    metadata = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}

    assert expected | {f"{built.named}.dist-info/{name}" for name in metadata} == built.wheel_files()


def test_sdist_has_only_the_build_inputs(built: Built) -> None:
    """The sources, project files and man pages; no test, lock, document or tool."""
    expected = {f"{folder}/{name}" for folder in SOURCES for name in source_files(folder)}
    expected |= {f"man/{name}" for name in man_pages()}
    beside = {".gitignore", "CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md", "hatch_build.py", "pyproject.toml"}
    with tarfile.open(built.sdist) as sdist:
        found = {name.removeprefix(f"{built.named}/") for name in sdist.getnames()}

    assert expected | beside == found


def test_wheel_has_all_data_files(built: Built) -> None:
    """Templates, named queries, managed policies, page assets and py.typed markers."""
    files = {name for name in built.wheel_files() if ".dist-info/" not in name and ".data/" not in name}
    named = {"rolecall/py.typed", "rolecall_generator/py.typed", "rolecall_runner/py.typed"}

    assert {".css", ".j2", ".js", ".json", ".py", ".toml", ".typed", ".yaml"} == {Path(name).suffix for name in files}
    assert set() == named - files


def test_package_has_no_local_path(built: Built) -> None:
    """No file contains the path of the checkout, the home folder or the Python that built it."""
    paths = [path.encode() for path in {str(ROOT), str(Path.home()), sys.prefix, sys.base_prefix} if len(path) > 1]
    found = [name for name, content in built.contents() if any(path + b"/" in content for path in paths)]

    assert [] == found


def test_wheel_metadata_matches_the_project(built: Built) -> None:
    """Name, version, Python, license, description, dependencies, extras and both entry points."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    with zipfile.ZipFile(built.wheel) as wheel:
        said = email.message_from_bytes(wheel.read(f"{built.named}.dist-info/METADATA"))
        programs = wheel.read(f"{built.named}.dist-info/entry_points.txt").decode()

    assert built.named == f"{said['Name']}-{said['Version']}"
    assert (project["requires-python"], project["license"]) == (said["Requires-Python"], said["License-Expression"])
    assert "# rolecall" in said.get_payload()
    assert sorted(project["optional-dependencies"]) == sorted(said.get_all("Provides-Extra", []))
    assert len(project["dependencies"]) == len(
        [needed for needed in said.get_all("Requires-Dist", []) if "extra ==" not in needed]
    )
    assert "[console_scripts]\ngen = rolecall_generator.cli:app\nrunner = rolecall_runner.cli:app" == programs.strip()


RELATIVE = re.compile(r'\]\((?!https?:|#)([^)\s]+)\)|(?:src|srcset)="(?!https?:)([^"]+)"')
"""A link or picture that is relative to the repository."""
README = (ROOT / "README.md").read_text("utf-8")
REPOSITORY = "https://git.example/owner/rolecall"


def test_description_of_the_package_has_no_relative_link(built: Built) -> None:
    """A package index shows the README outside the repository."""
    with zipfile.ZipFile(built.wheel) as wheel:
        text = wheel.read(f"{built.named}.dist-info/METADATA").decode()

    assert RELATIVE.search(README)
    assert "## 60 seconds in the sandbox" in text
    assert [] == RELATIVE.findall(text)


@pytest.mark.parametrize(("version", "tag"), [("0.2.0", "v0.2.0"), ("0.2.1.dev3+gabc", "HEAD")])
def test_links_of_the_description_lead_to_the_repository(version: str, tag: str) -> None:
    """With a repository in [project.urls], each relative link and picture of the README leads to a file there."""
    hooks = runpy.run_path(str(ROOT / "hatch_build.py"))
    text = hooks["published_readme"](README, REPOSITORY, version)
    links = [link for link, picture in RELATIVE.findall(README) if link]
    shown = re.findall(r'<img src="([^"]+)"', README)
    kinds = {f"{REPOSITORY}/blob/{tag}/": links, f"{REPOSITORY}/raw/{tag}/": shown}

    assert [] == RELATIVE.findall(text)
    assert kinds == {start: re.findall(rf"{re.escape(start)}([^)\"]+)", text) for start in kinds}
    assert [] == [link for link in [*links, *shown] if not (ROOT / link.partition("#")[0]).exists()]


def test_build_is_reproducible(built: Built, tmp_path: Path) -> None:
    """A build elsewhere, from the sdist, with another umask and at a later time gives identical files."""
    before = os.umask(0o077)
    try:
        subprocess.run(["tar", "-xf", str(built.sdist)], cwd=tmp_path, check=True)
        build_packages(tmp_path / built.named, tmp_path / "dist", environment=DATED)
    finally:
        os.umask(before)

    for file in (built.wheel, built.sdist):
        assert file.read_bytes() == (tmp_path / "dist" / file.name).read_bytes(), file.name


def locked(path: Path) -> dict[str, str]:
    """A lock's requirements: name==version to the hashes. Markers may differ: fewer requirements need fewer markers."""
    lines = path.read_text("utf-8").replace("\\\n", " ").splitlines()
    return {line.split()[0]: line[line.index("--hash") :] for line in lines if line.strip()}


def test_runtime_lock_is_a_subset_of_the_lock() -> None:
    """Users install the tested versions, with the same hashes."""
    everything = locked(ROOT / "requirements.lock")
    runtime = locked(RUNTIME_LOCK)

    assert len(runtime) < len(everything)
    assert runtime == {name: everything.get(name) for name in runtime}


def run(python: Path, *command: str, where: Path) -> str:
    """Output of a program of the environment, started outside the checkout."""
    where.mkdir(exist_ok=True)
    program = python.with_name(command[0])
    environment = {"HOME": str(where), "PATH": os.defpath, "NO_COLOR": "1", "COLUMNS": "120"}
    done = subprocess.run([program, *command[1:]], cwd=where, env=environment, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


def installed(wheel: Path, folder: Path, *, everything: bool = False) -> Path:
    """Install from uv's cache; if that is not sufficient, from the network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UV_OFFLINE", "1")
        try:
            return install(wheel, folder, everything=everything)
        except subprocess.CalledProcessError:
            shutil.rmtree(folder, ignore_errors=True)
    return install(wheel, folder, everything=everything)


def test_installed_wheel_works(built: Built, tmp_path: Path) -> None:
    """With only the wheel's dependencies, outside the checkout: a starter manifest, its modules, their proof, queries."""
    python = installed(built.wheel, tmp_path / "venv")
    work = tmp_path / "work"

    assert f"rolecall {built.wheel.name.split('-')[1]}" == run(python, "gen", "--version", where=work).strip()
    run(python, "gen", "init", where=work)
    run(python, "gen", "terraform", where=work)
    assert "who can assume what" in run(python, "gen", "prove", where=work)
    assert "ec2-instances" in run(python, "runner", "query", "--list", where=work)
    assert "0" == run(python, "python", "-c", "import rolecall; print(rolecall.check().failed_cells)", where=work).strip()


@pytest.mark.slow
def test_runtime_lock_is_complete_and_has_an_sbom(built: Built, tmp_path: Path) -> None:
    """Locked packages and wheel need nothing else; the sandbox runs from them; the SBOM is valid CycloneDX."""
    # Imported here: the validator compiles forty grammars when imported, in every process that collects the tests.
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415

    python = installed(built.wheel, tmp_path / "venv", everything=True)
    run(python, "gen", "init", where=tmp_path / "work")
    run(python, "gen", "terraform", where=tmp_path / "work")
    run(python, "runner", "verify", "--sandbox", where=tmp_path / "work")
    bill = tmp_path / "bill.json"
    write_bill_of_materials(built.wheel, tmp_path / "venv", bill)
    text = bill.read_text("utf-8")

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert applying(RUNTIME_LOCK) == {canonicalize_name(item["name"]) for item in json.loads(text)["components"]}
    assert str(tmp_path) not in text


def applying(path: Path) -> set[str]:
    """Names of the requirements of a lock that apply to this machine and this Python."""
    lines = path.read_text("utf-8").replace("\\\n", " ").splitlines()
    needed = [Requirement(line.split("--hash")[0]) for line in lines if line.strip()]
    return {canonicalize_name(one.name) for one in needed if one.marker is None or one.marker.evaluate()}
