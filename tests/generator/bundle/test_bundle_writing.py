"""`gen bundle` as a function call: which files are written, reproducibility, and files that are not touched."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from bundle_worlds import SWITCH_ROLE, bundle_tree, bundles, world, write_manifest
from manifests import customer
from output_trees import times, tree
from rolecall_generator.errors import OutputError, SelectionError
from rolecall_generator.generate import generate


def test_customer_has_folder_and_zip_with_the_same_files(tmp_path: Path) -> None:
    done = bundles(world(tmp_path, 1))
    files = tree(done.folder / "customer0")

    with zipfile.ZipFile(done.folder / "customer0.zip") as archive:
        assert {f"customer0/{name}": content for name, content in files.items()} == {
            entry.filename: archive.read(entry) for entry in archive.infolist()
        }
    named = [line.split("  ")[1] for line in files["SHA256SUMS"].decode().splitlines()]
    assert sorted(files.keys() - {"SHA256SUMS"}) == named


def test_both_sides_of_switch_role_have_a_bundle(tmp_path: Path) -> None:
    done = bundles(world(tmp_path, 1, switch_roles=[SWITCH_ROLE]))

    assert ("customer0", "switch-roles/ops/trusting", "switch-roles/ops/trusted") == done.report.created


def test_terraform_module_equals_output_of_gen_terraform(tmp_path: Path) -> None:
    manifest = world(tmp_path)
    generate(manifest, tmp_path / "output")
    done = bundles(manifest)

    for name, content in tree(tmp_path / "output" / "customers" / "customer1").items():
        assert content == (done.folder / "customer1" / "terraform" / name).read_bytes()


def test_bundles_do_not_depend_on_folder_umask_and_time_zone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = bundle_tree(bundles(world(tmp_path / "a")))
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    before = os.umask(0o077)
    try:
        second = bundle_tree(bundles(world(tmp_path / "b" / "c")))
    finally:
        os.umask(before)

    assert first == second


def test_worker_processes_write_the_same_bundles(tmp_path: Path) -> None:
    alone = bundles(world(tmp_path / "one", 34), processes=1)
    shared = bundles(world(tmp_path / "two", 34), processes=2)

    assert bundle_tree(alone) == bundle_tree(shared)
    assert alone.report == shared.report


def test_scripts_are_executable_in_folder_and_zip(tmp_path: Path) -> None:
    done = bundles(world(tmp_path, 1))
    on_disk = {path.name for path in (done.folder / "customer0").rglob("*") if path.is_file() and os.access(path, os.X_OK)}
    with zipfile.ZipFile(done.folder / "customer0.zip") as archive:
        modes = {entry.filename: oct(entry.external_attr >> 16) for entry in archive.infolist()}

    assert {"apply.sh", "remove.sh"} == on_disk
    assert {"0o100755", "0o100644"} == set(modes.values())
    assert {"customer0/aws-cli/apply.sh", "customer0/aws-cli/remove.sh"} == {
        name for name, mode in modes.items() if mode == "0o100755"
    }


def test_stored_zip_is_uncompressed(tmp_path: Path) -> None:
    """With `stored`, the bytes do not depend on the installed zlib."""
    done = bundles(world(tmp_path, 1), stored=True)

    with zipfile.ZipFile(done.folder / "customer0.zip") as archive:
        assert {zipfile.ZIP_STORED} == {entry.compress_type for entry in archive.infolist()}


def test_second_run_writes_nothing(tmp_path: Path) -> None:
    manifest = world(tmp_path)
    done = bundles(manifest)
    before = times(done.folder / "customer0") | times(done.folder / "customer1.zip")
    again = bundles(manifest)

    assert before == times(done.folder / "customer0") | times(done.folder / "customer1.zip")
    assert again.report.wrote_nothing
    assert ("customer0", "customer1", "customer2") == again.report.unchanged


def test_only_the_changed_customers_bundle_is_written(tmp_path: Path) -> None:
    bundles(world(tmp_path))
    changed = [customer(0), customer(1, external_id="another-one"), customer(2)]
    done = bundles(write_manifest(tmp_path, *changed))

    assert ("customer1",) == done.report.changed
    assert ("customer0", "customer2") == done.report.unchanged
    assert b"another-one" in (done.folder / "customer1" / "terraform" / "main.tf").read_bytes()


def test_only_named_bundles_are_written(tmp_path: Path) -> None:
    bundles(world(tmp_path, 3))
    done = bundles(write_manifest(tmp_path, customer(0, external_id="another-one"), customer(1)), names=["customer0"])

    assert ("customer0",) == done.report.changed
    assert ((), ()) == (done.report.unchanged, done.report.removed)
    assert (done.folder / "customer2.zip").is_file()


@pytest.mark.parametrize(("name", "said"), [("customer9", "did you mean customer"), ("backend", "apply it yourself")])
def test_name_without_bundle_is_usage_error(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(SelectionError, match=said):
        bundles(world(tmp_path), names=[name])

    assert not (tmp_path / "output").exists()


def test_template_url_includes_the_customers_name(tmp_path: Path) -> None:
    done = bundles(world(tmp_path, 1), template_url_base="https://templates.example.com/x/")
    page = (done.folder / "customer0" / "cloudformation" / "README.md").read_text()

    assert "templates.example.com%2Fx%2Fcustomer0%2Fcloudformation%2Ftemplate.json" in page


@pytest.mark.parametrize(
    "names", [("switch-roles", "b"), ("a", "A.zip"), ("rolecall.lock.json", "b")], ids=["folder", "zip", "lock"]
)
def test_conflicting_bundle_paths_are_rejected(tmp_path: Path, names: tuple[str, str]) -> None:
    manifest = write_manifest(tmp_path, *(customer(number, name=name) for number, name in enumerate(names)))

    with pytest.raises(OutputError, match="another name"):
        bundles(manifest)
    assert not (tmp_path / "output").exists()
