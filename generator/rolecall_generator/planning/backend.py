"""The backend side: which policies the backend roles hold so that they may assume the customers' roles.

Which backend role, and which of its managed policies, carries each customer's grant. The assignment is stable: whoever
has a place keeps it, newcomers take the first place with room. So adding or removing one customer changes one policy,
and the number of policies is the fewest that fit as long as no one left. Where holes pile up, repacking closes them; it
moves customers between policies of one role, never between roles, since a customer's trust names its role.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rolecall_generator.errors import PlanError
from rolecall_generator.iam import (
    Access,
    AccountLabel,
    BackendDetails,
    Condition,
    InstanceProfile,
    ManagedPolicy,
    Module,
    ModuleKind,
    PolicyDocument,
    Principal,
    Role,
    Statement,
    iam_arn,
    quotas,
    role_arn,
)
from rolecall_generator.manifest import Backend, BackendRole, Manifest, ResolvedCustomer

BACKEND_PATH = "backend"


_ACTIONS = {
    (False, False): ("sts:AssumeRole",),
    (True, False): ("sts:AssumeRole", "sts:TagSession"),
    (False, True): ("sts:AssumeRole", "sts:SetSourceIdentity"),
    (True, True): ("sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"),
}
"""By session tags, source identity."""


def customer_role_arn(partition: str, customer: ResolvedCustomer) -> str:
    """ARN of the role in the customer's account."""
    return role_arn(partition, customer.account_id, customer.path, customer.role)


def granted_actions(customer: ResolvedCustomer) -> tuple[str, ...]:
    """The STS actions that both sides of this customer's trust allow."""
    return _ACTIONS[customer.session_tags, customer.source_identity]


def assign_customers(
    manifest: Manifest,
    customers: Sequence[ResolvedCustomer],
    previous: Mapping[str, Slot],
    *,
    repack: bool = False,
) -> Assignment:
    """Slots of all customers by role ARN. Raises PlanError, with what fits and what to choose, when they do not fit."""
    backend = manifest.backend
    if backend is None:
        return Assignment()
    fixed = backend.grant == "fixed-role-name"
    grants = [_grant(manifest.partition, customer, fixed=fixed) for customer in customers]
    capacities = [
        Capacity(role.name, role.managed_policies or manifest.quotas.role_managed_policies) for role in backend.all_roles
    ]
    overheads = {shape: _statement_overhead(shape, fixed=fixed) for shape in {grant.shape for grant in grants}}
    # One character more than the quota: every statement is counted with a comma, and the last one has none.
    room = Room(quotas.MANAGED_POLICY_CHARACTERS + 1, PolicyDocument(()).size, overheads)
    assignment = assign(grants, capacities, room, previous, repack=repack)
    if assignment.homeless:
        raise _does_not_fit(assignment, backend, capacities, repackable=bool(previous) and not repack)
    return assignment


def backend_module(manifest: Manifest, customers: Sequence[ResolvedCustomer], assignment: Assignment) -> Module:
    """The module of the backend account: roles, their policies, and an instance profile for each new role."""
    backend = manifest.backend
    if backend is None:
        raise ValueError("a manifest without backend has no backend module")
    by_slot: dict[Slot, list[ResolvedCustomer]] = {}
    for customer in customers:
        by_slot.setdefault(assignment.slots[customer_role_arn(manifest.partition, customer)], []).append(customer)
    parts: list[Role | ManagedPolicy | InstanceProfile] = []
    for role in backend.all_roles:
        policies = [
            _policy(manifest.partition, backend, slot, members)
            for slot, members in sorted(by_slot.items())
            if slot.role == role.name
        ]
        parts += [*policies, *_role_parts(manifest.partition, backend, role, frozenset(policy.arn for policy in policies))]
    return Module(
        kind=ModuleKind.BACKEND,
        path=BACKEND_PATH,
        subject="backend",
        account=AccountLabel("backend", backend.account_id),
        partition=manifest.partition,
        access=Access.of(*parts),
        backend=BackendDetails(customers=len(customers), explicit=backend.grant == "explicit"),
    )


def backend_role_arns(manifest: Manifest) -> dict[str, str]:
    """ARNs of the backend roles by their names."""
    backend = manifest.backend
    if backend is None:
        return {}
    return {role.name: role_arn(manifest.partition, backend.account_id, role.path, role.name) for role in backend.all_roles}


def _grant(partition: str, customer: ResolvedCustomer, *, fixed: bool) -> PolicyGrant:
    arn = customer_role_arn(partition, customer)
    actions = granted_actions(customer)
    if fixed:
        pattern = role_arn(partition, "*", customer.path, customer.role)
        return PolicyGrant(arn, len(customer.account_id) + 3, (pattern, *actions), customer.backend_role)
    # Two quotes and a comma.
    return PolicyGrant(arn, len(arn) + 3, actions, customer.backend_role)


def _statement_overhead(shape: tuple[str, ...], *, fixed: bool) -> int:
    """Characters of a statement without its list entries, with the comma that parts it from the next."""
    two_empty = ("", "")
    statement = _fixed_statement(shape, two_empty) if fixed else _explicit_statement(shape, two_empty)
    return len(json.dumps(statement.to_json(), separators=(",", ":"))) - len('"",""')


def _explicit_statement(shape: tuple[str, ...], arns: tuple[str, ...]) -> Statement:
    return Statement("Allow", actions=shape, resources=arns)


def _fixed_statement(shape: tuple[str, ...], account_ids: tuple[str, ...]) -> Statement:
    conditions = (Condition("StringEquals", "aws:ResourceAccount", account_ids),)
    return Statement("Allow", actions=shape[1:], resources=shape[:1], conditions=conditions)


def _policy(partition: str, backend: Backend, slot: Slot, members: Sequence[ResolvedCustomer]) -> ManagedPolicy:
    fixed = backend.grant == "fixed-role-name"
    entries: dict[tuple[str, ...], list[str]] = {}
    for customer in members:
        shape = _grant(partition, customer, fixed=fixed).shape
        entries.setdefault(shape, []).append(customer.account_id if fixed else customer_role_arn(partition, customer))
    build = _fixed_statement if fixed else _explicit_statement
    statements = tuple(build(shape, tuple(sorted(found))) for shape, found in sorted(entries.items()))
    name = f"{backend.policy_prefix}-{slot.role}-{slot.policy}"
    if len(name) > quotas.POLICY_NAME_CHARACTERS:
        raise PlanError(
            f"the policy name {name} has {len(name)} characters; AWS takes {quotas.POLICY_NAME_CHARACTERS}",
            where="backend",
            hint="choose a shorter backend.policy_prefix",
        )
    return ManagedPolicy(
        arn=iam_arn(partition, backend.account_id, "policy", "/", name),
        document=PolicyDocument(statements),
        description=f"Lets {slot.role} assume the customers' roles (rolecall)",
        tags=backend.tags,
    )


def _role_parts(
    partition: str, backend: Backend, role: BackendRole, attached: frozenset[str]
) -> list[Role | InstanceProfile]:
    arn = role_arn(partition, backend.account_id, role.path, role.name)
    if role.existing:
        return [Role(arn, trust=None, attached=attached, existing=True)]
    # EC2 keeps a service principal of its own in the China Regions (AWS documentation, "IAM roles for Amazon EC2").
    service = "ec2.amazonaws.com.cn" if partition == "aws-cn" else "ec2.amazonaws.com"
    trust = Statement("Allow", ("sts:AssumeRole",), principals=(Principal("Service", service),), sid="TrustInstances")
    profile = iam_arn(partition, backend.account_id, "instance-profile", role.path, role.instance_profile or role.name)
    return [
        Role(
            arn,
            trust=PolicyDocument((trust,)),
            attached=attached,
            boundary=role.permissions_boundary,
            max_session_seconds=role.max_session_seconds,
            description="Runs the backend and assumes the customers' roles",
            tags=backend.tags,
        ),
        InstanceProfile(profile, role=arn, tags=backend.tags),
    ]


def _does_not_fit(
    assignment: Assignment, backend: Backend, capacities: Sequence[Capacity], *, repackable: bool
) -> PlanError:
    fit, missing = len(assignment.slots), len(assignment.homeless)
    rooms = ", ".join(f"{capacity.role} with {capacity.policies} managed policies" for capacity in capacities)
    choices = [
        f"have AWS raise the quota and set quotas.role_managed_policies (up to {quotas.ROLE_MANAGED_POLICIES_MAXIMUM})",
        "name several backend.roles; each customer's trust then names its own",
    ]
    if backend.grant == "explicit":
        choices.insert(1, "set backend.grant to fixed-role-name (one role name in every account, with an account list)")
    if repackable:
        choices.insert(0, "run `gen terraform --repack`, which closes the holes that removed customers left")
    return PlanError(
        f"{fit + missing:,} customers do not fit: {fit:,} fit ({rooms}), {missing:,} are left over",
        where="backend",
        hint="one of: " + "; ".join(choices),
    )


@dataclass(frozen=True, slots=True)
class PolicyGrant:
    """One customer's need for room. `characters` is its own cost; its `shape` costs a statement once a policy."""

    key: str
    characters: int
    shape: tuple[str, ...]
    wanted_role: str | None = None


@dataclass(frozen=True, slots=True)
class Capacity:
    """Room of one backend role: how many managed policies it may hold."""

    role: str
    policies: int


@dataclass(frozen=True, slots=True)
class Room:
    """Cost model of one policy, in characters as AWS counts them (white space is free)."""

    limit: int
    skeleton: int
    statement: Mapping[tuple[str, ...], int]


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """A place: the backend role's name and the policy's number, from 1."""

    role: str
    policy: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """Slots by grant key, and the keys that found no place."""

    slots: Mapping[str, Slot] = field(default_factory=dict)
    homeless: tuple[str, ...] = ()

    @property
    def policies(self) -> int:
        """How many policies are in use."""
        return len(set(self.slots.values()))


class _Policy:
    """A policy being filled; mutable, private to one call of `assign`."""

    __slots__ = ("free", "shapes", "slot")

    def __init__(self, slot: Slot, room: Room) -> None:
        self.slot = slot
        self.free = room.limit - room.skeleton
        self.shapes: set[tuple[str, ...]] = set()

    def take(self, grant: PolicyGrant, room: Room) -> bool:
        cost = grant.characters
        if grant.shape not in self.shapes:
            cost += room.statement[grant.shape]
        if cost > self.free:
            return False
        self.free -= cost
        self.shapes.add(grant.shape)
        return True


def assign(
    grants: Sequence[PolicyGrant],
    capacities: Sequence[Capacity],
    room: Room,
    previous: Mapping[str, Slot],
    *,
    repack: bool = False,
) -> Assignment:
    """Give every grant a slot. What finds none is in `homeless`; the caller says what to do about it."""
    policies = _empty_policies(capacities, room)
    slots: dict[str, Slot] = {}
    newcomers: list[PolicyGrant] = []
    for grant in grants:
        slot = previous.get(grant.key)
        if slot is None or slot.role not in policies or grant.wanted_role not in (None, slot.role):
            newcomers.append(grant)
        elif repack or slot.policy > len(policies[slot.role]) or not policies[slot.role][slot.policy - 1].take(grant, room):
            newcomers.append(PolicyGrant(grant.key, grant.characters, grant.shape, slot.role))
        else:
            slots[grant.key] = slot
    homeless = _place(newcomers, policies, room, slots)
    if homeless and not previous:
        # Nothing is deployed that could move: the tighter packing (longest first) is free to take.
        return _assign_tightly(grants, capacities, room, Assignment(slots, tuple(homeless)))
    return Assignment(slots, tuple(homeless))


def _assign_tightly(
    grants: Sequence[PolicyGrant], capacities: Sequence[Capacity], room: Room, loose: Assignment
) -> Assignment:
    policies = _empty_policies(capacities, room)
    slots: dict[str, Slot] = {}
    homeless = _place(sorted(grants, key=lambda grant: -grant.characters), policies, room, slots)
    return Assignment(slots, tuple(homeless)) if len(homeless) < len(loose.homeless) else loose


def _empty_policies(capacities: Sequence[Capacity], room: Room) -> dict[str, list[_Policy]]:
    return {
        capacity.role: [_Policy(Slot(capacity.role, number), room) for number in range(1, capacity.policies + 1)]
        for capacity in capacities
    }


def _place(
    grants: Sequence[PolicyGrant], policies: Mapping[str, Sequence[_Policy]], room: Room, slots: dict[str, Slot]
) -> list[str]:
    """First fit, roles and policies in order. Returns the keys without a place."""
    homeless: list[str] = []
    every = [policy for own in policies.values() for policy in own]
    # Policies before this one were full for a grant of that size and shape, and only fill further.
    start: dict[tuple[str | None, int, tuple[str, ...]], int] = {}
    for grant in grants:
        candidates = every if grant.wanted_role is None else policies.get(grant.wanted_role, ())
        kind = (grant.wanted_role, grant.characters, grant.shape)
        position = start.get(kind, 0)
        while position < len(candidates) and not candidates[position].take(grant, room):
            position += 1
        start[kind] = position
        if position < len(candidates):
            slots[grant.key] = candidates[position].slot
        else:
            homeless.append(grant.key)
    return homeless
