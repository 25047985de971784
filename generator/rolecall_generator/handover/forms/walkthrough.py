"""The console walk-through: numbered steps with this module's values, for both flows and both sides."""

from __future__ import annotations

from typing import Any

from rolecall_generator.handover.forms.walkthrough_parts import exact, group_part, policy_part, role_part, user_part
from rolecall_generator.handover.model import Files, Handover
from rolecall_generator.handover.words_revoke import name_of
from rolecall_generator.iam.arn import PARTITIONS
from rolecall_generator.iam.module import Module, ModuleKind
from rolecall_generator.render import render_text

WALKTHROUGH = "console/walkthrough.md"


def walkthrough_form(handover: Handover) -> Files:
    """`console/walkthrough.md`: what to click in the AWS console so that the module's access exists, and no more."""
    return {WALKTHROUGH: render_text("walkthrough.md", _view(handover)).encode()}


def _view(handover: Handover) -> dict[str, Any]:
    module = handover.module
    access = module.access
    parts = {
        "policies": [policy_part(policy) for policy in access.policies.values()],
        "roles": [role_part(role) for role in access.roles.values()],
        "groups": [group_part(group) for group in access.groups.values()],
        "users": [user_part(user) for user in access.users.values()],
    }
    return {
        **parts,
        "has_json": any(part.has_json for kind in parts.values() for part in kind),
        "account": module.account,
        "partition": module.partition,
        "source": handover.source,
        "customer": module.kind is ModuleKind.CUSTOMER,
        "trusting": module.kind is ModuleKind.TRUSTING,
        "role_trust": module.customer is not None and module.customer.trusts_role,
        "switch_role": module.switch_role,
        "self_service": len(access.groups) > 0 and not any(group.existing for group in access.groups.values()),
        "sign_in": _sign_in(module),
        "role_arns": list(access.roles),
        "name_of": name_of,
        "exact": exact,
    }


def _sign_in(module: Module) -> str:
    """Sign-in URL of the account that has the users; empty where AWS documents no public host."""
    switch, host = module.switch_role, PARTITIONS[module.partition].console_host
    return f"https://{switch.home.account_id}.{host}/console" if switch is not None and host is not None else ""
