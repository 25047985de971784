"""The agreed access of roles, from the modules of a manifest. Does not import boto3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from rolecall_generator.check import ManifestAccess
from rolecall_generator.iam import Access, Condition, Module, ModuleKind, PolicyDocument
from rolecall_runner.inventory import Target


def access_by_role(found: ManifestAccess) -> dict[str, Access]:
    """The access that each role's modules grant, by role ARN: a customer's module, or both sides of a switch role."""
    by_path = {module.path: access for module, access in zip(found.modules, found.accesses, strict=True)}
    by_subject: dict[tuple[bool, str], list[Access]] = {}
    for module, access in zip(found.modules, found.accesses, strict=True):
        if module.kind is not ModuleKind.BACKEND:
            by_subject.setdefault((module.kind is ModuleKind.CUSTOMER, module.subject), []).append(access)
    by_role: dict[str, Access] = {}
    for module in found.modules:
        if module.kind is not ModuleKind.BACKEND:
            parts = [*by_subject[module.kind is ModuleKind.CUSTOMER, module.subject], *_shared_group(module, by_path)]
            whole = parts[0] if len(parts) == 1 else Access.union(parts)
            by_role.update(dict.fromkeys(module.access.roles, whole))
    return by_role


def _shared_group(module: Module, by_path: Mapping[str, Access]) -> Iterator[Access]:
    """Group, users and the group's policies of a switch role that shares them with the module of another one."""
    if module.switch_role is None or module.switch_role.keeper == module.subject:
        return
    access = by_path.get(module.switch_role.people_path)
    if access is not None:
        attached = {arn for group in access.groups.values() for arn in group.attached}
        policies = {arn: policy for arn, policy in access.policies.items() if arn in attached}
        yield Access(policies=policies, groups=access.groups, users=access.users)


def before_applying(target: Target) -> Target:
    """The target as its role has it before the customer applies a rotation: current and previous external ID swapped.

    The new ID takes the place of the previous one, so that calls go on to work if the customer applies meanwhile.
    """
    return replace(target, external_id=target.previous_external_id, previous_external_id=target.external_id)


def access_before(access: Access, target: Target) -> Access:
    """The agreed access before the target's rotation: without the new external ID in the trust policy."""
    role = access.roles.get(target.role_arn)
    if role is None or role.trust is None or target.external_id is None:
        return access
    trust = _without(role.trust, target.external_id)
    return replace(access, roles={**access.roles, role.arn: replace(role, trust=trust)})


def _without(trust: PolicyDocument, external_id: str) -> PolicyDocument:
    def kept(condition: Condition) -> Condition:
        if condition.key.lower() != "sts:externalid":
            return condition
        return replace(condition, values=tuple(value for value in condition.values if value != external_id))

    return replace(
        trust,
        statements=tuple(
            replace(statement, conditions=tuple(map(kept, statement.conditions))) for statement in trust.statements
        ),
    )
