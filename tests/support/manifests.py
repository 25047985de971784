"""Manifests for tests: built from plain values and rendered to files in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rolecall_generator.manifest.loader import load_manifest
from rolecall_generator.manifest.models import Manifest
from rolecall_generator.planning.planner import Plan, make_plan
from rolecall_generator.terraform.render import render_module

ROOT = Path(__file__).resolve().parents[2]
NOTES = ROOT / "examples" / "accounts.yaml"


def notes_manifest() -> Manifest:
    """The manifest of the example accounts."""
    return load_manifest(NOTES).manifest


def manifest_of(count: int = 0, **changes: Any) -> Manifest:
    """A manifest of n plain customers; `changes` replaces or adds top-level keys."""
    values: dict[str, Any] = {
        "version": 1,
        "backend": {"account_id": "111111111111"},
        "permission_sets": {"read": {"statements": [{"actions": ["s3:GetObject"], "resources": ["*"]}]}},
        "defaults": {"permissions": ["read"]},
        "customers": [customer(number) for number in range(count)],
    }
    return Manifest.model_validate(values | changes)


def customer(number: int, **changes: Any) -> dict[str, Any]:
    """A customer with a role ARN of 50 characters, as in the documented quota table."""
    return {
        "name": f"customer{number}",
        "account_id": f"{200000000000 + number}",
        "role": "VendorAccess",
        "path": "/vendor/",
        "external_id": f"external-id-{number}",
    } | changes


def switch_role(name: str, trusting: str, trusted: str, /, **changes: Any) -> dict[str, Any]:
    """A switch role between two accounts; its group and only user are created in the trusted one."""
    return {
        "name": name,
        "trusting": {"name": name, "account_id": trusting},
        "trusted": {"name": "hub", "account_id": trusted},
        "role": "ops",
        "group": "ops",
        "users": [{"name": "ann"}],
    } | changes


def rendered(plan: Plan) -> dict[str, str]:
    """All files of a plan by their path below the output folder."""
    return {
        f"{module.path}/{name}": content
        for module in plan.modules
        for name, content in render_module(module.build(), "accounts.yaml").items()
    }


def render_manifest(manifest: Manifest) -> dict[str, str]:
    """All files of a manifest by their path below the output folder."""
    return rendered(make_plan(manifest))
