"""Rehearsal: the modules of a manifest applied in the sandbox with Terraform, compared and destroyed."""

from typing import TYPE_CHECKING

from rolecall_generator.lazy import exports

if TYPE_CHECKING:
    from rolecall_runner.rehearsal.rehearsal import RehearsalSelection, Tool, rehearse
    from rolecall_runner.rehearsal.rehearsal_report import Progress, Rehearsal, rehearsal_json
    from rolecall_runner.rehearsal.terraform_cli import find_terraform

__all__ = ["Progress", "Rehearsal", "RehearsalSelection", "Tool", "find_terraform", "rehearsal_json", "rehearse"]

__getattr__ = exports(
    __name__,
    {
        "rehearsal": (
            "RehearsalSelection",
            "Tool",
            "rehearse",
        ),
        "rehearsal_report": (
            "Progress",
            "Rehearsal",
            "rehearsal_json",
        ),
        "terraform_cli": ("find_terraform",),
    },
)
