"""Write the man pages of both programs and all their commands: `python tests/tools/build_reference.py man`.

`make man` runs it; a package installs them to `share/man/man1`. Pages of removed commands are deleted.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.app_tree import PROGRAMS, program
from tools.build_release import ROOT, commit_date
from tools.man_page import Edition, man_page, page_name

from rolecall_generator._version import __version__


def man_pages(edition: Edition) -> dict[str, str]:
    """Every page by file name, for example `gen-terraform.1`."""
    commands = [command for name in PROGRAMS for command in program(name).walk()]
    return {f"{page_name(command)}.1": man_page(command, edition) for command in commands}


def source_version() -> str:
    """The version of a package built from this source; an editable install has only the version at its installation."""
    command = [sys.executable, "-m", "hatchling", "version"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else __version__


def exit_codes() -> tuple[tuple[int, str], ...]:
    """The table of docs/exit-codes.md, which a test compares with the code."""
    rows = re.findall(
        r"^\| +(\d+) \| `\w+` \| ([^|]+) \|", (ROOT / "docs" / "exit-codes.md").read_text("utf-8"), re.MULTILINE
    )
    return tuple((int(code), meaning) for code, meaning in rows)


def edition() -> Edition:
    """This version, dated SOURCE_DATE_EPOCH or else the commit's date, so that the same source gives the same pages."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH") or commit_date(ROOT) or "0"
    return Edition(source_version(), f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%d}", exit_codes())


def main(folder: Path) -> None:
    """Write the pages into the folder."""
    pages = man_pages(edition())
    folder.mkdir(parents=True, exist_ok=True)
    for old in set(folder.glob("*.1")) - {folder / name for name in pages}:
        old.unlink()
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="ascii")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
