"""Manifests on disk and their bundles, for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from manifests import customer, manifest_of
from output_trees import tree
from rolecall_generator.bundle.build import BundleOptions, handover_proof
from rolecall_generator.bundle.bundles import BundleReport, write_bundles
from rolecall_generator.bundle.forms.interface import Handover
from rolecall_generator.iam.model import ModuleKind
from rolecall_generator.manifest.models import Manifest
from rolecall_generator.planning.planner import PlannedModule, make_plan
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
    planned = [module for module in make_plan(manifest).modules if module.kind is not ModuleKind.BACKEND]
    return {bundle_path(module.path): _handover(module, planned) for module in planned}


def _handover(planned: PlannedModule, others: list[PlannedModule]) -> Handover:
    module = planned.build()
    sides = [each for each in others if each.subject == planned.subject and each.kind is not ModuleKind.CUSTOMER]
    counterpart = next((each.build() for each in sides if each is not planned), None)
    if planned.kind is ModuleKind.CUSTOMER:
        counterpart = None
    return Handover(module, "accounts.yaml", render_module(module, "accounts.yaml"), handover_proof(module, counterpart))
