"""`gen bundle-check` accepts one encoding of a bundle and rejects any that another reader could parse differently."""

from __future__ import annotations

import io
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bundle_worlds import bundles, world
from fake_signers import install
from rolecall_generator.bundle.archive import read_sums, sums_of, zip_bytes
from rolecall_generator.bundle.signing import RequiredSigner, Signer
from rolecall_generator.bundle.verification import BundleVerification, verify_bundle, verify_zip
from rolecall_generator.errors import OutputError, SelectionError

FILES = {
    "README.md": b"read " * 40,
    "terraform/main.tf": b"{}",
    "review/review.pdf": b"%PDF",
    "aws-cli/apply.sh": b"#!/bin/sh\n",
}
SUMS = sums_of(FILES)
GOOD = zip_bytes({**FILES, "SHA256SUMS": SUMS}, "acme")
END, CENTRAL = GOOD.rindex(b"PK\5\6"), GOOD.index(b"PK\1\2")


def refused(data: bytes) -> bool:
    """Whether the check has findings or rejects the file as not a zip."""
    try:
        return not verify_zip(io.BytesIO(data), RequiredSigner()).ok
    except OutputError:
        return True


def rewritten(change: Callable[[zipfile.ZipInfo], None], files: Mapping[str, bytes] = FILES) -> bytes:
    """A well-formed zip of a bundle, with a change applied to each entry before it is written."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in sorted({**files, "SHA256SUMS": sums_of(files)}.items()):
            entry = zipfile.ZipInfo(f"acme/{name}", (1980, 1, 1, 0, 0, 0))
            entry.create_system = 3
            entry.external_attr = (0o100755 if name.endswith(".sh") else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_STORED if name.endswith(".pdf") else zipfile.ZIP_DEFLATED
            change(entry)
            archive.writestr(entry, content, compresslevel=6)
    return packed.getvalue()


def spliced(at: int, more: bytes) -> bytes:
    """The valid zip with bytes inserted before the central directory, and the directory's offset corrected."""
    data = bytearray(GOOD[:at] + more + GOOD[at:])
    end = data.rindex(b"PK\5\6")
    data[end + 16 : end + 20] = struct.pack("<L", CENTRAL + len(more))
    return bytes(data)


def hidden_entry() -> bytes:
    """A local entry that is not listed in the central directory."""
    other = zip_bytes({"README.md": b"other"}, "acme")
    return spliced(CENTRAL, other[: other.index(b"PK\1\2")])


def local_field(offset: int, value: bytes) -> bytes:
    """The valid zip with a changed field in the first local header; the central directory is unchanged."""
    return GOOD[:offset] + value + GOOD[offset + len(value) :]


def central_field(offset: int, value: bytes) -> bytes:
    return local_field(CENTRAL + offset, value)


def longer_stream() -> bytes:
    """Bytes after the end of an entry's deflate stream, within the entry."""
    entry = zipfile.ZipFile(io.BytesIO(GOOD)).infolist()[0]
    at = 30 + len(entry.filename) + entry.compress_size
    data = bytearray(spliced(at, b"more"))
    for place in (18, len(GOOD[:CENTRAL]) + 4 + 20):
        data[place : place + 4] = struct.pack("<L", entry.compress_size + 4)
    for found in zipfile.ZipFile(io.BytesIO(GOOD)).infolist()[1:]:
        header = data.index(b"PK\1\2", CENTRAL)
        while data[header + 46 : header + 46 + len(found.filename)] != found.filename.encode():
            header = data.index(b"PK\1\2", header + 4)
        data[header + 42 : header + 46] = struct.pack("<L", found.header_offset + 4)
    return bytes(data)


def written(parent: Path, files: Mapping[str, bytes]) -> Path:
    """A folder with these files."""
    folder = parent / "acme"
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def having(**attributes: Any) -> Callable[[zipfile.ZipInfo], None]:
    """A change that sets attributes of each entry."""

    def change(entry: zipfile.ZipInfo) -> None:
        for name, value in attributes.items():
            setattr(entry, name, value)

    return change


def unicode_path(entry: zipfile.ZipInfo) -> None:
    """Info-ZIP's Unicode path (0x7075): some readers use this name, others the regular one."""
    name = b"acme/other"
    body = struct.pack("<BL", 1, zlib.crc32(entry.filename.encode())) + name
    entry.extra = struct.pack("<HH", 0x7075, len(body)) + body


def test_bundle_written_by_gen_bundle_passes(tmp_path: Path) -> None:
    """Deflated at any compression level, and stored."""
    assert not refused(GOOD)
    assert not refused(zip_bytes({**FILES, "SHA256SUMS": SUMS}, "acme", stored=True))
    assert GOOD == rewritten(having())
    for choice in (False, True):
        folder = bundles(world(tmp_path / str(choice), 2), stored=choice).folder
        zipped, unpacked = (verify_bundle(folder / name, RequiredSigner()) for name in ("customer1.zip", "customer1"))
        assert ((), (), "not signed") == (zipped.problems, unpacked.problems, unpacked.signature)
        assert zipped.files == unpacked.files > 10

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for found in zipfile.ZipFile(io.BytesIO(GOOD)).infolist():
            archive.writestr(found, zipfile.ZipFile(io.BytesIO(GOOD)).read(found.filename), compresslevel=1)
    assert not refused(packed.getvalue())


@pytest.mark.parametrize(
    "data",
    [
        b"#!/bin/sh\n" + GOOD,
        zip_bytes({"evil": b"x"}, "acme") + GOOD,
        GOOD + b"more",
        GOOD + GOOD,
        GOOD + GOOD[END:],
        GOOD[:END] + GOOD[END:] + GOOD[END:],
        GOOD[:-2] + b"\4\0text",
        hidden_entry(),
        spliced(CENTRAL, b"between"),
        spliced(0, b"PK\5\6" + bytes(18)),
        longer_stream(),
        local_field(30, b"acme/READMF.md"),
        local_field(14, b"\0\0\0\0"),
        local_field(18, b"\0\0\0\0"),
        local_field(22, b"\xff\0\0\0"),
        local_field(6, b"\x08\0"),
        local_field(8, b"\0\0"),
        local_field(4, b"\x2d\0"),
        central_field(42, b"\1\0\0\0"),
        central_field(8, b"\0\x08"),
        central_field(8, b"\1\0"),
        central_field(36, b"\1\0"),
        central_field(34, b"\1\0"),
        GOOD[: END + 8] + b"\4\0" + GOOD[END + 10 :],
        GOOD[: END + 4] + b"\1\0" + GOOD[END + 6 :],
        GOOD[:END] + struct.pack("<4sLQL", b"PK\6\7", 0, END, 1) + GOOD[END:],
        rewritten(having(comment=b"x")),
        rewritten(having(date_time=(2026, 1, 1, 0, 0, 0))),
        rewritten(having(external_attr=0o104755 << 16)),
        rewritten(having(create_system=0)),
        rewritten(having(compress_type=zipfile.ZIP_BZIP2)),
        rewritten(unicode_path),
        rewritten(having(extra=struct.pack("<HHB", 0x5455, 1, 0))),
        rewritten(having(extra=struct.pack("<HHQQ", 1, 16, 1, 1))),
        rewritten(lambda entry: having(compress_type=zipfile.ZIP_STORED)(entry) if "main.tf" in entry.filename else None),
    ],
    ids=lambda data: f"{len(data)}",
)
def test_noncanonical_zip_is_rejected(data: bytes) -> None:
    """Additional data, second directories, hidden entries, differing headers, extra fields, comments, times and modes."""
    assert data != GOOD
    assert refused(data)


def test_folder_entry_is_rejected() -> None:
    packed = io.BytesIO(GOOD)
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr(zipfile.ZipInfo("acme/empty/"), b"")

    assert refused(packed.getvalue())


def test_zip_with_one_changed_byte_fails_or_has_the_same_content() -> None:
    content = {
        entry.filename: zipfile.ZipFile(io.BytesIO(GOOD)).read(entry)
        for entry in zipfile.ZipFile(io.BytesIO(GOOD)).infolist()
    }
    for at in range(len(GOOD)):
        data = GOOD[:at] + bytes([GOOD[at] ^ 1]) + GOOD[at + 1 :]
        if not refused(data):
            found = zipfile.ZipFile(io.BytesIO(data))
            assert content == {entry.filename: found.read(entry) for entry in found.infolist()}


@pytest.mark.parametrize(
    "names",
    [
        ["README.MD"],
        ["sha256sums"],
        ["terraform/SHA256SUMS"],
        ["terraform/SHA256SUMS.minisig"],
        ["SHA256SUMS.old"],
        ["terraform/.terraform.lock.hcl"],
        [".x.auto.tfvars"],
        ["caf\u00e9.md"],
        ["cafe\u0301.md"],
        ["README.md."],
        ["README.md "],
        ["a b"],
        ["-rf/../x"],
        ["terraform/main.tf/x"],
        ["TERRAFORM/other.tf", "Terraform"],
        ["a:b"],
        ["a\nb"],
    ],
    ids=ascii,
)
def test_invalid_file_name_is_rejected_even_if_listed(names: list[str], tmp_path: Path) -> None:
    """A second SHA256SUMS, hidden files, and names that another file system treats as equal to an existing name."""
    files = {**FILES, **dict.fromkeys(names, b"x")}
    listing = "".join(sorted(sums_of(files).decode().splitlines(keepends=True), key=lambda line: line[66:])).encode()
    assert refused(zip_bytes({**files, "SHA256SUMS": listing}, "acme"))
    assert refused(zip_bytes({**files, "SHA256SUMS": SUMS}, "acme"))

    # A folder cannot contain a file and a folder of the same name.
    kept = {name: content for name, content in files.items() if "/x" not in name and name != "Terraform"}
    assert not verify_bundle(written(tmp_path, {**kept, "SHA256SUMS": listing}), RequiredSigner()).ok


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        SUMS.replace(b"\n", b"\r\n"),
        SUMS[:-1],
        SUMS + b"\n",
        b"\xef\xbb\xbf" + SUMS,
        b"# checksums\n" + SUMS,
        SUMS.replace(b"  ", b" *"),
        SUMS.upper(),
        b"".join(reversed(SUMS.splitlines(keepends=True))),
        SUMS + SUMS.splitlines(keepends=True)[-1],
        b"".join(b"SHA256 (" + line[66:] + b") = " + line[:64] + b"\n" for line in SUMS.splitlines()),
        b"\\" + SUMS,
        SUMS.replace(b"\n", b"\x0b"),
        SUMS.replace(b"\n", "\u2028".encode()),
        SUMS + b"0" * 64 + b"  ../evil\n",
        SUMS + b"0" * 64 + b"  /etc/passwd\n",
        b"0" * 64 + b"  SHA256SUMS\n" + SUMS,
        b"0" * 64 + b"  SHA256SUMS.minisig\n" + SUMS,
        b"\xff" + SUMS,
        b"".join(SUMS.splitlines(keepends=True)[1:]),
    ],
)
def test_noncanonical_checksum_file_is_rejected(content: bytes, tmp_path: Path) -> None:
    """Empty, truncated, reordered, other line endings, BSD format, escapes, comments, and paths outside the bundle."""
    assert refused(zip_bytes({**FILES, "SHA256SUMS": content}, "acme"))

    assert not verify_bundle(written(tmp_path, {**FILES, "SHA256SUMS": content}), RequiredSigner()).ok
    assert set(FILES) == read_sums(SUMS).keys()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle's folder that passes the check."""
    made = written(tmp_path, {**FILES, "SHA256SUMS": SUMS})
    assert verify_bundle(made, RequiredSigner()).ok
    return made


def linked(folder: Path, name: str) -> None:
    (folder / name).rename(folder.parent / "elsewhere")
    (folder / name).symlink_to(folder.parent / "elsewhere")


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: linked(folder, "SHA256SUMS"),
        lambda folder: linked(folder, "terraform"),
        lambda folder: linked(folder, "README.md"),
        lambda folder: (folder / "terraform" / "modules").mkdir(),
        lambda folder: (folder / "SHA256SUMS").write_bytes(b""),
        lambda folder: (folder / "README.md").write_bytes(b"other") and (folder / "SHA256SUMS").write_bytes(b""),
    ],
    ids=["linked sums", "linked folder", "linked file", "empty folder", "no sums", "changed and no sums"],
)
def test_folder_contains_exactly_the_listed_files(folder: Path, change: Callable[[Path], object]) -> None:
    """Symbolic links are rejected even if the content is the same, and so are empty folders."""
    change(folder)

    assert not verify_bundle(folder, RequiredSigner()).ok


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS refuses such a name")
def test_file_name_that_is_not_utf_8_is_finding(folder: Path) -> None:
    (folder / "terraform" / "\udcff.tf").write_bytes(b"x")

    assert not verify_bundle(folder, RequiredSigner()).ok


def test_oversized_folder_is_rejected_before_reading(folder: Path) -> None:
    with (folder / "terraform" / "large.tf").open("wb") as stream:
        stream.truncate(1 << 40)

    found: BundleVerification = verify_bundle(folder, RequiredSigner())
    assert ["."] == [problem.file for problem in found.problems]


def test_required_signature_must_match_the_checksums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(install(tmp_path / "bin", "minisign")))
    made = bundles(world(tmp_path, 1), signer=Signer("minisign")).folder / "customer0"
    key = RequiredSigner(public_key="RWQ")
    assert verify_bundle(made, key).ok

    (made / "README.md").write_bytes(b"other")
    names = sorted(str(path.relative_to(made)) for path in made.rglob("*") if path.is_file())
    files = {name: (made / name).read_bytes() for name in names}
    signed = files.pop("SHA256SUMS.minisig")
    files.pop("SHA256SUMS")
    for listing in (sums_of(files), b""):
        (made / "SHA256SUMS").write_bytes(listing)
        assert "SHA256SUMS.minisig" in [problem.file for problem in verify_bundle(made, key).problems]
    assert refused(zip_bytes({**files, "terraform/SHA256SUMS.minisig": signed, "SHA256SUMS": sums_of(files)}, "customer0"))


@pytest.mark.parametrize(
    "options",
    [
        {"issuer": "https://issuer"},
        {"identity": "me@example.com"},
        {"public_key": "RWQ", "identity": "me@example.com", "issuer": "https://issuer"},
        {"public_key": "RWQ", "issuer": "https://issuer"},
    ],
)
def test_invalid_signature_options_are_errors(options: dict[str, str]) -> None:
    """An incomplete identity, or two kinds of signature, is an error; the option is never ignored."""
    with pytest.raises(SelectionError):
        RequiredSigner(**options)
