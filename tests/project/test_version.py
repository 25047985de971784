"""The version: taken from the git tag, however the source was obtained, and looked up only on request."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import rolecall_generator
import rolecall_runner

ROOT = Path(__file__).resolve().parents[2]


def repository(folder: Path, *steps: str) -> Path:
    """A git repository with the files that determine the version, after the steps: `commit`, or the name of a tag to set."""
    folder.mkdir()
    for name in (".git_archival.txt", ".gitattributes", "LICENSE", "README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all", "--force")
    for step in ("commit", *steps):
        if step == "commit":
            git(folder, "commit", "--quiet", "--allow-empty", "--message", "a change")
        else:
            git(folder, "tag", step)
    return folder


def git(folder: Path, *arguments: str) -> None:
    """Run git with a neutral identity and without this machine's configuration."""
    people = {f"GIT_{role}_{what}": "nobody@example.com" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    subprocess.run(["git", *arguments], cwd=folder, env={**os.environ, **people, **settings}, check=True)


def version_of(folder: Path, **environment: str) -> str:
    """The version that a build in the folder would have."""
    command = [sys.executable, "-m", "hatchling", "version"]
    done = subprocess.run(command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def archive(source: Path, target: Path) -> Path:
    """The source as an unpacked `git archive`, without a repository."""
    target.mkdir()
    git(source, "archive", "--output", str(target / "it.tar"), "HEAD")
    subprocess.run(["tar", "-xf", "it.tar"], cwd=target, check=True)
    return target


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (("v0.3.0",), r"0\.3\.0"),
        (("v0.3.0", "commit", "commit"), r"0\.3\.1\.dev2\+g[0-9a-f]{7,40}"),
        ((), r"0\.1\.0\.dev1\+g[0-9a-f]{7,40}"),
    ],
    ids=["at the tag", "after it", "no tag yet"],
)
def test_version_is_taken_from_the_tag(tmp_path: Path, steps: tuple[str, ...], expected: str) -> None:
    """A tagged commit is that release; a later commit is a development version of the next release and has its hash."""
    found = version_of(repository(tmp_path / "it", *steps))

    assert re.fullmatch(expected, found), found


def test_shallow_clone_is_a_development_version(tmp_path: Path) -> None:
    """A clone with depth 1 has no tags; its version has the commit hash."""
    source = repository(tmp_path / "it", "v0.3.0", "commit")
    git(tmp_path, "clone", "--quiet", "--depth", "1", source.as_uri(), "clone")

    found = version_of(tmp_path / "clone")

    assert re.fullmatch(r"0\.1\.0\.dev1\+g[0-9a-f]{7,40}", found), found


@pytest.mark.parametrize(
    ("steps", "expected"),
    [(("v0.3.0",), r"0\.3\.0"), (("v0.3.0", "commit"), r"0\.3\.1\.dev1\+g[0-9a-f]{7,40}"), ((), r"0\.0")],
    ids=["at the tag", "after it", "no tag yet"],
)
def test_git_archive_has_the_version(tmp_path: Path, steps: tuple[str, ...], expected: str) -> None:
    """`git archive` and the source archives of Git hosts write the tag into .git_archival.txt."""
    found = version_of(archive(repository(tmp_path / "it", *steps), tmp_path / "archive"))

    assert re.fullmatch(expected, found), found


@pytest.mark.parametrize("without", ["repository", "program"])
def test_without_git_the_fallback_version_is_used(tmp_path: Path, without: str) -> None:
    """A copied tree, or a machine without git, builds a development version."""
    folder = repository(tmp_path / "it", "v0.3.0")
    (tmp_path / "empty").mkdir()
    if without == "repository":
        shutil.rmtree(folder / ".git")

    assert "0.1.0.dev0" == version_of(folder, **({"PATH": str(tmp_path / "empty")} if without == "program" else {}))


def test_version_equals_that_of_the_installed_distribution() -> None:
    assert version("rolecall") == rolecall_generator.__version__ == rolecall_runner.__version__


def test_uninstalled_source_has_a_placeholder_version() -> None:
    """Source that is only on the path has no distribution; that is not an error."""
    lines = ["import sys", f"sys.path.insert(0, {str(ROOT / 'generator')!r})", "import rolecall_generator as it"]
    script = "\n".join([*lines, "print(it.__version__)"])
    done = subprocess.run([sys.executable, "-S", "-I", "-c", script], capture_output=True, text=True, check=True)

    assert rolecall_generator.UNKNOWN_VERSION == done.stdout.strip()


@pytest.mark.parametrize("package", [rolecall_generator, rolecall_runner], ids=lambda package: package.__name__)
def test_unknown_attribute_raises(package: object) -> None:
    """The lazy version lookup does not hide a misspelled name."""
    with pytest.raises(AttributeError, match="has no attribute '__versoin__'"):
        getattr(package, "__versoin__")  # noqa: B009 - mypy would refuse the plain form


@pytest.mark.parametrize("program", ["generator", "runner"])
def test_help_does_not_look_up_the_version(program: str) -> None:
    """Importing importlib.metadata takes half as long as `gen --help`; only a version request imports it."""
    script = (
        f"import sys\nfrom rolecall_{program}.cli import app\nsys.argv = ['it', '--help']\n"
        "try:\n    app()\nexcept SystemExit:\n    print('LOADED', 'importlib.metadata' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert "LOADED False" == done.stdout.splitlines()[-1]
