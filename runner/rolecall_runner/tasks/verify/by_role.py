"""What each role's own modules grant. Loads nothing of AWS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rolecall_generator.checking import ModuleAccess
from rolecall_generator.iam.access import Access, union
from rolecall_generator.iam.module import Module, ModuleKind


def access_by_role(found: ModuleAccess) -> dict[str, Access]:
    """What each role's own modules grant: a customer's module, or both sides of a switch role. Equal parts are shared.

    The people of a switch role are in another one's module where several share a group.
    """
    by_path = {module.path: access for module, access in zip(found.modules, found.accesses, strict=True)}
    by_subject: dict[tuple[bool, str], list[Access]] = {}
    for module, access in zip(found.modules, found.accesses, strict=True):
        if module.kind is not ModuleKind.BACKEND:
            by_subject.setdefault((module.kind is ModuleKind.CUSTOMER, module.subject), []).append(access)
    by_role: dict[str, Access] = {}
    for module in found.modules:
        if module.kind is not ModuleKind.BACKEND:
            parts = [*by_subject[module.kind is ModuleKind.CUSTOMER, module.subject], *_shared_people(module, by_path)]
            whole = parts[0] if len(parts) == 1 else union(parts)
            by_role.update(dict.fromkeys(module.access.roles, whole))
    return by_role


def _shared_people(module: Module, by_path: Mapping[str, Access]) -> Iterator[Access]:
    """Group, users and the group's policies, where they are in another switch role's module."""
    if module.switch_role is None or module.switch_role.keeper == module.subject:
        return
    access = by_path.get(module.switch_role.people_path)
    if access is not None:
        attached = {arn for group in access.groups.values() for arn in group.attached}
        policies = {arn: policy for arn, policy in access.policies.items() if arn in attached}
        yield Access(policies=policies, groups=access.groups, users=access.users)
