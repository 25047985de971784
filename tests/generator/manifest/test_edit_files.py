"""Edits of several files: includes, new files, symbolic links, file modes, and disk errors."""

from __future__ import annotations

import dataclasses
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from output_trees import contents
from rolecall_generator.errors import OutputError, SelectionError
from rolecall_generator.manifest.editing.manifest_edits import (
    AddCustomer,
    RemoveEntry,
    RenameEntry,
    SetField,
    apply_edits,
    write_edited,
)
from rolecall_generator.manifest.loader import included_by, load_manifest
from rolecall_generator.output.atomic_write import Disk

MAIN = """version: 1
backend: {account_id: "111111111111"}
include: [customers/*.yaml]
suppress: [{rule: RC1, subject: a, reason: r}]
"""


def one(name: str, number: int) -> str:
    return f'customers:\n  - name: {name}\n    account_id: "{number:012}"\n'


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """A manifest that includes one file per customer, a and b."""
    (tmp_path / "customers").mkdir()
    (tmp_path / "accounts.yaml").write_text(MAIN)
    (tmp_path / "customers" / "a.yaml").write_text(one("a", 1))
    (tmp_path / "customers" / "b.yaml").write_text(one("b", 2))
    return tmp_path / "accounts.yaml"


def test_entry_is_edited_in_its_own_file(manifest: Path) -> None:
    before = contents(manifest.parent)
    write_edited(apply_edits(manifest, [SetField("b", "role", "Auditor")]))

    assert before | {"customers/b.yaml": f"{one('b', 2)}    role: Auditor\n".encode()} == contents(manifest.parent)


def test_new_customer_gets_its_own_file_like_the_others(manifest: Path) -> None:
    """The new file is created next to the others and matches the manifest's pattern."""
    write_edited(apply_edits(manifest, [AddCustomer({"name": "c", "account_id": "000000000003"})]))

    assert one("c", 3) == (manifest.parent / "customers" / "c.yaml").read_text()
    assert ["a", "b", "c"] == [customer.name for customer in load_manifest(manifest).manifest.customers]


def test_unmatched_new_file_is_added_to_include(manifest: Path) -> None:
    """Its folder is created."""
    new = AddCustomer({"name": "c", "account_id": "000000000003"}, manifest.parent / "more" / "fleet.csv")
    edited = apply_edits(manifest, [new, dataclasses.replace(new, values={"name": "d", "account_id": "000000000004"})])
    assert [None, MAIN.encode()] == [content.before for content in edited.files.values()]
    write_edited(edited)

    assert "include: [customers/*.yaml, more/fleet.csv]" in manifest.read_text()
    assert "name,account_id\nc,000000000003\nd,000000000004\n" == (manifest.parent / "more" / "fleet.csv").read_text()
    assert ["a", "b", "c", "d"] == [customer.name for customer in load_manifest(manifest).manifest.customers]


@pytest.mark.parametrize("name", ["../outside.yaml", "customers/c.txt", "customers/there.yaml/../../there.yaml"])
def test_file_that_cannot_be_included_is_rejected(manifest: Path, name: str) -> None:
    """Outside of the manifest's folder, with an unsupported extension, or existing but not included."""
    (manifest.parent / "there.yaml").write_text("customers: []\n")

    with pytest.raises(SelectionError):
        apply_edits(manifest, [AddCustomer({"name": "c", "account_id": "000000000003"}, manifest.parent / name)])


@pytest.mark.parametrize(
    ("pattern", "path", "found"),
    [
        ("customers/*.yaml", "customers/a.yaml", True),
        ("customers/*.yaml", "more/customers/a.yaml", False),
        ("**/*.yaml", "a.yaml", True),
        ("**/*.yaml", "one/two/a.yaml", True),
        ("*", "a.csv", True),
        ("customers/[ab].yaml", "customers/c.yaml", False),
    ],
)
def test_pattern_matches_new_file_like_an_existing_one(tmp_path: Path, pattern: str, path: str, found: bool) -> None:
    """`included_by` has the same result as globbing after the file is created."""
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()

    assert found == included_by(pattern, Path(path))
    assert found == (file in tmp_path.glob(pattern))


def test_rename_is_written_to_both_files(manifest: Path) -> None:
    """The name in the customer's file, and the suppression in the manifest."""
    write_edited(apply_edits(manifest, [RenameEntry("a", "z")]))

    assert one("z", 1) == (manifest.parent / "customers" / "a.yaml").read_text()
    assert "subject: z" in manifest.read_text()


def test_symbolic_links_and_file_modes_are_kept(manifest: Path) -> None:
    """A symbolic link still points to its file, which has the new content and the previous mode."""
    real = manifest.parent / "customers" / "b.yaml"
    real.chmod(0o640)
    link = manifest.parent / "customers" / "c.yaml"
    link.symlink_to("b.yaml")
    real.rename(manifest.parent / "real.yaml")
    real.symlink_to("../real.yaml")
    link.unlink()
    write_edited(apply_edits(manifest, [RenameEntry("b", "z")]))

    assert real.is_symlink()
    assert one("z", 2) == real.read_text()
    assert 0o640 == stat.S_IMODE((manifest.parent / "real.yaml").stat().st_mode)


@pytest.mark.parametrize("failing", [0, 1])
def test_failed_replacement_leaves_all_files_unchanged(manifest: Path, failing: int) -> None:
    before = contents(manifest.parent)
    edited = apply_edits(manifest, [RenameEntry("a", "z")])
    calls: list[str] = []

    def replace(source: str, target: str) -> None:
        calls.append(target)
        if len(calls) == failing + 1:
            raise OSError(28, "No space left on device", target)
        Path(source).replace(target)

    with pytest.raises(OutputError, match="No space left"):
        write_edited(edited, dataclasses.replace(Disk(), replace=replace))
    assert before == contents(manifest.parent)


def test_full_disk_before_first_replacement_changes_nothing(manifest: Path) -> None:
    """All new content is on the disk before any file is replaced."""
    before = contents(manifest.parent)

    def write_new(path: str, content: bytes) -> tuple[int, int, int]:
        if "accounts" in path:
            raise OSError(28, "No space left on device", path)
        return Disk().write_new(path, content)

    with pytest.raises(OutputError):
        write_edited(apply_edits(manifest, [RenameEntry("a", "z")]), dataclasses.replace(Disk(), write_new=write_new))
    assert before == contents(manifest.parent)


def test_partially_written_file_is_removed(manifest: Path) -> None:
    """If the disk becomes full during a write, the error names the edited file, and no temporary file is left."""
    before = contents(manifest.parent)

    def write_new(path: str, content: bytes) -> tuple[int, int, int]:
        Disk().write_new(path, content[:10])
        raise OSError(28, "No space left on device", path)

    with pytest.raises(OutputError, match="No space left") as caught:
        write_edited(apply_edits(manifest, [RenameEntry("a", "z")]), dataclasses.replace(Disk(), write_new=write_new))
    assert before == contents(manifest.parent)
    assert caught.value.where in {str(manifest), str(manifest.parent / "customers" / "a.yaml")}


def test_temporary_files_of_a_killed_edit_are_removed(manifest: Path) -> None:
    """They are not part of the manifest even if a pattern matches them, and the next edit deletes them."""
    manifest.write_text(MAIN.replace("*.yaml", "*"))
    (manifest.parent / "customers" / ".a.yaml.4711.tmp").write_text("customers: [")
    (manifest.parent / "customers" / ".a.yaml.swp").write_text("an editor's own")
    write_edited(apply_edits(manifest, [SetField("a", "role", "Auditor")]))

    assert [".a.yaml.swp", "a.yaml", "b.yaml"] == sorted(path.name for path in (manifest.parent / "customers").iterdir())


def test_file_changed_since_it_was_read_is_not_overwritten(manifest: Path) -> None:
    edited = apply_edits(manifest, [RenameEntry("a", "z")])
    manifest.write_text(MAIN + "# saved\n")

    with pytest.raises(OutputError, match="changed since it was read"):
        write_edited(edited)
    assert one("a", 1) == (manifest.parent / "customers" / "a.yaml").read_text()


def test_one_of_two_concurrent_edits_is_rejected(manifest: Path) -> None:
    """An edit that was computed before another one was written does not revert it."""
    looked, go_on = threading.Event(), threading.Event()

    def write_new(path: str, content: bytes) -> tuple[int, int, int]:
        looked.set()
        go_on.wait(30)
        return Disk().write_new(path, content)

    first, second = (apply_edits(manifest, [SetField("a", "role", role)]) for role in ("One", "Two"))
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(write_edited, first, dataclasses.replace(Disk(), write_new=write_new))
        looked.wait(30)
        other = pool.submit(write_edited, second)
        wait([other], timeout=0.2)  # without locking, the second edit would finish within this time
        go_on.set()

    assert slow.exception() is None
    assert "changed since it was read" in str(other.exception())
    assert "One" == load_manifest(manifest).manifest.customers[0].role


def test_read_only_file_is_not_replaced(manifest: Path) -> None:
    """Permissions of the folder, or of root, would allow the replacement."""
    manifest.chmod(0o444)

    with pytest.raises(OutputError, match="read-only"):
        write_edited(apply_edits(manifest, [RenameEntry("a", "z")]))


def test_named_pipe_is_not_edited(tmp_path: Path) -> None:
    """Only regular files can be replaced."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "accounts.yaml").write_text('version: 1\nbackend: {account_id: "111111111111"}\n' + one("a", 1))
    edited = apply_edits(tmp_path / "accounts.yaml", [RemoveEntry("a")])
    assert 1 == len(edited.files)
    (tmp_path / "accounts.yaml").unlink()
    (tmp_path / "accounts.yaml").symlink_to("pipe")

    with pytest.raises(OutputError):
        write_edited(edited)
