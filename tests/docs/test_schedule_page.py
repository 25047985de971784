"""The units and the cron table of docs/how-to/schedule.md are valid and use commands that exist."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from command_lines import complaint, of_script
from docs_page import Saved, read_page

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "schedule.md"
FILES = {step.name: step.text for step in read_page(PAGE.read_text("utf-8")).steps if isinstance(step, Saved)}
RUNNER = "/opt/rolecall/bin/runner"


def checked(folder: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    """`systemd-analyze verify` of the units, with the program of this environment."""
    units = [name for name in FILES if name.startswith("rolecall-verify.")]
    for name in units:
        text = FILES[name].replace(RUNNER, str(Path(sys.executable).with_name("runner")))
        for before, after in changes.items():
            text = text.replace(before, after)
        (folder / name).write_text(text, "utf-8")
    command = ["systemd-analyze", "verify", "--man=no", *(str(folder / name) for name in units)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on PATH")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    """And it would report a wrong setting."""
    done = checked(tmp_path)
    ours = [line for line in done.stderr.splitlines() if "rolecall" in line]

    assert [] == ours
    assert "rolecall-verify" in checked(tmp_path, ProtectSystem="ProtectSistem").stderr
    assert "rolecall-verify" in checked(tmp_path, OnCalendar="OnCalender").stderr


def test_service_runs_a_command_that_exists_without_privileges() -> None:
    """A dedicated user, no capabilities, and only its folder is writable."""
    parser = configparser.ConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keep upper case, as its documentation shows
    parser.read_string(FILES["rolecall-verify.service"])
    service = parser["Service"]

    assert ("rolecall", "", "yes", "strict", "/srv/rolecall") == (
        service["User"], service["CapabilityBoundingSet"], service["NoNewPrivileges"], service["ProtectSystem"],
        service["ReadWritePaths"],
    )  # fmt: skip
    words = service["ExecStart"].removeprefix("/opt/rolecall/bin/").split()
    assert complaint(words) is None


def test_cron_table_is_valid() -> None:
    """Five fields of time, a user, and a command without %, which cron would replace by a line break."""
    (line,) = (line for line in FILES["rolecall.cron"].splitlines() if not re.match(r"\w+=|#|$", line))
    minute, hour, *rest = line.split(maxsplit=6)

    assert (0 <= int(minute) < 60, 0 <= int(hour) < 24) == (True, True)
    assert ["*", "*", "*", "rolecall"] == rest[:4]
    command = rest[4]
    assert "%" not in command
    assert 0 == subprocess.run(["sh", "-n", "-c", command], check=False).returncode
    (words,) = of_script(command.replace("/opt/rolecall/bin/", "").partition("$(")[2].partition(")")[0])
    assert ["runner", "verify"] == words[:2]
    assert complaint(words) is None
