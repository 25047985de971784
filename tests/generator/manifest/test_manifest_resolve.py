"""Resolving the defaults of a manifest."""

from __future__ import annotations

from rolecall_generator.manifest.models import (
    Customer,
    Defaults,
    Manifest,
    ResolvedCustomer,
    resolve_customer,
    resolve_customers,
)

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
        role="Role",
        path="/vendor/",
        external_id=None,
        previous_external_id=None,
        permissions=("a",),
        backend_role=None,
        regions=("eu-west-1",),
        max_session_seconds=7200,
        permissions_boundary="arn:aws:iam::aws:policy/B",
        trust="account-root",
        session_tags=True,
        source_identity=True,
        tags={"team": "blue", "managed-by": "rolecall"},
        labels={"tier": "gold"},
        variables={},
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
