"""The scripts, run in a shell with the AWS CLI, create the module's access and remove it completely."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from aws_cli_rig import Shell
from form_handovers import ACCOUNT, ARN, READ, READ_ONLY, WRITE, everything, handed_over, handover, module_of
from live_iam import read_access
from manifests import notes_manifest
from rolecall_generator.bundle.forms.aws_cli import cli_script_form
from rolecall_generator.iam.difference import Change
from rolecall_generator.iam.model import Access, Module
from rolecall_runner.rehearsal.rehearsal import account_differences
from sandbox_rig import Rig, service_trust

pytestmark = pytest.mark.skipif(importlib.util.find_spec("awscli") is None, reason="the AWS CLI is not installed")

NOTES = {module.path: module for module in handed_over(notes_manifest())}
CUSTOMER = NOTES["customers/account1"]
PEOPLE = NOTES["switch-roles/reena-in-sumesh/trusted"]
PASSWORD = 'First "password" \\1'  # noqa: S105 - test data


@pytest.fixture
def cli(terminal: Shell) -> Iterator[Shell]:
    yield terminal
    for account_id in (ACCOUNT, "078352025563"):
        assert Access() == read_access(terminal.rig.sandbox.url, account_id)


def apply(cli: Shell, module: Module, *arguments: str, answers: str = "", account_id: str | None = None) -> Any:
    script = cli_script_form(handover(module))["aws-cli/apply.sh"]
    return cli.run(script, *arguments, account_id=account_id or module.account.account_id, answers=answers)


def remove(cli: Shell, module: Module, *arguments: str, answers: str = "") -> Any:
    script = cli_script_form(handover(module))["aws-cli/remove.sh"]
    return cli.run(script, *arguments, account_id=module.account.account_id, answers=answers)


def changes(cli: Shell, module: Module, before: Access = Access()) -> tuple[Change, ...]:  # noqa: B008 - frozen
    found = read_access(cli.rig.sandbox.url, module.account.account_id)
    return account_differences(before, [module.access], found)


def test_customer_script_is_idempotent_and_removable(cli: Shell) -> None:
    """Standard output is only the line to send back; a second run changes nothing."""
    for _ in range(2):
        done = apply(cli, CUSTOMER)
        assert (0, f"{ARN}:role/role1\n") == (done.returncode, done.stdout), done.stderr
        assert () == changes(cli, CUSTOMER)

    assert 0 == remove(cli, CUSTOMER, "--yes").returncode
    assert Access() == read_access(cli.rig.sandbox.url, ACCOUNT)
    assert 0 == remove(cli, CUSTOMER, "--yes").returncode


@pytest.mark.slow
def test_initial_password_is_requested_only_once(cli: Shell) -> None:
    """Creates group, policies and user; the password is never printed, and a second run keeps it."""
    first = apply(cli, PEOPLE, answers=f"{PASSWORD}\n")
    assert 0 == first.returncode, first.stderr
    assert () == changes(cli, PEOPLE)

    second = apply(cli, PEOPLE)
    assert (0, "") == (second.returncode, second.stdout), second.stderr
    assert "already has a console password, which is not changed" in second.stderr
    assert () == changes(cli, PEOPLE)

    assert PASSWORD not in f"{first}{second}{cli.rig.lines}"
    assert [] == [path.name for path in cli.folder.iterdir() if path.name.startswith("tmp.")]
    assert 0 == remove(cli, PEOPLE, "--yes").returncode


@pytest.mark.slow
def test_missing_password_stops_the_script(cli: Shell) -> None:
    """The script generates no password and explains how to provide one; the next run continues."""
    done = apply(cli, PEOPLE)
    assert (1, True) == (done.returncode, "one line for each new user on standard input" in done.stderr)

    assert 0 == apply(cli, PEOPLE, answers="Password-1").returncode
    assert () == changes(cli, PEOPLE)
    assert 0 == remove(cli, PEOPLE, "--yes").returncode


def test_trusting_account_prints_the_switch_role_link(cli: Shell) -> None:
    module = NOTES["switch-roles/reena-in-sumesh/trusting"]
    done = apply(cli, module)

    assert module.switch_role is not None
    assert (0, f"{module.switch_role.link}\n") == (done.returncode, done.stdout), done.stderr
    assert () == changes(cli, module)
    assert 0 == remove(cli, module, "--yes").returncode


def test_wrong_account_stops_the_scripts(cli: Shell) -> None:
    """Both scripts check the account first and print both account IDs."""
    done = apply(cli, CUSTOMER, account_id="999999999999")

    assert 1 == done.returncode
    assert "credentials of 999999999999, but this script belongs to 222222222222 (account1)" in done.stderr
    assert Access() == read_access(cli.rig.sandbox.url, "999999999999")


@pytest.mark.slow
def test_special_characters_are_preserved_and_existing_resources_kept(cli: Shell) -> None:
    """Shell characters and the CLI's `file://` are preserved; removal keeps the existing group and user."""
    module = module_of(everything(existing=True))
    iam = cli.rig.administrator(ACCOUNT)
    iam.create_group(GroupName="people", Path="/old/")
    iam.put_group_policy(GroupName="people", PolicyName="own", PolicyDocument=json.dumps(READ.to_json()))
    iam.create_user(UserName="zoe", Path="/old/")
    before = read_access(cli.rig.sandbox.url, ACCOUNT)

    for _ in range(2):
        done = apply(cli, module, answers=f"{PASSWORD}\n")
        assert 0 == done.returncode, done.stderr
        assert () == changes(cli, module, before)

    assert 0 == remove(cli, module, "--yes").returncode
    assert before == read_access(cli.rig.sandbox.url, ACCOUNT)
    iam.delete_group_policy(GroupName="people", PolicyName="own")
    iam.delete_group(GroupName="people")
    iam.delete_user(UserName="zoe")


@pytest.mark.slow
def test_update_is_applied_and_extra_resources_are_reported(cli: Shell) -> None:
    """Trust, policies and settings are updated; extra content is removed with --exact, else nothing changes."""
    old = module_of(people_less(everything(existing=False)))
    (role,) = old.access.roles.values()
    (policy,) = old.access.policies.values()
    changed = replace(
        role, inline={"read": WRITE}, attached=frozenset({policy.arn}), description="", max_session_seconds=3600
    )
    new = replace(old, access=Access(roles={role.arn: changed}, policies={policy.arn: replace(policy, document=WRITE)}))
    assert 0 == apply(cli, old).returncode

    done = apply(cli, new)
    assert 1 == done.returncode, done.stderr
    assert "role r, inline policy write: " in done.stderr
    assert f"role r, policy {READ_ONLY}: " in done.stderr
    assert () == changes(cli, old)

    done = apply(cli, new, "--exact")
    assert 0 == done.returncode, done.stderr
    assert () == changes(cli, new)
    assert 0 == remove(cli, new, "--yes").returncode


def people_less(access: Access) -> Access:
    return replace(access, groups={}, users={})


@pytest.mark.slow
def test_permissions_boundary_is_not_removed(cli: Shell) -> None:
    """Removing a permissions boundary widens the access: the script stops and prints the manual steps."""
    old = module_of(people_less(everything(existing=False)))
    (role,) = old.access.roles.values()
    new = replace(old, access=replace(old.access, roles={role.arn: replace(role, boundary=None)}))
    assert 0 == apply(cli, old).returncode

    done = apply(cli, new, "--exact")
    assert 1 == done.returncode, done.stderr
    assert f"role r, permissions boundary {READ_ONLY}: " in done.stderr
    assert "aws iam delete-role-permissions-boundary --role-name=r" in done.stderr
    assert READ_ONLY == read_access(cli.rig.sandbox.url, ACCOUNT).roles[role.arn].boundary
    assert 0 == remove(cli, new, "--yes").returncode


@pytest.mark.slow
def test_sixth_policy_version_replaces_the_oldest(cli: Shell) -> None:
    """AWS keeps five versions of a managed policy; an unchanged document creates none."""
    module = module_of(people_less(everything(existing=False)))
    (policy,) = module.access.policies.values()
    documents = [READ, WRITE, READ, WRITE, READ, WRITE, WRITE]
    for document in documents:
        changed = {policy.arn: replace(policy, document=document)}
        module = replace(module, access=replace(module.access, policies=changed))
        done = apply(cli, module)
        assert 0 == done.returncode, done.stderr

    versions = cli.rig.administrator(ACCOUNT).list_policy_versions(PolicyArn=policy.arn)["Versions"]
    assert {"v2", "v3", "v4", "v5", "v6"} == {version["VersionId"] for version in versions}
    assert () == changes(cli, module)
    assert 0 == remove(cli, module, "--yes").returncode


def test_role_with_another_path_is_not_changed(cli: Shell) -> None:
    iam = cli.rig.administrator(ACCOUNT)
    iam.create_role(RoleName="role1", Path="/theirs/", AssumeRolePolicyDocument=json.dumps(service_trust()))
    before = read_access(cli.rig.sandbox.url, ACCOUNT)

    for done in (apply(cli, CUSTOMER), remove(cli, CUSTOMER, "--yes")):
        assert (1, True) == (done.returncode, f"{ARN}:role/theirs/role1 has the same name as" in done.stderr), done.stderr
    assert before == read_access(cli.rig.sandbox.url, ACCOUNT)
    iam.delete_role(RoleName="role1")


def test_removal_requires_confirmation(cli: Shell) -> None:
    apply(cli, CUSTOMER)

    refused = remove(cli, CUSTOMER, answers="no\n")
    assert (1, True) == (refused.returncode, "Nothing was removed." in refused.stderr)
    assert () == changes(cli, CUSTOMER)
    assert 0 == remove(cli, CUSTOMER, answers="yes\n").returncode


def test_foreign_attachment_stops_the_removal(cli: Shell) -> None:
    """AWS refuses to delete the role, and the script exits with that error."""
    apply(cli, CUSTOMER)
    iam = cli.rig.administrator(ACCOUNT)
    iam.put_role_policy(RoleName="role1", PolicyName="foreign", PolicyDocument=json.dumps(READ.to_json()))

    done = remove(cli, CUSTOMER, "--yes")
    assert (1, True) == (done.returncode, "DeleteConflict" in done.stderr), done.stderr
    assert ["foreign"] == list(read_access(cli.rig.sandbox.url, ACCOUNT).roles[f"{ARN}:role/role1"].inline)

    iam.delete_role_policy(RoleName="role1", PolicyName="foreign")
    assert 0 == remove(cli, CUSTOMER, "--yes").returncode


@pytest.mark.parametrize("script", ["aws-cli/apply.sh", "aws-cli/remove.sh"])
def test_unknown_argument_is_usage_error(cli: Shell, script: str) -> None:
    done = cli.run(cli_script_form(handover(CUSTOMER))[script], "--force", account_id=ACCOUNT)

    assert (2, True) == (done.returncode, done.stderr.startswith("usage: sh "))


def test_shell_uses_the_real_aws_cli(cli: Shell) -> None:
    done = cli.run(b"aws --version\n", account_id=ACCOUNT)

    assert done.stdout.startswith("aws-cli/")
    assert isinstance(cli.rig, Rig)
