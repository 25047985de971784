"""What a trust policy is compared with: the intended trusts of its role as a policy document, and what is known besides the
compared policies about the organizations around both accounts.

Everything that is not known is assumed in favor of the caller: every principal is allowed everything by its account, and an
account without known service control policies has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from rolecall_generator.iam import Condition, PolicyDocument, Principal, Statement, root_arn
from rolecall_generator.iam.evaluation import (
    ASSUME_ROLE,
    FEDERATED_ASSUME,
    SET_SOURCE_IDENTITY,
    TAG_SESSION,
    PrincipalKind,
    identity_of,
)
from rolecall_generator.proof.symbolic.keys import is_saml_provider, is_service

PolicyLevel = tuple[PolicyDocument, ...]
"""The policies attached to one level of an organization (root, unit or account): one of them must allow, none deny."""


@dataclass(frozen=True, slots=True)
class OrganizationMembership:
    """The organization of an account: its ID, and the paths of the account (aws:PrincipalOrgPaths).

    An empty ID: the account is in no organization.
    """

    organization_id: str
    paths: tuple[str, ...] = ()

    @property
    def path_prefix(self) -> str:
        """How all paths of the account begin, if only the organization is known; else empty."""
        return f"{self.organization_id}/" if self.organization_id and not self.paths else ""


@dataclass(frozen=True, slots=True)
class World:
    """What is known besides the compared policies.

    `service_control`: by account ID of the caller the levels of service control policies. `resource_control`: the levels of
    resource control policies around the role. `organizations`: by account ID.

    `excludes_failing`: requests that AWS documents to fail whatever the policies are left out, such as those of a role for
    more than an hour, and policy variables are compared exactly where that is possible; no certificate covers it. `now`:
    requests are sent from then on, in seconds since 1970; at any time if None.

    Service control policies must not be given for the management account of an organization, which they do not affect.
    """

    service_control: Mapping[str, tuple[PolicyLevel, ...]] = field(default_factory=dict)
    resource_control: tuple[PolicyLevel, ...] = ()
    organizations: Mapping[str, OrganizationMembership] = field(default_factory=dict)
    excludes_failing: bool = False
    now: float | None = None


WORST_CASE = World()
"""Nothing is known: every account allows its principals everything."""


@dataclass(frozen=True, slots=True)
class Trust:
    """One intended trust of a role: who may assume it, under which requirements. Several of one role are alternatives.

    `subject` is the name in the manifest. `callers` are ARNs of users and roles, or names of services and identity
    providers; empty means no one. `delegates_to` are IDs of accounts that decide by their own policies which of their
    principals may assume the role. `session_tags` and `source_identity`: callers may pass them.
    """

    subject: str
    role_arn: str
    callers: tuple[str, ...] = ()
    external_id: str | None = None
    requires_mfa: bool = False
    delegates_to: frozenset[str] = frozenset()
    session_tags: bool = False
    source_identity: bool = False

    @property
    def principals(self) -> tuple[Principal, ...]:
        """The Principal elements that name the callers."""
        return tuple(_named(caller)[1] for caller in self.callers)


def intent_document(trusts: Iterable[Trust]) -> PolicyDocument:
    """The trust policy that allows exactly what is intended for one role: a statement for each trust and operation."""
    statements: list[Statement] = []
    for trust in trusts:
        companions = [TAG_SESSION] * trust.session_tags + [SET_SOURCE_IDENTITY] * trust.source_identity
        ids = [] if trust.external_id is None else [Condition("StringEquals", "sts:ExternalId", (trust.external_id,))]
        mfa = [Condition("Bool", "aws:MultiFactorAuthPresent", ("true",))] * trust.requires_mfa
        for action, principals in _principals(trust).items():
            statements.append(
                Statement("Allow", (action, *companions), principals=tuple(principals), conditions=(*ids, *mfa))
            )
    return PolicyDocument(tuple(statements))


def _principals(trust: Trust) -> dict[str, list[Principal]]:
    """The principals by the operation that they use."""
    found: dict[str, list[Principal]] = {}
    for caller in trust.callers:
        operation, principal = _named(caller)
        found.setdefault(operation, []).append(principal)
    partition = trust.role_arn.split(":")[1]
    for account in sorted(trust.delegates_to):
        found.setdefault(ASSUME_ROLE, []).append(Principal("AWS", root_arn(partition, account)))
    return found


# Measured on 10,000 customers of one backend role: a quarter of the time of all intents.
@lru_cache(maxsize=4_096)
def _named(caller: str) -> tuple[str, Principal]:
    """The operation by which a caller assumes a role, and the Principal element that names it."""
    if identity_of(caller).kind is not PrincipalKind.EXTERNAL:
        return ASSUME_ROLE, Principal("AWS", caller)
    if is_service(caller):
        return ASSUME_ROLE, Principal("Service", caller)
    return FEDERATED_ASSUME[not is_saml_provider(caller)], Principal("Federated", caller)
