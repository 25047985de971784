"""Every module kind and every option, applied by Terraform with every installed provider and read back from IAM."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from live_iam import iam_client, read_access
from manifests import notes_manifest
from rolecall_generator.iam.model import Access
from rolecall_generator.planning.planner import make_plan
from rolecall_generator.terraform.parser.parse import parse_files
from rolecall_generator.terraform.render import render_module
from rolecall_runner.rehearsal.rehearsal import account_differences
from terraform_cases import CASES, Case, cases_for, make_existing
from terraform_plan import Verdict, planned_modules, verdict
from terraform_providers import Provider
from terraform_rig import Workspace, put, workspace, workspace_of_many

pytestmark = pytest.mark.terraform


def accounts_of(cases: Iterable[Case]) -> list[str]:
    return sorted({case.module().account.account_id for case in cases})


def test_terraform_creates_exactly_the_intended_access(endpoint: str, aws_provider: Provider, tmp_path: Path) -> None:
    """init, validate, plan, apply, IAM read back equal to the intended access, an empty second plan, destroy, empty account.

    One root has all module kinds and options, in two accounts. No step may warn. The parser reads each module as
    Terraform plans it.
    """
    cases = cases_for(aws_provider)
    accounts = accounts_of(cases)
    for case in cases:
        make_existing(endpoint, case.module())
    before = {account: read_access(endpoint, account) for account in accounts}
    root = workspace_of_many(tmp_path, (case.call() for case in cases), endpoint, aws_provider)

    root.init()
    root.validate()
    planned = planned_modules(root.plan(), [case.name for case in cases])
    for case in cases:
        account = case.module().account.account_id
        parsed = parse_files({name: text.encode() for name, text in case.files().items()}, account_id=account)
        assert () == parsed.findings, case.name
        assert Verdict.EQUAL is verdict(parsed, planned[case.name], account), case.name
        assert case.module().access.canonical() == parsed.access.canonical(), case.name

    root.apply("plan")
    for account in accounts:
        intended = [case.module().access for case in cases if case.module().account.account_id == account]
        assert () == account_differences(before[account], intended, read_access(endpoint, account))
    assert root.plan_is_clean()

    root.destroy()
    assert before == {account: read_access(endpoint, account) for account in accounts}


def test_only_plain_passwords_require_a_newer_provider() -> None:
    """Only cases with a plain initial password need a newer provider than 3.39."""
    oldest = Provider((3, 39, 0), Path())
    newer = [case.name for case in CASES if not case.runs_with(oldest)]

    assert ["switch-password-trusted", "switch-both-passwords-trusting"] == newer
    assert [] == [case.name for case in CASES if not case.runs_with(Provider((4, 1, 0), Path()))]


def test_cases_have_distinct_arns() -> None:
    """Cases share accounts: with the same ARN they would hide each other's errors."""
    made = [
        arn
        for case in CASES
        for parts in ("roles", "policies", "groups", "users", "instance_profiles")
        for arn, part in getattr(case.module().access, parts).items()
        if not getattr(part, "existing", False)
    ]

    assert len(made) == len(set(made)) > 80


def test_wrong_account_fails_at_plan_with_both_account_ids(endpoint: str, aws_provider: Provider, tmp_path: Path) -> None:
    """With credentials of another account nothing is planned."""
    module = next(m for m in make_plan(notes_manifest()).modules if m.path == "customers/account1").build()
    files = render_module(module, "accounts.yaml")
    root = workspace(tmp_path, files, "999999999999", endpoint, aws_provider)

    root.init()
    done = root.run("apply", "-auto-approve", "-input=false", "-no-color", expect=1)

    assert "222222222222" in done.text
    assert "999999999999" in done.text
    assert Access() == read_access(endpoint, "999999999999")


@pytest.mark.slow
def test_customer_outputs_are_role_arn_and_external_id(endpoint: str, aws_provider: Provider, tmp_path: Path) -> None:
    module = next(m for m in make_plan(notes_manifest()).modules if m.path == "customers/account2").build()
    root = workspace(tmp_path, render_module(module, "accounts.yaml"), "333333333333", endpoint, aws_provider)

    root.init()
    root.apply()

    expected = {"role_arn": "arn:aws:iam::333333333333:role/role2", "external_id": "6b1e0a9f3c7d4e52a8f4d1c2b3a49586"}
    assert expected == root.outputs()
    root.destroy()


def test_plain_initial_password_requires_opt_in_and_provider_support(
    endpoint: str, aws_provider: Provider, tmp_path: Path
) -> None:
    """Without a PGP key the password is a sensitive output that works in IAM; providers without support are refused."""
    (case,) = (case for case in CASES if case.name == "switch-password-trusted")
    account = case.module().account.account_id
    root = workspace(tmp_path, case.files(), account, endpoint, aws_provider)
    if not case.runs_with(aws_provider):
        done = root.run("init", "-input=false", "-no-color", f"-plugin-dir={aws_provider.plugins()}", expect=1)
        assert ">= 4.1" in done.text
        return

    root.init()
    root.run_json("plan", "-out=plan")
    done = root.run("apply", "-input=false", "-no-color", "plan")
    password = root.outputs()["initial_passwords"]["pass"]
    assert len(password) >= 8
    assert password not in done.text
    assert "pass" == iam_client(endpoint, account).get_login_profile(UserName="pass")["LoginProfile"]["UserName"]
    assert root.plan_is_clean()
    root.destroy()


def test_all_generated_files_are_fmt_clean(aws_provider: Provider, tmp_path: Path) -> None:
    """terraform fmt -check reports no file, for any module kind and option."""
    for case in CASES:
        put(tmp_path / case.name, case.files())
    Workspace(tmp_path, aws_provider).run("fmt", "-check", "-diff", "-no-color", "-recursive")
