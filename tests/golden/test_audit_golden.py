"""What `gen audit` prints for the example account, in each format, stays the same."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest

from audit_accounts import NOW
from golden_files import assert_golden
from rolecall_generator._version import __version__
from rolecall_generator.audit import audit_accounts, read_accounts
from rolecall_generator.reports import AuditReport, audit_formats, print_audit
from rolecall_generator.terminal import SafeConsole

GOLDEN = Path(__file__).parent / "audit"
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "authorization-details.json"


def test_audit_of_the_example_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(EXAMPLE, "account.json")
    audit = audit_accounts(read_accounts([Path("account.json")]), NOW)
    console = SafeConsole(file=io.StringIO(), width=80, force_terminal=False)
    print_audit(console, audit)
    assert isinstance(console.file, io.StringIO)
    lines = (line.rstrip() for line in console.file.getvalue().splitlines())
    made = {"audit.txt": "\n".join(lines) + "\n"}
    for name in ("json", "sarif"):
        text = audit_formats()[name](AuditReport(audit, "account.json"))
        made[f"audit.{name}"] = text.replace(__version__, "VERSION") if name == "sarif" else text

    assert_golden(GOLDEN, made)
