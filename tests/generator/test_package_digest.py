"""Every change of the package invalidates the caches: tests edit a copy of the package and run its commands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import rolecall_generator
from manifests import NOTES
from rolecall_generator.package_digest import environment_digest, package_digest, template_folder

RUN = "import sys; from rolecall_generator.cli import app; app(prog_name='gen')"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout's two folders, and a manifest."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(str(rolecall_generator.__file__)).parent, tmp_path / "generator/rolecall_generator", ignore=ignored)
    shutil.copytree(template_folder(), tmp_path / "templates")
    shutil.copy(NOTES, tmp_path / "accounts.yaml")
    return tmp_path


def gen(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the copy's `gen`."""
    environment = {**os.environ, "PYTHONPATH": str(copy / "generator"), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-c", RUN, *arguments], cwd=copy, env=environment, capture_output=True, text=True, check=False
    )


def edit(path: Path, old: str, new: str) -> None:
    """Change a file, keeping its size and time stamps."""
    text, before = path.read_text(), path.stat()
    assert old in text
    assert len(old) == len(new)
    path.write_text(text.replace(old, new))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("generator/rolecall_generator/planning/customer.py", "TrustBackendRole", "TrustBackendRale"),
        ("templates/terraform/main.tf.j2", "The wrong-account guard", "The wrong account guard"),
    ],
)
def test_edited_package_writes_modules_again(file: str, old: str, new: str, copy: Path) -> None:
    """The edit changes neither size nor time stamps."""
    first = gen(copy, "terraform")
    assert 0 == first.returncode, first.stderr
    assert "Nothing to write" in gen(copy, "terraform").stdout
    edit(copy / file, old, new)

    assert "Nothing to write" not in gen(copy, "terraform").stdout
    assert any(new in path.read_text() for path in (copy / "output").rglob("main.tf"))


def test_edited_page_template_changes_bundles_but_no_module(copy: Path) -> None:
    """A bundle contains an HTML page, a module does not."""
    assert 0 == gen(copy, "terraform").returncode
    assert 0 == gen(copy, "bundle", "account1").returncode
    edit(copy / "templates/html/review.html.j2", "What it allows", "What it PERMITS")

    assert "Nothing to write" in gen(copy, "terraform").stdout
    assert 0 == gen(copy, "bundle", "account1").returncode
    assert ["What it CAN do" in path.read_text() for path in (copy / "output").rglob("review.html")] == [True]


def test_edited_package_checks_modules_again(copy: Path) -> None:
    """Cached results of the previous code are not used."""
    assert 0 == gen(copy, "terraform").returncode
    assert 0 == gen(copy, "check").returncode
    edit(copy / "generator/rolecall_generator/planning/customer.py", "TrustBackendRole", "TrustBackendRale")
    found = gen(copy, "check", "--format", "json")

    assert 1 == found.returncode, found.stderr
    assert "RC801" in found.stdout
    assert 1 == gen(copy, "diff").returncode


def test_digest_does_not_depend_on_location(copy: Path) -> None:
    """A copy in another folder, and templates inside the package as in a wheel, have the digest of the checkout."""
    show = "from rolecall_generator.package_digest import package_digest; print(package_digest())"

    def shown() -> str:
        environment = {**os.environ, "PYTHONPATH": str(copy / "generator"), "PYTHONDONTWRITEBYTECODE": "1"}
        run = [sys.executable, "-c", show]
        return subprocess.run(run, cwd=copy, env=environment, capture_output=True, text=True, check=True).stdout.strip()

    assert package_digest() == shown()
    shutil.move(copy / "templates", copy / "generator/rolecall_generator/templates")
    assert package_digest() == shown()
    (copy / "generator/rolecall_generator/iam/data/new.json").write_text("{}")
    assert package_digest() != shown()


def test_the_digest_costs_little() -> None:
    """It is computed in every process that needs it."""
    package_digest.cache_clear()
    environment_digest.cache_clear()
    started = time.process_time()
    environment_digest()

    assert time.process_time() - started < 0.2
