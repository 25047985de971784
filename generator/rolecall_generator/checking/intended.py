"""What a plan intends, in the words of the proof and of the rules: who may assume each role, and whose each part is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from rolecall_generator.checks.proof import Trust
from rolecall_generator.iam.access import Access
from rolecall_generator.iam.module import CustomerDetails, Module, ModuleKind, SwitchRoleDetails
from rolecall_generator.iam.principals import Kind, identity_of


@dataclass(frozen=True, slots=True)
class Intended:
    """The intended trusts, and the ARNs that the rules ask about. `subjects` and `paths` are by ARN of role, policy, ..."""

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


def intended_of(modules: Iterable[Module]) -> Intended:
    """Read what planned modules intend. The order of trusts is that of the modules."""
    found = _Collected()
    for module in modules:
        for arn in arns_of(module.access):
            found.subjects.setdefault(arn, module.subject)
        found.roles.setdefault(module.kind, set()).update(module.access.roles)
        if module.customer is not None:
            _customer(module.subject, module.customer, found)
        elif module.kind is ModuleKind.TRUSTING and module.switch_role is not None:
            found.trusts.append(_switch_role(module.subject, module.switch_role))
        elif module.kind is ModuleKind.BACKEND:
            found.trusts += _backend(module)
    return Intended(
        tuple(found.trusts),
        found.subjects,
        frozenset(found.roles.get(ModuleKind.CUSTOMER, ())),
        frozenset(found.roles.get(ModuleKind.TRUSTING, ())),
        frozenset(found.roles.get(ModuleKind.BACKEND, ())),
        found.external_ids,
    )


def arns_of(access: Access) -> Iterator[str]:
    """ARNs of all parts of an access."""
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
    """The users by name. Accounts that the manifest trusts as a whole are delegated to: they decide who else may switch."""
    return Trust(name, details.role.arn, details.users, requires_mfa=details.require_mfa, delegates_to=details.delegates_to)


def _backend(module: Module) -> Iterator[Trust]:
    """Backend roles that the module makes are for EC2 alone; existing ones are only looked up."""
    for role in module.access.roles.values():
        if not role.existing and role.trust is not None:
            services = [
                principal.identifier
                for statement in role.trust.statements
                for principal in statement.principals
                if identity_of(principal.identifier).kind is Kind.EXTERNAL
            ]
            yield Trust(module.subject, role.arn, tuple(services))
