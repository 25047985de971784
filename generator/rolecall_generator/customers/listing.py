"""Reads of a manifest's customers: the list with the state of the modules, one customer in full, AWS CLI profiles."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from rolecall_generator.errors import PlanError, SelectionError
from rolecall_generator.generate import module_source
from rolecall_generator.iam import Access, iam_arn, quotas, role_arn, switch_role_url
from rolecall_generator.iam.difference import differences, labeller
from rolecall_generator.manifest import (
    LoadedManifest,
    Manifest,
    ResolvedCustomer,
    SwitchRole,
    load_manifest,
    resolve_customers,
)
from rolecall_generator.manifest.yaml_source import Place
from rolecall_generator.output import Lock, read_lock, sha256
from rolecall_generator.planning import (
    Plan,
    PlannedModule,
    backend_role_arns,
    customer_path,
    customer_role_arn,
    make_plan,
    previous_slots,
    select,
)
from rolecall_generator.text import suggest


@dataclass(frozen=True, slots=True)
class CustomerRow:
    """A customer with defaults filled in.

    `state` of its module: written, outdated (the next gen terraform would rewrite it), not written, or unknown (it is
    written, but the current manifest cannot be planned).
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
    """Customers that match any of the patterns (names or account IDs with wildcards) and all labels and tags.

    Values of labels and tags may have wildcards. Raises SelectionError for a pattern that matches no customer,
    ManifestError, OutputError. A manifest that cannot be planned (such as one with more customers than fit into the
    backend's policies) is listed as well.
    """
    loaded = load_manifest(manifest).manifest
    lock = read_lock(out)
    customers = resolve_customers(loaded)
    _check_patterns(patterns, customers)
    states = _states(loaded, lock, manifest.name)
    return tuple(
        CustomerRow(
            customer,
            customer_role_arn(loaded.partition, customer),
            states.get(customer_path(customer.name), "not written"),
        )
        for customer in customers
        if _matches(customer, patterns) and _has_all(customer.labels, labels or {}) and _has_all(customer.tags, tags or {})
    )


def _states(manifest: Manifest, lock: Lock, name: str) -> Mapping[str, str]:
    """The state of every module in the output folder, by path."""
    if not lock.modules:
        return {}
    try:
        planned = make_plan(manifest, previous_slots(lock)).modules
    except PlanError:
        return dict.fromkeys(lock.modules, "unknown")
    return {
        path: "written" if lock.modules[path].fingerprint == module_source(module, name).fingerprint else "outdated"
        for module in planned
        if (path := module.path) in lock.modules
    }


def _matches(customer: ResolvedCustomer, patterns: Collection[str]) -> bool:
    return not patterns or any(
        fnmatchcase(customer.name, pattern) or fnmatchcase(customer.account_id, pattern) for pattern in patterns
    )


def _has_all(values: Mapping[str, str], patterns: Mapping[str, str]) -> bool:
    return all(key in values and fnmatchcase(values[key], pattern) for key, pattern in patterns.items())


def _check_patterns(patterns: Collection[str], customers: Sequence[ResolvedCustomer]) -> None:
    """Raise SelectionError for a pattern that matches no customer."""
    for pattern in patterns:
        if not any(_matches(customer, (pattern,)) for customer in customers):
            names = [customer.name for customer in customers]
            hint = suggest(pattern, names, "use a name, an account ID, or a pattern such as acme-*")
            raise SelectionError(f"no customer matches {pattern}", hint=hint)


@dataclass(frozen=True, slots=True)
class ModuleFile:
    """A file of a customer's module.

    `state`: as written, edited by hand, missing, or outdated (the next gen terraform would rewrite it).
    """

    path: str
    state: str


@dataclass(frozen=True, slots=True)
class CustomerView:
    """A customer with everything that the manifest, its defaults and the plan determine.

    `access` are sentences. `backend_policy` is the ARN of the policy that lets the backend assume the role. `link` opens
    the console's switch-role page; None when the role requires an external ID, which the console cannot send.
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


def show_customer(loaded: LoadedManifest, out: Path, name: str) -> CustomerView:
    """Resolve one customer. Raises SelectionError for an unknown name, PlanError, OutputError."""
    lock = read_lock(out)
    customer = _customer(loaded, name)
    plan = make_plan(loaded.manifest, previous_slots(lock))
    (module,) = (module for module in plan.modules if module.path == customer_path(name))
    arn = customer_role_arn(loaded.manifest.partition, customer)
    backend_role_arn, policy = _backend(loaded, plan, arn)
    label = labeller(loaded.manifest.account_names())
    changes = differences(Access(), module.build().access.canonical(), label=label)
    link = switch_role_url(loaded.manifest.partition, customer.account_id, customer.path, customer.role, name)
    return CustomerView(
        customer=customer,
        place=loaded.places.find("customers", name),
        partition=loaded.manifest.partition,
        role_arn=arn,
        backend_role_arn=backend_role_arn,
        backend_policy=policy,
        # `widens` is None for changes that do not affect access: a new role, tags, a description.
        access=tuple(change.text for change in changes if change.widens is not None),
        files=_files(module, loaded.files[0].name, out, lock),
        link=None if customer.external_ids else link,
    )


def _customer(loaded: LoadedManifest, name: str) -> ResolvedCustomer:
    for customer in resolve_customers(loaded.manifest):
        if customer.name == name:
            return customer
    owners = [customer.name for customer in loaded.manifest.customers if customer.account_id == name]
    known = [customer.name for customer in loaded.manifest.customers]
    hint = f"use {' or '.join(owners)}" if owners else suggest(name, known, "use the name of a customer")
    raise SelectionError(f"there is no customer named {name}", where=str(loaded.files[0]), hint=hint)


def _backend(loaded: LoadedManifest, plan: Plan, arn: str) -> tuple[str, str]:
    """ARNs of the backend role that the customer trusts and of the policy there that names the customer's role."""
    backend = loaded.manifest.backend
    if backend is None:
        raise ValueError("a manifest with customers has a backend")
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


CredentialSource = Literal["Ec2InstanceMetadata", "EcsContainer", "Environment"]


def profiles_text(
    manifest: Manifest,
    only: Collection[str] = (),
    *,
    credential_source: CredentialSource = "Ec2InstanceMetadata",
    source_profile: str | None = None,
    prefix: str = "",
) -> str:
    """AWS CLI profiles for `~/.aws/config`: one per customer, one per user of each switch role.

    Customers' roles are assumed from `credential_source`, or from `source_profile` if given. Users' profiles start from a
    profile with the user's name, or from `source_profile` if given, and prompt for the user's MFA code. `only`: names of
    customers and switch roles. Raises SelectionError for unknown names, PlanError.

    Source: AWS CLI User Guide, "Using an IAM role in the AWS CLI", November 2026.
    """
    chosen = {path.split("/")[1] for path in select(make_plan(manifest), only) if "/" in path} if only else None
    source = {"source_profile": source_profile} if source_profile else {"credential_source": credential_source}
    blocks = [*_customers(manifest, chosen, source), *_users(manifest, chosen, source_profile)]
    return "\n".join(
        "\n".join((f"[profile {prefix}{name}]", *(f"{key} = {value}" for key, value in settings.items()), ""))
        for name, settings in blocks
    )


def _customers(
    manifest: Manifest, chosen: Collection[str] | None, source: Mapping[str, str]
) -> Iterator[tuple[str, dict[str, str]]]:
    for customer in resolve_customers(manifest):
        if chosen is not None and customer.name not in chosen:
            continue
        settings = {"role_arn": customer_role_arn(manifest.partition, customer)}
        # During a rotation the role accepts the previous ID both before and after the customer applies the module.
        if (external_id := customer.previous_external_id or customer.external_id) is not None:
            settings["external_id"] = external_id
        # The backend's credentials come from a role: AWS limits chained sessions.
        seconds = str(min(customer.max_session_seconds, quotas.CHAINED_SESSION_SECONDS))
        settings |= {**source, "role_session_name": "rolecall-cli", "duration_seconds": seconds}
        if customer.regions:
            settings["region"] = customer.regions[0]
        yield customer.name, settings


def _users(
    manifest: Manifest, chosen: Collection[str] | None, source_profile: str | None
) -> Iterator[tuple[str, dict[str, str]]]:
    for entry in manifest.switch_roles:
        if chosen is not None and entry.name not in chosen:
            continue
        partition = entry.partition or manifest.partition
        for user in entry.users:
            name = entry.name if len(entry.users) == 1 else f"{entry.name}-{user.name}"
            settings = {
                "role_arn": role_arn(partition, entry.trusting.account_id, entry.path, entry.role),
                "source_profile": source_profile or user.name,
                "role_session_name": user.name,
                "duration_seconds": str(entry.max_session_seconds),
            }
            if entry.require_mfa:
                settings["mfa_serial"] = mfa_serial(entry, partition, user.name)
            yield name, settings


def mfa_serial(entry: SwitchRole, partition: str, user_name: str) -> str:
    """ARN of the virtual MFA device that carries the user's name, the default in the console."""
    return iam_arn(partition, entry.home.account_id, "mfa", "/", user_name)
