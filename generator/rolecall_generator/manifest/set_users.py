"""Which roles a permission set ends up on: its customers and switch roles, with account and partition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rolecall_generator.manifest.models import Manifest


@dataclass(frozen=True, slots=True)
class SetUser:
    """A customer or switch role by its name (`subject`), with the account and partition of its role."""

    subject: str
    account_id: str
    partition: str


def users_of_sets(manifest: Manifest) -> Mapping[str, Sequence[SetUser]]:
    """The users of each permission set by its name, in the manifest's order; sets that nothing uses have no entry."""
    found: dict[str, list[SetUser]] = {}
    for customer in manifest.customers:
        user = SetUser(customer.name, customer.account_id, manifest.partition)
        named = manifest.defaults.permissions if customer.permissions is None else customer.permissions
        for name in dict.fromkeys(named):
            found.setdefault(name, []).append(user)
    for switch in manifest.switch_roles:
        user = SetUser(switch.name, switch.trusting.account_id, switch.partition or manifest.partition)
        for name in dict.fromkeys(switch.permissions):
            found.setdefault(name, []).append(user)
    return found
