"""`import rolecall`: its names, its cost, and the use of a `Manifest` object without files."""

from __future__ import annotations

import doctest
import importlib
import json
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

import rolecall
from command_rig import gen
from manifests import NOTES
from rolecall_generator.errors import ManifestError, SelectionError

READ = rolecall.PermissionSet(
    statements=(rolecall.StatementSpec(actions=("ec2:DescribeVpcs",), resources=("*",)),), description='Größe, "é"'
)
BACKEND = rolecall.Backend(account_id="111111111111", role=rolecall.BackendRole(existing=False))


def customer(name: str, number: int) -> rolecall.Customer:
    return rolecall.Customer(
        name=name, account_id=f"{222222222222 + number}", external_id=f"{number:032x}", permissions=("read",)
    )


def manifest_of(*customers: rolecall.Customer) -> rolecall.Manifest:
    return rolecall.Manifest(version=1, backend=BACKEND, permission_sets={"read": READ}, customers=customers)


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of temporary files, in which no folder may be left."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert [] == list(folder.glob("rolecall-*"))


def test_every_name_can_be_imported() -> None:
    """`__all__` is the interface, sorted, and what `dir` lists."""
    assert sorted(rolecall.__all__) == dir(rolecall)
    for name in rolecall.__all__:
        assert getattr(rolecall, name) is not None
    with pytest.raises(AttributeError):
        _ = rolecall.no_such_name  # type: ignore[attr-defined]


@pytest.mark.parametrize("module", ["rolecall", "rolecall_runner", "rolecall_generator"])
def test_roots_are_importable_and_load_no_library(module: str) -> None:
    """The import of a root loads neither AWS libraries nor pydantic; they are loaded with the first name that needs them."""
    script = f"import sys, {module}; print(*sorted({{'boto3', 'botocore', 'pydantic', 'yaml', 'moto'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert "" == done.stdout.strip()


def test_docstring_examples_run() -> None:
    """The examples of the package."""
    assert (0, 5) == tuple(doctest.testmod(importlib.import_module("rolecall")))


def test_manifest_of_objects_is_equal_to_the_file(tmp_path: Path) -> None:
    """The bundle of an object has the bytes that `gen bundle` writes for the same manifest in a file."""
    manifest = rolecall.load_manifest(NOTES).manifest
    (tmp_path / "accounts.yaml").write_text(NOTES.read_text("utf-8"), "utf-8")
    assert 0 == gen("terraform", "--quiet", cwd=tmp_path).code
    assert 0 == gen("bundle", "--quiet", cwd=tmp_path).code

    for each in manifest.customers:
        bundle = rolecall.build_bundle(manifest, each.name)
        assert bundle.ok
        assert (tmp_path / "output" / "bundles" / f"{each.name}.zip").read_bytes() == bundle.archive
        names = [name.partition("/")[2] for name in zipfile.ZipFile(BytesIO(bundle.archive)).namelist()]
        assert sorted(bundle.files) == sorted(name for name in names if name)
        assert (
            bundle.archive == rolecall.build_bundle(tmp_path / "accounts.yaml", each.name, out=tmp_path / "output").archive
        )


def test_bundle_of_one_customer_needs_only_this_customer() -> None:
    """A service need not load its other customers to build a bundle."""
    one, two = customer("one", 1), customer("two", 2)

    assert (
        rolecall.build_bundle(manifest_of(one, two), "one").archive == rolecall.build_bundle(manifest_of(one), "one").archive
    )


def test_bundle_with_error_findings_is_marked() -> None:
    """An administrator role is reported as `gen check` would report it."""
    wide = rolecall.PermissionSet(managed_policies=("AdministratorAccess",))
    manifest = manifest_of(customer("one", 1)).model_copy(update={"permission_sets": {"read": wide}})
    bundle, summary = rolecall.build_bundle(manifest, "one"), rolecall.check(manifest)

    errors = {finding.rule for finding in summary.report.active if finding.severity >= 3}
    assert errors
    assert errors == {finding.rule for finding in bundle.findings}
    assert not bundle.ok
    assert [] == [finding for finding in summary.report.active if str(tempfile.gettempdir()) in repr(finding)]


def test_check_of_a_manifest_object_proves_its_modules() -> None:
    """Modules are rendered, parsed and proven."""
    found = rolecall.check(manifest_of(customer("one", 1), customer("two", 2)))

    assert 0 == found.failed_cells < found.cells
    assert 3 == found.modules == found.read


def test_check_of_a_file_checks_the_written_modules(tmp_path: Path) -> None:
    """As `gen check`: a module that was not written is a finding."""
    (tmp_path / "accounts.yaml").write_text(NOTES.read_text("utf-8"), "utf-8")

    assert rolecall.check(tmp_path / "accounts.yaml", tmp_path / "output").report.active


@pytest.mark.parametrize(
    ("update", "words"),
    [
        ({"customers": (customer("one", 1), customer("one", 2))}, "one"),
        ({"customers": (customer("one", 1), customer("two", 1))}, "two"),
        ({"permission_sets": {}}, "read"),
        ({"include": ("customers/*.yaml",)}, "include"),
        ({"backend": rolecall.Backend(account_id="111111111111",
                                      roles=(rolecall.BackendRole(name="a"), rolecall.BackendRole(name="b")))}, "one"),
    ],
)  # fmt: skip
def test_manifest_object_is_validated_as_a_whole(update: dict[str, object], words: str) -> None:
    """Duplicates, shared external IDs, references, and what an object cannot have; no temporary path in the message."""
    manifest = manifest_of(customer("one", 1)).model_copy(update=update)
    for use in (
        lambda: rolecall.check(manifest),
        lambda: rolecall.build_bundle(manifest, "one"),
        lambda: rolecall.Fleet(manifest).accounts,
    ):
        with pytest.raises(ManifestError) as error:
            use()
        assert words in " ".join(problem.what for problem in error.value.problems)
        assert {"accounts.yaml"} == {problem.file for problem in error.value.problems}


@pytest.mark.parametrize("name", ["none", "reena-in-sumesh", "backend", "../one"])
def test_unknown_customer_is_selection_error(name: str) -> None:
    """Also the name of a switch role."""
    manifest = rolecall.load_manifest(NOTES).manifest
    with rolecall.Fleet(manifest) as fleet:
        with pytest.raises(SelectionError):
            fleet.bundle_for(name)
        with pytest.raises(SelectionError):
            fleet.verify(name)


def test_service_onboards_without_files_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, temporary: Path) -> None:
    """Bundle, verdicts of one customer from several threads, functions and queries; nothing in the working directory."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    verdicts: dict[str, rolecall.Verdict] = {}
    with rolecall.Fleet(manifest_of(customer("one", 1), customer("two", 2)), sandbox=True) as fleet:
        assert fleet.bundle_for("one").archive == rolecall.build_bundle(manifest_of(customer("one", 1)), "one").archive

        def verify(name: str) -> None:
            verdicts[name] = fleet.verify(name, rolecall.VerifySpec(actions="none"))

        threads = [threading.Thread(target=verify, args=(name,)) for name in ("one", "two")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {"one": "ok", "two": "ok"} == {name: str(verdict.mark) for name, verdict in verdicts.items()}
        assert json.dumps(verdicts["one"].to_json())
        assert 2 == len(list(fleet.query("ec2", "describe_vpcs")))
        assert ["ok", "ok"] == [str(verdict.mark) for verdict in fleet.verify(rolecall.VerifySpec(actions="none"))]
        (private,) = temporary.glob("rolecall-*")
        assert 0o700 == private.stat().st_mode & 0o777

    assert [] == list(folder.iterdir())
    assert all(verdict.rehearsal for verdict in verdicts.values())


def test_verdict_of_a_wrong_external_id(tmp_path: Path) -> None:
    """The database has another external ID than the role: the verdict has the diagnosis."""
    deployed = tmp_path / "deployed.yaml"
    deployed.write_text(manifest_of(customer("one", 1)).model_dump_json(exclude_unset=True), "utf-8")
    from rolecall_runner.api import execution_context  # noqa: PLC0415 - the sandbox of the deployed state

    bar = (lambda _total: None), (lambda _done: None)
    with execution_context(deployed, tmp_path / "output", sandbox=True, faults="", bar=bar):
        changed = customer("one", 1).model_copy(update={"external_id": "f" * 32})
        with rolecall.Fleet(manifest_of(changed)) as fleet:
            verdict = fleet.verify("one")

    assert "failed" == str(verdict.mark)
    assert "external-id-differs" in {diagnosis.cause for diagnosis in verdict.diagnoses}


def test_fleet_of_an_object_can_be_used_again() -> None:
    """`close` deletes the files, and the next use writes them again."""
    fleet = rolecall.Fleet(manifest_of(customer("one", 1)))
    first = fleet.manifest
    fleet.close()
    assert not first.exists()
    assert ["one"] == [account.name for account in fleet.accounts]
    assert fleet.manifest.exists()
    fleet.close()
