"""The AWS CLI form: one script that makes the access and one that takes it away, for any POSIX shell."""

from __future__ import annotations

import hashlib
from typing import Any

from rolecall_generator import hcl
from rolecall_generator.handover.forms.cli_script_view import Part, parts_of, quoted
from rolecall_generator.handover.layout import OWNER_TAG
from rolecall_generator.handover.model import Files, Handover
from rolecall_generator.iam.arn import PARTITIONS
from rolecall_generator.iam.module import Module, ModuleKind
from rolecall_generator.render import render_text

FOLDER = "aws-cli"
SCRIPTS = ("apply.sh", "remove.sh")


def cli_script_form(handover: Handover) -> Files:
    """`aws-cli/apply.sh` and `aws-cli/remove.sh`: POSIX sh, for the AWS CLI of version 1 or 2.

    A form has no file modes: people run them as `sh apply.sh`.
    """
    view = _view(handover)
    return {f"{FOLDER}/{name}": render_text(name, view).encode() for name in SCRIPTS}


def owner_of(module: Module) -> str:
    """The value of the tag that marks what the script of a module makes.

    It depends on the vendor's role, the switch role's role or the group alone: not on the version of the bundle, nor on what
    the vendor calls the customer. A digest, since an ARN can be longer than a tag's value and hold other characters.
    """
    access = module.access
    parts = (*access.roles, *access.groups, *access.policies)
    what = module.customer.backend_role_arn if module.customer is not None else next(iter(parts), "")
    return f"{module.kind}-{hashlib.sha256(what.encode()).hexdigest()[:32]}"


def _view(handover: Handover) -> dict[str, Any]:
    module = handover.module
    access = module.access
    owner = owner_of(module)
    parts: dict[str, list[Part]] = parts_of(access, owner)
    made = [part for part in (*parts["roles"], *parts["groups"], *parts["users"]) if not part.existing]
    link = module.switch_role.link if module.switch_role is not None else None
    return {
        "account": module.account,
        "source": hcl.comment(handover.source),
        "region": PARTITIONS[module.partition].default_region,
        **parts,
        "made": made,
        "owned": [*parts["policies"], *made],
        "owner": owner,
        "owner_tag": OWNER_TAG,
        "dependents": module.dependents,
        "anything": any(parts.values()),
        "asks_passwords": any(user.password for user in parts["users"]),
        "sends_role": module.kind is ModuleKind.CUSTOMER,
        "link": quoted(link) if module.kind is ModuleKind.TRUSTING and link is not None else None,
    }
