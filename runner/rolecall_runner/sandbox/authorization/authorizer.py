"""What a session may do after the assume: the project's evaluator over the stored policies, answered in AWS's words.

Allowed is what identity policies, permissions boundary and session policies allow together and none denies. What cannot be
decided (a condition key whose value is not known here, a resource that the request does not tell) is refused with a code of
its own, never allowed.

Texts: "Troubleshoot access denied error messages" (IAM User Guide) and "Error codes for the Amazon EC2 API", November 2026.

Where a decision hangs on what is not known here: a key's value, or the resource itself. The evaluator takes a key that
a request does not say as absent. That is right for keys that the action never carries; for one that it may carry, a
Deny could hold and an Allow could fail, so nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache

from rolecall_generator.iam import Access, Statement
from rolecall_generator.iam.evaluation import (
    Caller,
    Callers,
    CompiledStatement,
    Compiler,
    Decision,
    Effect,
    Evaluator,
    Placed,
    Request,
    Say,
    Side,
    scan,
)
from rolecall_generator.iam.matching import Truth
from rolecall_runner.sandbox.authorization.companion_actions import Need, needs, unenforced
from rolecall_runner.sandbox.authorization.context_keys import RESOURCE_TAGS, carries_unsaid
from rolecall_runner.sandbox.authorization.request_resources import EVERYTHING, StoredPaths, filled
from rolecall_runner.sandbox.protocol.error_catalog import ErrorCategory, refusal, refuse
from rolecall_runner.sandbox.protocol.http_types import ApiCall, HttpReply, SessionInfo

Context = Mapping[str, tuple[str, ...]]
_DRY_RUN = "Request would have succeeded, but DryRun flag is set."
_PRECONDITION_FAILED = 412
_IDENTITY, _BOUNDARY, _SESSION = "identity-based policy", "permissions boundary", "session policy"


@dataclass(frozen=True, slots=True)
class AuthorizationVerdict:
    """Whether a call may run. `trouble` says why not: DENIED, or UNSUPPORTED where it cannot be decided."""

    trouble: ErrorCategory | None = None
    message: str = ""

    @property
    def allowed(self) -> bool:
        """True when the call may run."""
        return self.trouble is None


ALLOWED = AuthorizationVerdict()


class Authorizer:
    """Decides calls over one Access; policies and callers are prepared once. `evaluator`, when given, is over the same."""

    def __init__(self, access: Access, evaluator: Evaluator | None = None) -> None:
        self._access = access
        self._evaluator = evaluator or Evaluator(access)
        self._compiler = Compiler()
        self._callers = Callers(access, self._compiler)
        self._paths = StoredPaths(access)

    def decide(self, call: ApiCall, session: SessionInfo, now: datetime) -> AuthorizationVerdict:
        """Whether the session may make the call at the time `now`."""
        if text := unenforced(call):
            return AuthorizationVerdict(ErrorCategory.UNSUPPORTED, text)
        # "the root user ... has complete access to all AWS services and resources in the account" (IAM User Guide)
        if session.operator or session.arn.endswith(":root"):
            return ALLOWED
        partition = session.arn.split(":", 2)[1]
        own_keys = session_context(session, now)
        for need in needs(call, self._access, session.account_id):
            resources = filled(need.resources, partition, session.account_id, session.arn)
            for resource in resources or (None,):
                known = None if resource is None else self._paths.full(resource)
                verdict = self._one(call, session, need, known, {**need.context, **own_keys})
                if not verdict.allowed:
                    return verdict
        return ALLOWED

    def _one(
        self, call: ApiCall, session: SessionInfo, need: Need, resource: str | None, context: Context
    ) -> AuthorizationVerdict:
        """One action on one resource; None is a resource that the request does not tell."""
        name = resource or EVERYTHING[0]
        keys = {**context, **_resource_account(name, call, session), **_resource_tags(self._access, name)}
        decision = self._evaluator.may(Request(Caller(session.arn), name, need.action, keys))
        narrowed = tuple(("session policy", self._compiler.compile(p, Side.IDENTITY)) for p in session.session_policies)
        profile = self._callers.profile(Caller(session.arn))
        everything = {**profile.context, **keys}
        layers = (profile.policies, profile.boundary, narrowed or None)
        session_say = scan(narrowed, need.action.lower(), name, everything).outcome if narrowed else Say.ALLOW
        if decision.effect is Effect.EXPLICIT_DENY or session_say is Say.DENY:
            kind = _denying_kind(decision)
            return AuthorizationVerdict(
                ErrorCategory.DENIED, refusal_text(call, session, need.action, resource, f"with an explicit deny in {kind}")
            )
        if why := _undecided(decision, session_say) or doubt(layers, need.action, resource, everything):
            return AuthorizationVerdict(
                ErrorCategory.UNSUPPORTED, f"The sandbox cannot decide {need.action} on {name} for {session.arn}: {why}."
            )
        if decision.allowed and session_say is Say.ALLOW:
            return ALLOWED
        kind = self._silent_kind(decision, profile.policies, need.action, name, everything)
        reason = f"because no {kind} allows the {need.action} action"
        return AuthorizationVerdict(ErrorCategory.DENIED, refusal_text(call, session, need.action, resource, reason))

    def _silent_kind(
        self, decision: Decision, policies: tuple[Placed, ...], action: str, resource: str, context: Context
    ) -> str:
        """Which kind of policy does not allow."""
        if decision.allowed:
            return _SESSION
        said = scan(policies, action.lower(), resource, context).outcome
        return _BOUNDARY if said is Say.ALLOW else _IDENTITY


def decide(
    call: ApiCall, session: SessionInfo, access: Access, now: datetime, evaluator: Evaluator | None = None
) -> AuthorizationVerdict:
    """One decision; who decides many over the same Access keeps an Authorizer."""
    return Authorizer(access, evaluator).decide(call, session, now)


class Authorization:
    """Decisions over an Access that changes: prepared anew when `everything` hands out another one."""

    def __init__(self, everything: Callable[[], tuple[Access, Evaluator]], clock: Callable[[], datetime]) -> None:
        self._everything = everything
        self._clock = clock
        self._prepared: tuple[Access, Authorizer] | None = None

    def answer(self, call: ApiCall, session: SessionInfo, request_id: str) -> HttpReply | None:
        """The refusal of a call, or the answer to a dry run; None to let it through."""
        access, evaluator = self._everything()
        # Read once: another thread may put its own in between, which is as good.
        prepared = self._prepared
        if prepared is None or prepared[0] is not access:
            prepared = self._prepared = access, Authorizer(access, evaluator)
        verdict = prepared[1].decide(call, session, self._clock())
        if verdict.trouble is not None:
            return refuse(call, verdict.trouble, request_id, verdict.message)
        if call.service == "ec2" and call.parameters.get("DryRun") is True:
            # "If you have the required permissions, the error response is DryRunOperation." moto knows it for a few
            # operations only, and would run the others.
            return refusal(call, "DryRunOperation", _DRY_RUN, _PRECONDITION_FAILED, request_id)
        return None


def session_context(session: SessionInfo, now: datetime) -> dict[str, tuple[str, ...]]:
    """Condition keys that follow from the session and the time ("AWS global condition context keys")."""
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


def refusal_text(call: ApiCall, session: SessionInfo, action: str, resource: str | None, reason: str) -> str:
    """AWS's text of a refusal; EC2 puts a sentence before it, S3 puts the resource between quotes."""
    place = ""
    if resource is not None and (resource != "*" or call.service != "ec2"):
        place = f' on resource: "{resource}"' if call.service == "s3" and resource != "*" else f" on resource: {resource}"
    text = f"User: {session.arn} is not authorized to perform: {action}{place} {reason}"
    return f"You are not authorized to perform this operation. {text}" if call.service == "ec2" else text


def _resource_account(resource: str, call: ApiCall, session: SessionInfo) -> dict[str, tuple[str, ...]]:
    """The account that owns the resource: that of its ARN, else the caller's; but a bucket may be anybody's."""
    says = resource.split(":", 5)[4:5]
    if says and says[0]:
        return {"aws:resourceaccount": (says[0],)}
    return {} if call.service == "s3" else {"aws:resourceaccount": (session.account_id,)}


def _resource_tags(access: Access, resource: str) -> dict[str, tuple[str, ...]]:
    """Tags of IAM's own resources, which are known here; the tags of other services' resources are not."""
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


def _undecided(decision: Decision, session_say: Say) -> str:
    """Why nothing can be claimed, or nothing."""
    if decision.effect is Effect.REFUSED:
        return decision.reason.removeprefix("refused: ")
    if decision.unknown_policies:
        return f"the text of {', '.join(decision.unknown_policies)} is not known"
    return "a session policy needs what is not known here" if session_say in {Say.MAYBE_ALLOW, Say.MAYBE_DENY} else ""


Layer = tuple[Placed, ...] | None
"""Policies of one kind, of which one must allow; None where there are none of that kind, and nothing is asked."""


@dataclass(frozen=True, slots=True)
class _Hint:
    """One statement that may concern the call, and the reason why that is not sure (empty: it is)."""

    allow: bool
    why: str


def doubt(layers: tuple[Layer, ...], action: str, resource: str | None, context: Context) -> str:
    """Why the call cannot be decided, or nothing. `resource` None says that the request does not tell it.

    No doubt where a sure statement allows in every layer and no unsure one denies, or where some layer has no statement
    that could allow.
    """
    hints = [list(_hints(layer, action, resource, context)) for layer in layers if layer is not None]
    if any(not any(hint.allow for hint in layer) for layer in hints):
        return ""
    for layer in hints:
        for hint in layer:
            if hint.why and not hint.allow:
                return hint.why
    for layer in hints:
        if not any(hint.allow and not hint.why for hint in layer):
            return next(hint.why for hint in layer if hint.allow)
    return ""


def _hints(layer: tuple[Placed, ...], action: str, resource: str | None, context: Context) -> Iterator[_Hint]:
    for _, document in layer:
        for statement in document.statements:
            why = _reach(statement, action, resource, context)
            if why is None:
                continue
            if statement.refusal:
                yield _Hint(statement.allow, statement.refusal)
                continue
            truth, unsaid = _holds(statement, action, context)
            if truth is not Truth.FALSE:
                yield _Hint(statement.allow, unsaid or why)


def _reach(statement: CompiledStatement, action: str, resource: str | None, context: Context) -> str | None:
    """None: the statement is about something else; empty: it is about the call; else why that is not sure."""
    source = statement.source
    if resource is not None and statement.concerns(action.lower(), resource, context):
        return ""
    if not _widened(replace(source, conditions=())).concerns(action.lower(), "*", context):
        return None
    if resource is None:
        everything = "*" in source.resources
        return "" if everything else "the request does not tell the resource"
    if resource.endswith("??????"):
        # A secret that is named without the six characters which AWS puts to its name.
        stem = resource.removesuffix("??????")
        if any(pattern.startswith(stem) for pattern in (*source.resources, *source.not_resources)):
            return "the request does not tell the secret's full ARN"
    return None


@lru_cache(maxsize=4_096)
def _widened(statement: Statement) -> CompiledStatement:
    """The statement about its actions alone."""
    return CompiledStatement(replace(statement, resources=("*",), not_resources=()), Side.IDENTITY, variables=True)


def _holds(statement: CompiledStatement, action: str, context: Context) -> tuple[Truth, str]:
    """Whether the conditions on known keys hold, and the first key whose value is not known."""
    unsaid = ""
    for test in statement.tests:
        unknown = next((key for key in (test.key, *test.variables) if carries_unsaid(action, context, key)), "")
        if unknown:
            unsaid = unsaid or f"the value of {unknown} is not known here"
        elif test.run(context) is Truth.FALSE:
            return Truth.FALSE, ""
    return Truth.TRUE, unsaid
