"""Rehearsal: the modules of a manifest applied in the sandbox with Terraform, compared and destroyed."""

from typing import TYPE_CHECKING

from rolecall_generator.lazy import lazy_getattr

if TYPE_CHECKING:
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

__getattr__ = lazy_getattr(
    __name__,
    {
        "module_selection": ("RehearsalSelection",),
        "rehearsal": (
            "TerraformTool",
            "rehearse",
        ),
        "rehearsal_report": (
            "RehearsalProgress",
            "Rehearsal",
            "rehearsal_json",
        ),
        "terraform_cli": ("find_terraform",),
    },
)
