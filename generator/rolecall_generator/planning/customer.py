"""The customer's module: a role with permissions that trusts the backend role."""

from __future__ import annotations

from rolecall_generator.errors import PlanError
from rolecall_generator.iam import (
    Access,
    AccountLabel,
    Arn,
    Condition,
    CustomerDetails,
    Module,
    ModuleKind,
    PolicyDocument,
    Principal,
    Role,
    Statement,
    root_arn,
)
from rolecall_generator.manifest import Quotas, ResolvedCustomer
from rolecall_generator.planning.backend import customer_role_arn, granted_actions
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
