"""Existing content in the output folder: foreign files, edits, bundles of removed customers, and results of killed runs."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from bundle_worlds import bundle_tree, bundles, world, write_manifest
from manifests import customer
from output_trees import CountingDisk, KilledError, dies_at, fails_at, tree
from rolecall_generator.errors import OutputError
from rolecall_generator.output.atomic_write import STAGING_PREFIX


@pytest.mark.parametrize("place", ["customer1", "customer1.zip", "customer1/terraform/main.tf", "customer1/notes.txt"])
def test_foreign_file_blocks_only_its_bundle(tmp_path: Path, place: str) -> None:
    manifest = world(tmp_path)
    foreign = tmp_path / "output" / "bundles" / place
    foreign.parent.mkdir(parents=True, exist_ok=True)
    foreign.write_text("mine")
    done = bundles(manifest)

    assert "mine" == foreign.read_text()
    assert ["customer1"] == list(done.failed)
    assert place.removeprefix("customer1/") in done.failed["customer1"].replace("../", "")
    assert ("customer0", "customer2") == done.report.created


@pytest.mark.parametrize("place", ["customer1", "customer1/terraform", "customer1.zip", "customer1/README.md"])
def test_symbolic_link_is_not_followed(tmp_path: Path, place: str) -> None:
    manifest = world(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = tmp_path / "output" / "bundles" / place
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(elsewhere)
    done = bundles(manifest)

    assert ["customer1"] == list(done.failed)
    assert link.is_symlink()
    assert [] == list(elsewhere.iterdir())


def test_file_added_to_bundle_is_kept(tmp_path: Path) -> None:
    done = bundles(world(tmp_path))
    (done.folder / "customer1" / "notes.txt").write_text("mine")
    before = bundle_tree(done)
    changed = [customer(number, external_id=f"another-{number}") for number in range(3)]
    again = bundles(write_manifest(tmp_path, *changed))

    assert {"customer1": "refusing to overwrite files not created by rolecall: notes.txt"} == dict(again.failed)
    assert ("customer0", "customer2") == again.report.changed
    assert {name: content for name, content in before.items() if name.startswith("customer1")} == {
        name: content for name, content in bundle_tree(again).items() if name.startswith("customer1")
    }


@pytest.mark.parametrize("name", ["customer1/terraform/main.tf", "customer1/SHA256SUMS", "customer1.zip"])
@pytest.mark.parametrize("change", ["edited", "deleted"])
def test_edited_bundle_is_restored_and_reported(tmp_path: Path, name: str, change: str) -> None:
    manifest = world(tmp_path)
    done = bundles(manifest)
    before = bundle_tree(done)
    if change == "edited":
        (done.folder / name).write_text("edited")
    else:
        (done.folder / name).unlink()
    again = bundles(manifest)

    assert ("customer1",) == again.report.restored
    assert before == bundle_tree(again)


def test_unchanged_bundles_are_adopted_without_lock_file(tmp_path: Path) -> None:
    manifest = world(tmp_path)
    done = bundles(manifest)
    (done.folder / "rolecall.lock.json").unlink()
    assert bundles(manifest).report.wrote_nothing

    (done.folder / "rolecall.lock.json").unlink()
    again = bundles(write_manifest(tmp_path, customer(0, external_id="another-one"), customer(1), customer(2)))
    assert ["customer0"] == list(again.failed)


def test_bundle_of_removed_customer_is_deleted(tmp_path: Path) -> None:
    bundles(world(tmp_path))
    done = bundles(world(tmp_path, 2))

    assert ("customer2",) == done.report.removed
    assert {"customer0", "customer0.zip", "customer1", "customer1.zip", "rolecall.lock.json"} == {
        path.name for path in done.folder.iterdir()
    }


def test_added_and_edited_files_of_removed_customer_are_kept(tmp_path: Path) -> None:
    done = bundles(world(tmp_path))
    (done.folder / "customer2" / "notes.txt").write_text("mine")
    (done.folder / "customer2" / "README.md").write_text("edited")
    again = bundles(world(tmp_path, 2))

    assert ("customer2/README.md", "customer2/notes.txt") == again.report.kept
    assert {"README.md", "notes.txt"} == set(tree(done.folder / "customer2"))


def test_no_prune_keeps_bundle_of_removed_customer(tmp_path: Path) -> None:
    """A later run can still delete it."""
    bundles(world(tmp_path))
    kept = bundles(world(tmp_path, 2), prune=False)
    assert (kept.folder / "customer2.zip").is_file()

    assert ("customer2",) == bundles(world(tmp_path, 2)).report.removed


def test_removal_of_all_bundles_requires_prune_all(tmp_path: Path) -> None:
    before = bundle_tree(bundles(world(tmp_path)))
    others = write_manifest(tmp_path, customer(7))
    with pytest.raises(OutputError, match="none of the 3 bundles"):
        bundles(others)
    assert before == tree(tmp_path / "output" / "bundles")

    assert 3 == len(bundles(others, prune_all=True).report.removed)


def refusal(folder: Path, step: int) -> str | None:
    """The error of the later run if the disk is full at a step; None if the run succeeds."""
    try:
        bundles(later(folder), disk=fails_at(step, errno.ENOSPC))
    except OutputError as error:
        return str(error)
    return None


STRIDES = pytest.mark.parametrize("stride", [13, pytest.param(1, marks=pytest.mark.slow)])
"""Number of disk operations from one trial to the next."""


def before(folder: Path) -> None:
    """Three bundles."""
    bundles(write_manifest(folder, customer(0), customer(1), customer(3)))


def later(folder: Path) -> Path:
    """One customer changed, one new, one gone."""
    return write_manifest(folder, customer(0, external_id="another-one"), customer(1), customer(2))


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> int:
    """Number of disk operations of the later run."""
    folder = tmp_path_factory.mktemp("steps")
    counting = CountingDisk()
    before(folder)
    bundles(later(folder), disk=counting.disk())
    return counting.steps


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The bundles after the later run."""
    return bundle_tree(bundles(later(tmp_path_factory.mktemp("wanted"))))


def whole(found: dict[str, bytes], *allowed: dict[str, bytes]) -> bool:
    """Each bundle's folder and zip is either absent or exactly one of the allowed versions."""
    for part in ("customer0/", "customer2/", "customer0.zip", "customer2.zip"):
        own = {name: content for name, content in found.items() if name.startswith(part)}
        if own and own not in [{n: c for n, c in tree.items() if n.startswith(part)} for tree in allowed]:
            return False
    return True


@STRIDES
def test_run_killed_at_any_step_leaves_complete_bundles(
    tmp_path: Path, steps: int, wanted: dict[str, bytes], stride: int
) -> None:
    assert steps > 20
    for step in range(0, steps, stride):
        folder = tmp_path / str(step)
        before(folder)
        start = tree(folder / "output" / "bundles")
        with pytest.raises(KilledError):
            bundles(later(folder), disk=dies_at(step))
        left = {n: c for n, c in tree(folder / "output" / "bundles").items() if STAGING_PREFIX not in n}
        assert whole(left, start, wanted), step
        done = bundles(later(folder))
        assert {} == dict(done.failed), step
        assert wanted == bundle_tree(done), step


@STRIDES
def test_disk_failure_at_any_step_leaves_complete_bundles(
    tmp_path: Path, steps: int, wanted: dict[str, bytes], stride: int
) -> None:
    for step in range(0, steps, stride):
        folder = tmp_path / str(step)
        before(folder)
        start = tree(folder / "output" / "bundles")
        said = refusal(folder, step)
        assert said is None or "free some space" in said, step
        assert STAGING_PREFIX not in (said or ""), step
        left = {n: c for n, c in tree(folder / "output" / "bundles").items() if STAGING_PREFIX not in n}
        assert whole(left, start, wanted), step
        assert wanted == bundle_tree(bundles(later(folder))), step


def test_interrupted_run_keeps_completed_bundles(tmp_path: Path) -> None:
    manifest = world(tmp_path, 40)

    def interrupt(done: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bundles(manifest, progress=interrupt)
    again = bundles(manifest)

    assert {} == dict(again.failed)
    assert 40 == len(again.report.unchanged) + len(again.report.created)
    assert len(again.report.unchanged) >= 5
    assert [] == [path.name for path in again.folder.iterdir() if path.name.startswith(STAGING_PREFIX)]


def test_concurrent_run_is_output_error(tmp_path: Path) -> None:
    manifest = world(tmp_path, 1)

    def second(_done: int) -> None:
        bundles(manifest)

    with pytest.raises(OutputError, match="another run is writing to this folder"):
        bundles(manifest, progress=second)
