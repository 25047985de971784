"""Principals: the kind of principal that an ARN names, and how directly a Principal element names it.

Quotations are from the IAM User Guide, "AWS JSON policy elements: Principal", November 2026.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from rolecall_generator.iam import Arn, Principal


class PrincipalKind(IntEnum):
    """Kind of principal. EXTERNAL: an AWS service or identity provider, which has no IAM policies."""

    USER = 1
    ROLE = 2
    SESSION = 3
    ROOT = 4
    EXTERNAL = 5


class PrincipalReach(IntEnum):
    """How directly a trust policy names the caller; a greater value requires less of the caller's own policies."""

    NONE = 0
    ACCOUNT = 1
    ROLE = 2
    DIRECT = 3


@dataclass(frozen=True, slots=True)
class Identity:
    """A parsed principal ARN, or the name of a service or identity provider.

    `role` is the role's ARN for roles and their sessions. A session's ARN does not contain the role's path, so
    `role_path_known` can be False.
    """

    arn: str
    kind: PrincipalKind
    account_id: str
    partition: str
    name: str
    role: str | None = None
    role_path_known: bool = True


@lru_cache(maxsize=65_536)
def identity_of(arn: str) -> Identity:
    """Parse a principal's ARN, or the name of a service or identity provider."""
    parsed = Arn.parse(arn)
    if parsed is None:
        return Identity(arn, PrincipalKind.EXTERNAL, "", "", arn)
    account, partition = parsed.account_id, parsed.partition
    if parsed.service == "sts" and parsed.kind == "assumed-role" and "/" in parsed.resource:
        name = parsed.resource.split("/")[1]
        role = f"arn:{partition}:iam::{account}:role/{name}"
        return Identity(arn, PrincipalKind.SESSION, account, partition, parsed.name, role, role_path_known=False)
    if parsed.service == "sts" and parsed.kind == "federated-user":
        return Identity(arn, PrincipalKind.SESSION, account, partition, parsed.name)
    kinds = {"root": PrincipalKind.ROOT, "role": PrincipalKind.ROLE, "user": PrincipalKind.USER}
    return Identity(
        arn,
        kinds.get(parsed.kind, PrincipalKind.EXTERNAL),
        account,
        partition,
        parsed.name,
        arn if parsed.kind == "role" else None,
    )


class Principals:
    """The Principal element of one statement."""

    __slots__ = ("_accounts", "_arns", "_external", "everyone", "refusal", "roles")

    def __init__(self, principals: Iterable[Principal]) -> None:
        self._accounts: set[tuple[str, str]] = set()
        self._arns: set[str] = set()
        self.roles: dict[tuple[str, str], set[str]] = {}
        """ARNs of roles by account ID and name without path."""
        self._external: set[str] = set()
        self.everyone = False
        self.refusal: str | None = None
        for principal in principals:
            self._add(principal)

    def _add(self, principal: Principal) -> None:
        text = principal.identifier
        if text == "*" and principal.type in {"*", "AWS"}:
            # "For anonymous users, the following elements are equivalent: "Principal": "*" and "Principal": {"AWS": "*"}"
            self.everyone = True
        elif "*" in text or "?" in text:
            # "You cannot use a wildcard to match part of a principal name or ARN."
            self.refusal = f"principal {text} has a wildcard, which AWS does not accept"
        elif principal.type in {"Service", "Federated"}:
            self._external.add(text)
        elif principal.type == "AWS":
            self._add_aws(text)
        else:
            self.refusal = f"principal type {principal.type} is not supported in a trust policy"

    def _add_aws(self, text: str) -> None:
        # "The account ARN and the shortened account ID behave the same way. Both delegate permissions to the account."
        if text.isdigit():
            self._accounts.add(("", text))
            return
        parsed = Arn.parse(text)
        if parsed is None:
            # "the principal ID appears in resource-based policies because AWS can no longer map it back to a valid ARN": it
            # matches no one.
            self._arns.add(text)
        elif parsed.resource == "root":
            self._accounts.add((parsed.partition, parsed.account_id))
        else:
            self._arns.add(text)
            if parsed.kind == "role":
                self.roles.setdefault((parsed.account_id, parsed.name), set()).add(text)

    def reach(self, requester: Identity) -> PrincipalReach:
        """How directly these principals name the caller. For a session, the path of its role must be known."""
        if self.everyone:
            # "For IAM users and role principals within your account, no other permissions are required."
            return PrincipalReach.DIRECT
        if requester.kind is PrincipalKind.EXTERNAL:
            return PrincipalReach.DIRECT if requester.arn in self._external else PrincipalReach.NONE
        if requester.arn in self._arns and requester.kind is not PrincipalKind.ROLE:
            return PrincipalReach.DIRECT
        if requester.role is not None and requester.role in self._arns:
            return PrincipalReach.ROLE
        # "Using the account ARN in the Principal element does not limit permissions to only the root user of the account."
        if (requester.partition, requester.account_id) in self._accounts or (
            "",
            requester.account_id,
        ) in self._accounts:
            return PrincipalReach.ACCOUNT
        return PrincipalReach.NONE
