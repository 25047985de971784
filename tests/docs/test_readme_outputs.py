"""The README shows parts of what its commands print: every line that it shows is printed, in that order."""

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

# What has happened before, in words of a shell, where the README's story needs something wrong.
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
    """Shown lines that are not printed behind those before them."""
    rest = iter(printed)
    return [line for line in shown if line.strip() and not any(shows((line,), (each,)) for each in rest)]


@pytest.mark.parametrize(("command", "output"), SESSIONS, ids=[command for command, _ in SESSIONS])
def test_the_readme_shows_what_is_printed(tmp_path: Path, command: str, output: str) -> None:
    """Every session, in a folder that is as its story says; a table's lines, a finding, a cut in a line."""
    commands = [*BEFORE.get(command, []), command]
    starts = ((EXAMPLE, "accounts.yaml"), (EXAMPLE, EXAMPLE))
    results = run_page(Page(starts, tuple(Typed(each, (), 1) for each in commands)), tmp_path)

    assert [] == lacking(output.splitlines(), results[-1].lines), "\n".join(results[-1].lines)


def test_every_session_is_read() -> None:
    """The README's sessions are in the form that this test reads, and each story belongs to one."""
    assert len(re.findall(r"^\$ ", TEXT, re.MULTILINE)) == len(SESSIONS)
    assert set() == set(BEFORE) - {command for command, _ in SESSIONS}
