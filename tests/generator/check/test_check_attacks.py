"""`gen check` of manipulated modules: every attack in the table is an error with customer, file and line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from attacks import ADDITIONS, EDITS, MANIFEST
from rolecall_generator.check.manifest_check import check_output
from rolecall_generator.findings import Finding, Severity
from rolecall_generator.generate import generate

ATTACKS = {**EDITS, **{f"added: {name}": attack for name, attack in ADDITIONS.items()}}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the manifest and its generated modules."""
    folder = tmp_path_factory.mktemp("attacked")
    (folder / "accounts.yaml").write_text(MANIFEST)
    generate(folder / "accounts.yaml", folder / "output")
    return folder


def errors(folder: Path) -> list[Finding]:
    found = check_output(folder / "accounts.yaml", folder / "output").report.active
    return [finding for finding in found if finding.severity is Severity.ERROR]


def test_table_has_at_least_60_attacks() -> None:
    """The table keeps its required size."""
    assert 60 <= len(ATTACKS)


def test_untouched_modules_have_no_errors(written: Path) -> None:
    """Without an attack there are no findings, so findings in the other tests are caused by the attacks."""
    assert [] == errors(written)


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_is_error_with_subject_and_location(name: str, written: Path, tmp_path: Path) -> None:
    """The error has the module's customer or switch role as subject, and a file of its folder."""
    folder = tmp_path / "copy"
    shutil.copytree(written, folder)
    # Cached results of the untouched modules must not hide the attack.
    assert [] == errors(folder)
    path, file, *change = ATTACKS[name]
    target = folder / "output" / path
    if name in EDITS:
        _, old, new = EDITS[name]
        for edited in target.glob("*.tf"):
            edited.write_text(edited.read_text().replace(old, new, 1))
    else:
        (target / file).write_text(change[0])
    subject = {"backend": "backend"}.get(path, path.split("/")[1] if "/" in path else path)
    found = errors(folder)

    assert found
    assert subject in {finding.subject for finding in found}
    assert any(finding.file is not None and finding.file.startswith(f"{path}/") for finding in found)
    assert all(finding.hint for finding in found)
