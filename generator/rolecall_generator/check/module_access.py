"""The access of a manifest's modules, written or planned, the trust that the plan intends, and `gen prove`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rolecall_generator.check.module_check import CheckInputs, read_written, unplanned_findings
from rolecall_generator.findings import Finding
from rolecall_generator.iam import Access, CustomerDetails, Module, ModuleKind, SwitchRoleDetails
from rolecall_generator.iam.difference import labeller
from rolecall_generator.iam.evaluation import PrincipalKind, identity_of
from rolecall_generator.manifest import LoadedManifest, load_manifest
from rolecall_generator.output import load_state, read_lock
from rolecall_generator.planning import Plan, make_plan, previous_slots
from rolecall_generator.proof import Proof, Trust, prove
from rolecall_generator.workers import collection_paused


@dataclass(frozen=True, slots=True)
class IntendedTrust:
    """The trust that a plan intends.

    `subjects` maps the ARNs of all roles, policies, groups, users and instance profiles to their customer or switch role;
    `external_ids` maps the ARNs of customer roles to their current external ID.
    """

    trusts: tuple[Trust, ...]
    subjects: Mapping[str, str]
    customer_roles: frozenset[str]
    switch_roles: frozenset[str]
    backend_roles: frozenset[str]
    external_ids: Mapping[str, str]


@dataclass(slots=True)
class _Collected:
    trusts: list[Trust] = field(default_factory=list)
    subjects: dict[str, str] = field(default_factory=dict)
    roles: dict[ModuleKind, set[str]] = field(default_factory=dict)
    external_ids: dict[str, str] = field(default_factory=dict)


def intended_trust(modules: Iterable[Module]) -> IntendedTrust:
    """The intended trust of planned modules, in the order of the modules."""
    found = _Collected()
    for module in modules:
        for arn in access_arns(module.access):
            found.subjects.setdefault(arn, module.subject)
        found.roles.setdefault(module.kind, set()).update(module.access.roles)
        if module.customer is not None:
            _customer(module.subject, module.customer, found)
        elif module.kind is ModuleKind.TRUSTING and module.switch_role is not None:
            found.trusts.append(_switch_role(module.subject, module.switch_role))
        elif module.kind is ModuleKind.BACKEND:
            found.trusts += _backend(module)
    return IntendedTrust(
        tuple(found.trusts),
        found.subjects,
        frozenset(found.roles.get(ModuleKind.CUSTOMER, ())),
        frozenset(found.roles.get(ModuleKind.TRUSTING, ())),
        frozenset(found.roles.get(ModuleKind.BACKEND, ())),
        found.external_ids,
    )


def access_arns(access: Access) -> Iterator[str]:
    """Yield the ARNs of all roles, policies, groups, users and instance profiles."""
    for parts in (access.roles, access.policies, access.groups, access.users, access.instance_profiles):
        yield from parts


def _customer(name: str, details: CustomerDetails, found: _Collected) -> None:
    """One trust per external ID: the current one and, during a rotation, the previous one."""
    role, external_ids = details.role, details.external_ids
    if external_ids:
        found.external_ids[role.arn] = external_ids[0]
    for external_id in external_ids or (None,):
        found.trusts.append(Trust(name, role.arn, (details.backend_role_arn,), external_id))


def _switch_role(name: str, details: SwitchRoleDetails) -> Trust:
    """Trust in the listed users, and in all of the accounts to which the manifest delegates."""
    return Trust(name, details.role.arn, details.users, requires_mfa=details.require_mfa, delegates_to=details.delegates_to)


def _backend(module: Module) -> Iterator[Trust]:
    """Trust of the backend roles that the module creates; existing roles are only referenced."""
    for role in module.access.roles.values():
        if not role.existing and role.trust is not None:
            services = [
                principal.identifier
                for statement in role.trust.statements
                for principal in statement.principals
                if identity_of(principal.identifier).kind is PrincipalKind.EXTERNAL
            ]
            yield Trust(module.subject, role.arn, tuple(services))


@dataclass(frozen=True, slots=True)
class ManifestAccess:
    """The planned modules of a manifest, and the access of each as written, or as planned if that was requested.

    `findings` are the differences between the two, and what could not be read.
    """

    loaded: LoadedManifest
    plan: Plan
    modules: tuple[Module, ...]
    accesses: tuple[Access, ...]
    findings: tuple[Finding, ...] = ()


def read_access(
    manifest: Path,
    out: Path,
    *,
    planned: bool = False,
    processes: int | None = None,
    started: Callable[[int], None] = lambda _total: None,
    progress: Callable[[int], None] = lambda _done: None,
) -> ManifestAccess:
    """Read the modules written in `out`; with `planned` take the modules that gen terraform would write.

    `started` is called with the number of modules, `progress` with the number done so far. Raises ManifestError, PlanError
    or OutputError.
    """
    with collection_paused():
        loaded = load_manifest(manifest)
        plan = make_plan(loaded.manifest, previous_slots(read_lock(out)))
        modules = tuple(module.build() for module in plan.modules)
        accesses = [module.access for module in modules]
        started(len(modules))
        findings: tuple[Finding, ...] = ()
        if not planned:
            inputs = CheckInputs(manifest, out, plan.modules, labeller(loaded.manifest.account_names()))
            state = load_state(out)
            written = read_written(inputs, range(len(modules)), state, processes=processes, progress=progress)
            state.save_now()
            for index, verdict in written.verdicts.items():
                accesses[index] = verdict.access
                findings += verdict.findings
        return ManifestAccess(loaded, plan, modules, tuple(accesses), findings)


@dataclass(frozen=True, slots=True)
class ManifestProof:
    """The proof of a manifest's modules, the access that it covers, and findings about what it does not cover.

    `planned` is true if the access is that of the plan, not of the written modules.
    """

    proof: Proof
    access: Access
    findings: tuple[Finding, ...]
    planned: bool
    names: Mapping[str, str]
    """Account names in the manifest, by account ID."""


def prove_manifest(
    manifest: Path,
    out: Path,
    *,
    planned: bool = False,
    processes: int | None = None,
    started: Callable[[int], None] = lambda _total: None,
    progress: Callable[[int], None] = lambda _done: None,
) -> ManifestProof:
    """Prove the modules written in `out`; with `planned` the modules that gen terraform would write.

    `started` is called with the number of modules, `progress` with the number done so far. Raises ManifestError, PlanError
    or OutputError.
    """
    found = read_access(manifest, out, planned=planned, processes=processes, started=started, progress=progress)
    leftovers = () if planned else unplanned_findings(out, found.plan, read_lock(out))
    with collection_paused():
        access = Access.union(found.accesses)
        proof = prove(access, intended_trust(found.modules).trusts, roles=access.roles.keys())
    return ManifestProof(proof, access, (*found.findings, *leftovers), planned, found.loaded.manifest.account_names())
