"""Callers, their policies, and the context of their requests.

Quotations are from the IAM User Guide, November 2026; the page is given in parentheses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from rolecall_generator.iam import Access, Arn, Group, PolicyDocument, Role, Statement, User
from rolecall_generator.iam.evaluation.compiled import (
    CompiledDocument,
    Compiler,
    Identity,
    NamedDocument,
    PolicyType,
    PrincipalKind,
    ScanResult,
    identity_of,
    scan_documents,
)

_ALL = PolicyDocument((Statement("Allow", ("*",), ("*",)),))
# AWS managed policies with known documents, from the AWS managed policy reference (November 2026).
AWS_MANAGED_DOCUMENTS = {
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
    """The caller's own policies: those in the `Access` (KNOWN), or unknown and assumed to allow everything (ALLOWS_ALL)."""

    KNOWN = "known"
    ALLOWS_ALL = "allows-all"


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of a request: the ARN of a user, role or role session, or the name of a service or identity provider.

    `role` is the full ARN of a session's role if the role is not in the `Access`: a session's ARN has no path.
    `session_policies` are the inline and managed policies passed when the session was created.
    """

    arn: str
    identity: IdentitySide = IdentitySide.KNOWN
    role: str | None = None
    session_policies: tuple[PolicyDocument, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """What all requests of one caller have in common.

    `everything`: the result for any request, if the policies allow everything without conditions. `session`: the session
    policies, None if there are none. `fixed`: keys of `context` that a request cannot change, which are all except the
    tags of a role, which session tags override ("Pass session tags in AWS STS").
    """

    requester: Identity
    context: Mapping[str, tuple[str, ...]]
    policies: tuple[NamedDocument, ...]
    boundary: tuple[NamedDocument, ...] | None = None
    unknown_policies: tuple[str, ...] = ()
    unknown_boundary: str = ""
    everything: ScanResult | None = None
    session: tuple[NamedDocument, ...] | None = None
    fixed: frozenset[str] = frozenset()


class CallerProfiles:
    """The profiles of callers for one Access, cached."""

    def __init__(self, access: Access, compiler: Compiler) -> None:
        self._access = access
        self._compiler = compiler
        # By identity side and ARN: hashing a Caller costs as much as half a decision.
        self._profiles: dict[bool, dict[str, Profile]] = {True: {}, False: {}}
        # Role names are unique in an account regardless of the path, and session ARNs have no path.
        self._roles_by_name = {(arn.split(":", 5)[4], arn.rpartition("/")[2]): arn for arn in access.roles}

    def profile(self, caller: Caller) -> Profile:
        """The profile of a caller."""
        if caller.role is not None or caller.session_policies:
            return self._session_profile(caller)
        profiles = self._profiles[caller.identity is IdentitySide.KNOWN]
        found = profiles.get(caller.arn)
        if found is None:
            found = profiles[caller.arn] = self._make_profile(caller)
        return found

    def _session_profile(self, caller: Caller) -> Profile:
        """The profile of a caller with a stated role or session policies; not cached."""
        profile = self._make_profile(caller)
        if not caller.session_policies:
            return profile
        # Not through the compiler, which caches every document.
        placed = tuple(
            ("session policy", CompiledDocument(document, PolicyType.IDENTITY)) for document in caller.session_policies
        )
        return replace(profile, session=placed)

    def _make_profile(self, caller: Caller) -> Profile:
        requester = identity_of(caller.arn)
        if requester.role and not requester.role_path_known:
            name = requester.role.rpartition("/")[2]
            known = self._roles_by_name.get((requester.account_id, name))
            if known is None and caller.role is not None and _names_role(caller.role, requester.account_id, name):
                known = caller.role
            if known is not None:
                requester = Identity(
                    requester.arn,
                    requester.kind,
                    requester.account_id,
                    requester.partition,
                    requester.name,
                    known,
                )
        principal: Role | User | None = self._access.roles.get(requester.role or "") or self._access.users.get(requester.arn)
        context = principal_context(
            requester, principal.tags if principal else {}, known=caller.identity is IdentitySide.KNOWN
        )
        fixed = frozenset(
            key for key in context if requester.kind is PrincipalKind.USER or not key.startswith("aws:principaltag/")
        )
        if caller.identity is IdentitySide.ALLOWS_ALL or requester.kind is PrincipalKind.EXTERNAL:
            everything = self._compiler.compile(_ALL, PolicyType.IDENTITY)
            policies: tuple[NamedDocument, ...] = ((f"assumed policy of {caller.arn} that allows everything", everything),)
            everywhere = scan_documents(policies, "sts:assumerole", caller.arn, {})
            return Profile(requester, context, policies, everything=everywhere, fixed=fixed)
        if principal is None:
            return Profile(requester, context, (), fixed=fixed)
        policies, unknown = self._identity_policies(principal)
        boundary, unknown_boundary = self._boundary(principal)
        return Profile(requester, context, policies, boundary, unknown, unknown_boundary, fixed=fixed)

    def _identity_policies(self, principal: Role | User) -> tuple[tuple[NamedDocument, ...], tuple[str, ...]]:
        """Inline and attached policies, and "For an IAM user, these include user policies and policies from groups to which
        the user belongs." (Policy evaluation logic) Second, the ARNs of policies and groups that are not known.
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
        placed: list[NamedDocument] = []
        for holder in holders:
            for name, document in holder.inline.items():
                placed.append(
                    (f"inline policy {name} of {holder.arn}", self._compiler.compile(document, PolicyType.IDENTITY))
                )
            for arn in sorted(holder.attached):
                compiled = self._managed(arn)
                if compiled is None:
                    unknown.append(arn)
                else:
                    placed.append((f"managed policy {arn}", compiled))
        return tuple(placed), tuple(unknown)

    def _boundary(self, principal: Role | User) -> tuple[tuple[NamedDocument, ...] | None, str]:
        if principal.boundary is None:
            return None, ""
        compiled = self._managed(principal.boundary)
        if compiled is None:
            return (), principal.boundary
        return ((f"permissions boundary {principal.boundary}", compiled),), ""

    def _managed(self, arn: str) -> CompiledDocument | None:
        if policy := self._access.policies.get(arn):
            return self._compiler.compile(policy.document, PolicyType.IDENTITY)
        parsed = Arn.parse(arn)
        if (
            parsed is not None
            and parsed.account_id == "aws"
            and parsed.resource.removeprefix("policy/") in AWS_MANAGED_DOCUMENTS
        ):
            return self._compiler.compile(
                AWS_MANAGED_DOCUMENTS[parsed.resource.removeprefix("policy/")], PolicyType.IDENTITY
            )
        return None


def _names_role(arn: str, account_id: str, name: str) -> bool:
    parsed = Arn.parse(arn)
    return parsed is not None and (parsed.account_id, parsed.kind, parsed.name) == (account_id, "role", name)


def principal_context(requester: Identity, tags: Mapping[str, str], *, known: bool) -> dict[str, tuple[str, ...]]:
    """Context keys determined by the caller (AWS global condition context keys).

    `known`: `tags` are complete except for session tags, which only a request can state.
    """
    if requester.kind is PrincipalKind.EXTERNAL:
        absent = ("aws:principalarn", "aws:principalaccount", "aws:username", "aws:multifactorauthpresent")
        return {
            "aws:principalisawsservice": (str(".amazonaws." in requester.arn).lower(),),
            **dict.fromkeys(absent, ()),
        }
    context: dict[str, tuple[str, ...]] = {
        # "For IAM roles, the request context returns the ARN of the role, not the ARN of the user that assumed the role."
        "aws:principalarn": (requester.role or requester.arn,),
        "aws:principalaccount": (requester.account_id,),
        "aws:principaltype": (_principal_type(requester),),
        # "This key is always included in the request context for IAM users. Anonymous requests and requests that are made
        # using the AWS account root user or IAM roles do not include this key." (AWS global condition context keys)
        "aws:username": (requester.name,) if requester.kind is PrincipalKind.USER else (),
        "aws:principalisawsservice": ("false",),
    }
    if known:
        context.update({f"aws:principaltag/{key.lower()}": (value,) for key, value in tags.items()})
    return context


def _principal_type(requester: Identity) -> str:
    """The value of aws:PrincipalType by the table "Principal key values" (IAM policy elements: Variables and tags)."""
    if requester.kind is PrincipalKind.USER:
        return "User"
    if requester.kind is PrincipalKind.ROOT:
        return "Account"
    return "AssumedRole" if requester.role else "FederatedUser"


TAG_SESSION = "sts:TagSession"
SET_SOURCE_IDENTITY = "sts:SetSourceIdentity"
_REQUEST_TAG = "aws:requesttag/"
_RESOURCE_TAGS = ("aws:resourcetag/", "iam:resourcetag/")
_RESOURCE_ACCOUNT = "aws:resourceaccount"


def request_context(
    access: Access, profile: Profile, resource: str, stated: Mapping[str, str | tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """The stated context with the keys determined by caller and resource, which a request cannot override.

    The caller determines the keys of `principal_context` (including a user's tags; a role's tags can be overridden by
    session tags). The resource determines its account and, for a role that is not `existing`, its tags.

    "Key names are case-insensitive." (IAM policy elements: Variables and tags) "IAM and AWS STS support both the
    iam:ResourceTag IAM condition key and the aws:ResourceTag global condition key." (IAM and AWS STS condition context
    keys) aws:TagKeys is "a list of tag keys without values" of the request's tags (AWS global condition context keys).
    """
    context = dict(profile.context)
    account = resource.split(":", 5)[4:5]
    if account and account[0]:
        context[_RESOURCE_ACCOUNT] = (account[0],)
    role = access.roles.get(resource)
    if role is not None and role.tags:
        context.update(_tag_keys(role))
    return _with_stated(context, stated, profile, role) if stated else context


def _tag_keys(role: Role) -> Iterator[tuple[str, tuple[str, ...]]]:
    for key, tag in role.tags.items():
        for prefix in _RESOURCE_TAGS:
            yield f"{prefix}{key.lower()}", (tag,)


def _with_stated(
    context: dict[str, tuple[str, ...]],
    stated: Mapping[str, str | tuple[str, ...]],
    profile: Profile,
    role: Role | None,
) -> dict[str, tuple[str, ...]]:
    """Add the stated keys that neither caller nor resource determines."""
    declared = role is not None and not role.existing
    tags: list[str] = []
    for key, value in stated.items():
        values = (value,) if isinstance(value, str) else value
        lower = key.lower()
        if lower in profile.fixed or (lower == _RESOURCE_ACCOUNT and lower in context):
            continue
        if lower.startswith(_RESOURCE_TAGS) and (declared or lower in context):
            continue
        context[lower] = values
        if values and lower.startswith(_REQUEST_TAG):
            tags.append(key[len(_REQUEST_TAG) :])
    if tags and not context.get("aws:tagkeys"):
        context["aws:tagkeys"] = tuple(tags)
    return context


def unable_to_assume(requester: Identity) -> str:
    """Why a caller of this kind cannot assume any role, whatever the policies; empty if it can.

    "IAM user or IAM role with existing temporary security credentials" may call AssumeRole; those of GetFederationToken
    "Cannot call AWS STS operations except GetCallerIdentity." (Compare AWS STS credentials) "you can't use the temporary
    credentials to assume a role, which means that role chaining is not possible." (Pass session tags in AWS STS)
    """
    if requester.kind is PrincipalKind.ROOT:
        return "the root user cannot assume roles"
    if requester.kind is PrincipalKind.SESSION and requester.role is None:
        return "a federated user's session cannot assume roles"
    return ""


def keep_source_identity(context: dict[str, tuple[str, ...]]) -> bool:
    """Copy a session's source identity to the request's context; False if the request sets a different one.

    "When the calling principal assumes the role, the source identity in the request persists from the first assumed role
    session. Therefore, both the aws:SourceIdentity and sts:SourceIdentity keys are present in the request context." "If the
    user attempts to set a source identity that is different from the value set when CriticalRole was assumed, the assume
    role request will be denied." (Monitor and control actions taken with assumed roles)
    """
    persisted = context.get("aws:sourceidentity")
    if not persisted:
        return True
    if not context.get("sts:sourceidentity"):
        context["sts:sourceidentity"] = persisted
    return context["sts:sourceidentity"] == persisted


def companions(context: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The additional STS actions that the context requires: TagSession, SetSourceIdentity."""
    needed: list[str] = []
    if context.get("aws:tagkeys") or context.get("sts:transitivetagkeys"):
        needed.append(TAG_SESSION)
    if context.get("sts:sourceidentity"):
        needed.append(SET_SOURCE_IDENTITY)
    return tuple(needed)
