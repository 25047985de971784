"""What `fleet` says of itself in its docstring is true."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from manifests import NOTES
from play_rig import write
from rolecall_runner import api as fleet_module


def test_the_docstrings_examples_are_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the module says of itself runs, on the notes' accounts."""
    write(tmp_path, accounts__yaml=NOTES.read_text("utf-8"))
    monkeypatch.chdir(tmp_path)

    assert (0, 3) == tuple(doctest.testmod(fleet_module))
