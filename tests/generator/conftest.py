"""The generated modules of the example accounts, as a read-only folder or as a copy per test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from manifests import NOTES
from rolecall_generator.generate import generate


@pytest.fixture(scope="session")
def generated_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the manifest of the example accounts and its modules; tests only read it."""
    folder = tmp_path_factory.mktemp("generated")
    shutil.copy(NOTES, folder / "accounts.yaml")
    generate(folder / "accounts.yaml", folder / "output")
    return folder


@pytest.fixture
def generated(generated_once: Path, tmp_path: Path) -> Path:
    """A folder with the manifest of the example accounts and its modules; the test may change it."""
    return Path(shutil.copytree(generated_once, tmp_path, dirs_exist_ok=True))
