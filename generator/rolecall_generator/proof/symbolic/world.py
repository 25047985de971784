"""What is known besides the compared policies: policies of callers, and policies of the organizations around both accounts.

Everything that is not known is assumed in favor of the caller: a principal without known policies is allowed everything by
its account, and an account without known service control policies has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rolecall_generator.iam import Access, PolicyDocument

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

    `known`: ARNs of users and roles of `access` whose identity policies, boundary and tags there are complete.
    `session_policies`: policies that every session of the role (by ARN) has. `service_control`: by account ID of the caller
    the levels of service control policies. `resource_control`: the levels of resource control policies around the role.
    `organizations`: by account ID.

    `excludes_failing`: requests that AWS documents to fail whatever the policies are left out, such as those of a role for
    more than an hour, and policy variables are compared exactly where that is possible; no certificate covers it. `now`:
    requests are sent from then on, in seconds since 1970; at any time if None.

    Service control policies must not be given for the management account of an organization, which they do not affect.
    """

    access: Access = field(default_factory=Access)
    known: frozenset[str] = frozenset()
    session_policies: Mapping[str, tuple[PolicyDocument, ...]] = field(default_factory=dict)
    service_control: Mapping[str, tuple[PolicyLevel, ...]] = field(default_factory=dict)
    resource_control: tuple[PolicyLevel, ...] = ()
    organizations: Mapping[str, OrganizationMembership] = field(default_factory=dict)
    excludes_failing: bool = False
    now: float | None = None

    @property
    def is_worst_case(self) -> bool:
        """Whether nothing is known."""
        return self == WORST_CASE


WORST_CASE = World()
"""Nothing is known: every account allows its principals everything."""
