"""Which files a run writes, skips, restores, removes and refuses to overwrite."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from output_trees import fails_at, fingerprint, times, tree, wanted, write
from rolecall_generator.errors import OutputError
from rolecall_generator.output.output_state import CACHE_NAME, LOCK_NAME, ModuleSource, read_lock
from rolecall_generator.output.writer import write_output

ONE = {"main.tf": "one", "README.md": "read one"}
TWO = {"main.tf": "two"}
BOTH = {"customers/one": ONE, "customers/two": TWO}


def test_first_run_writes_every_module_and_locks_it(tmp_path: Path) -> None:
    """The first run creates all modules and records them in the lock file."""
    report = write(tmp_path / "out", BOTH, assignment={"k": ["role", 1]})
    assert wanted(BOTH) == tree(tmp_path / "out")
    assert ("customers/one", "customers/two") == report.created
    assert report.files_written == 3
    lock = read_lock(tmp_path / "out")
    assert {"customers/one", "customers/two"} == set(lock.modules)
    assert {"k": ["role", 1]} == lock.assignment


def test_second_run_writes_nothing(tmp_path: Path) -> None:
    """The same input changes no file and no folder, including lock file and cache."""
    write(tmp_path, BOTH, assignment={"k": ("role", 1)})
    before = times(tmp_path)
    report = write(tmp_path, BOTH, assignment={"k": ("role", 1)})
    assert report.wrote_nothing
    assert before == times(tmp_path)


def test_unchanged_modules_are_not_rendered(tmp_path: Path) -> None:
    """A module with the same fingerprint and unchanged files is not rendered, with or without the cache."""
    write(tmp_path, BOTH)

    def explode() -> dict[str, str]:
        raise AssertionError("rendered")

    unchanged = [ModuleSource(path, fingerprint(files), explode) for path, files in BOTH.items()]
    for _ in range(2):
        report = write_output(tmp_path, unchanged, assignment={})
        assert ("customers/one", "customers/two") == report.unchanged
        (tmp_path / CACHE_NAME).unlink()


@pytest.mark.parametrize("same_size", [True, False])
def test_edited_file_is_restored(tmp_path: Path, *, same_size: bool) -> None:
    """An edited file is restored, also if its size and modification time are unchanged."""
    write(tmp_path, BOTH)
    file = tmp_path / "customers/one/main.tf"
    seen = file.stat()
    file.write_text("eno" if same_size else "longer")
    os.utime(file, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    report = write(tmp_path, BOTH)
    assert ("customers/one",) == report.restored
    assert wanted(BOTH) == tree(tmp_path)
    assert report.files_written == 1
    before = times(tmp_path)
    assert write(tmp_path, BOTH).wrote_nothing
    assert before == times(tmp_path)


def test_missing_file_is_restored(tmp_path: Path) -> None:
    """A deleted file or folder is written again."""
    write(tmp_path, BOTH)
    (tmp_path / "customers/one/main.tf").unlink()
    (tmp_path / "customers/two/main.tf").unlink()
    (tmp_path / "customers/two").rmdir()
    assert ("customers/one", "customers/two") == write(tmp_path, BOTH).restored
    assert wanted(BOTH) == tree(tmp_path)


def test_stale_file_of_changed_module_is_removed(tmp_path: Path) -> None:
    """A file that is no longer planned is removed; unchanged files are not written."""
    write(tmp_path, BOTH)
    untouched = (tmp_path / "customers/one/main.tf").stat().st_mtime_ns
    report = write(tmp_path, {**BOTH, "customers/one": {"main.tf": "one", "new.tf": "new"}})
    assert ("customers/one",) == report.changed
    assert {"main.tf", "new.tf"} == {path.name for path in (tmp_path / "customers/one").iterdir()}
    assert untouched == (tmp_path / "customers/one/main.tf").stat().st_mtime_ns
    assert (1, 1) == (report.files_written, report.files_removed)


def test_removed_module_leaves_no_empty_folders(tmp_path: Path) -> None:
    """A module that is no longer planned is deleted, including folders that become empty."""
    write(tmp_path, {**BOTH, "switch-roles/x/trusted": ONE})
    assert ("switch-roles/x/trusted",) == write(tmp_path, BOTH).removed
    assert ["customers"] == [path.name for path in tmp_path.iterdir() if path.is_dir()]


def test_foreign_and_edited_files_of_removed_module_are_kept(tmp_path: Path) -> None:
    """Foreign and edited files are kept and reported."""
    write(tmp_path, BOTH)
    (tmp_path / "customers/two/terraform.tfstate").write_text("state")
    (tmp_path / "customers/one/main.tf").write_text("mine now")
    report = write(tmp_path, {})
    assert ("customers/one/main.tf", "customers/two/terraform.tfstate") == report.kept
    assert {"customers/one/main.tf": b"mine now", "customers/two/terraform.tfstate": b"state"} == tree(tmp_path)
    assert {} == read_lock(tmp_path).modules


def test_run_without_prune_keeps_stale_modules_and_files_in_lock(tmp_path: Path) -> None:
    """Nothing is deleted, and a later run with prune deletes them."""
    write(tmp_path, BOTH)
    smaller = {"customers/one": {"main.tf": "one"}}
    assert () == write(tmp_path, smaller, prune=False).removed
    assert wanted(BOTH) == tree(tmp_path)
    assert write(tmp_path, smaller, prune=False).wrote_nothing
    write(tmp_path, smaller)
    assert wanted(smaller) == tree(tmp_path)


def test_only_writes_the_named_modules(tmp_path: Path) -> None:
    """Modules outside of `only` are kept on disk and in the lock file, planned or not."""
    write(tmp_path, BOTH)
    locked = read_lock(tmp_path).modules["customers/two"]
    report = write(tmp_path, {"customers/one": {"main.tf": "new"}}, only={"customers/one"})
    assert ("customers/one",) == report.changed
    assert {"customers/one/main.tf": b"new", "customers/two/main.tf": b"two"} == tree(tmp_path)
    assert locked == read_lock(tmp_path).modules["customers/two"]


def test_equal_file_is_adopted_and_different_file_is_rejected(tmp_path: Path) -> None:
    """A file with the planned content is adopted; any other file stops the run before it writes."""
    (tmp_path / "customers/one").mkdir(parents=True)
    (tmp_path / "customers/one/main.tf").write_text("one")
    write(tmp_path, BOTH)
    assert wanted(BOTH) == tree(tmp_path)
    (tmp_path / "customers/three").mkdir()
    (tmp_path / "customers/three/main.tf").write_text("somebody's")
    before = tree(tmp_path)
    with pytest.raises(OutputError, match=r"customers/three/main\.tf") as caught:
        write(tmp_path, {"customers/new": ONE, **BOTH, "customers/three": ONE})
    assert caught.value.hint
    assert before == tree(tmp_path)


@pytest.mark.parametrize("link", ["customers", "customers/one", "customers/one/main.tf"])
def test_symbolic_links_are_never_written_through(tmp_path: Path, link: str) -> None:
    """A symbolic link in a module's path is an error, also when modules are removed."""
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    write(out, BOTH)
    (out / link).rename(elsewhere)
    (out / link).symlink_to(elsewhere)
    before = tree(tmp_path)
    with pytest.raises(OutputError, match="symbolic link"):
        write(out, {"customers/one": TWO})
    assert before == tree(tmp_path)


def test_concurrent_run_is_output_error(tmp_path: Path) -> None:
    """The error has a hint."""
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        with pytest.raises(OutputError, match="another run") as caught:
            write(tmp_path, BOTH)
    finally:
        os.close(descriptor)
    assert "wait" in (caught.value.hint or "")


def test_too_long_name_is_output_error(tmp_path: Path) -> None:
    """The file system rejects the path; completed modules are in the lock file."""
    with pytest.raises(OutputError) as caught:
        write(tmp_path, {"customers/one": ONE, "customers/" + "x" * 300: TWO})
    assert "shorter" in (caught.value.hint or "")


@pytest.mark.parametrize(("error", "hint"), [(errno.ENOSPC, "space"), (errno.EROFS, "--out"), (errno.EACCES, "writable")])
def test_disk_error_has_hint(tmp_path: Path, error: int, hint: str) -> None:
    """A full disk, a read-only disk and a missing permission each have a hint."""
    with pytest.raises(OutputError) as caught:
        write(tmp_path, BOTH, disk=fails_at(3, error))
    assert hint in (caught.value.hint or "")


def test_progress_counts_every_module_once(tmp_path: Path) -> None:
    """Progress is the number of completed modules, including unchanged ones, and ends at the total."""
    heard: list[int] = []
    write(tmp_path, BOTH)
    write(tmp_path, {**BOTH, "customers/three": ONE, "customers/two": ONE}, progress=heard.append)
    assert [1, 2, 3] == heard


def test_lock_with_path_outside_of_folder_is_output_error(tmp_path: Path) -> None:
    """Files outside of the folder are not deleted."""
    out, victim = tmp_path / "out", tmp_path / "victim"
    write(out, {"customers/one": ONE})
    victim.mkdir()
    (victim / "main.tf").write_text("one")
    lock = out / LOCK_NAME
    lock.write_text(lock.read_text().replace("customers/one", "../victim"))
    with pytest.raises(OutputError, match="damaged"):
        write(out, {})
    assert (victim / "main.tf").exists()
