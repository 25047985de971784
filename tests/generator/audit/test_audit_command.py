"""`gen audit` as users run it: sources, exit codes, options and errors."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from audit_accounts import DATADOG, GOOD_ID, UNKNOWN, by_id, caller, page, role, root, trust
from command_rig import GEN, gen, process

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "authorization-details.json"
DAY = ("--as-of", "2026-11-30")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the example account and two others."""
    shutil.copyfile(EXAMPLE, tmp_path / "account.json")
    (tmp_path / "clean.json").write_text(json.dumps(page(role("vendor", trust(caller(DATADOG), by_id(GOOD_ID))))))
    (tmp_path / "partner.json").write_text(json.dumps(page(role("partner", trust(root(UNKNOWN), by_id(GOOD_ID))))))
    return tmp_path


def test_findings_cause_exit_code_one(folder: Path) -> None:
    done = gen("audit", "account.json", *DAY, cwd=folder)

    assert (1, "") == (done.code, done.err)
    assert "RA101" in done.out
    assert "12 errors, 20 warnings, 4 notes" in done.out.splitlines()[-1]


def test_an_account_without_findings_causes_exit_code_zero(folder: Path) -> None:
    assert 0 == gen("audit", "clean.json", *DAY, cwd=folder).code


@pytest.mark.parametrize(("least", "code"), [("note", 1), ("warning", 1), ("error", 0)])
def test_fail_on_sets_the_lowest_severity(folder: Path, least: str, code: int) -> None:
    assert code == gen("audit", "partner.json", *DAY, "--fail-on", least, cwd=folder).code


@pytest.mark.parametrize("name", ["json", "sarif", "junit", "html"])
def test_formats_print_only_the_result(folder: Path, name: str) -> None:
    done = gen("audit", "account.json", *DAY, "--format", name, cwd=folder)

    assert (1, "") == (done.code, done.err)
    assert done.out[0] in "{<"


def test_quiet_prints_nothing(folder: Path) -> None:
    done = gen("audit", "account.json", *DAY, "--quiet", cwd=folder)

    assert (1, "", "") == (done.code, done.out, done.err)


def test_own_accounts_and_files_of_ids(folder: Path) -> None:
    (folder / "ids.txt").write_text(f"{UNKNOWN}\n")

    assert 1 == gen("audit", "partner.json", *DAY, cwd=folder).code
    assert 0 == gen("audit", "partner.json", *DAY, "--organization-accounts", UNKNOWN, cwd=folder).code
    assert 0 == gen("audit", "partner.json", *DAY, "--organization-accounts", "ids.txt", cwd=folder).code


def test_unused_days(folder: Path) -> None:
    assert 1 == gen("audit", "clean.json", *DAY, "--unused-days", "5", cwd=folder).code
    assert 1 == gen("audit", "clean.json", "--as-of", "2027-11-30", cwd=folder).code
    assert 1 == gen("audit", "clean.json", "--as-of", "9999-12-31", cwd=folder).code


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 2),
        (["--profile", ""], 2),
        (["account.json", "--profile", "x"], 2),
        (["missing.json"], 3),
        (["wrong.json"], 3),
        (["account.json", "--organization-accounts", "acme"], 2),
        (["account.json", "--organization-id", "acme"], 2),
        (["account.json", "--format", "pdf"], 2),
        (["account.json", "--as-of", "yesterday"], 2),
        (["account.json", "--unused-days", "0"], 2),
        (["--profile", "rolecall-missing"], 8),
        (["empty"], 3),
    ],
)
def test_errors_have_their_exit_codes(folder: Path, arguments: list[str], code: int) -> None:
    (folder / "wrong.json").write_text("{")
    (folder / "empty").mkdir()
    done = gen("audit", *arguments, cwd=folder, environ={"AWS_CONFIG_FILE": "none", "AWS_SHARED_CREDENTIALS_FILE": "none"})

    assert (code, "") == (done.code, done.out)
    assert done.err


def test_an_error_has_place_and_hint(folder: Path) -> None:
    (folder / "wrong.json").write_text('{"RoleDetailList": [\n{]}')

    error, hint = gen("audit", "wrong.json", cwd=folder).err.splitlines()

    assert error.startswith("error: wrong.json:2:2: ")
    assert hint.startswith("  hint: ")


def test_audit_of_a_file_loads_neither_aws_nor_templates(folder: Path) -> None:
    """An audit in CI starts in a moment: botocore is loaded for a live account only, Jinja2 for the page only.

    It needs no manifest, and reads no Terraform.
    """
    program = (
        "import sys\nfrom rolecall_generator.cli import app\n"
        "try:\n    app(prog_name='gen')\nexcept SystemExit:\n    pass\n"
        "print('LOADED', *sorted({'botocore', 'boto3', 'jinja2', 'moto', 'yaml', 'rolecall_generator.manifest.loader', "
        "'rolecall_generator.terraform.parser'} & set(sys.modules)), file=sys.stderr)"
    )
    done = process(program, "audit", "account.json", "--quiet", cwd=folder)

    assert "LOADED" == done.stderr.decode().splitlines()[-1].strip()


def test_other_commands_do_not_load_the_audit(folder: Path) -> None:
    """`gen check` runs before each commit."""
    before = "import sys, rolecall_generator.cli.check as _"
    done = process("print(*(name for name in sys.modules if '.audit.' in name))", cwd=folder, before=before)

    assert (0, b"") == (done.returncode, done.stdout.strip())


def test_standard_input(folder: Path) -> None:
    text = (folder / "clean.json").read_text()
    before = f"import io, sys\nclass I: buffer = io.BytesIO({text!r}.encode())\nsys.stdin = I()"
    done = process(GEN, "audit", "-", *DAY, cwd=folder, before=before)

    assert 0 == done.returncode, done.stderr
