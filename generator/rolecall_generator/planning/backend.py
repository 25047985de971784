"""The modules of customers and backend, and the assignment of customers to the managed policies of the backend roles.

The assignment is stable: a customer keeps its policy, and a new customer is added to the first policy with enough space.
Adding or removing a customer therefore changes one policy. Repacking fills the gaps that removed customers leave. It moves
customers between policies of one role but never between roles, because a customer's trust policy names its role.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rolecall_generator.errors import PlanError
from rolecall_generator.iam import (
    Access,
    AccountLabel,
    Arn,
    BackendDetails,
    Condition,
    CustomerDetails,
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
    root_arn,
)
from rolecall_generator.manifest import Backend, BackendRole, Manifest, Quotas, ResolvedCustomer
from rolecall_generator.planning.permissions import Permissions

_TRUST_FRAME = 600


def customer_path(name: str) -> str:
    """Folder of a customer's module, relative to the output folder."""
    return f"customers/{name}"


def customer_trust(customer: ResolvedCustomer, backend_role_arn: str) -> PolicyDocument:
    """The trust policy: the backend role may assume the role with the customer's external ID.

    With `account-root` the principal is the backend account, and a condition on `aws:PrincipalArn` names the role. AWS does
    not replace the ARN in a condition with the role's unique ID. The policy therefore stays valid if the role is recreated,
    and can be applied before the role exists.
    """
    conditions: list[Condition] = []
    principal = backend_role_arn
    if customer.trust == "account-root":
        role = Arn.parse(backend_role_arn)
        if role is None:
            raise ValueError(f"{backend_role_arn} is not an ARN")
        principal = root_arn(role.partition, role.account_id)
        conditions.append(Condition("ArnEquals", "aws:PrincipalArn", (backend_role_arn,)))
    if customer.external_ids:
        conditions.append(Condition("StringEquals", "sts:ExternalId", customer.external_ids))
    statement = Statement(
        "Allow",
        actions=granted_actions(customer),
        principals=(Principal("AWS", principal),),
        conditions=tuple(conditions),
        sid="TrustBackendRole",
    )
    return PolicyDocument((statement,))


def check_trust_size(customer: ResolvedCustomer, backend_role_arn: str, limits: Quotas) -> None:
    """Raise PlanError if the trust policy exceeds the size quota."""
    # Compute the exact size only near the limit. Without IDs and ARNs, a trust policy has less than 600 characters.
    rough = (
        len(customer.external_id or "") + len(customer.previous_external_id or "") + _TRUST_FRAME + 2 * len(backend_role_arn)
    )
    if rough <= limits.trust_policy_characters:
        return
    size = customer_trust(customer, backend_role_arn).size
    if size > limits.trust_policy_characters:
        raise PlanError(
            f"the trust policy has {size:,} characters; the quota is {limits.trust_policy_characters:,}",
            where=f"customer {customer.name}",
            hint="use a shorter external ID, or request a quota increase from AWS and set quotas.trust_policy_characters",
        )


def customer_module(customer: ResolvedCustomer, partition: str, backend_role_arn: str, permissions: Permissions) -> Module:
    """The module that the customer applies."""
    role = Role(
        customer_role_arn(partition, customer),
        trust=customer_trust(customer, backend_role_arn),
        inline=permissions.inline,
        attached=permissions.attached(partition, customer.account_id, customer.role),
        boundary=customer.permissions_boundary,
        max_session_seconds=customer.max_session_seconds,
        description=f"Assumed by {backend_role_arn}",
        tags=customer.tags,
    )
    policies = permissions.policies(partition, customer.account_id, customer.role, customer.tags)
    return Module(
        kind=ModuleKind.CUSTOMER,
        path=customer_path(customer.name),
        subject=customer.name,
        account=AccountLabel(customer.name, customer.account_id),
        partition=partition,
        access=Access.of(role, *policies),
        outputs={"external_id": customer.external_id} if customer.external_id else {},
        customer=CustomerDetails(
            role,
            backend_role_arn,
            customer.external_ids,
            trusts_role=customer.trust == "role-arn",
            session_tags=customer.session_tags,
            source_identity=customer.source_identity,
        ),
    )


BACKEND_PATH = "backend"


_ACTIONS = {
    (False, False): ("sts:AssumeRole",),
    (True, False): ("sts:AssumeRole", "sts:TagSession"),
    (False, True): ("sts:AssumeRole", "sts:SetSourceIdentity"),
    (True, True): ("sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"),
}
"""STS actions by (session tags, source identity)."""


def customer_role_arn(partition: str, customer: ResolvedCustomer) -> str:
    """ARN of the role in the customer's account."""
    return role_arn(partition, customer.account_id, customer.path, customer.role)


def granted_actions(customer: ResolvedCustomer) -> tuple[str, ...]:
    """The STS actions that trust policy and backend policy allow for this customer."""
    return _ACTIONS[customer.session_tags, customer.source_identity]


def assign_customers(
    manifest: Manifest,
    customers: Sequence[ResolvedCustomer],
    previous: Mapping[str, Slot],
    *,
    repack: bool = False,
) -> Assignment:
    """Assign all customers to slots, by role ARN. Raises PlanError if they do not fit into the policies."""
    backend = manifest.backend
    if backend is None:
        return Assignment()
    fixed = backend.grant == "fixed-role-name"
    grants = [_grant(manifest.partition, customer, fixed=fixed) for customer in customers]
    limit = manifest.quotas.role_managed_policies
    capacities = {role.name: role.managed_policies or limit for role in backend.all_roles}
    overheads = {shape: _statement_overhead(shape, fixed=fixed) for shape in {grant.shape for grant in grants}}
    # One more than the quota, because each statement is counted with a comma and the last one has none.
    free = quotas.MANAGED_POLICY_CHARACTERS + 1 - PolicyDocument(()).size
    assignment = assign(grants, capacities, PolicySizes(free, overheads), previous, repack=repack)
    if assignment.unplaced:
        raise _quota_exceeded(assignment, backend, capacities, repackable=bool(previous) and not repack)
    return assignment


def backend_module(manifest: Manifest, customers: Sequence[ResolvedCustomer], assignment: Assignment) -> Module:
    """The module of the backend account: roles, their policies, and an instance profile for each role that it creates."""
    backend = manifest.backend
    if backend is None:
        raise ValueError("the manifest has no backend")
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
    """ARNs of the backend roles by name."""
    backend = manifest.backend
    if backend is None:
        return {}
    return {role.name: role_arn(manifest.partition, backend.account_id, role.path, role.name) for role in backend.all_roles}


def _grant(partition: str, customer: ResolvedCustomer, *, fixed: bool) -> PolicyGrant:
    entry = arn = customer_role_arn(partition, customer)
    shape = granted_actions(customer)
    if fixed:
        entry, shape = customer.account_id, (role_arn(partition, "*", customer.path, customer.role), *shape)
    return PolicyGrant(arn, len(entry) + len('"",'), shape, customer.backend_role)


def _statement(shape: tuple[str, ...], entries: tuple[str, ...], *, fixed: bool) -> Statement:
    """The statement for ARNs of roles, or if `fixed` for account IDs: then a pattern is the first element of the shape."""
    if not fixed:
        return Statement("Allow", actions=shape, resources=entries)
    condition = Condition("StringEquals", "aws:ResourceAccount", entries)
    return Statement("Allow", actions=shape[1:], resources=shape[:1], conditions=(condition,))


def _statement_overhead(shape: tuple[str, ...], *, fixed: bool) -> int:
    """Size of a statement in characters, without its list entries and including the comma after it."""
    statement = _statement(shape, ("", ""), fixed=fixed)
    return len(json.dumps(statement.to_json(), separators=(",", ":"))) - len('"",""')


def _policy(partition: str, backend: Backend, slot: Slot, members: Sequence[ResolvedCustomer]) -> ManagedPolicy:
    fixed = backend.grant == "fixed-role-name"
    entries: dict[tuple[str, ...], list[str]] = {}
    for customer in members:
        shape = _grant(partition, customer, fixed=fixed).shape
        entries.setdefault(shape, []).append(customer.account_id if fixed else customer_role_arn(partition, customer))
    statements = tuple(_statement(shape, tuple(sorted(values)), fixed=fixed) for shape, values in sorted(entries.items()))
    name = f"{backend.policy_prefix}-{slot.role}-{slot.policy}"
    if len(name) > quotas.POLICY_NAME_CHARACTERS:
        raise PlanError(
            f"the policy name {name} has {len(name)} characters; the maximum is {quotas.POLICY_NAME_CHARACTERS}",
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
    # EC2 has a different service principal in the China Regions (AWS documentation, "IAM roles for Amazon EC2").
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


def _quota_exceeded(
    assignment: Assignment, backend: Backend, capacities: Mapping[str, int], *, repackable: bool
) -> PlanError:
    assigned, unassigned = len(assignment.slots), len(assignment.unplaced)
    capacity_text = ", ".join(f"{role} with {policies} managed policies" for role, policies in capacities.items())
    hints = [
        f"have AWS raise the quota and set quotas.role_managed_policies (up to {quotas.ROLE_MANAGED_POLICIES_MAXIMUM})",
        "define several backend.roles; each customer then trusts one of them",
    ]
    if backend.grant == "explicit":
        hints.insert(1, "set backend.grant to fixed-role-name (one role name in every account, with an account list)")
    if repackable:
        hints.insert(0, "run `gen terraform --repack`, which fills the gaps of removed customers")
    return PlanError(
        f"quota exceeded: {assigned:,} of {assigned + unassigned:,} customers fit ({capacity_text})",
        where="backend",
        hint="one of: " + "; ".join(hints),
    )


@dataclass(frozen=True, slots=True)
class PolicyGrant:
    """One customer's grant: a list entry of `characters` in a statement that a policy contains once per `shape`."""

    key: str
    characters: int
    shape: tuple[str, ...]
    required_role: str | None = None


@dataclass(frozen=True, slots=True)
class PolicySizes:
    """Characters, as AWS counts them (without white space), for all statements of a policy and of an empty one by shape."""

    free: int
    statement: Mapping[tuple[str, ...], int]


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """One policy of a backend role: the role's name and the policy's number, from 1."""

    role: str
    policy: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """Slots by grant key, and the keys of grants that do not fit into any policy."""

    slots: Mapping[str, Slot] = field(default_factory=dict)
    unplaced: tuple[str, ...] = ()

    @property
    def policies(self) -> int:
        """Number of policies in use."""
        return len(set(self.slots.values()))


class _OpenPolicy:
    """A policy during assignment. `free` is the number of unused characters."""

    __slots__ = ("free", "shapes", "slot")

    def __init__(self, slot: Slot, sizes: PolicySizes) -> None:
        self.slot = slot
        self.free = sizes.free
        self.shapes: set[tuple[str, ...]] = set()

    def try_add(self, grant: PolicyGrant, sizes: PolicySizes) -> bool:
        cost = grant.characters
        if grant.shape not in self.shapes:
            cost += sizes.statement[grant.shape]
        if cost > self.free:
            return False
        self.free -= cost
        self.shapes.add(grant.shape)
        return True


def assign(
    grants: Sequence[PolicyGrant],
    capacities: Mapping[str, int],
    sizes: PolicySizes,
    previous: Mapping[str, Slot],
    *,
    repack: bool = False,
) -> Assignment:
    """Assign every grant to a slot. `unplaced` of the result has the grants that do not fit into any policy.

    `capacities`: the maximum number of managed policies by backend role. `previous`: the last run's slots by grant key.
    """
    policies = _empty_policies(capacities, sizes)
    slots: dict[str, Slot] = {}
    unassigned: list[PolicyGrant] = []
    for grant in grants:
        slot = previous.get(grant.key)
        if slot is None or slot.role not in policies or grant.required_role not in (None, slot.role):
            unassigned.append(grant)
        elif (
            repack
            or slot.policy > len(policies[slot.role])
            or not policies[slot.role][slot.policy - 1].try_add(grant, sizes)
        ):
            unassigned.append(PolicyGrant(grant.key, grant.characters, grant.shape, slot.role))
        else:
            slots[grant.key] = slot
    unplaced = _assign_first_fit(unassigned, policies, sizes, slots)
    if unplaced and not previous:
        # Nothing is deployed yet, so customers may move: try again with the longest grants first.
        longest_first = sorted(grants, key=lambda grant: -grant.characters)
        other_slots: dict[str, Slot] = {}
        left = _assign_first_fit(longest_first, _empty_policies(capacities, sizes), sizes, other_slots)
        if len(left) < len(unplaced):
            return Assignment(other_slots, tuple(left))
    return Assignment(slots, tuple(unplaced))


def _empty_policies(capacities: Mapping[str, int], sizes: PolicySizes) -> dict[str, list[_OpenPolicy]]:
    return {
        role: [_OpenPolicy(Slot(role, number), sizes) for number in range(1, policies + 1)]
        for role, policies in capacities.items()
    }


def _assign_first_fit(
    grants: Sequence[PolicyGrant], policies: Mapping[str, Sequence[_OpenPolicy]], sizes: PolicySizes, slots: dict[str, Slot]
) -> list[str]:
    """Add each grant to the first policy with enough space. Returns the keys of grants that do not fit into any policy."""
    unplaced: list[str] = []
    all_policies = [policy for role_policies in policies.values() for policy in role_policies]
    # For each kind of grant, the first policy that may still have space. Earlier ones stay full.
    start: dict[tuple[str | None, int, tuple[str, ...]], int] = {}
    for grant in grants:
        candidates = all_policies if grant.required_role is None else policies.get(grant.required_role, ())
        kind = (grant.required_role, grant.characters, grant.shape)
        position = start.get(kind, 0)
        while position < len(candidates) and not candidates[position].try_add(grant, sizes):
            position += 1
        start[kind] = position
        if position < len(candidates):
            slots[grant.key] = candidates[position].slot
        else:
            unplaced.append(grant.key)
    return unplaced
