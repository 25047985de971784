"""Signatures of a bundle's checksums, created and verified by the user's own program; rolecall never reads a key."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from bundle_worlds import bundle_tree, bundles, world
from fake_signers import install
from rolecall_generator.bundle.signing import RequiredSigner, Signer
from rolecall_generator.bundle.verification import verify_bundle
from rolecall_generator.errors import ToolError

MINISIGN = shutil.which("minisign")


@pytest.fixture(autouse=True)
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the programs on PATH: minisign and sigstore."""
    for program in ("minisign", "sigstore"):
        install(tmp_path / "bin", program)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin"


@pytest.mark.parametrize(
    ("program", "signature"), [("minisign", "SHA256SUMS.minisig"), ("sigstore", "SHA256SUMS.sigstore.json")]
)
def test_signature_is_next_to_checksums_in_folder_and_zip(tmp_path: Path, program: str, signature: str) -> None:
    done = bundles(world(tmp_path, 2), signer=Signer(program))

    for path in (done.folder / "customer1", done.folder / "customer1.zip"):
        found = verify_bundle(path, RequiredSigner())
        assert found.ok
        assert f"{signature} was not verified: specify the expected signer" == found.signature
    assert (done.folder / "customer1" / signature).is_file()


def test_unchanged_signed_bundle_is_not_signed_again(tmp_path: Path) -> None:
    manifest = world(tmp_path, 1)
    bundles(manifest, signer=Signer("minisign"))

    assert bundles(manifest, signer=Signer("minisign")).report.wrote_nothing
    done = bundles(manifest)
    assert ("customer0",) == done.report.changed
    assert not (done.folder / "customer0" / "SHA256SUMS.minisig").exists()


def test_key_path_is_passed_to_minisign_and_never_read(tmp_path: Path) -> None:
    """minisign receives the key's path and a comment without a timestamp; rolecall does not check that the key exists."""
    done = bundles(world(tmp_path, 1), signer=Signer("minisign", "/nowhere/secret.key"))

    note = (done.folder / "customer0" / "SHA256SUMS.minisig").read_text()
    assert note.startswith("checksums of a rolecall bundle ")
    assert note.endswith(" /nowhere/secret.key")


@pytest.mark.parametrize("program", ["minisign", "sigstore"])
def test_missing_program_is_reported_with_install_hint(tmp_path: Path, programs: Path, program: str) -> None:
    """Nothing is written, and the hint says how to install the program."""
    (programs / program).unlink()

    with pytest.raises(ToolError, match=rf"{program} is not on PATH\n  hint: install it: https://"):
        bundles(world(tmp_path, 1), signer=Signer(program))
    assert not (tmp_path / "output").exists()


def test_failed_signing_program_leaves_bundle_unchanged(tmp_path: Path, programs: Path) -> None:
    """The error has the program's exit code, and no bundle is written without its signature."""
    install(programs, "minisign", body="raise SystemExit(3)")
    manifest = world(tmp_path, 1)
    before = bundle_tree(bundles(manifest))

    with pytest.raises(ToolError, match=r"/bundles/customer0: minisign could not sign \(exit code 3\)"):
        bundles(manifest, signer=Signer("minisign"))
    assert before == bundle_tree(bundles(manifest))


def test_required_signature_must_be_present_and_valid(tmp_path: Path) -> None:
    """A missing signature, a valid one, and one of other checksums."""
    manifest = world(tmp_path, 1)
    key = RequiredSigner(public_key="RWQ")
    folder = bundles(manifest).folder / "customer0"
    assert ["SHA256SUMS.minisig"] == [problem.file for problem in verify_bundle(folder, key).problems]

    bundles(manifest, signer=Signer("minisign"))
    assert "SHA256SUMS.minisig verified" == verify_bundle(folder, key).signature

    (folder / "SHA256SUMS.minisig").write_text("comment 0000 default")
    (problem,) = verify_bundle(folder, key).problems
    assert "signature verification failed: Signature verification failed" == problem.what


def test_sigstore_identity_requires_issuer(tmp_path: Path) -> None:
    """Both are passed to the program; another identity is rejected."""
    folder = bundles(world(tmp_path, 1), signer=Signer("sigstore")).folder / "customer0"

    assert verify_bundle(folder, RequiredSigner(identity="me@example.com", issuer="https://issuer")).ok
    assert not verify_bundle(folder, RequiredSigner(identity="you@example.com", issuer="https://issuer")).ok


@pytest.mark.skipif(MINISIGN is None, reason="no minisign on PATH")
def test_minisign_signs_and_verifies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With minisign on PATH and a new key pair: signatures are reproducible, and another key's signature is rejected."""
    monkeypatch.setenv("PATH", str(Path(str(MINISIGN)).parent))
    for name in ("mine", "other"):
        subprocess.run(
            ["minisign", "-G", "-W", "-p", f"{name}.pub", "-s", f"{name}.key"], cwd=tmp_path, check=True, capture_output=True
        )
    signer = Signer("minisign", str(tmp_path / "mine.key"))
    first = bundles(world(tmp_path / "a", 1), signer=signer)
    second = bundles(world(tmp_path / "b", 1), signer=signer)

    assert bundle_tree(first) == bundle_tree(second)
    assert verify_bundle(first.folder / "customer0.zip", RequiredSigner(public_key=str(tmp_path / "mine.pub"))).ok
    assert not verify_bundle(first.folder / "customer0.zip", RequiredSigner(public_key=str(tmp_path / "other.pub"))).ok
