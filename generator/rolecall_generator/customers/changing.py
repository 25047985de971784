"""Fields of a customer that change."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from rolecall_generator.customers.proposal import Proposal, propose
from rolecall_generator.errors import SelectionError
from rolecall_generator.manifest.edit import DropField, Edit, SetField
from rolecall_generator.manifest.edit_render import Value
from rolecall_generator.manifest.load import load_manifest
from rolecall_generator.manifest.messages import suggest
from rolecall_generator.manifest.models import Customer


def change_customer(
    manifest: Path, out: Path, name: str, values: Mapping[str, Value], *, drop: Collection[str] = ()
) -> Proposal:
    """Propose other values for a customer's fields; those in `drop` go back to the manifest's defaults.

    Mappings (tags, labels, variables) add up with what the customer has, the new values winning. Raises as `propose`, and
    SelectionError for a key in `drop` that customers do not have, or that has a value in `values`.
    """
    for key in drop:
        if key not in Customer.model_fields:
            what = f"a customer has no key {key}"
            raise SelectionError(
                what,
                where="--unset",
                mend=suggest(key, Customer.model_fields, "write a key of a customer, as in docs/manifest.md"),
            )
        if key in values:
            mend = "leave one of the two out"
            raise SelectionError(f"{key} is given a value and taken out at once", where="--unset", mend=mend)
    loaded = load_manifest(manifest)
    known = {customer.name: customer for customer in loaded.manifest.customers}
    edits: list[Edit] = [
        SetField(name, field, {**getattr(known.get(name), field, {}), **value} if isinstance(value, Mapping) else value)
        for field, value in values.items()
    ]
    edits += [DropField(name, field) for field in drop]
    return propose(manifest, out, edits, loaded=loaded)
