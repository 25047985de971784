"""Rejected arguments of `gen`: empty folder names, unknown names, and values that would corrupt an AWS profile."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from command_rig import gen
from output_trees import contents


@pytest.mark.parametrize("command", ["terraform", "check", "prove", "diff"])
def test_empty_output_folder_is_usage_error(notes: Path, command: str) -> None:
    """An empty shell variable never means the current folder, neither for writing nor for reading."""
    done = gen(command, "--out", "", cwd=notes)

    assert 2 == done.code
    assert "--out: the folder name is empty" in done.err
    assert ["accounts.yaml"] == list(contents(notes))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "names no folder"),
        ("account1=", "names no folder"),
        ("=", "names no folder"),
        ("nobody=.", "there is no customer or switch role named nobody"),
    ],
)
def test_returned_folder_requires_name_and_path(notes: Path, given: str, message: str) -> None:
    """An empty path never means the current folder; the error names the option."""
    done = gen("check", "--path", given, cwd=notes)

    assert 2 == done.code
    assert "error: --path: " in done.err
    assert message in done.err


@pytest.mark.parametrize(
    ("option", "text"),
    [("--prefix", "a]"), ("--prefix", "a b"), ("--prefix", "a\n"), ("--source-profile", "me\nrole_arn = x")],
)
def test_option_cannot_inject_profile_lines(notes: Path, option: str, text: str) -> None:
    """Values that would end a profile's name or a line in ~/.aws/config are rejected, and nothing is printed."""
    done = gen("profiles", option, text, cwd=notes)

    assert (2, "") == (done.code, done.out)
    assert f"error: {option}: " in done.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_manifest_without_read_permission_is_manifest_error(notes: Path) -> None:
    (notes / "accounts.yaml").chmod(0)
    done = gen("terraform", cwd=notes)

    assert 3 == done.code
    assert "permission denied\n  hint: " in done.err
