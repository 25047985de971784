"""Reads the access of written or planned modules, derives the intended trust from a plan, and implements `gen prove`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rolecall_generator.check.module_check import CheckInputs, read_written, unplanned_findings
from rolecall_generator.findings import Finding
from rolecall_generator.iam import Access, Module, ModuleKind
from rolecall_generator.iam.evaluation import PrincipalKind, identity_of
from rolecall_generator.manifest import LoadedManifest
from rolecall_generator.output import load_state, read_lock
from rolecall_generator.planning import Plan
from rolecall_generator.proof import Proof, Trust, prove
from rolecall_generator.workers import collection_paused


@dataclass(frozen=True, slots=True)
class IntendedTrust:
    """The intended trust of a plan.

    `subjects` maps the ARNs of all roles, policies, groups, users and instance profiles to their customer or switch role;
    `external_ids` maps the ARNs of customer roles to their current external ID.
    """

    trusts: tuple[Trust, ...]
    subjects: Mapping[str, str]
    customer_roles: frozenset[str]
    switch_roles: frozenset[str]
    backend_roles: frozenset[str]
    external_ids: Mapping[str, str]


def intended_trust(modules: Iterable[Module]) -> IntendedTrust:
    """The intended trust of planned modules, in the order of the modules."""
    trusts: list[Trust] = []
    subjects: dict[str, str] = {}
    roles: dict[ModuleKind, set[str]] = {kind: set() for kind in ModuleKind}
    external_ids: dict[str, str] = {}
    for module in modules:
        for arn in access_arns(module.access):
            subjects.setdefault(arn, module.subject)
        roles[module.kind].update(module.access.roles)
        if (customer := module.customer) is not None:
            # One trust per external ID: the current one and, during a rotation, the previous one.
            pair = customer.role.arn, (customer.backend_role_arn,)
            trusts += (Trust(module.subject, *pair, external_id) for external_id in customer.external_ids or (None,))
            if customer.external_ids:
                external_ids[customer.role.arn] = customer.external_ids[0]
        elif module.kind is ModuleKind.TRUSTING and (switch := module.switch_role) is not None:
            # Trusts the listed users, and the accounts to which the manifest delegates.
            mfa, accounts = switch.require_mfa, switch.delegates_to
            trusts.append(Trust(module.subject, switch.role.arn, switch.users, requires_mfa=mfa, delegates_to=accounts))
        elif module.kind is ModuleKind.BACKEND:
            trusts += _backend(module)
    customer_roles, switch_roles, backend_roles = (
        frozenset(roles[kind]) for kind in (ModuleKind.CUSTOMER, ModuleKind.TRUSTING, ModuleKind.BACKEND)
    )
    return IntendedTrust(tuple(trusts), subjects, customer_roles, switch_roles, backend_roles, external_ids)


def access_arns(access: Access) -> Iterator[str]:
    """Yield the ARNs of all roles, policies, groups, users and instance profiles."""
    for parts in (access.roles, access.policies, access.groups, access.users, access.instance_profiles):
        yield from parts


def _backend(module: Module) -> Iterator[Trust]:
    """Yield the trust of backend roles that the module creates. Existing roles are only referenced."""
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
    """The planned modules of a manifest, and the written access of each, or the planned one if that was requested.

    `findings` are differences between written and planned access, and modules that could not be read.
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
    """Read the modules written in `out`, or with `planned` use the modules that gen terraform would write.

    `started` is called with the number of modules, `progress` with the number done so far. Raises ManifestError, PlanError
    or OutputError.
    """
    with collection_paused():
        inputs = CheckInputs.load(manifest, out)
        modules = tuple(module.build() for module in inputs.plan.modules)
        accesses = [module.access for module in modules]
        started(len(modules))
        findings: tuple[Finding, ...] = ()
        if not planned:
            state = load_state(out)
            verdicts, _ = read_written(inputs, range(len(modules)), state, processes=processes, progress=progress)
            state.save_now()
            for index, verdict in verdicts.items():
                accesses[index] = verdict.access
                findings += verdict.findings
        return ManifestAccess(inputs.loaded, inputs.plan, modules, tuple(accesses), findings)


@dataclass(frozen=True, slots=True)
class ManifestProof:
    """The proof of a manifest's modules, the access that it covers, and findings about what it does not cover.

    `planned` is true if this is the access of the plan and not of the written modules.
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
    """Prove the modules written in `out`, or with `planned` the modules that gen terraform would write.

    `started` is called with the number of modules, `progress` with the number done so far. Raises ManifestError, PlanError
    or OutputError.
    """
    found = read_access(manifest, out, planned=planned, processes=processes, started=started, progress=progress)
    leftovers = () if planned else unplanned_findings(out, found.plan, read_lock(out))
    with collection_paused():
        access = Access.union(found.accesses)
        proof = prove(access, intended_trust(found.modules).trusts, roles=access.roles.keys())
    return ManifestProof(proof, access, (*found.findings, *leftovers), planned, found.loaded.manifest.account_names())
