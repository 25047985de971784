"""One customer with everything resolved: what the manifest, its defaults and the plan make of it together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rolecall_generator.errors import SelectionError
from rolecall_generator.generate import module_source, previous_slots
from rolecall_generator.iam.access import Access
from rolecall_generator.iam.arn import iam_arn, switch_role_url
from rolecall_generator.iam.difference import differences
from rolecall_generator.lock import Lock, read_lock
from rolecall_generator.manifest.load import LoadedManifest
from rolecall_generator.manifest.messages import suggest
from rolecall_generator.manifest.resolve import ResolvedCustomer, resolve_customer
from rolecall_generator.manifest.tree import Place
from rolecall_generator.naming import account_names, labeller
from rolecall_generator.plan import Plan, PlannedModule, make_plan
from rolecall_generator.plan.backend import backend_role_arns, customer_role_arn
from rolecall_generator.plan.customer import customer_path
from rolecall_generator.survey import sha256


@dataclass(frozen=True, slots=True)
class ModuleFile:
    """A file of a customer's module.

    `state`: as written, edited by hand, missing, or outdated (the next gen terraform would write it anew).
    """

    path: str
    state: str


@dataclass(frozen=True, slots=True)
class ShownCustomer:
    """All that is known of a customer.

    `access` are sentences. `backend_policy` is the ARN of the backend's policy that lets it assume the role. `link` opens
    the console's switch-role page; None where an external id is asked for (the console cannot send one).
    """

    customer: ResolvedCustomer
    place: Place
    partition: str
    role_arn: str
    backend_role_arn: str
    backend_policy: str
    access: tuple[str, ...]
    files: tuple[ModuleFile, ...]
    link: str | None


def show_customer(loaded: LoadedManifest, out: Path, name: str) -> ShownCustomer:
    """Everything about one customer. Raises SelectionError for an unknown name, PlanError, OutputError."""
    lock = read_lock(out)
    customer = _customer(loaded, name)
    plan = make_plan(loaded.manifest, previous_slots(lock))
    (module,) = (module for module in plan.modules if module.path == customer_path(name))
    arn = customer_role_arn(loaded.manifest.partition, customer)
    backend_role_arn, policy = _backend(loaded, plan, arn)
    label = labeller(account_names(loaded.manifest))
    changes = differences(Access(), module.build().access.canonical(), label=label)
    link = switch_role_url(loaded.manifest.partition, customer.account_id, customer.path, customer.role, name)
    return ShownCustomer(
        customer=customer,
        place=loaded.places.find("customers", name),
        partition=loaded.manifest.partition,
        role_arn=arn,
        backend_role_arn=backend_role_arn,
        backend_policy=policy,
        # That the role is new, its tags and its description are no access.
        access=tuple(change.text for change in changes if change.widens is not None),
        files=_files(module, loaded.files[0].name, out, lock),
        link=None if customer.external_ids else link,
    )


def _customer(loaded: LoadedManifest, name: str) -> ResolvedCustomer:
    for customer in loaded.manifest.customers:
        if customer.name == name:
            return resolve_customer(customer, loaded.manifest.defaults)
    owners = [customer.name for customer in loaded.manifest.customers if customer.account_id == name]
    known = [customer.name for customer in loaded.manifest.customers]
    mend = f"write {' or '.join(owners)}" if owners else suggest(name, known, "write the name of a customer")
    raise SelectionError(f"there is no customer named {name}", where=str(loaded.files[0]), mend=mend)


def _backend(loaded: LoadedManifest, plan: Plan, arn: str) -> tuple[str, str]:
    """ARNs of the backend role that the customer trusts and of the policy there that names the customer's role."""
    backend = loaded.manifest.backend
    if backend is None:
        raise ValueError("customers need a backend; the manifest's checks see to that")
    slot = plan.assignment.slots[arn]
    name = f"{backend.policy_prefix}-{slot.role}-{slot.policy}"
    policy = iam_arn(loaded.manifest.partition, backend.account_id, "policy", "/", name)
    return backend_role_arns(loaded.manifest)[slot.role], policy


def _files(module: PlannedModule, source: str, out: Path, lock: Lock) -> tuple[ModuleFile, ...]:
    locked = lock.modules.get(module.path)
    if locked is None:
        return ()
    current = locked.fingerprint == module_source(module, source).fingerprint
    return tuple(
        ModuleFile(f"{module.path}/{name}", _state_of(out / module.path / name, digest, current=current))
        for name, digest in sorted(locked.files.items())
    )


def _state_of(path: Path, digest: str, *, current: bool) -> str:
    try:
        found = sha256(path.read_bytes())
    except OSError:
        return "missing"
    if found != digest:
        return "edited by hand"
    return "as written" if current else "outdated"
