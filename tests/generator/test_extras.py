"""Libraries of extras: a missing one is reported with the pip command, and the table matches pyproject.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from command_rig import RUNNER, process
from manifests import ROOT
from rolecall_generator.errors import EXTRAS, missing_extra


def test_extras_of_table_and_pyproject_are_equal() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]

    assert set(declared) == set(EXTRAS.values())


@pytest.mark.parametrize("library", sorted(EXTRAS))
def test_missing_library_is_reported_with_its_extra(library: str) -> None:
    missing = missing_extra(ModuleNotFoundError(name=f"{library}.inner"))

    assert missing is not None
    assert f" pip install '.[{EXTRAS[library]}]'" in str(missing)
    assert missing_extra(ModuleNotFoundError(name="something_else")) is None


def test_command_with_missing_extra_ends_with_hint(notes: Path) -> None:
    done = process(RUNNER, "rehearse", "--no-terraform", cwd=notes, before="import sys; sys.modules['moto'] = None")

    assert 7 == done.returncode
    assert b" pip install '.[sandbox]'" in done.stderr
    assert b"Traceback" not in done.stderr
