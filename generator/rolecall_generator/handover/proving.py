"""The proof of what one bundle hands over, from its own module and its counterpart alone.

A whole manifest's proof (`gen prove`) names every customer. Here the backend's side is reduced to what it grants for this
one role, so that no other customer can occur, and the cost does not grow with the fleet.
"""

from __future__ import annotations

from dataclasses import replace

from rolecall_generator.checking.intended import intended_of
from rolecall_generator.checks.proof import Proof, prove
from rolecall_generator.iam.access import Access, Role, access_of, union
from rolecall_generator.iam.module import Module
from rolecall_generator.iam.policy import PolicyDocument, Statement


def handover_proof(module: Module, counterpart: Module | None = None, people: Module | None = None) -> Proof:
    """Prove who may assume the roles of a module. `counterpart` is a switch role's other side.

    `people` is the module that holds the group and its users, where that is neither of the two: no role of it occurs.

    For a customer the vendor's role is taken to be allowed to assume this role: that it is, `gen prove` shows.
    """
    modules = [module] if counterpart is None else [module, counterpart]
    access = union((*(each.access for each in modules), _people_of(people), _vendor_side(module)))
    roles = [arn for each in modules for arn in each.access.roles]
    return prove(access, intended_of(modules).trusts, roles=roles)


def _people_of(module: Module | None) -> Access:
    return Access() if module is None else replace(module.access, roles={})


def _vendor_side(module: Module) -> Access:
    """The backend role with the one permission that it has for this customer."""
    if module.customer is None:
        return Access()
    role = module.customer.role
    actions = role.trust.statements[0].actions if role.trust is not None else ()
    grant = PolicyDocument((Statement("Allow", actions=actions, resources=(role.arn,)),))
    return access_of(Role(module.customer.backend_role_arn, trust=None, inline={"assume": grant}, existing=True))
