"""Manifests on disk and their bundles, and modules as the input of forms and reviews, for tests."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from manifests import customer, manifest_of, notes_manifest
from output_trees import tree
from rolecall_generator.bundle.build import BundleOptions, handover_proof
from rolecall_generator.bundle.bundles import BundleReport, write_bundles
from rolecall_generator.bundle.forms.interface import Handover
from rolecall_generator.iam import Module, ModuleKind, PolicyDocument, Statement
from rolecall_generator.manifest.models import Manifest
from rolecall_generator.planning.planner import make_plan
from rolecall_generator.records import bundle_path
from rolecall_generator.terraform.render import render_module

SWITCH_ROLE = {
    "name": "ops",
    "trusting": {"name": "one", "account_id": "900000000001"},
    "trusted": {"name": "two", "account_id": "900000000002"},
    "role": "switched",
    "permissions": ["read"],
    "group": "switchers",
    "users": [{"name": "reena"}],
}


def write_manifest(folder: Path, *customers: dict[str, Any], **changes: Any) -> Path:
    """accounts.yaml of the given customers in a folder. JSON is YAML."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "accounts.yaml"
    body = manifest_of(0, customers=list(customers), **changes).model_dump(mode="json", exclude_defaults=True, by_alias=True)
    path.write_text(json.dumps(body))
    return path


def world(folder: Path, count: int = 3, **changes: Any) -> Path:
    """A manifest of n customers in a folder."""
    return write_manifest(folder, *(customer(number) for number in range(count)), **changes)


def bundles(manifest: Path, *, out: Path | None = None, **options: Any) -> BundleReport:
    """Run `gen bundle` as one call; accepts options of Choices and of write_bundles."""
    chosen = {name: options.pop(name) for name in list(options) if name in BundleOptions.__dataclass_fields__}
    return write_bundles(manifest, out or manifest.parent / "output", BundleOptions(**chosen), **options)


def bundle_tree(done: BundleReport) -> dict[str, bytes]:
    """All files of the bundles by path, without lock and similar files."""
    return tree(done.folder)


def handovers(manifest: Manifest) -> dict[str, Handover]:
    """The input of each bundle of a manifest, by the bundle's path."""
    return {bundle_path(path): handover for path, handover in handovers_of(manifest).items()}


def handovers_of(manifest: Manifest) -> dict[str, Handover]:
    """The same by the module's path."""
    modules = [planned.build() for planned in make_plan(manifest).modules]
    by_path = {module.path: module for module in modules if module.kind is not ModuleKind.BACKEND}
    return {path: handover_of(module, by_path.get(_other_side(path))) for path, module in by_path.items()}


def _other_side(path: str) -> str:
    parent, _, side = path.rpartition("/")
    return f"{parent}/{'trusted' if side == 'trusting' else 'trusting'}"


def handover_of(module: Module, counterpart: Module | None = None) -> Handover:
    """One module with only its own proof; `counterpart` is the other side of a switch role."""
    return Handover(module, "accounts.yaml", render_module(module, "accounts.yaml"), handover_proof(module, counterpart))


def notes() -> dict[str, Handover]:
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
