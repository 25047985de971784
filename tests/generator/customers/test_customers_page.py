"""What docs/customers.md shows is what the commands print, in the page's order, on the manifest of the examples."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
from pathlib import Path
from unittest import mock

from manifests import NOTES, ROOT
from rolecall_generator.cli import app

PAGE = ROOT / "docs" / "customers.md"
SESSION = re.compile(r"^    \$ gen (.+)\n((?:(?:    .*)?\n)*)", re.MULTILINE)


def printed(command: str, cwd: Path) -> str:
    """What `gen` prints through a pipe."""
    out = io.StringIO()
    with (
        mock.patch.dict(os.environ, {"NO_COLOR": "1", "TERM": "dumb"}),
        mock.patch("sys.argv", ["gen", *shlex.split(command)]),
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.suppress(SystemExit),
    ):
        app(prog_name="gen")
    return out.getvalue()


def test_the_page_shows_what_is_printed(tmp_path: Path) -> None:
    """Every session of the page, one after the other: output equals output, to the last line."""
    (tmp_path / "accounts.yaml").write_bytes(NOTES.read_bytes())
    sessions = SESSION.findall(PAGE.read_text("utf-8"))

    assert 4 == len(sessions)
    for command, output in sessions:
        shown = "\n".join(line.removeprefix("    ") for line in output.rstrip().splitlines())
        assert shown == printed(command, tmp_path).rstrip()
