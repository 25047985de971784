"""The customers of a manifest, chosen by name, label and tag, with the state of their modules."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from rolecall_generator.errors import PlanError, SelectionError
from rolecall_generator.generate import module_source, previous_slots
from rolecall_generator.lock import Lock, read_lock
from rolecall_generator.manifest.load import load_manifest
from rolecall_generator.manifest.messages import suggest
from rolecall_generator.manifest.models import Manifest
from rolecall_generator.manifest.resolve import ResolvedCustomer, resolve_customers
from rolecall_generator.plan import make_plan
from rolecall_generator.plan.backend import customer_role_arn
from rolecall_generator.plan.customer import customer_path


@dataclass(frozen=True, slots=True)
class CustomerRow:
    """A customer with every value final.

    `state` of its module: written, outdated (the next gen terraform would write it anew), not written, or unknown (it is
    written, but the manifest cannot be planned as it stands).
    """

    customer: ResolvedCustomer
    role_arn: str
    state: str


def list_customers(
    manifest: Path,
    out: Path,
    patterns: Sequence[str] = (),
    *,
    labels: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> tuple[CustomerRow, ...]:
    """Customers that meet any of the patterns (names or account ids with wildcards) and all labels and tags.

    Values of labels and tags take wildcards too. Raises SelectionError for a pattern that no customer meets, ManifestError,
    OutputError. A manifest that cannot be planned (too many customers for the backend's policies, say) is listed too.
    """
    loaded = load_manifest(manifest).manifest
    lock = read_lock(out)
    customers = resolve_customers(loaded)
    _refuse_idle(patterns, customers)
    states = _states(loaded, lock, manifest.name)
    return tuple(
        CustomerRow(
            customer,
            customer_role_arn(loaded.partition, customer),
            states.get(customer_path(customer.name), "not written"),
        )
        for customer in customers
        if _meets(customer, patterns) and _carries(customer.labels, labels or {}) and _carries(customer.tags, tags or {})
    )


def _states(manifest: Manifest, lock: Lock, name: str) -> Mapping[str, str]:
    """The state of every module that the output folder has, by path."""
    if not lock.modules:
        return {}
    try:
        planned = make_plan(manifest, previous_slots(lock)).modules
    except PlanError:
        return dict.fromkeys(lock.modules, "unknown")
    return {
        module.path: _state(lock.modules[module.path].fingerprint, module_source(module, name).fingerprint)
        for module in planned
        if module.path in lock.modules
    }


def _state(written: str, planned: str) -> str:
    return "written" if written == planned else "outdated"


def _meets(customer: ResolvedCustomer, patterns: Collection[str]) -> bool:
    return not patterns or any(
        fnmatchcase(customer.name, pattern) or fnmatchcase(customer.account_id, pattern) for pattern in patterns
    )


def _carries(values: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(key in values and fnmatchcase(values[key], pattern) for key, pattern in wanted.items())


def _refuse_idle(patterns: Collection[str], customers: Sequence[ResolvedCustomer]) -> None:
    """Raise SelectionError for a pattern without a customer: more often a slip of the pen than a question."""
    for pattern in patterns:
        if not any(_meets(customer, (pattern,)) for customer in customers):
            names = [customer.name for customer in customers]
            mend = suggest(pattern, names, "write a name, an account id, or a pattern like acme-*")
            raise SelectionError(f"no customer meets {pattern}", mend=mend)
