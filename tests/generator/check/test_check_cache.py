"""Checks with and without the cache of an output folder have the same findings."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from manifests import NOTES
from rolecall_generator.check.manifest_check import CheckSummary, check_output
from rolecall_generator.generate import generate
from rolecall_generator.output import output_state
from rolecall_generator.output.output_state import CACHE_NAME, load_state

MODULE = "customers/account1"


def write_findings_manifest(folder: Path) -> None:
    """Add causes of warnings: a short external ID and an unknown action."""
    text = (folder / "accounts.yaml").read_text()
    own = text.split("name: account2", 1)[1].split('external_id: "', 1)[1].split('"', 1)[0]
    (folder / "accounts.yaml").write_text(text.replace(own, "short1"))


@pytest.fixture(scope="module")
def unchecked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest with findings and its generated modules; tests only read it."""
    folder = tmp_path_factory.mktemp("unchecked")
    shutil.copy(NOTES, folder / "accounts.yaml")
    write_findings_manifest(folder)
    generate(folder / "accounts.yaml", folder / "output")
    return folder


@pytest.fixture
def world(unchecked: Path, tmp_path: Path) -> Path:
    """A manifest with findings, its generated modules, and a cache with all of them."""
    shutil.copytree(unchecked, tmp_path, dirs_exist_ok=True)
    assert checked(tmp_path).report.active
    return tmp_path


def checked(folder: Path) -> CheckSummary:
    return check_output(folder / "accounts.yaml", folder / "output")


def without_cache(folder: Path) -> CheckSummary:
    """The check of a copy of the output folder that has no cache."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "output"
        shutil.copytree(folder / "output", copy, symlinks=True)
        (copy / CACHE_NAME).unlink(missing_ok=True)
        return check_output(folder / "accounts.yaml", copy)


def result_of(done: CheckSummary) -> tuple[object, ...]:
    return done.report, done.cells, done.failed_cells, done.modules


def main_tf(folder: Path) -> Path:
    return folder / "output" / MODULE / "main.tf"


def edit_keeping_size_and_mtime(folder: Path) -> None:
    file = main_tf(folder)
    before = file.stat()
    file.write_text(file.read_text().replace("s3:GetObject", "s3:PutObject"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def insert_line(folder: Path) -> None:
    file = folder / "output/customers/account2/main.tf"
    if file.exists():
        file.write_text("\n" + file.read_text())


def replace_by_link(folder: Path) -> None:
    module = folder / "output" / MODULE
    if not module.is_symlink() and module.is_dir():
        shutil.rmtree(folder / "elsewhere", ignore_errors=True)
        module.rename(folder / "elsewhere")
        module.symlink_to(folder / "elsewhere")


def remove_module(folder: Path) -> None:
    if not (folder / "output" / MODULE).is_symlink():
        shutil.rmtree(folder / "output" / MODULE, ignore_errors=True)


def regenerate(folder: Path) -> None:
    if (folder / "output" / MODULE).is_symlink():
        (folder / "output" / MODULE).unlink()
    generate(folder / "accounts.yaml", folder / "output")


def write_if_there(name: str, content: str) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        if (path := folder / "output" / name).parent.is_dir():
            path.write_text(content)

    return edit


def change_manifest(old: str, new: str) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / "accounts.yaml"
        path.write_text(path.read_text().replace(old, new, 1))

    return edit


EDITS: dict[str, Callable[[Path], None]] = {
    "nothing": lambda _folder: None,
    "same size and mtime": lambda folder: edit_keeping_size_and_mtime(folder) if main_tf(folder).exists() else None,
    "line inserted": insert_line,
    "override added": write_if_there(f"{MODULE}/x_override.tf", 'resource "aws_iam_role" "this" {\n  name = "x"\n}\n'),
    "override removed": lambda folder: (folder / "output" / MODULE / "x_override.tf").unlink(missing_ok=True),
    "file emptied": write_if_there(f"{MODULE}/main.tf", ""),
    "module removed": remove_module,
    "module replaced by a link": replace_by_link,
    "unplanned file": write_if_there("stray.tf", ""),
    "manifest line inserted": change_manifest("version: 1", "# comment\nversion: 1"),
    "another role": change_manifest("role: role2", "role: role9"),
    "another short external ID": change_manifest("short1", "short2"),
    "regenerated": regenerate,
}


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(sorted(EDITS)), min_size=1, max_size=4))
def test_check_with_cache_equals_check_without(unchecked: Path, names: list[str]) -> None:
    """After any edits, in any order, with a check after each."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(shutil.copytree(unchecked, scratch, dirs_exist_ok=True))
        checked(folder)
        for name in names:
            EDITS[name](folder)
            assert result_of(without_cache(folder)) == result_of(checked(folder)), name
            assert result_of(without_cache(folder)) == result_of(checked(folder)), f"{name}, second check"


@pytest.mark.parametrize("name", sorted(EDITS))
def test_check_after_edit_equals_check_without_cache(name: str, world: Path) -> None:
    EDITS[name](world)

    assert result_of(without_cache(world)) == result_of(checked(world))


def test_findings_of_unchanged_folder_come_from_cache(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the proof nor the rules are run again."""
    first = checked(world)

    def prove_again(*_arguments: object, **_options: object) -> None:
        raise AssertionError("proven again")

    monkeypatch.setattr("rolecall_generator.check.manifest_check._prove_and_run_rules", prove_again)
    again = checked(world)

    assert 0 == again.read
    assert result_of(first) == result_of(again)


def test_check_with_only_ignores_cached_result_of_all_modules(world: Path) -> None:
    whole = checked(world)
    part = check_output(world / "accounts.yaml", world / "output", only=["account1"])

    assert () == part.report.active
    assert whole.cells > part.cells > 0


def test_module_that_changed_within_timestamp_resolution_is_read_again(world: Path) -> None:
    """File systems have coarse timestamps, so the stamp can be the same."""
    changed = main_tf(world).stat().st_ctime_ns
    os.utime(world / "output" / CACHE_NAME, ns=(changed, changed))
    edited = checked(world)

    assert edited.read >= 1
    assert result_of(without_cache(world)) == result_of(edited)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "another file", "empty", "nested", "old code"])
def test_damaged_cache_is_ignored(damage: str, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = world / "output" / CACHE_NAME
    content = file.read_bytes()
    middle = len(content) // 2
    damaged = {
        "truncated": content[:-2],
        "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "another file": b"{}",
        "empty": b"",
        "nested": b"[" * 100_000,
        "old code": content,
    }
    file.write_bytes(damaged[damage])
    if damage == "old code":
        monkeypatch.setattr(output_state, "environment_digest", lambda: "other")
    done = checked(world)

    assert (6, 6) == (done.modules, done.read)


@pytest.mark.parametrize("foreign", ["owner", "writable", "link"])
def test_cache_that_others_could_have_written_is_ignored(foreign: str, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = world / "output" / CACHE_NAME
    if foreign == "owner":
        monkeypatch.setattr(os, "geteuid", lambda: file.stat().st_uid + 1)
    elif foreign == "writable":
        file.chmod(0o622)
    else:
        file.rename(world / "cache")
        file.symlink_to(world / "cache")

    assert 6 == checked(world).read


def test_cache_is_readable_only_by_its_owner(world: Path) -> None:
    assert 0o600 == (world / "output" / CACHE_NAME).stat().st_mode & 0o777


def test_is_checked_depends_on_plan_and_stamp(world: Path) -> None:
    """It is false for another plan and for a changed folder."""
    state = load_state(world / "output")
    assert not state.is_checked(MODULE, "")

    stamp = output_state.stamp_folder(str(world / "output" / MODULE))
    assert stamp is not None
    state.record_checked(MODULE, "plan", stamp)
    assert state.is_checked(MODULE, "plan")

    edit_keeping_size_and_mtime(world)
    assert not state.is_checked(MODULE, "plan")
