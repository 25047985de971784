"""A root configuration for one module: the provider of the sandbox, in the module's account, and the module as child."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from rolecall_generator.iam.arn import PARTITIONS, role_arn
from rolecall_runner.rehearse.choose import Chosen
from rolecall_runner.sandbox.operator_secret import operator_secret
from rolecall_runner.sandbox.sessions import OPERATOR_KEY, OPERATOR_ROLE
from rolecall_runner.terraform import Finished, Terraform

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


def make_workspace(folder: Path, chosen: Chosen, *, url: str, terraform: Terraform, plugins: Path) -> Workspace:
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
