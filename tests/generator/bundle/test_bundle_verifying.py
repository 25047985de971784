"""`gen bundle-check`: every changed, missing and added file is named; a zip from someone else is read with suspicion."""

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
from rolecall_generator.bundle.archive import zip_bytes
from rolecall_generator.bundle.bundle_state import sums_of
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
    """A zip with these names as they stand, whatever they are."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a real run's bundles."""
    return bundles(world(tmp_path_factory.mktemp("made"), 1)).folder


def folder_of(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "customer0", tmp_path / "customer0"))


def test_bundles_as_they_were_made_pass(made: Path) -> None:
    """Folder and zip hold the same number of files, and nothing is found."""
    folder, zipped = check(made / "customer0"), check(made / "customer0.zip")

    assert ((), (), "not signed") == (folder.problems, zipped.problems, folder.signature)
    assert folder.files == zipped.files > 10


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
def test_what_was_done_to_a_folder_is_named(
    made: Path, tmp_path: Path, change: Callable[[Path], object], said: list[tuple[str, str]]
) -> None:
    """Each kind of change is found, with the file's name and nothing else."""
    folder = folder_of(made, tmp_path)
    change(folder)

    assert said == told(check(folder))


@given(st.data())
def test_any_changed_byte_of_a_zips_content_is_found(data: st.DataObject) -> None:
    """Whatever file is changed however, the check names it."""
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
def test_a_zips_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    """Absolute names, parents, back slashes, drives and NULs are named; a bundle has none."""
    good = {f"acme/{each}": content for each, content in GOOD.items()}
    # zipfile cleans names when it makes an entry: put the odd one into the finished bytes.
    place = "acme/" + "x" * (len(name) - 5) if len(name) > 5 else "x" * len(name)
    path = packed(tmp_path / "it.zip", {**good, place: b"evil"})
    path.write_bytes(path.read_bytes().replace(place.encode(), name.encode()))

    assert "has a path outside the bundle's folder" in [what for _, what in told(check(path))]


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    """An entry that would unpack to a symbolic link is named."""
    path = tmp_path / "it.zip"
    path.write_bytes(zip_bytes(GOOD, "acme"))
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("acme/link")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc/passwd")

    assert [("acme/link", "is a symbolic link or not a regular file")] == told(check(path))


def test_a_file_that_is_in_a_zip_twice_is_refused(tmp_path: Path) -> None:
    """What is checked must be what is unpacked: of two entries with one name no one knows which."""
    path = tmp_path / "it.zip"
    path.write_bytes(zip_bytes(GOOD, "acme"))
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("acme/README.md", b"other")

    assert ("acme/README.md", "occurs twice in the zip") in told(check(path))


def test_a_second_folder_in_a_zip_is_named(tmp_path: Path) -> None:
    """Files next to the bundle's folder are additional files."""
    path = packed(tmp_path / "it.zip", {**{f"acme/{name}": content for name, content in GOOD.items()}, "other/x": b"x"})

    assert not check(path).ok
    assert any("other/x" in problem.file for problem in check(path).problems)


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    """A zip that claims more than any bundle holds is refused before anything of it is read."""
    path = tmp_path / "it.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("acme/big", bytes(65 * 1024 * 1024))
    assert "exceeds the size limit of a bundle" in str(check(path).problems)

    packed(path, {f"acme/{number}": b"" for number in range(1_001)})
    assert "1,001 files" in str(check(path).problems)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", b"text"])
def test_what_is_no_zip_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    """A message, not a traceback."""
    path = tmp_path / "it.zip"
    path.write_bytes(content)

    with pytest.raises(OutputError, match="is not a readable zip file"):
        check(path)


@given(st.binary(min_size=1, max_size=3), st.integers(min_value=0))
def test_a_damaged_zip_ends_in_words(noise: bytes, place: int) -> None:
    """Noise anywhere in a zip is either found, harmless to the files, or an error of ours."""
    good = zip_bytes(GOOD, "acme")
    start = place % len(good)
    path = io.BytesIO(good[:start] + noise + good[start + len(noise) :])
    try:
        found = verify_zip(path, RequiredSigner())
    except OutputError:
        return
    assert found.files <= len(GOOD)


def test_a_bundle_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A path that leads nowhere is an error with its name."""
    with pytest.raises(OutputError, match=r"nobody\.zip: bundle not found"):
        check(tmp_path / "nobody.zip")


def test_a_zips_file_that_does_not_unpack_was_changed(made: Path, tmp_path: Path) -> None:
    """One flipped bit in the packed bytes is a finding with the file's name, not a zip that no one can read."""
    content = bytearray((made / "customer0.zip").read_bytes())
    with zipfile.ZipFile(made / "customer0.zip") as archive:
        entry = archive.getinfo("customer0/review/review.md")
    content[entry.header_offset + 30 + len(entry.filename) + entry.compress_size // 2] ^= 1
    (tmp_path / "bent.zip").write_bytes(content)

    assert [("review/review.md", "was changed")] == told(check(tmp_path / "bent.zip"))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """What is neither folder nor file is refused at once."""
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(OutputError, match="is neither a folder nor a file"):
        check(tmp_path / "pipe")


def test_of_a_bomb_its_size_is_said_and_nothing_else(tmp_path: Path) -> None:
    """How many files and MiB it claims; that SHA256SUMS was not looked for is no problem of its own."""
    (problem,) = check(packed(tmp_path / "bomb.zip", {"customer0/zeros": bytes(65 * 1024 * 1024)})).problems

    assert "exceeds the size limit of a bundle (1 file, 65.0 MiB); not opened" == problem.what
