"""The starter manifest and the JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rolecall_generator.manifest.loader import LoadedManifest, load_manifest, starter_manifest
from rolecall_generator.manifest.models import DIALECT, json_schema


def load(tmp_path: Path, text: str) -> LoadedManifest:
    file = tmp_path / "accounts.yaml"
    file.write_text(text, encoding="utf-8")
    return load_manifest(file)


def test_starter_manifest_is_valid_and_has_both_flows(tmp_path: Path) -> None:
    """The output of `gen init` has no problems, a backend, two customers with different external IDs, and a switch role."""
    manifest = load(tmp_path, starter_manifest()).manifest
    ids = {customer.external_id for customer in manifest.customers}
    assert (True, 2, 1, 2) == (
        manifest.backend is not None,
        len(ids),
        len(manifest.switch_roles),
        len(manifest.permission_sets),
    )
    assert all(external_id is not None and len(external_id) == 32 for external_id in ids)


@pytest.mark.parametrize("ids", [["00000001", "00000002"], ["12e345", "yes"]])
def test_external_ids_that_look_like_numbers_are_strings(tmp_path: Path, ids: list[str]) -> None:
    """The starter manifest quotes its external IDs, so that no YAML parser reads one as a number."""
    left: Iterator[str] = iter(ids)
    manifest = load(tmp_path, starter_manifest(lambda: next(left))).manifest
    assert ids == [customer.external_id for customer in manifest.customers]


def test_schema_describes_every_key() -> None:
    """The schema has its dialect, rejects unknown keys, and has a description for every property of every model."""
    schema = json_schema()
    objects: list[dict[str, Any]] = [schema, *schema["$defs"].values()]
    assert DIALECT == schema["$schema"]
    assert all(item["additionalProperties"] is False for item in objects)
    assert [] == [(item, key) for item in objects for key, value in item["properties"].items() if "description" not in value]
    assert schema == json.loads(json.dumps(schema))


def test_included_files_have_their_own_schema() -> None:
    """It has the customers and not the backend."""
    assert {"customers", "switch_roles", "permission_sets"} == set(json_schema(included=True)["properties"])
