"""Defaults filled in: a customer of the manifest to a customer with every value final."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rolecall_generator.manifest.models import Customer, Defaults, Manifest, TrustStyle


@dataclass(frozen=True, slots=True)
class ResolvedCustomer:
    """A customer with every value final.

    `backend_role` stays None where the manifest names none: which backend role is assigned is the plan's decision.
    `external_id` None means that the role can be assumed without one.
    """

    name: str
    account_id: str
    role: str
    path: str
    external_id: str | None
    previous_external_id: str | None
    permissions: tuple[str, ...]
    backend_role: str | None
    regions: tuple[str, ...]
    max_session_seconds: int
    permissions_boundary: str | None
    trust: TrustStyle
    session_tags: bool
    source_identity: bool
    tags: Mapping[str, str]
    labels: Mapping[str, str]
    variables: Mapping[str, str]

    @property
    def external_ids(self) -> tuple[str, ...]:
        """The external ids that the trust policy accepts: the current one first, then the one of a running rotation."""
        return tuple(value for value in (self.external_id, self.previous_external_id) if value is not None)


def resolve_customer(customer: Customer, defaults: Defaults) -> ResolvedCustomer:
    """Fill in what the customer does not say; `tags` and `labels` add up, the customer's own winning.

    On the hot path of 10,000 customers: positional arguments, and mappings are copied only where both sides have entries.
    """
    return ResolvedCustomer(
        customer.name,
        customer.account_id,
        defaults.role if customer.role is None else customer.role,
        defaults.path if customer.path is None else customer.path,
        customer.external_id,
        customer.previous_external_id,
        defaults.permissions if customer.permissions is None else customer.permissions,
        customer.backend_role,
        defaults.regions if customer.regions is None else customer.regions,
        defaults.max_session_seconds if customer.max_session_seconds is None else customer.max_session_seconds,
        defaults.permissions_boundary if customer.permissions_boundary is None else customer.permissions_boundary,
        defaults.trust if customer.trust is None else customer.trust,
        defaults.session_tags if customer.session_tags is None else customer.session_tags,
        defaults.source_identity if customer.source_identity is None else customer.source_identity,
        _merged(defaults.tags, customer.tags),
        _merged(defaults.labels, customer.labels),
        customer.variables,
    )


def resolve_customers(manifest: Manifest) -> tuple[ResolvedCustomer, ...]:
    """All customers of the manifest with every value final, in the manifest's order."""
    defaults = manifest.defaults
    return tuple(resolve_customer(customer, defaults) for customer in manifest.customers)


def _merged(common: Mapping[str, str], own: Mapping[str, str]) -> Mapping[str, str]:
    if not own:
        return common
    return {**common, **own} if common else own
