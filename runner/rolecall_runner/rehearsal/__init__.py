"""Rehearsal: apply the modules of a manifest in the sandbox with Terraform, compare the result, and destroy them."""

from rolecall_runner.rehearsal.rehearsal import Rehearsal, RehearsalProgress, TerraformTool, rehearsal_json, rehearse
from rolecall_runner.rehearsal.terraform_cli import RehearsalSelection, find_terraform

__all__ = [
    "Rehearsal",
    "RehearsalProgress",
    "RehearsalSelection",
    "TerraformTool",
    "find_terraform",
    "rehearsal_json",
    "rehearse",
]
