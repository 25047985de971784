"""Invisible characters are rejected in manifests, on the command line and in imported files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command_rig import gen
from rolecall_generator.errors import ManifestError
from rolecall_generator.manifest.loader import load_manifest

UNSEEN = ["\u202e", "\u2066", "\u200e", "\u061c", "\u200b", "\u200d", "\u2060", "\u00ad", "\U000e0041", "\u3164"]
EDITS = [
    ("customer", "set", "account1", "--label", "tier=g{}old"),
    ("customer", "set", "account1", "--label", "ti{}er=gold"),
    ("customer", "set", "account1", "--tag", "team={}a"),
    ("customer", "set", "account1", "--variable", "bucket=a{}"),
    ("customer", "add", "acme{}", "--account-id", "999999999999"),
    ("customer", "add", "acme", "--account-id", "999999999999", "--role", "r{}ole"),
    ("customer", "add", "acme", "--account-id", "999999999999", "--external-id", "0123456789{}abcdef0123456789"),
    ("customer", "rename", "account1", "acco{}unt9"),
]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """The starter manifest in its own folder."""
    assert 0 == gen("init", cwd=tmp_path).code
    path = tmp_path / "accounts.yaml"
    text = path.read_text("utf-8")
    name = load_manifest(path).manifest.customers[0].name
    path.write_text(text.replace(f"name: {name}", "name: account1"), "utf-8")
    return path


def refused(path: Path) -> tuple[int, int]:
    """Line and column of the only problem."""
    with pytest.raises(ManifestError) as error:
        load_manifest(path)
    (problem,) = error.value.problems
    assert "U+" in problem.what
    assert problem.hint
    return problem.line, problem.column


@pytest.mark.parametrize("character", [*UNSEEN, "\ufeff"], ids=ascii)
def test_invisible_character_is_rejected_with_location(manifest: Path, character: str) -> None:
    """In a comment, where it could change how the line is displayed, and in a value."""
    text = manifest.read_text("utf-8")
    manifest.write_text(f"{text}# a {character} comment\n", "utf-8")
    assert (text.count("\n") + 1, 5) == refused(manifest)

    line, old = next((n, each) for n, each in enumerate(text.splitlines(), 1) if each.strip() == "- name: account1")
    manifest.write_text(text.replace(old, f"{old}{character}", 1), "utf-8")
    assert (line, len(old) + 1) == refused(manifest)


@pytest.mark.parametrize("escape", ["\\u202e", "\\u200b", "\\U000e0041", "\\u2028", "\\x9b", "\\e", "\\N"])
def test_escape_of_invisible_character_is_rejected(manifest: Path, escape: str) -> None:
    """YAML has escapes for all characters."""
    text = manifest.read_text("utf-8")
    old = "- name: account1"
    manifest.write_text(text.replace(old, f'{old}\n    labels: {{tier: "a{escape}b"}}', 1), "utf-8")

    assert refused(manifest)[0] == text[: text.index(old)].count("\n") + 2


@pytest.mark.parametrize("name", ["Müller", "日本語", "Ελλάδα", "\u00a0x"])
def test_letters_of_all_scripts_are_accepted(manifest: Path, name: str) -> None:
    """In labels, which can be any string."""
    text = manifest.read_text("utf-8")
    old = "- name: account1"
    manifest.write_text(text.replace(old, f'{old}\n    labels: {{city: "{name}"}}', 1), "utf-8")

    assert name == load_manifest(manifest).manifest.customers[0].labels["city"]


@pytest.mark.parametrize("command", EDITS, ids=lambda words: " ".join(words[1:]))
@pytest.mark.parametrize("character", ["\u202e", "\u200b", "\x1b", "\u2028"], ids=ascii)
def test_edit_rejects_invisible_characters(manifest: Path, command: tuple[str, ...], character: str) -> None:
    """The error has no such character, and the file is unchanged."""
    before = manifest.read_bytes()
    ended = gen(*(word.format(character) for word in command), "--yes", cwd=manifest.parent)

    assert ended.code in {2, 3}
    assert character not in ended.out + ended.err
    assert before == manifest.read_bytes()


@pytest.mark.parametrize("character", ["\u202e", "\u200d", "\U000e0041"], ids=ascii)
def test_import_rejects_invisible_characters(manifest: Path, character: str) -> None:
    """In CSV files and in Terraform outputs, with file and line; nothing is imported."""
    table = manifest.with_name("table.csv")
    table.write_text(f"name,account_id\nfine,999999999998\nac{character}me,999999999999\n", "utf-8")
    outputs = manifest.with_name("outputs.json")
    arn = "arn:aws:iam::999999999999:role/VendorAccess"
    body = {f"ac{character}me": {"value": {"role_arn": arn, "external_id": "x" * 32}}}
    outputs.write_text(json.dumps(body), "utf-8")
    before = manifest.read_bytes()

    for words in (["csv", str(table)], ["terraform-outputs", str(outputs)]):
        ended = gen("import", *words, "--yes", cwd=manifest.parent)
        assert 3 == ended.code
        assert character not in ended.out + ended.err
    assert before == manifest.read_bytes()
