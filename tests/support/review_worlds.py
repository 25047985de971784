"""Input for the tests of reviews: modules of a manifest with their files and the separate proof of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from manifests import manifest_of, notes_manifest
from rolecall_generator.bundle.build import handover_proof
from rolecall_generator.bundle.forms.interface import Handover
from rolecall_generator.iam.model import Module, ModuleKind
from rolecall_generator.iam.policy import PolicyDocument, Statement
from rolecall_generator.manifest.models import Manifest
from rolecall_generator.planning.planner import make_plan
from rolecall_generator.terraform.render import render_module

SOURCE = "accounts.yaml"


def handovers_of(manifest: Manifest) -> dict[str, Handover]:
    """Every module for a customer or trusting account, by path."""
    modules = [planned.build() for planned in make_plan(manifest).modules]
    by_path = {module.path: module for module in modules if module.kind is not ModuleKind.BACKEND}
    return {path: handover_of(module, by_path.get(_other_side(path))) for path, module in by_path.items()}


def _other_side(path: str) -> str:
    parent, _, side = path.rpartition("/")
    return f"{parent}/{'trusted' if side == 'trusting' else 'trusting'}"


def handover_of(module: Module, counterpart: Module | None = None) -> Handover:
    """One module with only its own proof; `counterpart` is the other side of a switch role."""
    return Handover(module, SOURCE, render_module(module, SOURCE), handover_proof(module, counterpart))


def notes() -> Mapping[str, Handover]:
    """The modules of the example accounts."""
    return handovers_of(notes_manifest())


def changed(**changes: Any) -> dict[str, Handover]:
    """Modules of a manifest of plain values: one customer `a`, with top-level keys replaced."""
    customers = [{"name": "a", "account_id": "222222222222", "external_id": "id-1"}]
    return handovers_of(manifest_of(**{"customers": customers} | changes))


def with_trust(handover: Handover, *statements: Statement) -> Handover:
    """The module with another trust policy on its role, and the proof of that."""
    module = handover.module
    roles = {arn: replace(role, trust=PolicyDocument(tuple(statements))) for arn, role in module.access.roles.items()}
    return handover_of(replace(module, access=replace(module.access, roles=roles)))
