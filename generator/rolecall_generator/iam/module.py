"""One generated Terraform module: which account it belongs into and the access that it makes there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from rolecall_generator.iam.access import Access


class ModuleKind(StrEnum):
    """The kinds of module that `gen terraform` writes."""

    BACKEND = "backend"
    CUSTOMER = "customer"
    TRUSTING = "trusting"
    TRUSTED = "trusted"


@dataclass(frozen=True, slots=True)
class AccountLabel:
    """An account with the name that people know it by."""

    name: str
    account_id: str


@dataclass(frozen=True, slots=True)
class Module:
    """A module to be rendered. `path` is relative to the output folder, as in `customers/account1`.

    `facts` holds what the texts need beyond the access itself (the other account, links, names of permission sets);
    nothing in it grants anything.
    """

    kind: ModuleKind
    path: str
    subject: str
    account: AccountLabel
    partition: str
    access: Access
    facts: Mapping[str, object] = field(default_factory=dict)
