"""The format of the lock file, and errors for invalid ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from output_trees import write
from rolecall_generator.errors import OutputError
from rolecall_generator.output.output_state import LOCK_NAME, Lock, LockedModule, encode_lock, read_lock

GOOD = Lock("rolecall 1", {"customers/a": LockedModule("f", {"main.tf": "0" * 64}, {"old.tf": "1" * 64})}, {"k": ["r", 1]})


def test_absent_lock_is_empty(tmp_path: Path) -> None:
    """Without a file or folder, nothing has been written yet."""
    assert Lock() == read_lock(tmp_path / "nowhere")


def test_lock_round_trips(tmp_path: Path) -> None:
    """Reading returns what was written; only the digest is added."""
    (tmp_path / LOCK_NAME).write_bytes(encode_lock(GOOD))
    found = read_lock(tmp_path)
    assert (GOOD.generator, GOOD.modules, GOOD.assignment) == (found.generator, found.modules, found.assignment)
    assert found is read_lock(tmp_path, known=found)


def test_lock_is_deterministic_and_contains_no_timestamps(tmp_path: Path) -> None:
    """The same modules in another order result in the same bytes, with a newline at the end."""
    modules = {"customers/a": {"main.tf": "a", "b.tf": "b"}, "backend": {"main.tf": "c"}}
    write(tmp_path / "one", modules)
    write(tmp_path / "two", dict(reversed(modules.items())))
    content = (tmp_path / "one" / LOCK_NAME).read_bytes()
    assert content == (tmp_path / "two" / LOCK_NAME).read_bytes()
    assert content.endswith(b"\n")
    assert {"version", "generator", "assignment", "modules"} == set(json.loads(content))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"<<<<<<< HEAD\n{}\n",
        b'{"version": 1}',
        b'{"version": "1", "generator": "", "assignment": {}, "modules": {}}',
        b'{"version": 1, "generator": "", "assignment": [], "modules": {}}',
        b'{"version": 1, "generator": "", "assignment": {}, "modules": {"/etc": {"fingerprint": "", "files": {}}}}',
        b'{"version": 1, "generator": "", "assignment": {}, "modules": {"a/../..": {"fingerprint": "", "files": {}}}}',
        b'{"version": 1, "generator": "", "assignment": {}, "modules": {"a": {"fingerprint": "", "files": {"../x": "%s"}}}}'
        % (b"0" * 64),
        b'{"version": 1, "generator": "", "assignment": {}, "modules": {"a": {"fingerprint": "", "files": {"x": 1}}}}',
        b"[" * 100_000,
    ],
)
def test_damaged_lock_is_output_error_with_hint(tmp_path: Path, content: bytes) -> None:
    """The error has the file's path and a hint."""
    (tmp_path / LOCK_NAME).write_bytes(content)
    with pytest.raises(OutputError) as caught:
        read_lock(tmp_path)
    assert str(tmp_path / LOCK_NAME) == caught.value.where
    assert "version control" in (caught.value.hint or "")


def test_newer_lock_is_output_error(tmp_path: Path) -> None:
    """The format of a later version is not parsed."""
    (tmp_path / LOCK_NAME).write_text('{"version": 2}')
    with pytest.raises(OutputError, match="version 2") as caught:
        read_lock(tmp_path)
    assert "newer" in (caught.value.hint or "")
