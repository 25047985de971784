"""The CloudFormation form: the same access as a template, with the ways to deploy it."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, urlencode

from rolecall_generator import hcl
from rolecall_generator.handover.forms.cloudformation_resources import arn_of, password_id
from rolecall_generator.handover.forms.cloudformation_template import BODY_BYTES, GUARD, template_text
from rolecall_generator.handover.model import Files, Handover
from rolecall_generator.iam.arn import PARTITIONS
from rolecall_generator.iam.module import Module, ModuleKind
from rolecall_generator.render import render_text

FOLDER = "cloudformation"
# "Console endpoints" of the partitions that document one (AWS, GovCloud and China user guides, November 2026).
_CONSOLE_HOSTS = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}
_NOT_IN_STACK_NAME = re.compile(r"[^A-Za-z0-9-]")


def cloudformation_form(handover: Handover) -> Files:
    """`cloudformation/template.json` and `README.md`; the README alone where nothing is made in the account.

    Raises CloudFormationError when CloudFormation cannot say the access.
    """
    text = template_text(handover.module, handover.source)
    files = {f"{FOLDER}/README.md": render_text("cloudformation.md", _view(handover, text)).encode()}
    if text is not None:
        files[f"{FOLDER}/template.json"] = text.encode()
    return files


def stack_name(module: Module) -> str:
    """The stack's proposed name: letters, digits and hyphens, 128 at the most."""
    name = _NOT_IN_STACK_NAME.sub("-", module.subject)
    return f"vendor-access-{name}" if module.kind is ModuleKind.CUSTOMER else f"switch-role-{name}-{module.kind}"


def quick_create_link(module: Module, template_url: str) -> str | None:
    """The console's page with template and stack name filled in; None where the console's host is not public.

    Parameters with NoEcho cannot be filled in by a link, and there are no others. Source: "Create quick-create links for
    stacks", CloudFormation user guide, November 2026.
    """
    host = _CONSOLE_HOSTS.get(module.partition)
    if host is None:
        return None
    region = PARTITIONS[module.partition].default_region
    query = urlencode({"templateURL": template_url, "stackName": stack_name(module)}, quote_via=quote, safe="")
    return f"https://{host}/cloudformation/home?region={region}#/stacks/create/review?{query}"


def _view(handover: Handover, text: str | None) -> dict[str, Any]:
    module = handover.module
    access = module.access
    users = [user for user in access.users.values() if user.console_password is not None and not user.existing]
    return {
        "account": module.account,
        "source": hcl.comment(handover.source),
        "has_template": text is not None,
        "customer": module.kind is ModuleKind.CUSTOMER,
        "guard": GUARD,
        "stack": stack_name(module),
        "region": PARTITIONS[module.partition].default_region,
        "link": quick_create_link(module, handover.template_url) if handover.template_url else None,
        "too_long": text is not None and len(text) > BODY_BYTES,
        "body_bytes": BODY_BYTES,
        "passwords": [{"user": arn_of(user.arn).name, "parameter": password_id(user)} for user in users],
        "pgp": any(user.console_password is not None and user.console_password.pgp_key for user in users),
        "tagged": sorted((policy.arn, sorted(policy.tags.items())) for policy in access.policies.values() if policy.tags),
        "role_first": module.customer is not None and module.customer.trusts_role,
        "boundaries": sorted({role.boundary for role in access.roles.values() if role.boundary}),
        "seconds": max((role.max_session_seconds for role in access.roles.values()), default=0),
        "has_role": bool(access.roles),
        "external_ids": module.customer.external_ids if module.customer is not None else (),
        "dependents": module.dependents,
        "switch_url": module.kind is ModuleKind.TRUSTING,
    }
