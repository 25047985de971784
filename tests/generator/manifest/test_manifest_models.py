"""The starter manifest, the JSON Schema, and the defaults of customers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rolecall_generator.manifest.loader import LoadedManifest, load_manifest, starter_manifest
from rolecall_generator.manifest.models import (
    DIALECT,
    Customer,
    Defaults,
    Manifest,
    ResolvedCustomer,
    json_schema,
    resolve_customer,
    resolve_customers,
)


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


DEFAULTS = Defaults(
    regions=("eu-west-1",),
    permissions=("a",),
    tags={"team": "blue", "managed-by": "rolecall"},
    labels={"tier": "gold"},
    role="Role",
    path="/vendor/",
    max_session_seconds=7200,
    permissions_boundary="arn:aws:iam::aws:policy/B",
    trust="account-root",
    session_tags=True,
    source_identity=True,
)


def test_minimal_customer_has_every_default() -> None:
    """A customer with only name and account ID has all values of the defaults."""
    expected = ResolvedCustomer(
        name="c",
        account_id="222222222222",
        external_id=None,
        previous_external_id=None,
        backend_role=None,
        variables={},
        **dict(DEFAULTS),
    )
    assert expected == resolve_customer(Customer(name="c", account_id="222222222222"), DEFAULTS)


def test_falsy_values_of_a_customer_override_defaults() -> None:
    """An empty list and false are values; tags and labels are merged, with precedence for the customer's own."""
    customer = Customer(
        name="c", account_id="222222222222", permissions=(), session_tags=False, tags={"team": "red"}, labels={"env": "prod"}
    )
    resolved = resolve_customer(customer, DEFAULTS)
    assert ((), False) == (resolved.permissions, resolved.session_tags)
    assert {"team": "red", "managed-by": "rolecall"} == resolved.tags
    assert {"tier": "gold", "env": "prod"} == resolved.labels


def test_current_external_id_is_first() -> None:
    """During a rotation both IDs are accepted, the new one first."""
    customer = Customer(name="c", account_id="222222222222", external_id="new", previous_external_id="old")
    (resolved,) = resolve_customers(Manifest(version=1, customers=(customer,)))
    assert ("new", "old") == resolved.external_ids
