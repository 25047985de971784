"""Decides calls of sessions with the evaluator over the stored policies, with AWS's refusal messages.

A call that cannot be decided, because the value of a condition key or the resource is not known, is refused with a code of
its own and never allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache

from rolecall_generator.iam import Access, Statement
from rolecall_generator.iam.evaluation import (
    Caller,
    CallerProfiles,
    CompiledStatement,
    Compiler,
    Decision,
    Effect,
    Evaluator,
    NamedDocument,
    PolicyOutcome,
    PolicyType,
    Request,
    scan_documents,
)
from rolecall_generator.iam.matching import Truth
from rolecall_runner.sandbox.authorization.companion_actions import (
    RequiredPermission,
    required_permissions,
    unsupported_reason,
)
from rolecall_runner.sandbox.authorization.context_keys import RESOURCE_TAGS, may_have_unknown_value
from rolecall_runner.sandbox.authorization.request_resources import EVERYTHING, StoredPaths, fill_placeholders
from rolecall_runner.sandbox.protocol.error_catalog import ErrorCategory, category_reply, error_reply
from rolecall_runner.sandbox.protocol.http_types import ApiCall, ContextValues, HttpReply, SessionInfo

_DRY_RUN = "Request would have succeeded, but DryRun flag is set."
_PRECONDITION_FAILED = 412
_IDENTITY, _BOUNDARY, _SESSION = "identity-based policy", "permissions boundary", "session policy"


@dataclass(frozen=True, slots=True)
class AuthorizationVerdict:
    """The decision on a call: `error` is None to allow it, DENIED, or UNSUPPORTED when it cannot be decided."""

    error: ErrorCategory | None = None
    message: str = ""

    @property
    def allowed(self) -> bool:
        """Whether the call is allowed."""
        return self.error is None


ALLOWED = AuthorizationVerdict()


class Authorizer:
    """Decides calls on one Access, whose policies are compiled once. `evaluator` must be for the same Access."""

    def __init__(self, access: Access, evaluator: Evaluator | None = None) -> None:
        self._access = access
        self._evaluator = evaluator or Evaluator(access)
        self._compiler = Compiler()
        self._callers = CallerProfiles(access, self._compiler)
        self._paths = StoredPaths(access)

    def decide(self, call: ApiCall, session: SessionInfo, now: datetime) -> AuthorizationVerdict:
        """Decide a call of a session at the time `now`.

        Allowed is what identity policies, permissions boundary and session policies allow together and none denies.
        """
        if text := unsupported_reason(call):
            return AuthorizationVerdict(ErrorCategory.UNSUPPORTED, text)
        # "the root user ... has complete access to all AWS services and resources in the account" (IAM User Guide)
        if session.operator or session.arn.endswith(":root"):
            return ALLOWED
        partition = session.arn.split(":", 2)[1]
        own_keys = session_context(session, now)
        for need in required_permissions(call, self._access, session.account_id):
            resources = fill_placeholders(need.resources, partition, session.account_id, session.arn)
            for resource in resources or (None,):
                known = None if resource is None else self._paths.full(resource)
                verdict = self._decide_need(call, session, need, known, {**need.context, **own_keys})
                if not verdict.allowed:
                    return verdict
        return ALLOWED

    def _decide_need(
        self, call: ApiCall, session: SessionInfo, need: RequiredPermission, resource: str | None, context: ContextValues
    ) -> AuthorizationVerdict:
        """Decide one action on one resource; None is a resource that is not known from the request."""
        name = resource or EVERYTHING[0]
        keys = {**context, **_resource_account(name, call, session), **_resource_tags(self._access, name)}
        decision = self._evaluator.may(Request(Caller(session.arn), name, need.action, keys))
        narrowed = tuple(
            ("session policy", self._compiler.compile(p, PolicyType.IDENTITY)) for p in session.session_policies
        )
        profile = self._callers.profile(Caller(session.arn))
        everything = {**profile.context, **keys}
        layers = (profile.policies, profile.boundary, narrowed or None)
        session_effect = (
            scan_documents(narrowed, need.action.lower(), name, everything).outcome if narrowed else PolicyOutcome.ALLOW
        )
        if decision.effect is Effect.EXPLICIT_DENY or session_effect is PolicyOutcome.DENY:
            kind = _denying_kind(decision)
            return AuthorizationVerdict(
                ErrorCategory.DENIED,
                denial_message(call, session, need.action, resource, f"with an explicit deny in {kind}"),
            )
        if why := _unknown_policy(decision, session_effect) or indeterminate_reason(
            layers, need.action, resource, everything
        ):
            return AuthorizationVerdict(
                ErrorCategory.UNSUPPORTED, f"The sandbox cannot decide {need.action} on {name} for {session.arn}: {why}."
            )
        if decision.allowed and session_effect is PolicyOutcome.ALLOW:
            return ALLOWED
        kind = self._missing_allow(decision, profile.policies, need.action, name, everything)
        reason = f"because no {kind} allows the {need.action} action"
        return AuthorizationVerdict(ErrorCategory.DENIED, denial_message(call, session, need.action, resource, reason))

    def _missing_allow(
        self, decision: Decision, policies: tuple[NamedDocument, ...], action: str, resource: str, context: ContextValues
    ) -> str:
        """The kind of policy that lacks an Allow."""
        if decision.allowed:
            return _SESSION
        effect = scan_documents(policies, action.lower(), resource, context).outcome
        return _BOUNDARY if effect is PolicyOutcome.ALLOW else _IDENTITY


def decide(
    call: ApiCall, session: SessionInfo, access: Access, now: datetime, evaluator: Evaluator | None = None
) -> AuthorizationVerdict:
    """Decide one call. Use an Authorizer for several calls on the same Access."""
    return Authorizer(access, evaluator).decide(call, session, now)


class Authorization:
    """Decisions on the current Access: `everything` returns it, and a new Authorizer is made when it changes."""

    def __init__(self, everything: Callable[[], tuple[Access, Evaluator]], clock: Callable[[], datetime]) -> None:
        self._everything = everything
        self._clock = clock
        self._prepared: tuple[Access, Authorizer] | None = None

    def handle(self, call: ApiCall, session: SessionInfo, request_id: str) -> HttpReply | None:
        """The refusal of a call or the reply to a dry run; None to run it."""
        access, evaluator = self._everything()
        # Read once: another thread may replace it, by an equivalent one.
        prepared = self._prepared
        if prepared is None or prepared[0] is not access:
            prepared = self._prepared = access, Authorizer(access, evaluator)
        verdict = prepared[1].decide(call, session, self._clock())
        if verdict.error is not None:
            return category_reply(call, verdict.error, request_id, verdict.message)
        if call.service == "ec2" and call.parameters.get("DryRun") is True:
            # "If you have the required permissions, the error response is DryRunOperation." moto supports this for a few
            # operations and would run the others.
            return error_reply(call, "DryRunOperation", _DRY_RUN, _PRECONDITION_FAILED, request_id)
        return None


def session_context(session: SessionInfo, now: datetime) -> dict[str, tuple[str, ...]]:
    """Condition keys of the session and the time ("AWS global condition context keys", IAM User Guide)."""
    temporary = session.session_token is not None
    # "This key is not present when the user signs in with long-term credentials" (aws:MultiFactorAuthPresent)
    mfa = (str(session.mfa).lower(),) if temporary else ()
    age = (str(int((now - session.mfa_at).total_seconds())),) if session.mfa_at is not None and session.mfa else ()
    return {
        "aws:currenttime": (now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),),
        "aws:epochtime": (str(int(now.timestamp())),),
        "aws:multifactorauthpresent": mfa,
        "aws:multifactorauthage": age,
        "aws:sourceidentity": (session.source_identity,) if session.source_identity else (),
        "aws:tokenissuetime": (session.issued.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),) if session.issued else (),
        **({"aws:userid": (session.user_id,)} if session.user_id else {}),
        **{f"aws:principaltag/{key.lower()}": (value,) for key, value in session.tags.items()},
    }


def denial_message(call: ApiCall, session: SessionInfo, action: str, resource: str | None, reason: str) -> str:
    """AWS's message of a refusal. EC2 adds a sentence before it; S3 quotes the resource.

    Sources: "Troubleshoot access denied error messages" (IAM User Guide), "Error codes for the Amazon EC2 API", November
    2026.
    """
    place = ""
    if resource is not None and (resource != "*" or call.service != "ec2"):
        place = f' on resource: "{resource}"' if call.service == "s3" and resource != "*" else f" on resource: {resource}"
    text = f"User: {session.arn} is not authorized to perform: {action}{place} {reason}"
    return f"You are not authorized to perform this operation. {text}" if call.service == "ec2" else text


def _resource_account(resource: str, call: ApiCall, session: SessionInfo) -> dict[str, tuple[str, ...]]:
    """The account of the resource: that of its ARN, otherwise the caller's. Unknown for buckets, whose ARNs have none."""
    account = resource.split(":", 5)[4:5]
    if account and account[0]:
        return {"aws:resourceaccount": (account[0],)}
    return {} if call.service == "s3" else {"aws:resourceaccount": (session.account_id,)}


def _resource_tags(access: Access, resource: str) -> dict[str, tuple[str, ...]]:
    """Tags of IAM resources. Those of other services' resources are not known."""
    for kind in (access.roles, access.users, access.policies, access.instance_profiles):
        found = kind.get(resource)
        if found is not None:
            tags = {key.lower(): (value,) for key, value in found.tags.items()}
            return {f"{prefix}{key}": values for prefix in RESOURCE_TAGS for key, values in {"": (), **tags}.items()}
    return {}


def _denying_kind(decision: Decision) -> str:
    if decision.effect is not Effect.EXPLICIT_DENY:
        return f"a {_SESSION}"
    return f"a {_BOUNDARY}" if decision.policy.startswith("permissions boundary") else f"an {_IDENTITY}"


def _unknown_policy(decision: Decision, session_effect: PolicyOutcome) -> str:
    """Why an unknown policy prevents a decision, or an empty string."""
    if decision.effect is Effect.REFUSED:
        return decision.reason.removeprefix("refused: ")
    if decision.unknown_policies:
        return f"the content of {', '.join(decision.unknown_policies)} is not known"
    return (
        "a session policy depends on unknown values"
        if session_effect in {PolicyOutcome.MAYBE_ALLOW, PolicyOutcome.MAYBE_DENY}
        else ""
    )


Layer = tuple[NamedDocument, ...] | None
"""Policies of one kind, one of which must allow; None when this kind does not restrict the caller."""


@dataclass(frozen=True, slots=True)
class _Match:
    """A statement that may apply to the call; `why` is the reason for the uncertainty, empty when it applies."""

    allow: bool
    why: str


def indeterminate_reason(layers: tuple[Layer, ...], action: str, resource: str | None, context: ContextValues) -> str:
    """Why a call cannot be decided, or an empty string. `resource` is None when it is not known from the request.

    The evaluator treats a key that the request does not have as absent. That is correct for keys that the action never has;
    for a key that it may have with an unknown value, a Deny could apply and an Allow could fail. The call is decided if
    every layer has a statement that certainly allows and none that may deny, or if a layer has none that could allow.
    """
    matches = [list(_matches(layer, action, resource, context)) for layer in layers if layer is not None]
    if any(not any(match.allow for match in layer) for layer in matches):
        return ""
    for layer in matches:
        for match in layer:
            if match.why and not match.allow:
                return match.why
    for layer in matches:
        if not any(match.allow and not match.why for match in layer):
            return next(match.why for match in layer if match.allow)
    return ""


def _matches(
    layer: tuple[NamedDocument, ...], action: str, resource: str | None, context: ContextValues
) -> Iterator[_Match]:
    for _, document in layer:
        for statement in document.statements:
            why = _applies(statement, action, resource, context)
            if why is None:
                continue
            if statement.refusal:
                yield _Match(statement.allow, statement.refusal)
                continue
            truth, unknown = _holds(statement, action, context)
            if truth is not Truth.FALSE:
                yield _Match(statement.allow, unknown or why)


def _applies(statement: CompiledStatement, action: str, resource: str | None, context: ContextValues) -> str | None:
    """None: the statement does not apply to the call; empty: it does; otherwise why this is not certain."""
    source = statement.source
    if resource is not None and statement.applies_to(action.lower(), resource, context):
        return ""
    if not _widened(replace(source, conditions=())).applies_to(action.lower(), "*", context):
        return None
    if resource is None:
        return "" if "*" in source.resources else "the request does not determine the resource"
    if resource.endswith("??????"):
        # A secret named without the six characters that AWS appends to its name.
        stem = resource.removesuffix("??????")
        if any(pattern.startswith(stem) for pattern in (*source.resources, *source.not_resources)):
            return "the request does not determine the full ARN of the secret"
    return None


@lru_cache(maxsize=4_096)
def _widened(statement: Statement) -> CompiledStatement:
    """The statement for all resources."""
    return CompiledStatement(replace(statement, resources=("*",), not_resources=()), PolicyType.IDENTITY, variables=True)


def _holds(statement: CompiledStatement, action: str, context: ContextValues) -> tuple[Truth, str]:
    """Whether the conditions on known keys hold, and a message for the first key with an unknown value."""
    reason = ""
    for test in statement.tests:
        unknown = next((key for key in (test.key, *test.variables) if may_have_unknown_value(action, context, key)), "")
        if unknown:
            reason = reason or f"the value of {unknown} is not known"
        elif test.run(context) is Truth.FALSE:
            return Truth.FALSE, ""
    return Truth.TRUE, reason
