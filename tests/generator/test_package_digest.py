"""Any change of the package invalidates the caches: tests edit a copy of the package and run its commands."""

from __future__ import annotations

import os
import shutil
from importlib.util import cache_from_source
from pathlib import Path

import pytest

import rolecall_generator
from command_rig import GEN, Ended, process
from manifests import NOTES
from rolecall_generator.package_digest import package_digest, template_folder


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two folders of a checkout, and a manifest with its modules and a bundle; tests only read it."""
    folder = tmp_path_factory.mktemp("written")
    shutil.copytree(Path(str(rolecall_generator.__file__)).parent, folder / "generator/rolecall_generator")
    shutil.copytree(template_folder(), folder / "templates")
    shutil.copy(NOTES, folder / "accounts.yaml")
    for command in (["terraform"], ["bundle", "account1"]):
        assert 0 == run(folder, *command).code
    return folder


@pytest.fixture
def copy(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path, dirs_exist_ok=True))


def run(copy: Path, *arguments: str) -> Ended:
    done = process(GEN, *arguments, cwd=copy, environ={"PYTHONPATH": str(copy / "generator")})
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


def edit(path: Path, old: str, new: str) -> None:
    """Change a file without changing its size and timestamps."""
    text, before = path.read_text(), path.stat()
    assert old in text
    assert len(old) == len(new)
    path.write_text(text.replace(old, new))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    Path(cache_from_source(path)).unlink(missing_ok=True)  # Python compares only size and mtime


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("generator/rolecall_generator/planning/backend.py", "TrustBackendRole", "TrustBackendRale"),
        ("templates/terraform/main.tf.j2", "Fails the plan", "Stops the plan"),
    ],
)
def test_edited_package_writes_modules_again(file: str, old: str, new: str, copy: Path) -> None:
    """The edit changes neither size nor timestamps."""
    assert "Nothing to write" in run(copy, "terraform").out
    edit(copy / file, old, new)

    assert "Nothing to write" not in run(copy, "terraform").out
    assert any(new in path.read_text() for path in (copy / "output").rglob("main.tf"))


def test_edited_page_template_changes_bundles_but_no_module(copy: Path) -> None:
    edit(copy / "templates/html/review.html.j2", "What it allows", "What it ALLOWS")

    assert "Nothing to write" in run(copy, "terraform").out
    assert 0 == run(copy, "bundle", "account1").code
    assert ["What it ALLOWS" in path.read_text() for path in (copy / "output").rglob("review.html")] == [True]


def test_edited_package_checks_modules_again(copy: Path) -> None:
    assert 0 == run(copy, "check").code
    edit(copy / "generator/rolecall_generator/planning/backend.py", "TrustBackendRole", "TrustBackendRale")
    found = run(copy, "check", "--format", "json")

    assert 1 == found.code, found.err
    assert "RC801" in found.out
    assert 1 == run(copy, "diff").code


def test_digest_does_not_depend_on_location(copy: Path) -> None:
    """A copy in another folder, and templates inside the package as in a wheel, have the digest of the checkout."""
    show = "from rolecall_generator.package_digest import package_digest; print(package_digest())"

    def shown() -> str:
        return process(show, cwd=copy, environ={"PYTHONPATH": str(copy / "generator")}).stdout.decode().strip()

    assert package_digest() == shown()
    shutil.move(copy / "templates", copy / "generator/rolecall_generator/templates")
    assert package_digest() == shown()
    (copy / "generator/rolecall_generator/iam/data/new.json").write_text("{}")
    assert package_digest() != shown()
