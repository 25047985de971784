"""A new customer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from rolecall_generator.customers.proposal import Proposal, propose
from rolecall_generator.manifest.edit import AddCustomer
from rolecall_generator.manifest.edit_render import Value
from rolecall_generator.manifest.starter import fresh_external_id


def add_customer(
    manifest: Path,
    out: Path,
    values: Mapping[str, Value],
    *,
    file: Path | None = None,
    make_id: Callable[[], str] = fresh_external_id,
) -> Proposal:
    """Propose a customer with these fields; one without an `external_id` gets a fresh one. Raises as `propose`."""
    fields = dict(values)
    fields.setdefault("external_id", make_id())
    return propose(manifest, out, [AddCustomer(fields, file)])
