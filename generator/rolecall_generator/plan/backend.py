"""The backend side: which policies the backend roles hold so that they may assume the customers' roles."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from rolecall_generator.errors import PlanError
from rolecall_generator.iam import quotas
from rolecall_generator.iam.access import InstanceProfile, ManagedPolicy, Role, access_of
from rolecall_generator.iam.arn import iam_arn, role_arn
from rolecall_generator.iam.module import AccountLabel, BackendDetails, Module, ModuleKind
from rolecall_generator.iam.policy import Condition, PolicyDocument, Principal, Statement
from rolecall_generator.manifest.models import Backend, BackendRole, Manifest
from rolecall_generator.manifest.resolve import ResolvedCustomer
from rolecall_generator.plan.assignment import Assignment, Capacity, Grant, Room, Slot, assign

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
        access=access_of(*parts),
        backend=BackendDetails(customers=len(customers), explicit=backend.grant == "explicit"),
    )


def backend_role_arns(manifest: Manifest) -> dict[str, str]:
    """ARNs of the backend roles by their names."""
    backend = manifest.backend
    if backend is None:
        return {}
    return {role.name: role_arn(manifest.partition, backend.account_id, role.path, role.name) for role in backend.all_roles}


def _grant(partition: str, customer: ResolvedCustomer, *, fixed: bool) -> Grant:
    arn = customer_role_arn(partition, customer)
    actions = granted_actions(customer)
    if fixed:
        pattern = role_arn(partition, "*", customer.path, customer.role)
        return Grant(arn, len(customer.account_id) + 3, (pattern, *actions), customer.backend_role)
    # Two quotes and a comma.
    return Grant(arn, len(arn) + 3, actions, customer.backend_role)


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
            mend="choose a shorter backend.policy_prefix",
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
        mend="one of: " + "; ".join(choices),
    )
