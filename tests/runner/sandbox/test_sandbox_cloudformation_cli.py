"""The commands of the form's README, run as they stand there by a real shell with the real AWS CLI."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from aws_cli_rig import Shell, shell
from form_handovers import handed_over, handover
from live_iam import read_access
from manifests import notes_manifest
from rolecall_generator.handover.cloudformation_reader import as_cloudformation_says
from rolecall_generator.handover.forms.cloudformation import cloudformation_form
from rolecall_generator.iam.access import Access
from rolecall_generator.iam.module import Module
from sandbox_rig import running, service_trust
from stack_rig import PASSWORD, changes

pytestmark = pytest.mark.skipif(importlib.util.find_spec("awscli") is None, reason="the AWS CLI is not installed")

NOTES = {module.path: module for module in handed_over(notes_manifest())}


@pytest.fixture(scope="module")
def cli() -> Iterator[Shell]:
    with running() as rig, tempfile.TemporaryDirectory() as folder:
        rig.clock.now = rig.clock.now.replace(year=2035)  # the CLI holds expiry against its own clock
        rig.role("111111111111", "backend_role", service_trust())
        with shell(rig, Path(folder)) as terminal:
            yield terminal


def commands(readme: str, heading: str) -> str:
    """The indented lines below a heading."""
    section = readme.split(f"\n## {heading}\n")[1].split("\n## ", maxsplit=1)[0]
    return "".join(f"{line[4:]}\n" for line in section.splitlines() if line.startswith("    ") or not line)


def files(module: Module, cli: Shell) -> str:
    """Put the template where the commands look for it; the README."""
    made = cloudformation_form(handover(module))
    (cli.folder / "template.json").write_bytes(made["cloudformation/template.json"])
    return made["cloudformation/README.md"].decode()


@pytest.mark.parametrize("path", ["customers/account1", "switch-roles/reena-in-sumesh/trusted"])
def test_the_readmes_commands_deploy_and_remove(cli: Shell, path: str) -> None:
    """Deployed twice it is the same, the outputs are shown, and the last command leaves nothing."""
    if shutil.which("bash") is None:
        pytest.skip("the README's `read -s` is for bash and zsh")
    module = NOTES[path]
    readme = files(module, cli)
    go = f"cd {cli.folder}\nexec bash -eu -c '{commands(readme, 'On the command line')}'\n".encode()

    for _ in range(2):
        done = cli.run(go, account_id=module.account.account_id, answers=f"{PASSWORD}\n")
        assert 0 == done.returncode, done.stderr
        assert () == changes(cli.rig, module, Access(), as_cloudformation_says(module.access))
    assert "No changes to deploy" in done.stdout
    assert ("RoleArn" in done.stdout) == (path == "customers/account1")
    assert PASSWORD not in f"{done}{cli.rig.lines}"

    done = cli.run(commands(readme, "Remove").encode(), account_id=module.account.account_id)
    assert 0 == done.returncode, done.stderr
    assert Access() == read_access(cli.rig.sandbox.url, module.account.account_id)


def test_in_another_account_the_command_fails_and_makes_nothing(cli: Shell) -> None:
    """The rule's own words reach who deploys."""
    readme = files(NOTES["customers/account1"], cli)
    done = cli.run(f"cd {cli.folder}\n{commands(readme, 'On the command line')}".encode(), account_id="999999999999")

    assert "this template belongs to 222222222222 (account1)" in done.stderr
    assert Access() == read_access(cli.rig.sandbox.url, "999999999999")
