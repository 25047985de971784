"""Fixtures of the commands."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from manifests import NOTES


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A folder with the manifest of the example accounts."""
    shutil.copy(NOTES, tmp_path / "accounts.yaml")
    return tmp_path
