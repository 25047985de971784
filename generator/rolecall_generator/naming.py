"""How people call an ARN: account1/role1 where the manifest knows the account by a name."""

from __future__ import annotations

from collections.abc import Mapping

from rolecall_generator.iam.arn import parse_arn
from rolecall_generator.iam.difference import Label, plain_label
from rolecall_generator.manifest.models import Manifest


def account_names(manifest: Manifest) -> dict[str, str]:
    """The manifest's names of accounts by id; the first name counts where an account has several."""
    names: dict[str, str] = {}
    if manifest.backend is not None:
        names[manifest.backend.account_id] = "backend"
    for customer in manifest.customers:
        names.setdefault(customer.account_id, customer.name)
    for entry in manifest.switch_roles:
        for account in (entry.trusting, entry.trusted):
            names.setdefault(account.account_id, account.name)
    return names


def labeller(names: Mapping[str, str]) -> Label:
    """A function from an ARN to what people say; ARNs of accounts without a name get the plain label."""

    def label(arn: str) -> str:
        parsed = parse_arn(arn)
        if parsed is None or parsed.account_id not in names:
            return plain_label(arn)
        account = names[parsed.account_id]
        if parsed.resource == "root":
            return f"{account}:root"
        name = parsed.resource.partition("/")[2]
        return f"{account}/{name}" if parsed.kind == "role" else f"{account}'s {parsed.kind} {name}".rstrip()

    return label
