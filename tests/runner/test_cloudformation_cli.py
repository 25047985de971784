"""The commands of the CloudFormation README, run in a shell with the AWS CLI."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aws_cli_rig import CliShell, shell
from cloudformation_emulator import PASSWORD, Emulator, running
from cloudformation_reader import as_cloudformation_says
from form_handovers import ACCOUNT, handed_over, handover
from manifests import manifest_of, notes_manifest
from rolecall_generator.bundle.forms.cloudformation import cloudformation_form
from rolecall_generator.iam.model import Access, Module
from rolecall_runner.rehearsal.rehearsal import account_differences

pytestmark = pytest.mark.skipif(importlib.util.find_spec("awscli") is None, reason="the AWS CLI is not installed")

CUSTOMER = next(module for module in handed_over(notes_manifest()) if module.path == "customers/account1")
SWITCH_ROLE = {
    "name": "ops",
    "trusting": {"name": "work", "account_id": "333333333333"},
    "trusted": {"name": "hub", "account_id": ACCOUNT},
    "role": "ops",
    "group": {"name": "people", "existing": True},
    "users": [{"name": "ann", "console_password": True}],
}
PEOPLE = next(m for m in handed_over(manifest_of(switch_roles=[SWITCH_ROLE])) if m.path == "switch-roles/ops/trusted")


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CliShell[Emulator]]:
    with (
        running(tmp_path_factory.mktemp("ministack")) as emulator,
        tempfile.TemporaryDirectory() as folder,  # short, since it contains a socket
        shell(emulator, Path(folder)) as terminal,
    ):
        yield terminal


def commands(readme: str, heading: str) -> str:
    """The indented lines below a heading."""
    section = readme.split(f"\n## {heading}\n")[1].split("\n## ", maxsplit=1)[0]
    return "".join(f"{line[4:]}\n" for line in section.splitlines() if line.startswith("    ") or not line)


def files(module: Module, cli: CliShell[Emulator]) -> str:
    """Copy the template to the folder of the commands; returns the README."""
    made = cloudformation_form(handover(module))
    (cli.folder / "template.json").write_bytes(made["cloudformation/template.json"])
    return made["cloudformation/README.md"].decode()


@pytest.mark.parametrize("module", [CUSTOMER, PEOPLE], ids=["role", "people"])
def test_readme_commands_deploy_and_delete(cli: CliShell[Emulator], module: Module) -> None:
    """A second deployment changes nothing, the outputs are printed, and the last command keeps what existed before."""
    if shutil.which("bash") is None:
        pytest.skip("the README's `read -s` is for bash and zsh")
    cli.rig.reset()
    account_id = module.account.account_id
    if module.access.groups:
        cli.rig.client(account_id).create_group(GroupName="people")
    before = cli.rig.access(account_id)
    readme = files(module, cli)
    script = f"cd {cli.folder}\nexec bash -eu -c '{commands(readme, 'On the command line')}'\n".encode()

    for attempt in range(2):
        if attempt:
            time.sleep(1.1)  # the AWS CLI names a change set after the current second
        done = cli.run(script, account_id=account_id, answers=f"{PASSWORD}\n")
        assert 0 == done.returncode, done.stderr
        wanted = as_cloudformation_says(module.access)
        assert () == account_differences(before, [wanted], cli.rig.access(account_id))
    assert "No changes to deploy" in done.stdout
    assert ("RoleArn" in done.stdout) == bool(module.access.roles)
    assert PASSWORD not in f"{done}"

    done = cli.run(commands(readme, "Remove").encode(), account_id=account_id)
    assert 0 == done.returncode, done.stderr
    assert before == cli.rig.access(account_id)


def test_command_in_another_account_fails_and_creates_nothing(cli: CliShell[Emulator]) -> None:
    """The output has the message of the template."""
    cli.rig.reset()
    readme = files(CUSTOMER, cli)
    script = f"cd {cli.folder}\n{commands(readme, 'On the command line')}".encode()
    done = cli.run(script, account_id="999999999999")

    assert "222222222222 (account1)" in done.stderr
    assert Access() == cli.rig.access("999999999999")
