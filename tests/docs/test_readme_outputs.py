"""The README shows excerpts of actual output: every shown line is printed, in the same order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs_page import Page, Typed
from docs_runner import ROOT, run_page, shows

TEXT = (ROOT / "README.md").read_text("utf-8")
SESSIONS = re.findall(r"^```\n\$ ([^\n]+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
EXAMPLE = "examples/accounts.yaml"
GENERATED = "gen terraform accounts.yaml --quiet"

# Shell commands that run before a session that needs a wrong starting point.
NUMBER = r"""sed 's/account_id: "222222222222", role:/account_id: 222222222222, rol:/' accounts.yaml > bad.yaml"""
WIDER = r"""sed -i.bak 's/"6b1e.*"/&, permissions: [s3-read, ec2-read]/; s/, external_id: "c29d.*"//' accounts.yaml"""
EDITED = (
    r"""sed -i.bak -e '/^data.*"trust"/,/^}/{/condition {/,/^    }/d;}' -e 's|"arn:aws:iam::111.*:role/backend_role",|"""
    r"""& "arn:aws:iam::999999999999:root",|' output/customers/account1/main.tf && rm output/customers/*/*.bak"""
)
BEFORE = {
    "gen terraform bad.yaml": [NUMBER],
    "gen diff accounts.yaml": [GENERATED, WIDER],
    "gen check accounts.yaml": [GENERATED, EDITED],
    "gen prove accounts.yaml": [GENERATED],
}


def lacking(shown: list[str], printed: tuple[str, ...]) -> list[str]:
    """Shown lines that are not printed, or not in this order."""
    rest = iter(printed)
    return [line for line in shown if line.strip() and not any(shows((line,), (each,)) for each in rest)]


@pytest.mark.parametrize(("command", "output"), SESSIONS, ids=[command for command, _ in SESSIONS])
def test_readme_shows_actual_output(tmp_path: Path, command: str, output: str) -> None:
    """Every session, in a folder prepared for it: table lines, findings, cuts within a line."""
    commands = [*BEFORE.get(command, []), command]
    starts = ((EXAMPLE, "accounts.yaml"), (EXAMPLE, EXAMPLE))
    results = run_page(Page(starts, tuple(Typed(each, (), 1) for each in commands)), tmp_path)

    assert [] == lacking(output.splitlines(), results[-1].lines), "\n".join(results[-1].lines)


def test_every_session_is_tested() -> None:
    """The README's sessions have the expected form, and each prepared folder belongs to a session."""
    assert len(re.findall(r"^\$ ", TEXT, re.MULTILINE)) == len(SESSIONS)
    assert set() == set(BEFORE) - {command for command, _ in SESSIONS}
