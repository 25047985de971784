"""Libraries of extras: a missing one is told with the command that brings it, and the table is that of the package."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from command_rig import RUNNER, process
from manifests import ROOT
from rolecall_generator.errors import EXTRAS, missing_extra


def test_the_table_names_extras_that_the_package_has() -> None:
    """Each extra in the table is one of pyproject.toml, and each of those has a library in the table."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]

    assert set(declared) == set(EXTRAS.values())


@pytest.mark.parametrize("library", sorted(EXTRAS))
def test_a_missing_library_is_told_with_its_extra(library: str) -> None:
    """The error names the library and the command; a library of no extra stays a fault of the program."""
    missing = missing_extra(ModuleNotFoundError(name=f"{library}.inner"))

    assert missing is not None
    assert f"hint: pip install 'rolecall[{EXTRAS[library]}]'" in str(missing)
    assert missing_extra(ModuleNotFoundError(name="something_else")) is None


def test_a_command_whose_extra_is_missing_ends_with_the_mend(notes: Path) -> None:
    """Without moto a sandbox command ends with exit code 7 and no traceback."""
    done = process(RUNNER, "rehearse", "--no-terraform", cwd=notes, before="import sys; sys.modules['moto'] = None")

    assert 7 == done.returncode
    assert b"pip install 'rolecall[sandbox]'" in done.stderr
    assert b"Traceback" not in done.stderr
