"""Upgrades of rolecall with existing modules, as documented in docs/upgrading.md."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from output_trees import times, tree
from rolecall_generator.errors import OutputError
from rolecall_generator.generate import compare, generate
from rolecall_generator.output.atomic_write import sha256
from rolecall_generator.output.output_state import LOCK_NAME, LOCK_VERSION, read_lock

CUSTOMER = "customers/account1"


@pytest.fixture
def written(generated: Path) -> tuple[Path, Path]:
    manifest, out = generated / "accounts.yaml", generated / "output"
    lock = json.loads((out / LOCK_NAME).read_text("utf-8"))
    for module in lock["modules"].values():
        module["fingerprint"] = "of another version"
    lock["generator"] = "rolecall 0.0.1"
    (out / LOCK_NAME).write_text(json.dumps(lock), encoding="utf-8")
    return manifest, out


def stamps(out: Path) -> dict[str, tuple[bytes, int]]:
    """The files of the modules with content and modification time."""
    return {name: (content, (out / name).stat().st_mtime_ns) for name, content in tree(out).items()}


def reword(out: Path) -> None:
    main = out / CUSTOMER / "main.tf"
    main.write_text(main.read_text("utf-8").replace("# Trust policy", "# Who may assume it"), encoding="utf-8")
    lock = json.loads((out / LOCK_NAME).read_text("utf-8"))
    lock["modules"][CUSTOMER]["files"]["main.tf"] = sha256(main.read_bytes())
    (out / LOCK_NAME).write_text(json.dumps(lock), encoding="utf-8")


def test_version_with_the_same_output_has_no_difference(written: tuple[Path, Path]) -> None:
    assert () == compare(*written).modules


def test_upgrade_does_not_write_unchanged_files(written: tuple[Path, Path]) -> None:
    manifest, out = written
    before = stamps(out)

    report = generate(manifest, out).report

    assert before == stamps(out)
    assert 0 == report.files_written
    assert "rolecall 0.0.1" != read_lock(out).generator


def test_changed_wording_is_not_changed_access(written: tuple[Path, Path]) -> None:
    manifest, out = written
    reword(out)

    assert [(CUSTOMER, "text", ())] == [
        (module.path, module.state, module.changes) for module in compare(manifest, out).modules
    ]


def test_module_with_previous_wording_is_updated(written: tuple[Path, Path]) -> None:
    manifest, out = written
    reword(out)

    generate(manifest, out)

    assert () == compare(manifest, out).modules
    assert "# Trust policy" in (out / CUSTOMER / "main.tf").read_text("utf-8")


def test_lock_file_of_newer_version_is_rejected(written: tuple[Path, Path]) -> None:
    manifest, out = written
    lock = json.loads((out / LOCK_NAME).read_text("utf-8"))
    (out / LOCK_NAME).write_text(json.dumps(lock | {"version": LOCK_VERSION + 1}), encoding="utf-8")
    before = times(out)

    with pytest.raises(OutputError) as raised:
        generate(manifest, out)

    assert "install a newer rolecall" == raised.value.hint
    assert before == times(out)
