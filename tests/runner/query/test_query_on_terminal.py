"""`runner query` on a terminal: rows that arrive one by one are not mixed with a progress bar."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from terminal_rig import on_terminal

PROGRAMS = Path(sys.executable).parent


@pytest.mark.parametrize("output_format", ["csv", "jsonl"])
def test_rows_on_a_terminal_have_lines_of_their_own(tmp_path: Path, output_format: str) -> None:
    """The first line is the header or a row, not the rest of a progress bar."""
    for command in (["init"], ["terraform", "--quiet"]):
        subprocess.run([PROGRAMS / "gen", *command], cwd=tmp_path, check=True, capture_output=True)
    query = ["query", "ec2", "describe_vpcs", "--limit", "customer2", "--sandbox", "--select", "Vpcs[].{cidr: CidrBlock}"]
    code, lines = on_terminal([str(PROGRAMS / "runner"), *query, "--format", output_format], 200, tmp_path)
    first = next(line for line in lines if line)

    assert code == 0, lines
    assert first.startswith({"csv": "account,", "jsonl": '{"account"'}[output_format]), lines
