"""Rehearsal: apply the modules of a manifest in the sandbox with Terraform, compare the result, and destroy them."""

from rolecall_runner.rehearsal.module_selection import RehearsalSelection
from rolecall_runner.rehearsal.rehearsal import TerraformTool, rehearse
from rolecall_runner.rehearsal.rehearsal_report import Rehearsal, RehearsalProgress, rehearsal_json
from rolecall_runner.rehearsal.terraform_cli import find_terraform

__all__ = [
    "Rehearsal",
    "RehearsalProgress",
    "RehearsalSelection",
    "TerraformTool",
    "find_terraform",
    "rehearsal_json",
    "rehearse",
]
