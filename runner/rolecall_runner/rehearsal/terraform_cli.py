"""Finds terraform or tofu and runs it: one command, its folder, its whole text. Nothing of the caller's AWS goes along.

A root configuration for one module: the provider of the sandbox, in the module's account, and the module as child.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rolecall_generator.errors import ToolError
from rolecall_generator.iam import PARTITIONS, role_arn
from rolecall_runner.rehearsal.module_selection import RehearsedModules
from rolecall_runner.sandbox import OPERATOR_KEY, OPERATOR_ROLE, operator_secret

NAMES = ("terraform", "tofu")
TIMEOUT_SECONDS = 600

# What would let a rehearsal act as someone, or do something else than asked: credentials and profiles, extra arguments,
# another workspace or data folder, values for variables.
_KEPT_OUT = ("AWS_", "TF_CLI_ARGS", "TF_WORKSPACE", "TF_DATA_DIR", "TF_VAR_", "TF_LOG")


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended: its exit code, what it put out, and its errors and warnings."""

    code: int
    out: str
    err: str = ""

    @property
    def text(self) -> str:
        """All that it said."""
        return f"{self.out}\n{self.err}"

    @property
    def error(self) -> str:
        """The first `Error:` block without its frame, at most twenty lines; without one the last lines."""
        lines = [line.strip("╷│╵ ").rstrip() for line in self.text.splitlines()]
        start = next((number for number, line in enumerate(lines) if line.startswith("Error:")), None)
        if start is None:
            return "\n".join([line for line in lines if line][-8:])
        rest = lines[start:]
        end = next((number for number, line in enumerate(rest) if number and line.startswith("Error:")), len(rest))
        return "\n".join(line for line in rest[: min(end, 20)] if line)


@dataclass(frozen=True)
class Terraform:
    """A program that runs Terraform configurations: `command` as subprocess takes it. `stop` ends what is running."""

    command: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    _running: set[subprocess.Popen[str]] = field(default_factory=set, repr=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def run(self, folder: Path, *arguments: str, timeout: float = TIMEOUT_SECONDS) -> Finished:
        """Run in a folder. A Ctrl-C at the terminal does not reach the program: `stop` tells it, in order.

        Raises ToolError when the program cannot be started. A command past `timeout` seconds is ended and counts as failed.
        """
        try:
            process = subprocess.Popen(  # noqa: S603 - a program that the user named or has on PATH
                [*self.command, *arguments],
                cwd=folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            raise ToolError(
                f"{self.command[0]} cannot be started: {error.strerror}", hint="name a terraform or tofu that runs here"
            ) from error
        with self._lock:
            self._running.add(process)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            out, err = _end(process)
            err += f"\nError: it took longer than {timeout:.0f} s and was ended\n"
        finally:
            with self._lock:
                self._running.discard(process)
        return Finished(process.returncode, out, err)

    def stop(self) -> None:
        """Ask every running command to end in order, as one Ctrl-C would: state is written before it goes."""
        with self._lock:
            for process in self._running:
                process.send_signal(signal.SIGINT)

    def version(self, folder: Path) -> tuple[str, str | None]:
        """Versions of the program and of the AWS provider that the folder was initialised with (None without one)."""
        done = self.run(folder, "version", "-json")
        try:
            body = json.loads(done.out)
        except json.JSONDecodeError:
            return "unknown", None
        providers = body.get("provider_selections", {})
        aws = next((version for name, version in providers.items() if name.endswith("/hashicorp/aws")), None)
        return str(body.get("terraform_version", "unknown")), aws

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in self.environ.items() if not name.startswith(_KEPT_OUT)}
        return kept | {
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "CHECKPOINT_DISABLE": "1",
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
        }


def _end(process: subprocess.Popen[str]) -> tuple[str, str]:
    process.send_signal(signal.SIGINT)
    try:
        return process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()


def find_terraform(
    which: Callable[[str], str | None] = shutil.which, environ: Mapping[str, str] | None = None
) -> Terraform | None:
    """The terraform, else the tofu, on PATH; None when there is neither."""
    for name in NAMES:
        if found := which(name):
            return Terraform((found,), dict(os.environ) if environ is None else dict(environ))
    return None


# `ec2`: without this endpoint provider 3.39 asks the real one for two minutes. `s3` for modules of others.
_PROVIDER = """\
provider "aws" {{
  region                      = "{region}"
  access_key                  = "{access_key}"
  secret_key                  = "{secret}"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true

  assume_role {{
    role_arn     = "{role_arn}"
    session_name = "rehearsal"
  }}

  endpoints {{
    ec2 = "{url}"
    iam = "{url}"
    s3  = "{url}"
    sts = "{url}"
  }}
}}
"""
_CALL = """
module "it" {
  source = "./module"
}
"""
_GUARD = re.compile(r"^(\s*prevent_destroy\s*=\s*)true$", re.MULTILINE)
_PROBE = """\
terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}
"""


@dataclass(frozen=True, slots=True)
class Workspace:
    """A folder in which one module is initialised, applied and destroyed. `plugins` holds the provider."""

    folder: Path
    terraform: Terraform
    plugins: Path

    def init(self) -> Finished:
        """Initialise with the provider at hand; nothing is fetched."""
        return self.terraform.run(self.folder, "init", "-input=false", "-no-color", f"-plugin-dir={self.plugins}")

    def apply(self) -> Finished:
        """Apply without asking."""
        return self.terraform.run(self.folder, "apply", "-auto-approve", "-input=false", "-no-color")

    def destroy(self) -> Finished:
        """Destroy without asking."""
        return self.terraform.run(self.folder, "destroy", "-auto-approve", "-input=false", "-no-color")


def provider_block(url: str, account_id: str, partition: str = "aws") -> str:
    """The provider of a root configuration that acts in an account of the sandbox, as its operator."""
    return _PROVIDER.format(
        region=PARTITIONS[partition].default_region,
        access_key=OPERATOR_KEY,
        secret=operator_secret(url),
        role_arn=role_arn(partition, account_id, "/", OPERATOR_ROLE),
        url=url,
    )


def make_workspace(folder: Path, chosen: RehearsedModules, *, url: str, terraform: Terraform, plugins: Path) -> Workspace:
    """Write the root configuration of a module into a new folder, with a copy of the module's files below it."""
    folder.mkdir(parents=True)
    shutil.copytree(chosen.folder, folder / "module")
    for path in (folder / "module").glob("*.tf"):  # what is rehearsed is destroyed again, shared or not
        path.write_text(_GUARD.sub(r"\1false", path.read_text(encoding="utf-8")), encoding="utf-8")
    root = provider_block(url, chosen.account_id, chosen.module.partition) + _CALL
    (folder / "root.tf").write_text(root, encoding="utf-8")
    return Workspace(folder, terraform, plugins)


@dataclass(frozen=True, slots=True)
class Provider:
    """The AWS provider that a rehearsal uses: the folder that holds it, its version, and the program's."""

    plugins: Path
    version: str | None
    tool_version: str


def find_provider(terraform: Terraform, folder: Path, plugin_dir: Path | None) -> Provider | Finished:
    """Get the provider once: from `plugin_dir`, else as this Terraform gets providers (its cache, mirror or registry).

    What the first initialisation found serves all modules, so nothing is fetched twice. Finished, as it failed, when there
    is none.
    """
    folder.mkdir(parents=True)
    (folder / "main.tf").write_text(_PROBE, encoding="utf-8")
    source = [] if plugin_dir is None else [f"-plugin-dir={plugin_dir.resolve()}"]
    done = terraform.run(folder, "init", "-input=false", "-no-color", *source)
    if done.code:
        return done
    tool, aws = terraform.version(folder)
    return Provider(plugin_dir.resolve() if plugin_dir else folder / ".terraform" / "providers", aws, tool)
