"""A rotation as it happens: commands of `gen` in this process, and customers who apply the module that is written."""

from __future__ import annotations

import json
from pathlib import Path

from onboard_rig import ACCOUNT, ROLE, Stage
from rolecall_generator.manifest.loader import load_manifest
from rolecall_generator.manifest.models import Customer
from rolecall_generator.terraform.parser.parse import parse_module
from rolecall_runner.sandbox.provisioning.provision import AdminClient


def applied(stage: Stage, name: str = "account1") -> None:
    """The customer applies the module as it is written now: its role gets that trust policy."""
    parsed = parse_module(stage.folder / "output" / "customers" / name, account_id=ACCOUNT)
    trust = next(role.trust for role in parsed.access.roles.values())
    assert trust is not None
    with (operator := AdminClient(stage.world.sandbox.url)).acting_in(ACCOUNT):
        iam = operator.client("iam")
        iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=json.dumps(trust.to_json()))


def customer_of(folder: Path, name: str = "account1") -> Customer:
    """A customer as the folder's manifest has it."""
    manifest = load_manifest(folder / "accounts.yaml").manifest
    return next(customer for customer in manifest.customers if customer.name == name)
