"""The targets of a manifest: each is a role in one account, with the data to assume and select it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path

from rolecall_generator.errors import SelectionError
from rolecall_generator.iam import role_arn, root_arn
from rolecall_generator.manifest import Manifest, ResolvedCustomer, SwitchRole, load_manifest, resolve_customers
from rolecall_generator.output import read_lock
from rolecall_generator.planning import Slot, assign_customers, backend_role_arns, customer_role_arn, previous_slots
from rolecall_generator.records import Rotation, read_rotations
from rolecall_runner.inventory.targets import Target, TargetKind

_FINGERPRINT_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Inventory:
    """All targets of a manifest. `fingerprint` depends on the manifest's content, not on comments or formatting."""

    manifest: Manifest = field(repr=False)
    targets: tuple[Target, ...]
    fingerprint: str


def read_inventory(path: Path, *, out: Path | None = None) -> Inventory:
    """Load a manifest's targets. `out`: the output folder whose lock file records the backend role of each customer.

    Raises ManifestError, PlanError, and OutputError for an invalid lock file.
    """
    manifest = load_manifest(path).manifest
    if out is None:
        return inventory_of(manifest)
    return inventory_of(manifest, previous_slots(read_lock(out)), read_rotations(out))


def inventory_of(
    manifest: Manifest, previous: Mapping[str, Slot] | None = None, rotations: Mapping[str, Rotation] | None = None
) -> Inventory:
    """The targets of a loaded manifest. Raises PlanError.

    `previous`: the assignment of the last `gen terraform`. `rotations`: the last rotations of external IDs, by customer.
    """
    customers = resolve_customers(manifest)
    slots = assign_customers(manifest, customers, previous or {}).slots
    backends = backend_role_arns(manifest)
    targets = [_with_retired_id(_customer(manifest, customer, slots, backends), rotations or {}) for customer in customers]
    regions = manifest.defaults.regions
    targets += [_switch_role(entry, entry.partition or manifest.partition, regions) for entry in manifest.switch_roles]
    return Inventory(manifest, tuple(targets), fingerprint(manifest))


def _with_retired_id(target: Target, rotations: Mapping[str, Rotation]) -> Target:
    """Add the external ID that the last rotation retired, unless it is in use again."""
    rotation = rotations.get(target.name)
    retired = rotation.retired if rotation is not None else ""
    if not retired or retired in {target.external_id, target.previous_external_id}:
        return target
    return replace(target, retired_external_id=retired)


def fingerprint(manifest: Manifest) -> str:
    """The first 16 hex digits of the SHA-256 of the manifest's content."""
    return hashlib.sha256(manifest.model_dump_json().encode()).hexdigest()[:_FINGERPRINT_DIGITS]


def _customer(
    manifest: Manifest, customer: ResolvedCustomer, slots: Mapping[str, Slot], backends: Mapping[str, str]
) -> Target:
    arn = customer_role_arn(manifest.partition, customer)
    slot = slots.get(arn)
    return Target(
        name=customer.name,
        account_id=customer.account_id,
        partition=manifest.partition,
        role_arn=arn,
        external_id=customer.external_id,
        previous_external_id=customer.previous_external_id,
        backend_role_arn=backends[slot.role] if slot is not None else "",
        regions=customer.regions,
        labels=customer.labels,
        tags=customer.tags,
        variables=customer.variables,
        permissions=customer.permissions,
        max_session_seconds=customer.max_session_seconds,
        session_tags=customer.session_tags,
        source_identity=customer.source_identity,
    )


def _switch_role(entry: SwitchRole, partition: str, regions: tuple[str, ...]) -> Target:
    return Target(
        name=entry.name,
        account_id=entry.trusting.account_id,
        partition=partition,
        role_arn=role_arn(partition, entry.trusting.account_id, entry.path, entry.role),
        backend_role_arn=root_arn(partition, entry.trusted.account_id),
        regions=regions,
        labels=entry.labels,
        tags=entry.tags,
        permissions=entry.permissions,
        max_session_seconds=entry.max_session_seconds,
        kind=TargetKind.SWITCH_ROLE,
        require_mfa=entry.require_mfa,
    )


def find_target(inventory: Inventory, name: str, kind: TargetKind | None = None) -> Target:
    """Find a target by name. Raises SelectionError for no match, or if both a customer and a switch role match."""
    found = [target for target in inventory.targets if target.name == name and kind in (None, target.kind)]
    if len(found) == 1:
        return found[0]
    names = [target.name for target in inventory.targets if kind in (None, target.kind)]
    near = get_close_matches(name, names, n=1)
    what = f"{name} is a customer and a switch role" if found else f"there is no {kind or 'customer or switch role'} {name}"
    raise SelectionError(what, hint=f"did you mean {near[0]}?" if near and not found else "use a name from the manifest")
