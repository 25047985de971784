"""`gen bundle-check` reports every changed, missing and added file, and rejects unsafe zip files."""

from __future__ import annotations

import io
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundle_worlds import bundles, world
from rolecall_generator.bundle.archive import sums_of, zip_bytes
from rolecall_generator.bundle.signing import RequiredSigner
from rolecall_generator.bundle.verification import BundleVerification, verify_bundle, verify_zip
from rolecall_generator.errors import OutputError

FILES = {"README.md": b"read", "terraform/main.tf": b"{}"}
GOOD = {**FILES, "SHA256SUMS": sums_of(FILES)}


def told(found: BundleVerification) -> list[tuple[str, str]]:
    return [(problem.file, problem.what.partition(":")[0]) for problem in found.problems]


def check(path: Path) -> BundleVerification:
    return verify_bundle(path, RequiredSigner())


def packed(path: Path, entries: dict[str, bytes]) -> Path:
    """A zip with exactly these names."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the bundles of a real run."""
    return bundles(world(tmp_path_factory.mktemp("made"), 1)).folder


def folder_of(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "customer0", tmp_path / "customer0"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "terraform" / "main.tf").write_text("x"), [("terraform/main.tf", "was changed")]),
        (lambda folder: (folder / "aws-cli" / "apply.sh").unlink(), [("aws-cli/apply.sh", "is missing")]),
        (lambda folder: (folder / "terraform" / "more.tf").write_text("x"), [("terraform/more.tf", "was added")]),
        (lambda folder: (folder / "SHA256SUMS").unlink(), [("SHA256SUMS", "is missing")]),
        (lambda folder: (folder / "SHA256SUMS").write_text("?"), [("SHA256SUMS", "cannot be read")]),
        (
            lambda folder: (folder / "a").symlink_to(folder / "README.md"),
            [("a", "is a symbolic link or not a regular file")],
        ),
    ],
    ids=["changed", "missing", "added", "no sums", "bad sums", "link"],
)
def test_modified_folder_has_finding_with_file_name(
    made: Path, tmp_path: Path, change: Callable[[Path], object], said: list[tuple[str, str]]
) -> None:
    """For each kind of change, only the changed file is reported."""
    folder = folder_of(made, tmp_path)
    change(folder)

    assert said == told(check(folder))


@given(st.data())
def test_changed_file_in_zip_is_found(data: st.DataObject) -> None:
    """For any file and any change, the finding has the file's name."""
    name = data.draw(st.sampled_from(sorted(FILES)))
    content = data.draw(st.binary(max_size=20).filter(lambda content: content != FILES[name]))
    path = io.BytesIO(zip_bytes({**GOOD, name: content}, "acme"))

    assert [(name, "was changed")] == told(verify_zip(path, RequiredSigner()))


@pytest.mark.parametrize(
    "name",
    [
        "../evil", "acme/../../evil", "/etc/evil", "acme//evil", "acme/./evil", "acme\\..\\evil", "C:/evil", "acme/a\0b",
    ],
)  # fmt: skip
def test_unsafe_name_in_zip_is_rejected(tmp_path: Path, name: str) -> None:
    """Absolute paths, parent folders, backslashes, drive letters and NUL characters are reported."""
    good = {f"acme/{each}": content for each, content in GOOD.items()}
    # zipfile sanitizes names of new entries, so the unsafe name is inserted into the finished bytes.
    place = "acme/" + "x" * (len(name) - 5) if len(name) > 5 else "x" * len(name)
    path = packed(tmp_path / "it.zip", {**good, place: b"evil"})
    path.write_bytes(path.read_bytes().replace(place.encode(), name.encode()))

    assert "has a path outside the bundle's folder" in [what for _, what in told(check(path))]


def test_symbolic_link_and_duplicate_name_in_zip_are_rejected(tmp_path: Path) -> None:
    """Tools differ in which of two entries with the same name they extract."""
    path = tmp_path / "it.zip"
    path.write_bytes(zip_bytes(GOOD, "acme"))
    link = zipfile.ZipInfo("acme/link")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("acme/README.md", b"other")

    assert {
        ("acme/link", "is a symbolic link or not a regular file"), ("acme/README.md", "occurs twice in the zip"),
    } <= set(told(check(path)))  # fmt: skip


def test_second_folder_in_zip_is_reported(tmp_path: Path) -> None:
    """Files outside of the bundle's folder are additional files."""
    path = packed(tmp_path / "it.zip", {**{f"acme/{name}": content for name, content in GOOD.items()}, "other/x": b"x"})

    assert not check(path).ok
    assert any("other/x" in problem.file for problem in check(path).problems)


@pytest.mark.parametrize(
    ("entries", "extent"),
    [
        ({"acme/big": bytes(65 * 1024 * 1024)}, "(1 file, 65.0 MiB)"),
        (dict.fromkeys(map(str, range(1_001)), b""), "(1,001 files, "),
    ],
    ids=["bytes", "files"],
)
def test_zip_bomb_has_only_the_size_finding(tmp_path: Path, entries: dict[str, bytes], extent: str) -> None:
    """It is rejected before any entry is read; a missing SHA256SUMS is not reported in addition."""
    (problem,) = check(packed(tmp_path / "bomb.zip", entries)).problems

    assert f"exceeds the size limit of a bundle {extent}" in problem.what
    assert problem.what.endswith("not opened")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _path: None, "bundle not found"),
        (os.mkfifo, "is neither a folder nor a file"),
        (lambda path: path.write_bytes(b""), "is not a readable zip file"),
        (lambda path: path.write_bytes(b"PK\x03\x04 no zip"), "is not a readable zip file"),
        (lambda path: path.write_bytes(b"text"), "is not a readable zip file"),
    ],
    ids=["missing", "pipe", "empty", "damaged", "text"],
)
def test_path_that_is_no_bundle_is_error_with_path(tmp_path: Path, make: Callable[[Path], object], message: str) -> None:
    """Reading a pipe would block."""
    path = tmp_path / "it.zip"
    make(path)

    with pytest.raises(OutputError, match=rf"it\.zip: {message}"):
        check(path)


@given(st.binary(min_size=1, max_size=3), st.integers(min_value=0))
def test_damaged_zip_is_finding_or_error(noise: bytes, place: int) -> None:
    good = zip_bytes(GOOD, "acme")
    start = place % len(good)
    path = io.BytesIO(good[:start] + noise + good[start + len(noise) :])
    try:
        found = verify_zip(path, RequiredSigner())
    except OutputError:
        return
    assert found.files <= len(GOOD)


def test_zip_entry_that_cannot_be_extracted_is_reported_as_changed(made: Path, tmp_path: Path) -> None:
    content = bytearray((made / "customer0.zip").read_bytes())
    with zipfile.ZipFile(made / "customer0.zip") as archive:
        entry = archive.getinfo("customer0/review/review.md")
    content[entry.header_offset + 30 + len(entry.filename) + entry.compress_size // 2] ^= 1
    (tmp_path / "bent.zip").write_bytes(content)

    assert [("review/review.md", "was changed")] == told(check(tmp_path / "bent.zip"))


@pytest.mark.parametrize("names", [["customer0", "switch-roles/name/trusted"], ["customer0.zip"]], ids=["folders", "zips"])
def test_folder_of_bundles_is_an_error_with_their_names(made: Path, tmp_path: Path, names: list[str]) -> None:
    for name in names:
        copy = shutil.copy if name.endswith(".zip") else shutil.copytree
        copy(made / Path(name).with_stem("customer0").name, tmp_path / name)

    with pytest.raises(OutputError) as error:
        check(tmp_path)

    assert [] == [name for name in names if str(tmp_path / name) not in (error.value.hint or "")]


def test_many_bundles_are_not_all_named(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"c{number}").mkdir()
        (tmp_path / f"c{number}/SHA256SUMS").write_text("")

    with pytest.raises(OutputError) as error:
        check(tmp_path)

    assert [str(tmp_path / f"c{number}") in (error.value.hint or "") for number in range(9)] == [True] * 4 + [False] * 5


def test_bundle_with_an_added_bundle_is_verified(made: Path, tmp_path: Path) -> None:
    """Bundles below a folder only matter if the folder is none."""
    folder = folder_of(made, tmp_path)
    shutil.copytree(made / "customer0", folder / "inner")

    assert not check(folder).ok
