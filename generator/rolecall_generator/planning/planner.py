"""Plans a manifest: its modules, built on demand, and the stable assignment of customers to backend policies."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache, partial

from rolecall_generator.errors import SelectionError
from rolecall_generator.iam import Access, Module, ModuleKind
from rolecall_generator.manifest import Manifest, ResolvedCustomer, SharedGroup, SwitchRole, resolve_customers
from rolecall_generator.output import Lock
from rolecall_generator.planning.backend import (
    BACKEND_PATH,
    Assignment,
    Slot,
    assign_customers,
    backend_module,
    backend_role_arns,
    check_trust_size,
    customer_module,
    customer_path,
    customer_role_arn,
)
from rolecall_generator.planning.permissions import Permissions, check_attachments, permissions_of
from rolecall_generator.planning.switch_role import switch_role_modules, switch_role_path


@dataclass(frozen=True, slots=True)
class PlannedModule:
    """A planned module. `build` creates it on demand; `fingerprint` changes whenever its content may change."""

    kind: ModuleKind
    path: str
    subject: str
    fingerprint: str
    build: Callable[[], Module] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """All modules of a manifest, and the backend policy of each customer (by role ARN)."""

    modules: tuple[PlannedModule, ...]
    assignment: Assignment

    def access(self) -> Access:
        """The intended access of all modules together."""
        return Access.union(module.build().access for module in self.modules)


def make_plan(manifest: Manifest, previous: Mapping[str, Slot] | None = None, *, repack: bool = False) -> Plan:
    """Plan a manifest. Customers keep their slots of `previous`, the last run's assignment; `repack` fills gaps.

    Raises PlanError if the size of a policy or the number of attachments exceeds a quota of AWS.
    """

    @cache
    def permissions(names: tuple[str, ...]) -> tuple[Permissions, str]:
        combined = permissions_of(names, manifest.permission_sets)
        check_attachments(combined, manifest.quotas.role_managed_policies, f"permission sets {', '.join(names)}")
        return combined, _fingerprint(combined)

    customers = resolve_customers(manifest)
    people = SharedGroup.by_switch_role(manifest)
    assignment = assign_customers(manifest, customers, previous or {}, repack=repack)
    modules = [
        *_backend(manifest, customers, assignment),
        *_customers(manifest, customers, assignment, permissions),
        *(module for entry in manifest.switch_roles for module in _switch_role(manifest, entry, permissions, people)),
    ]
    return Plan(tuple(modules), assignment)


_Combine = Callable[[tuple[str, ...]], tuple[Permissions, str]]
"""The permissions of a list of permission sets, and their fingerprint. Raises PlanError if a quota is exceeded."""


def _backend(manifest: Manifest, customers: tuple[ResolvedCustomer, ...], assignment: Assignment) -> list[PlannedModule]:
    if manifest.backend is None:
        return []
    grants = [(c.account_id, c.path, c.role, c.session_tags, c.source_identity) for c in customers]
    content = (manifest.partition, manifest.backend, grants, list(assignment.slots.values()))
    build = partial(backend_module, manifest, customers, assignment)
    return [PlannedModule(ModuleKind.BACKEND, BACKEND_PATH, "backend", _fingerprint(content), build)]


def _customers(
    manifest: Manifest, customers: tuple[ResolvedCustomer, ...], assignment: Assignment, combine: _Combine
) -> list[PlannedModule]:
    backends = backend_role_arns(manifest)
    planned = []
    for customer in customers:
        permissions, digest = combine(customer.permissions)
        backend_arn = backends[assignment.slots[customer_role_arn(manifest.partition, customer)].role]
        check_trust_size(customer, backend_arn, manifest.quotas)
        content = (
            customer.name, customer.account_id, customer.role, customer.path,
            customer.external_id, customer.previous_external_id,
            customer.max_session_seconds, customer.permissions_boundary, customer.trust, customer.session_tags,
            customer.source_identity, sorted(customer.tags.items()), backend_arn, digest,
        )  # fmt: skip
        planned.append(
            PlannedModule(
                ModuleKind.CUSTOMER,
                customer_path(customer.name),
                customer.name,
                _fingerprint(content),
                partial(customer_module, customer, manifest.partition, backend_arn, permissions),
            )
        )
    return planned


def _switch_role(
    manifest: Manifest, entry: SwitchRole, combine: _Combine, people: Mapping[str, SharedGroup]
) -> list[PlannedModule]:
    partition = entry.partition or manifest.partition
    permissions, digest = combine(entry.permissions)
    own = people[entry.name]
    fingerprint = _fingerprint((partition, entry, digest, own.fingerprint))

    def build(side: int) -> Module:
        return switch_role_modules(entry, partition, permissions, own)[side]

    return [
        PlannedModule(kind, switch_role_path(entry.name, kind), entry.name, fingerprint, partial(build, side))
        for side, kind in enumerate((ModuleKind.TRUSTING, ModuleKind.TRUSTED))
    ]


def _fingerprint(content: object) -> str:
    return hashlib.sha256(repr(content).encode()).hexdigest()


def previous_slots(lock: Lock) -> dict[str, Slot]:
    """The last run's assignment: role ARN to backend role and policy number; empty before the first run."""
    return {
        key: Slot(value[0], value[1])
        for key, value in lock.assignment.items()
        if isinstance(value, list) and len(value) == 2  # noqa: PLR2004 - a pair
    }


def slots_to_json(assignment: Assignment) -> dict[str, object]:
    """The assignment for the lock file."""
    return {key: [slot.role, slot.policy] for key, slot in assignment.slots.items()}


def select(plan: Plan, names: Collection[str], *, where: str = "--only") -> frozenset[str]:
    """Paths of the modules that the names select: names of customers or switch roles, `backend`, or module paths.

    `where` is the option in the message of the SelectionError that is raised for an unknown name.
    """
    paths: dict[str, set[str]] = {}
    for module in plan.modules:
        paths.setdefault(module.subject, set()).add(module.path)
        paths.setdefault(module.path, set()).add(module.path)
    for name in names:
        if name not in paths:
            close = get_close_matches(name, paths, n=1)
            raise SelectionError(
                f"there is no customer or switch role named {name}",
                where=where,
                hint=f"did you mean {close[0]}?" if close else "use a customer or switch role of the manifest, or backend",
            )
    return frozenset(path for name in names for path in paths[name])
