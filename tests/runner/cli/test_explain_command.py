"""`runner explain`: sources of its text, output formats, and exit codes."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from command_rig import runner
from manifests import NOTES

TEXT = (
    "User: arn:aws:sts::222222222222:assumed-role/role1/rolecall-0a1b2c is not authorized to perform: s3:GetObject on "
    "resource: arn:aws:s3:::bucket/key with an explicit deny in a resource control policy"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "accounts.yaml").write_text(NOTES.read_text("utf-8"), "utf-8")
    return tmp_path


def test_text_file_and_standard_input_give_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TEXT is the text, the name of a file, or `-`."""
    (folder / "message.txt").write_text(f"\n{TEXT}\n", "utf-8")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(TEXT.encode()), isatty=lambda: False))
    found = [runner("explain", each, cwd=folder) for each in (TEXT, "message.txt", "-")]

    assert {0} == {each.code for each in found}
    assert found[0].out == found[1].out == found[2].out
    assert "account1" in found[0].out
    assert "resource-control-policy" in found[0].out


def test_json_has_all_fields(folder: Path) -> None:
    """For programs: one object per failed request."""
    (found,) = json.loads(runner("explain", TEXT, "--format", "json", cwd=folder).out)

    assert ("account1", "resource control policy", True) == (found["target"], found["policy"], found["explicit"])
    assert {"cause", "hint", "customer"} == set(found["causes"][0])


def test_manifest_shows_whether_the_action_was_agreed(folder: Path) -> None:
    """account2 may read the example bucket; deleting in it was not agreed. Undecided for account1, with a managed policy."""
    text = "User: arn:aws:sts::333333333333:assumed-role/role2/x is not authorized to perform: s3:{} on resource: {}"
    read = runner("explain", text.format("GetObject", "arn:aws:s3:::example-bucket/key"), cwd=folder)
    delete = runner("explain", text.format("DeleteObject", "arn:aws:s3:::example-bucket/key"), cwd=folder)

    assert (0, 0) == (read.code, delete.code)
    assert "permission-missing" in read.out
    assert "not-agreed" not in read.out
    assert "not-agreed" in delete.out
    managed = text.format("DeleteObject", "arn:aws:s3:::example-bucket/key").replace("333333333333", "222222222222")
    assert "not-agreed" not in runner("explain", managed.replace("role2", "role1"), cwd=folder).out


def test_unknown_text_exits_with_inconclusive(folder: Path) -> None:
    """Also an error code without a known cause."""
    assert 9 == runner("explain", "hello", cwd=folder).code
    assert 9 == runner("explain", "An error occurred (NoSuchBucket) when calling the It operation: no", cwd=folder).code


def test_manifest_is_optional_but_not_if_named(tmp_path: Path) -> None:
    """Without accounts.yaml the message is explained without customers; a named manifest must exist and be valid."""
    assert 0 == runner("explain", TEXT, cwd=tmp_path).code
    assert 3 == runner("explain", TEXT, "--manifest", "none.yaml", cwd=tmp_path).code
    (tmp_path / "accounts.yaml").write_text("version: 2", "utf-8")
    assert 3 == runner("explain", TEXT, cwd=tmp_path).code


def test_files_that_cannot_be_read_are_input_errors(folder: Path) -> None:
    """Too large, or without permission; a name that cannot be a file is a text."""
    (folder / "large.json").write_bytes(b" " * 4_000_001)
    assert 3 == runner("explain", "large.json", cwd=folder).code
    (folder / "private.txt").write_text(TEXT, "utf-8")
    (folder / "private.txt").chmod(0)
    if os.geteuid() != 0:
        assert 3 == runner("explain", "private.txt", cwd=folder).code
    assert 9 == runner("explain", "x" * 10_000, cwd=folder).code


def test_hostile_text_does_not_reach_the_terminal(folder: Path) -> None:
    """Escape sequences in a resource name."""
    found = runner("explain", TEXT.replace("bucket/key", "bucket/\x1b[31mkey\u202e"), cwd=folder)

    assert 0 == found.code
    assert [] == [character for character in ("\x1b", "\u202e") if character in found.out]
