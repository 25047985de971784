"""Fields of a customer that change."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from rolecall_generator.customers.proposal import Proposal, propose
from rolecall_generator.manifest.edit import DropField, Edit, SetField
from rolecall_generator.manifest.edit_render import Value
from rolecall_generator.manifest.load import load_manifest


def change_customer(
    manifest: Path, out: Path, name: str, values: Mapping[str, Value], *, drop: Collection[str] = ()
) -> Proposal:
    """Propose other values for a customer's fields; those in `drop` go back to the manifest's defaults.

    Mappings (tags, labels, variables) add up with what the customer has, the new values winning. Raises as `propose`.
    """
    known = {customer.name: customer for customer in load_manifest(manifest).manifest.customers}
    edits: list[Edit] = [
        SetField(name, field, {**getattr(known.get(name), field, {}), **value} if isinstance(value, Mapping) else value)
        for field, value in values.items()
    ]
    edits += [DropField(name, field) for field in drop]
    return propose(manifest, out, edits)
