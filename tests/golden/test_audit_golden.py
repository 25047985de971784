"""What `gen audit` prints for the example account, in each format, stays the same."""

from __future__ import annotations

import io
from pathlib import Path

from audit_accounts import EXAMPLE, NOW
from golden_files import assert_golden
from rolecall_generator._version import __version__
from rolecall_generator.audit import audit_accounts
from rolecall_generator.audit.account import AccountBuilder
from rolecall_generator.reports import AuditReport, audit_formats, print_audit
from rolecall_generator.terminal import SafeConsole

GOLDEN = Path(__file__).parent / "audit"


def test_audit_of_the_example_account() -> None:
    builder = AccountBuilder("account.json")
    builder.add_page(EXAMPLE, "account.json")
    audit = audit_accounts(builder.build(), NOW)
    console = SafeConsole(file=io.StringIO(), width=80, force_terminal=False)
    print_audit(console, audit)
    assert isinstance(console.file, io.StringIO)
    lines = (line.rstrip() for line in console.file.getvalue().splitlines())
    made = {"audit.txt": "\n".join(lines) + "\n"}
    for name in ("json", "sarif"):
        text = audit_formats()[name](AuditReport(audit, "account.json"))
        made[f"audit.{name}"] = text.replace(__version__, "VERSION") if name == "sarif" else text

    assert_golden(GOLDEN, made)
