"""The evaluator: whether a principal may assume a role or perform an action, and which statement decides.

Evaluated: the role's trust policy, the caller's identity policies, permissions boundary and session policies. Not evaluated:
service control policies, resource control policies and VPC endpoint policies, which can only restrict.

Quotations are from the IAM User Guide, November 2026; the page is given in parentheses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from rolecall_generator.iam import Access, Arn, Statement
from rolecall_generator.iam.evaluation.compiled import (
    Compiler,
    NamedDocument,
    PolicyOutcome,
    PolicyType,
    PrincipalKind,
    PrincipalReach,
    ScanResult,
    scan_documents,
)
from rolecall_generator.iam.evaluation.request_context import (
    SET_SOURCE_IDENTITY,
    TAG_SESSION,
    Caller,
    CallerProfiles,
    Profile,
    companions,
    keep_source_identity,
    request_context,
    unable_to_assume,
)

ASSUME_ROLE = "sts:AssumeRole"
_ARN = "aws:principalarn"
FEDERATED_ASSUME = ("sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity")
_ASSUMING = frozenset(name.lower() for name in (ASSUME_ROLE, *FEDERATED_ASSUME))
_TRUST_ACTIONS = _ASSUMING | {TAG_SESSION.lower(), SET_SOURCE_IDENTITY.lower()}


@dataclass(frozen=True, slots=True)
class Request:
    """One request. An empty tuple as a context value marks an absent key.

    `free`: keys that the context does not state are assumed in favor of the caller (an Allow holds, a Deny does not), so
    that a denial is valid for every value; `Decision.assumed` lists the keys.
    """

    principal: Caller
    resource: str
    action: str = ASSUME_ROLE
    context: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    free: bool = False


class Effect(Enum):
    """Outcome of a decision. REFUSED: undecided, because of undocumented behavior or missing information."""

    ALLOW = "allow"
    EXPLICIT_DENY = "explicit deny"
    IMPLICIT_DENY = "implicit deny"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision, the statement that made it, the name of its policy, and the action that it is about.

    `unknown_policies`: ARNs of the caller's policies whose document is not known. `assumed`: see `Request.free`.
    """

    effect: Effect
    reason: str
    action: str
    statement: Statement | None = None
    policy: str = ""
    unknown_policies: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        """True only for ALLOW; an undecided request is not allowed."""
        return self.effect is Effect.ALLOW


class Evaluator:
    """Decides requests for one Access. Compiled documents and profiles of callers are cached."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._compiler = Compiler()
        self._callers = CallerProfiles(access, self._compiler)
        self._trusts: dict[str, tuple[NamedDocument, ...]] = {}

    def may_assume(self, request: Request) -> Decision:
        """Decide AssumeRole on `request.resource`, with TagSession and SetSourceIdentity if the context requires them.

        Tags: "In addition to the action that matches the API operation, you must have the following permissions-only
        action in your policy: sts:TagSession" (Pass session tags in AWS STS). Source identity: "you must include the
        sts:SetSourceIdentity permission in two places. It must be in the permissions policy of the principal in the
        originating account and in the role trust policy of the role in the target account." (Monitor and control actions
        taken with assumed roles)
        """
        profile = self._callers.profile(request.principal)
        if profile.requester.role_path_known:
            return self._may_assume(request, profile)
        decisions = [self._may_assume(request, each) for each in self._with_role_path(profile, request.resource)]
        if len({decision.effect for decision in decisions}) > 1:
            reason = f"refused: {profile.requester.arn} can be a session of several roles with that name"
            return Decision(Effect.REFUSED, reason, request.action)
        return decisions[0]

    def _may_assume(self, request: Request, profile: Profile) -> Decision:
        context = request_context(self._access, profile, request.resource, request.context)
        assuming = bool(request.context) and request.action.lower() in _ASSUMING
        if assuming and not keep_source_identity(context):
            reason = "the source identity of the session cannot be changed"
            return Decision(Effect.IMPLICIT_DENY, reason, SET_SOURCE_IDENTITY)
        decision = self._decide(request, profile, context, request.action)
        if decision.allowed and assuming:
            for action in companions(context):
                companion = self._decide(request, profile, context, action)
                if not companion.allowed:
                    return companion
        return decision

    def may(self, request: Request) -> Decision:
        """Decide any action by the caller's identity policies, boundary and session policies.

        STS actions on a role are decided by `may_assume`.
        """
        if request.action.lower() in _TRUST_ACTIONS:
            return self.may_assume(request)
        profile = self._callers.profile(request.principal)
        context = request_context(self._access, profile, request.resource, request.context)
        limits = _scan_identity(profile, request, request.action, context)
        denial = _explicit_denial(profile, request.action, limits.results)
        return denial or _identity_side(profile, request.action, limits)

    def _with_role_path(self, profile: Profile, role_arn: str) -> list[Profile]:
        """The possible profiles of a session whose role is not in the `Access`, so that the role's path is unknown.

        "IAM user, group, role, and policy names must be unique within the account." (IAM API: CreateRole) So if the trust
        policy names a role with that name, the session is one of that role, and its ARN is the one for Principal and
        aws:PrincipalArn. If it names none, the role is assumed to have no path.
        """
        requester = profile.requester
        name = (requester.account_id, (requester.role or "").rpartition("/")[2])
        arns: set[str] = set()
        for _, document in self._trust(role_arn):
            for statement in document.statements:
                arns |= statement.principals.roles.get(name, set())
        if not arns:
            return [profile]
        return [
            replace(
                profile,
                requester=replace(requester, role=arn, role_path_known=True),
                context={**profile.context, _ARN: (arn,)},
            )
            for arn in sorted(arns)
        ]

    def _decide(self, request: Request, profile: Profile, context: Mapping[str, tuple[str, ...]], action: str) -> Decision:
        """Decide in the documented order: explicit denies in any policy, the trust policy, then the identity side."""
        requester = profile.requester
        if unable := unable_to_assume(requester):
            return Decision(Effect.IMPLICIT_DENY, unable, action)
        trust_documents = self._trust(request.resource)
        if not trust_documents:
            return Decision(Effect.REFUSED, f"refused: the trust policy of {request.resource} is not known", action)
        trust = scan_documents(
            trust_documents, action.lower(), request.resource, context, requester=requester, free=request.free
        )
        limits = _scan_identity(profile, request, action, context)
        if denial := _explicit_denial(profile, action, (trust, *limits.results)):
            return denial
        if trust.outcome is not PolicyOutcome.ALLOW:
            # "IAM role trust policies and KMS key policies are exceptions to this logic, because they must explicitly allow
            # access for principals." (Policy evaluation logic)
            return _unallowed(profile, action, trust, f"no statement of the trust policy of {request.resource} allows it")
        _, partition, _, _, account_id, _ = request.resource.split(":", 5)
        if requester.kind is not PrincipalKind.EXTERNAL and partition != requester.partition:
            # "IAM roles and resource-based policies delegate access across accounts only within a single partition." (Cross
            # account resource access in IAM)
            return Decision(Effect.IMPLICIT_DENY, "caller and role are in different partitions", action)
        denial = _identity_denial(profile, action, account_id, trust, limits)
        return denial or _allowed(profile, action, trust, limits.identity)

    def _trust(self, role_arn: str) -> tuple[NamedDocument, ...]:
        found = self._trusts.get(role_arn)
        if found is None:
            role = self._access.roles.get(role_arn)
            found = ()
            if role is not None and role.trust is not None and Arn.parse(role_arn):
                found = ((f"trust policy of {role_arn}", self._compiler.compile(role.trust, PolicyType.TRUST)),)
            self._trusts[role_arn] = found
        return found


@dataclass(frozen=True, slots=True)
class _Limits:
    """Results for the caller's own policies; `boundary` and `session` are None if the caller has none."""

    identity: ScanResult
    boundary: ScanResult | None = None
    session: ScanResult | None = None

    @property
    def results(self) -> tuple[ScanResult | None, ...]:
        return self.identity, self.boundary, self.session


def _scan_identity(profile: Profile, request: Request, action: str, context: Mapping[str, tuple[str, ...]]) -> _Limits:
    """Scan identity policies, boundary and session policies for the action."""
    if profile.everything is not None and profile.session is None:
        return _Limits(profile.everything)

    def scan_for_action(policies: tuple[NamedDocument, ...]) -> ScanResult:
        return scan_documents(policies, action.lower(), request.resource, context, free=request.free)

    return _Limits(
        profile.everything or scan_for_action(profile.policies),
        None if profile.boundary is None else scan_for_action(profile.boundary),
        None if profile.session is None else scan_for_action(profile.session),
    )


def _identity_denial(profile: Profile, action: str, account_id: str, trust: ScanResult, limits: _Limits) -> Decision | None:
    """The denial by the identity side for a request that the trust policy allows; None if it is allowed or not required.

    Services and federated callers have no identity side. "For cross-account requests, the requester in the trusted AccountA
    must have an identity-based policy. That policy must allow them to make a request to the resource in the trusting
    AccountB." (Cross-account policy evaluation logic) Within one account: "When a resource-based policy grants access to a
    principal in the same account, no additional identity-based policy is required." (STS API: AssumeRole) But for role
    chaining "permissions for sts:SetSourceIdentity are required in both the permissions policy of the principal who is
    assuming the role and in the role trust policy of the target role. Otherwise, the assume role operation will fail."
    (Monitor and control actions taken with assumed roles)
    """
    requester = profile.requester
    if requester.kind is PrincipalKind.EXTERNAL:
        return None
    chained_identity = requester.role is not None and action.lower() == SET_SOURCE_IDENTITY.lower()
    if requester.account_id == account_id and trust.reach >= PrincipalReach.ROLE and not chained_identity:
        return _same_account_denial(profile, action, trust, limits)
    decision = _identity_side(profile, action, limits)
    return None if decision.allowed else decision


def _same_account_denial(profile: Profile, action: str, trust: ScanResult, limits: _Limits) -> Decision | None:
    """The denial by boundary or session policies within one account, if the trust policy names more than the account.

    "Resource-based policies that grant permissions to an IAM role ARN are limited by an implicit deny in a permissions
    boundary or session policy." "Permissions granted directly to a session are not limited by an implicit deny in an
    identity-based policy, a permissions boundary, or session policy." (Policy evaluation logic) For users the pages
    contradict each other, so the result is REFUSED: resource-based policies that grant to a user's ARN "are not limited by
    an implicit deny in an identity-based policy or permissions boundary" (the same page), but "If a permissions boundary is
    set for the user, then it must allow the sts:AssumeRole action." (Update a role trust policy)
    """
    if trust.reach is PrincipalReach.ROLE or profile.unknown_boundary:
        return _bounded(profile, action, limits)
    if profile.requester.kind is not PrincipalKind.USER or (denial := _bounded(profile, action, limits)) is None:
        return None
    reason = f"refused: {denial.reason.removeprefix('refused: ')}, and AWS does not document whether it must"
    return replace(denial, effect=Effect.REFUSED, reason=reason)


def _explicit_denial(profile: Profile, action: str, results: tuple[ScanResult | None, ...]) -> Decision | None:
    """The decision of an explicit deny, or of a possible one, in any policy; None if there is none."""
    for result in results:
        if result is not None and result.outcome is PolicyOutcome.DENY:
            reason = f"explicit deny in {result.where}"
            return Decision(Effect.EXPLICIT_DENY, reason, action, result.statement, result.where, profile.unknown_policies)
    for result in results:
        if result is not None and result.outcome is PolicyOutcome.MAYBE_DENY:
            return _refused(profile, action, result)
    return None


def _identity_side(profile: Profile, action: str, limits: _Limits) -> Decision:
    """Identity policies, boundary and session policies: "the resulting permissions are the intersection" (Policy evaluation
    logic).
    """
    if limits.identity.outcome is not PolicyOutcome.ALLOW:
        return _unallowed(profile, action, limits.identity, f"no identity policy of {profile.requester.arn} allows it")
    return _bounded(profile, action, limits) or _allowed(profile, action, limits.identity)


def _bounded(profile: Profile, action: str, limits: _Limits) -> Decision | None:
    """The implicit deny by boundary or session policies; None if they allow."""
    if profile.unknown_boundary:
        reason = f"refused: the permissions boundary {profile.unknown_boundary} is not known"
        return Decision(Effect.REFUSED, reason, action, unknown_policies=profile.unknown_policies)
    for result, what in ((limits.boundary, "the permissions boundary"), (limits.session, "no session policy")):
        if result is not None and result.outcome is not PolicyOutcome.ALLOW:
            does = "allows" if what.startswith("no ") else "does not allow"
            return _unallowed(profile, action, result, f"{what} of {profile.requester.arn} {does} it")
    return None


def _unallowed(profile: Profile, action: str, result: ScanResult, reason: str) -> Decision:
    if result.outcome is PolicyOutcome.MAYBE_ALLOW:
        return _refused(profile, action, result)
    return Decision(Effect.IMPLICIT_DENY, reason, action, unknown_policies=profile.unknown_policies)


def _refused(profile: Profile, action: str, result: ScanResult) -> Decision:
    why = result.refusal or "a condition depends on a key that is unknown, or that has several values"
    return Decision(Effect.REFUSED, f"refused: {why}", action, result.statement, result.where, profile.unknown_policies)


def _allowed(profile: Profile, action: str, result: ScanResult, identity: ScanResult | None = None) -> Decision:
    keys = tuple(dict.fromkeys((*result.assumed, *(identity.assumed if identity else ()))))
    return Decision(
        Effect.ALLOW, f"allowed by {result.where}", action, result.statement, result.where, profile.unknown_policies, keys
    )
