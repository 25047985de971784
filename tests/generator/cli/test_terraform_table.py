"""The table of `gen terraform` on terminals of different widths."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from docs_runner import ROOT
from terminal_rig import on_terminal

NAMES = {"reena-in-sumesh", "reena-assumedRole", "reena-switchers,", "backend", "account1", "507074252730"}


def words_of_table(folder: Path, columns: int) -> list[str]:
    """The words in the rows, in order; parts of a path count as words."""
    manifest = ROOT / "examples" / "accounts.yaml"
    folder.mkdir(exist_ok=True)
    command = [str(Path(sys.executable).with_name("gen")), "terraform", str(manifest), "--out", "output"]
    code, lines = on_terminal(command, columns, folder)
    assert code == 0, lines
    rows = [line for line in lines if line.startswith("│")]
    assert max(map(len, rows)) <= columns
    return " ".join(rows).replace("│", " ").replace("/", " ").split()


@pytest.mark.parametrize("columns", [80, 120])
def test_names_are_not_broken(tmp_path: Path, columns: int) -> None:
    assert set() == NAMES - set(words_of_table(tmp_path, columns))


def test_narrow_terminal_shows_everything(tmp_path: Path) -> None:
    """Names are broken rather than cut: the columns have the same characters as in a wide terminal."""
    narrow, wide = ("".join(words_of_table(tmp_path / name, columns)) for name, columns in (("a", 46), ("b", 200)))

    assert sorted(wide) == sorted(narrow)
