"""The modules to rehearse: selects them, writes their files, and runs terraform or tofu on them in the sandbox."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rolecall_generator.errors import ToolError
from rolecall_generator.generate import module_source
from rolecall_generator.iam import PARTITIONS, Module, ModuleKind, role_arn
from rolecall_generator.manifest import load_manifest
from rolecall_generator.output import read_lock
from rolecall_generator.planning import Plan, PlannedModule, make_plan, previous_slots, select
from rolecall_runner.sandbox import OPERATOR_KEY, OPERATOR_ROLE, operator_secret

_PASSWORD_WITHOUT_PGP_KEY_SINCE = (4, 1)
"""First AWS provider version that supports console passwords without a PGP key (changelog of hashicorp/aws, 4.1.0)."""


@dataclass(frozen=True, slots=True)
class RehearsedModules:
    """A module to rehearse, and the folder of its files."""

    module: Module
    folder: Path

    @property
    def path(self) -> str:
        """The path of the module in the output folder."""
        return self.module.path

    @property
    def account_id(self) -> str:
        """The account of the module."""
        return self.module.account.account_id

    @property
    def is_backend(self) -> bool:
        """Whether this is the backend module, whose roles are principals in the trust policies of other modules."""
        return self.module.kind is ModuleKind.BACKEND


@dataclass(frozen=True, slots=True)
class RehearsalSelection:
    """The modules to rehearse.

    `names`: customers, switch roles, paths or `backend`; all modules when empty. `sample`: the size of a random sample of
    customers and switch roles, reproducible by `seed`; the backend is always included. `out`: the output folder whose
    lock file records the assignment of customers to backend policies.
    """

    names: Collection[str] = ()
    sample: int | None = None
    seed: int = 0
    out: Path | None = None


def select_modules(manifest: Path, folder: Path, selection: RehearsalSelection) -> tuple[RehearsedModules, ...]:
    """Plan a manifest, select modules and write their files to subfolders of `folder`.

    Raises ManifestError, PlanError, OutputError or SelectionError.
    """
    loaded = load_manifest(manifest)
    previous = previous_slots(read_lock(selection.out)) if selection.out is not None else {}
    plan = make_plan(loaded.manifest, previous)
    paths = select(plan, selection.names) if selection.names else frozenset(module.path for module in plan.modules)
    if selection.sample is not None:
        paths = _sample(plan, paths, selection.sample, selection.seed)
    return tuple(_write(module, manifest.name, folder) for module in plan.modules if module.path in paths)


def _sample(plan: Plan, paths: Collection[str], count: int, seed: int) -> frozenset[str]:
    candidates = [module for module in plan.modules if module.path in paths]
    subjects = list(dict.fromkeys(_subject(module) for module in candidates if module.kind is not ModuleKind.BACKEND))
    picked = set(random.Random(seed).sample(subjects, min(count, len(subjects))))  # noqa: S311 - not a secret
    return frozenset(module.path for module in candidates if module.kind is ModuleKind.BACKEND or _subject(module) in picked)


def _subject(module: PlannedModule) -> tuple[bool, str]:
    # A customer and a switch role can have the same name.
    return module.kind is ModuleKind.CUSTOMER, module.subject


def _write(planned: PlannedModule, source: str, folder: Path) -> RehearsedModules:
    target = folder / planned.path
    target.mkdir(parents=True, exist_ok=True)
    for name, text in module_source(planned, source).render().items():
        (target / name).write_text(text, encoding="utf-8")
    return RehearsedModules(planned.build(), target)


def reason_to_skip(module: Module, provider_version: str | None) -> str | None:
    """Why this provider version cannot apply the module; None if it can."""
    without_key = [
        user for user in module.access.users.values() if user.console_password and not user.console_password.pgp_key
    ]
    if not without_key or provider_version is None or _version(provider_version) >= _PASSWORD_WITHOUT_PGP_KEY_SINCE:
        return None
    return (
        f"a console password without a PGP key needs AWS provider 4.1 or later, found {provider_version}: set a pgp_key for "
        "the user or use a newer provider"
    )


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.partition("-")[0].split(".") if part.isdigit())


_PROGRAMS = ("terraform", "tofu")
_TIMEOUT_SECONDS = 600

# Prefixes of variables that would affect a rehearsal: credentials and profiles, extra arguments, another workspace or data
# folder, values of Terraform variables, logging.
_REMOVED_VARIABLES = ("AWS_", "TF_CLI_ARGS", "TF_WORKSPACE", "TF_DATA_DIR", "TF_VAR_", "TF_LOG")


@dataclass(frozen=True, slots=True)
class CompletedCommand:
    """Exit code, standard output and standard error of a command."""

    code: int
    out: str
    err: str = ""

    @property
    def text(self) -> str:
        """Standard output and standard error."""
        return f"{self.out}\n{self.err}"

    @property
    def error(self) -> str:
        """The first `Error:` block without its frame, at most 20 lines; if there is none, the last 8 lines."""
        lines = [line.strip("╷│╵ ").rstrip() for line in self.text.splitlines()]
        start = next((number for number, line in enumerate(lines) if line.startswith("Error:")), None)
        if start is None:
            return "\n".join([line for line in lines if line][-8:])
        rest = lines[start:]
        end = next((number for number, line in enumerate(rest) if number and line.startswith("Error:")), len(rest))
        return "\n".join(line for line in rest[: min(end, 20)] if line)


@dataclass(frozen=True)
class Terraform:
    """Runs terraform or tofu, without the AWS configuration of the caller. `command` is an argument list for subprocess."""

    command: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    _running: set[subprocess.Popen[str]] = field(default_factory=set, repr=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def run(self, folder: Path, *arguments: str, timeout: float = _TIMEOUT_SECONDS) -> CompletedCommand:
        """Run a command in a folder. After `timeout` seconds it is stopped and counts as failed.

        Ctrl-C in the terminal does not interrupt it, see `stop`. Raises ToolError if the program cannot be started.
        """
        try:
            process = subprocess.Popen(  # noqa: S603 - a program selected by the user or on PATH
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
                f"{self.command[0]} cannot be started: {error.strerror}", hint="specify a working terraform or tofu"
            ) from error
        with self._lock:
            self._running.add(process)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            out, err = _stop(process)
            err += f"\nError: stopped after {timeout:.0f} s (timeout)\n"
        finally:
            with self._lock:
                self._running.discard(process)
        return CompletedCommand(process.returncode, out, err)

    def stop(self) -> None:
        """Send SIGINT to all running commands, so that they write their state before they exit."""
        with self._lock:
            for process in self._running:
                process.send_signal(signal.SIGINT)

    def version(self, folder: Path) -> tuple[str, str | None]:
        """Versions of Terraform and of the AWS provider in an initialized folder; the latter is None without a provider."""
        completed = self.run(folder, "version", "-json")
        try:
            body = json.loads(completed.out)
        except json.JSONDecodeError:
            return "unknown", None
        providers = body.get("provider_selections", {})
        aws = next((version for name, version in providers.items() if name.endswith("/hashicorp/aws")), None)
        return str(body.get("terraform_version", "unknown")), aws

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in self.environ.items() if not name.startswith(_REMOVED_VARIABLES)}
        return kept | {
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "CHECKPOINT_DISABLE": "1",
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
        }


def _stop(process: subprocess.Popen[str]) -> tuple[str, str]:
    process.send_signal(signal.SIGINT)
    try:
        return process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()


def find_terraform(
    which: Callable[[str], str | None] = shutil.which, environ: Mapping[str, str] | None = None
) -> Terraform | None:
    """Find terraform or tofu on PATH, in this order; None if neither is installed."""
    for name in _PROGRAMS:
        if found := which(name):
            return Terraform((found,), dict(os.environ) if environ is None else dict(environ))
    return None


# `ec2`: without this endpoint, provider 3.39 tries the real one for two minutes. `s3`: for modules that use S3.
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
_MODULE_CALL = """
module "it" {
  source = "./module"
}
"""
_PREVENT_DESTROY = re.compile(r"^(\s*prevent_destroy\s*=\s*)true$", re.MULTILINE)
_REQUIRED_PROVIDERS = """\
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
    """A folder with a root configuration that calls one module. `plugins`: folder of the provider."""

    folder: Path
    terraform: Terraform
    plugins: Path

    def init(self) -> CompletedCommand:
        """Initialize with the provider in `plugins`, without downloads."""
        return self.terraform.run(self.folder, "init", "-input=false", "-no-color", f"-plugin-dir={self.plugins}")

    def apply(self) -> CompletedCommand:
        """Apply without confirmation."""
        return self.terraform.run(self.folder, "apply", "-auto-approve", "-input=false", "-no-color")

    def destroy(self) -> CompletedCommand:
        """Destroy without confirmation."""
        return self.terraform.run(self.folder, "destroy", "-auto-approve", "-input=false", "-no-color")


def provider_block(url: str, account_id: str, partition: str = "aws") -> str:
    """Render the provider block for an account of the sandbox, with the operator's credentials."""
    return _PROVIDER.format(
        region=PARTITIONS[partition].default_region,
        access_key=OPERATOR_KEY,
        secret=operator_secret(url),
        role_arn=role_arn(partition, account_id, "/", OPERATOR_ROLE),
        url=url,
    )


def make_workspace(folder: Path, chosen: RehearsedModules, *, url: str, terraform: Terraform, plugins: Path) -> Workspace:
    """Write a copy of a module and a root configuration that calls it to a new folder."""
    folder.mkdir(parents=True)
    shutil.copytree(chosen.folder, folder / "module")
    for path in (folder / "module").glob("*.tf"):  # so that the rehearsal can destroy the module
        path.write_text(_PREVENT_DESTROY.sub(r"\1false", path.read_text(encoding="utf-8")), encoding="utf-8")
    root = provider_block(url, chosen.account_id, chosen.module.partition) + _MODULE_CALL
    (folder / "root.tf").write_text(root, encoding="utf-8")
    return Workspace(folder, terraform, plugins)


@dataclass(frozen=True, slots=True)
class Provider:
    """The AWS provider: its folder and version, and the version of Terraform."""

    plugins: Path
    version: str | None
    tool_version: str


def find_provider(terraform: Terraform, folder: Path, plugin_dir: Path | None) -> Provider | CompletedCommand:
    """Install the AWS provider once for all modules: from `plugin_dir`, or from Terraform's cache, mirror or registry.

    Returns the failed command if there is no provider.
    """
    folder.mkdir(parents=True)
    (folder / "main.tf").write_text(_REQUIRED_PROVIDERS, encoding="utf-8")
    source = [] if plugin_dir is None else [f"-plugin-dir={plugin_dir.resolve()}"]
    completed = terraform.run(folder, "init", "-input=false", "-no-color", *source)
    if completed.code:
        return completed
    tool, aws = terraform.version(folder)
    return Provider(plugin_dir.resolve() if plugin_dir else folder / ".terraform" / "providers", aws, tool)
