"""The certificate in a bundle: the program in the bundle accepts it with the bundle's files, and no changed file."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bundle_worlds import SWITCH_ROLE, bundles, handovers, world
from certificate_programs import ACCEPTED, REJECTED
from manifests import customer, manifest_of
from rolecall_generator.bundle.archive import read_sums
from rolecall_generator.bundle.forms.certificate import CERTIFICATE, PROGRAM, certificate_form
from rolecall_generator.iam import PolicyDocument

MAIN = "terraform/main.tf"


def verify(folder: Path, trust: str = MAIN) -> int:
    """The exit status of the program, run in the folder of an unpacked bundle without anything that is installed."""
    command = [sys.executable, "-I", "-S", "-B", PROGRAM, CERTIFICATE, "--trust", trust]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=60, text=True)
    assert not done.stderr
    return done.returncode


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """The extracted bundles of two customers and a switch role."""
    manifest = world(tmp_path / "own", 2, switch_roles=[SWITCH_ROLE])
    bundles(manifest)
    for archive in (tmp_path / "own" / "output" / "bundles").rglob("*.zip"):
        with zipfile.ZipFile(archive) as content:
            content.extractall(tmp_path / "received")
    return tmp_path / "received"


def test_program_accepts_the_certificate_with_the_module_of_the_bundle(unpacked: Path) -> None:
    assert [ACCEPTED] * 3 == [verify(unpacked / name) for name in ("customer0", "customer1", "trusting")]


def test_program_rejects_the_module_of_another_bundle(unpacked: Path) -> None:
    assert verify(unpacked / "customer0", f"../customer1/{MAIN}") == REJECTED


def test_program_rejects_a_module_with_another_caller(unpacked: Path) -> None:
    path = unpacked / "customer0" / MAIN
    text = path.read_text("utf-8")
    path.write_text(text.replace(":role/backend_role", ":role/other"), "utf-8")
    assert path.read_text("utf-8") != text
    assert verify(unpacked / "customer0") == REJECTED


def test_checksums_list_certificate_and_program(unpacked: Path) -> None:
    for name in ("customer0", "trusting"):
        assert {CERTIFICATE, PROGRAM} <= read_sums((unpacked / name / "SHA256SUMS").read_bytes()).keys()


def test_readme_has_the_command(unpacked: Path) -> None:
    command = f"python3 {PROGRAM} {CERTIFICATE} --trust {MAIN}"
    assert command in (unpacked / "customer0" / "README.md").read_text("utf-8")
    assert PROGRAM not in (unpacked / "trusted" / "README.md").read_text("utf-8")
    assert not (unpacked / "trusted" / PROGRAM).exists()


@pytest.mark.parametrize("trust", ["role-arn", "account-root"])
def test_certificate_claims_both_directions(trust: str) -> None:
    manifest = manifest_of(0, customers=[customer(0, trust=trust, previous_external_id="old-id", session_tags=True)])
    files = certificate_form(handovers(manifest)["customer0"])
    assert {"nothing_else", "everything_intended"} == json.loads(files[CERTIFICATE])["claims"].keys()


def test_no_certificate_without_a_proof() -> None:
    """The trust policy is wider than intended."""
    handover = handovers(manifest_of(1))["customer0"]
    role = next(iter(handover.module.access.roles.values()))
    body = role.trust.to_json() if role.trust is not None else {}
    body["Statement"][0]["Principal"] = {"AWS": "*"}
    object.__setattr__(role, "trust", PolicyDocument.from_json(body))
    assert certificate_form(handover) == {}
