"""The examples in the docstrings of `fleet`."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from manifests import NOTES
from play_rig import write
from rolecall_runner import api as fleet_module


def test_docstring_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples of the module run on the example accounts."""
    write(tmp_path, accounts__yaml=NOTES.read_text("utf-8"))
    monkeypatch.chdir(tmp_path)

    assert (0, 3) == tuple(doctest.testmod(fleet_module))
