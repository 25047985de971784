"""Handovers for tests of single forms: every module of a manifest that leaves the house, without files or verdicts."""

from __future__ import annotations

from rolecall_generator.checks.proof import Proof
from rolecall_generator.handover.model import Handover
from rolecall_generator.iam.module import Module, ModuleKind
from rolecall_generator.manifest.models import Manifest
from rolecall_generator.plan import make_plan

EMPTY_PROOF = Proof(())


def handed_over(manifest: Manifest) -> list[Module]:
    """All modules but the backend's."""
    modules = [planned.build() for planned in make_plan(manifest).modules]
    return [module for module in modules if module.kind is not ModuleKind.BACKEND]


def handover(module: Module, template_url: str | None = None) -> Handover:
    """A module as it is handed over, as far as the forms look at it that do not show Terraform or the proof."""
    return Handover(module, "accounts.yaml", {}, EMPTY_PROOF, template_url)
