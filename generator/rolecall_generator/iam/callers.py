"""Callers: what is known of a principal's own policies and of the context keys that follow from who it is.

Quotations are from the IAM User Guide, looked up in November 2026; the page stands behind each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

from rolecall_generator.iam.access import Access, Group, Role, User
from rolecall_generator.iam.arn import parse_arn
from rolecall_generator.iam.compiled import CompiledDocument, Compiler, Placed, Saying, Side, scan
from rolecall_generator.iam.policy import PolicyDocument, Statement
from rolecall_generator.iam.principals import Identity, Kind, identity_of

_ALL = PolicyDocument((Statement("Allow", ("*",), ("*",)),))
# AWS managed policies that are known here, as the AWS managed policy reference prints them (November 2026).
BUILT_IN = {
    "AdministratorAccess": _ALL,
    "PowerUserAccess": PolicyDocument(
        (
            Statement("Allow", not_actions=("iam:*", "organizations:*", "account:*"), resources=("*",)),
            Statement(
                "Allow",
                (
                    "account:GetAccountInformation",
                    "account:GetGovCloudAccountInformation",
                    "account:GetPrimaryEmail",
                    "account:ListRegions",
                    "iam:CreateServiceLinkedRole",
                    "iam:DeleteServiceLinkedRole",
                    "iam:ListRoles",
                    "organizations:DescribeEffectivePolicy",
                    "organizations:DescribeOrganization",
                ),
                ("*",),
            ),
        )
    ),
}


class IdentitySide(Enum):
    """What is known of a caller's own policies: those in `Access`, or nothing, and then the worst is assumed."""

    KNOWN = "known"
    ALLOWS_ALL = "allows-all"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: a user, role or role session by ARN, a service or an identity provider by its name.

    `role` is the full ARN of a session's role, for a role that is not in the `Access`: a session's ARN has no path.
    `session_policies` are the policies that were passed when the session was created (inline and managed ones alike).
    """

    arn: str
    identity: IdentitySide = IdentitySide.KNOWN
    role: str | None = None
    session_policies: tuple[PolicyDocument, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """All that is the same for every request of one caller."""

    who: Identity
    context: Mapping[str, tuple[str, ...]]
    policies: tuple[Placed, ...]
    boundary: tuple[Placed, ...] | None = None
    unknown_policies: tuple[str, ...] = ()
    unknown_boundary: str = ""
    everything: Saying | None = None
    """What the policies say of any request whatever, when they allow everything without condition."""
    session: tuple[Placed, ...] | None = None
    """The session policies; None where there are none, and nothing is limited by them."""
    fixed: frozenset[str] = frozenset()
    """Keys of `context` that no request changes: all but the tags of a role, which its sessions override ("Pass session tags
    in AWS STS").
    """


class Callers:
    """The profiles of all callers over one Access, each made once."""

    def __init__(self, access: Access, compiler: Compiler) -> None:
        self._access = access
        self._compiler = compiler
        # By ARN, one mapping for each identity side: a Caller's own hash costs as much as a decision's half.
        self._profiles: dict[bool, dict[str, Profile]] = {True: {}, False: {}}
        # Names are unique in an account whatever the path, and session ARNs carry no path.
        self._roles_by_name = {(arn.split(":", 5)[4], arn.rpartition("/")[2]): arn for arn in access.roles}

    def profile(self, caller: Caller) -> Profile:
        """What is known of a caller, made at its first request."""
        if caller.role is not None or caller.session_policies:
            return self._session_profile(caller)
        profiles = self._profiles[caller.identity is IdentitySide.KNOWN]
        found = profiles.get(caller.arn)
        if found is None:
            found = profiles[caller.arn] = self._make_profile(caller)
        return found

    def _session_profile(self, caller: Caller) -> Profile:
        """The profile of a caller whose role or session policies the request states; too varied to be kept."""
        profile = self._make_profile(caller)
        if not caller.session_policies:
            return profile
        # Not through the compiler, which keeps every document that it has seen.
        placed = tuple(("session policy", CompiledDocument(document, Side.IDENTITY)) for document in caller.session_policies)
        return replace(profile, session=placed)

    def _make_profile(self, caller: Caller) -> Profile:
        who = identity_of(caller.arn)
        if who.role and not who.role_path_known:
            name = who.role.rpartition("/")[2]
            known = self._roles_by_name.get((who.account_id, name))
            if known is None and caller.role is not None and _names_role(caller.role, who.account_id, name):
                known = caller.role
            if known is not None:
                who = Identity(who.arn, who.kind, who.account_id, who.partition, who.name, known)
        principal: Role | User | None = self._access.roles.get(who.role or "") or self._access.users.get(who.arn)
        context = principal_context(who, principal.tags if principal else {}, known=caller.identity is IdentitySide.KNOWN)
        fixed = frozenset(key for key in context if who.kind is Kind.USER or not key.startswith("aws:principaltag/"))
        if caller.identity is IdentitySide.ALLOWS_ALL or who.kind is Kind.EXTERNAL:
            everything = self._compiler.compile(_ALL, Side.IDENTITY)
            policies: tuple[Placed, ...] = ((f"assumed: {caller.arn} allows itself everything", everything),)
            everywhere = scan(policies, "sts:assumerole", caller.arn, {})
            return Profile(who, context, policies, everything=everywhere, fixed=fixed)
        if principal is None:
            return Profile(who, context, (), fixed=fixed)
        policies, unknown = self._identity_policies(principal)
        boundary, unknown_boundary = self._boundary(principal)
        return Profile(who, context, policies, boundary, unknown, unknown_boundary, fixed=fixed)

    def _identity_policies(self, principal: Role | User) -> tuple[tuple[Placed, ...], tuple[str, ...]]:
        """Inline and attached policies, and "For an IAM user, these include user policies and policies from groups to which
        the user belongs." (Policy evaluation logic) Also the ARNs of those whose text is not known.
        """
        holders: list[Role | User | Group] = [principal]
        unknown: list[str] = []
        if isinstance(principal, User):
            for arn in sorted(principal.groups):
                group = self._access.groups.get(arn)
                if group is None:
                    unknown.append(arn)
                else:
                    holders.append(group)
        placed: list[Placed] = []
        for holder in holders:
            for name, document in holder.inline.items():
                placed.append((f"inline policy {name} of {holder.arn}", self._compiler.compile(document, Side.IDENTITY)))
            for arn in sorted(holder.attached):
                compiled = self._managed(arn)
                if compiled is None:
                    unknown.append(arn)
                else:
                    placed.append((f"managed policy {arn}", compiled))
        return tuple(placed), tuple(unknown)

    def _boundary(self, principal: Role | User) -> tuple[tuple[Placed, ...] | None, str]:
        if principal.boundary is None:
            return None, ""
        compiled = self._managed(principal.boundary)
        if compiled is None:
            return (), principal.boundary
        return ((f"permissions boundary {principal.boundary}", compiled),), ""

    def _managed(self, arn: str) -> CompiledDocument | None:
        if policy := self._access.policies.get(arn):
            return self._compiler.compile(policy.document, Side.IDENTITY)
        parsed = parse_arn(arn)
        if parsed is not None and parsed.account_id == "aws" and parsed.resource.removeprefix("policy/") in BUILT_IN:
            return self._compiler.compile(BUILT_IN[parsed.resource.removeprefix("policy/")], Side.IDENTITY)
        return None


def _names_role(arn: str, account_id: str, name: str) -> bool:
    parsed = parse_arn(arn)
    return parsed is not None and (parsed.account_id, parsed.kind, parsed.name) == (account_id, "role", name)


def principal_context(who: Identity, tags: Mapping[str, str], *, known: bool) -> dict[str, tuple[str, ...]]:
    """Context keys that follow from the caller (AWS global condition context keys).

    `known` says that `tags` are all the principal's tags but for session tags, which only a request can say.
    """
    if who.kind is Kind.EXTERNAL:
        absent = ("aws:principalarn", "aws:principalaccount", "aws:username", "aws:multifactorauthpresent")
        return {"aws:principalisawsservice": (str(".amazonaws." in who.arn).lower(),), **dict.fromkeys(absent, ())}
    context: dict[str, tuple[str, ...]] = {
        # "For IAM roles, the request context returns the ARN of the role, not the ARN of the user that assumed the role."
        "aws:principalarn": (who.role or who.arn,),
        "aws:principalaccount": (who.account_id,),
        "aws:principaltype": (_principal_type(who),),
        # "This key is always included in the request context for IAM users. Anonymous requests and requests that are made
        # using the AWS account root user or IAM roles do not include this key." (AWS global condition context keys)
        "aws:username": (who.name,) if who.kind is Kind.USER else (),
        "aws:principalisawsservice": ("false",),
    }
    if known:
        context.update({f"aws:principaltag/{key.lower()}": (value,) for key, value in tags.items()})
    return context


def _principal_type(who: Identity) -> str:
    """aws:PrincipalType by the table "Principal key values" (IAM policy elements: Variables and tags)."""
    if who.kind is Kind.USER:
        return "User"
    if who.kind is Kind.ROOT:
        return "Account"
    return "AssumedRole" if who.role else "FederatedUser"
