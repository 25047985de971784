"""AssumeRole: the decision over the stored policies, by the project's own evaluator.

Rules: IAM User Guide ("Policy evaluation logic", "Cross-account policy evaluation logic", "Pass session tags in AWS STS",
"Monitor and control actions taken with assumed roles", "Roles terms and concepts"), November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from rolecall_generator.iam.access import Role
from rolecall_generator.iam.arn import parse_arn
from rolecall_generator.iam.evaluator import Caller, Decision, Evaluator, IdentitySide, Request
from rolecall_generator.iam.quotas import CHAINED_SESSION_SECONDS
from rolecall_runner.sandbox.authorize import session_context
from rolecall_runner.sandbox.aws_refusal import AwsRefusalError, denied, invalid
from rolecall_runner.sandbox.stored_access import StoredAccess
from rolecall_runner.sandbox.sts_parameters import AssumeRoleRequest
from rolecall_runner.sandbox.wire import ApiCall, SessionInfo

Values = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Assumption:
    """What an allowed AssumeRole gives the new session."""

    role: Role
    seconds: int
    tags: Mapping[str, str]
    transitive: frozenset[str]
    source_identity: str | None


def decide_assume(
    stored: StoredAccess,
    call: ApiCall,
    caller: SessionInfo,
    request: AssumeRoleRequest,
    *,
    mfa_age: int | None,
    now: datetime,
) -> Assumption:
    """Let the caller assume the role or raise AwsRefusalError.

    `mfa_age`: seconds since the second factor was given, None when there is none.
    """
    tags, transitive = _inherited_tags(caller, request)
    source_identity = _source_identity(caller, request)
    access, evaluator = stored.everything()
    context = {
        **call.context,
        **session_context(caller, now),
        **_own_keys(request, source_identity),
        **_mfa_keys(caller, mfa_age),
    }
    decision = _decision(evaluator, caller, request, context)
    # A role that does not exist is refused in the same words, as AWS does: the answer must not tell which roles there are.
    if not decision.allowed:
        if (parsed := parse_arn(caller.arn)) is not None and parsed.resource == "root":
            raise denied("Roles may not be assumed by root accounts.")
        raise denied(f"User: {caller.arn} is not authorized to perform: {decision.action} on resource: {request.role_arn}")
    role = access.roles[request.role_arn]
    return Assumption(role, _seconds(caller, request, role), tags, transitive, source_identity)


def _own_keys(request: AssumeRoleRequest, source_identity: str | None) -> dict[str, tuple[str, ...]]:
    """The condition keys of STS; an empty tuple is a key that the request does not carry."""
    return {
        "sts:externalid": _one(request.external_id),
        "sts:rolesessionname": (request.session_name,),
        "sts:sourceidentity": _one(source_identity),
        "sts:transitivetagkeys": request.transitive,
    }


def _mfa_keys(caller: SessionInfo, mfa_age: int | None) -> dict[str, tuple[str, ...]]:
    """The second factor of the request or the session. Long-term keys without one do not carry the keys at all."""
    if mfa_age is not None:
        return {"aws:multifactorauthpresent": ("true",), "aws:multifactorauthage": (str(mfa_age),)}
    present = () if caller.session_token is None else ("false",)
    return {"aws:multifactorauthpresent": present, "aws:multifactorauthage": ()}


def _decision(evaluator: Evaluator, caller: SessionInfo, request: AssumeRoleRequest, context: Values) -> Decision:
    side = IdentitySide.ALLOWS_ALL if caller.operator else IdentitySide.KNOWN
    who = Caller(caller.arn, side, session_policies=tuple(caller.session_policies))
    return evaluator.may_assume(Request(who, request.role_arn, context=context))


def _inherited_tags(caller: SessionInfo, request: AssumeRoleRequest) -> tuple[dict[str, str], frozenset[str]]:
    """The new session's tags: what the request passes and what the chain hands on, which cannot be overwritten."""
    handed_on = {key.lower() for key in caller.transitive}
    if handed_on & {key.lower() for key in request.tags}:
        raise AwsRefusalError(
            "InvalidParameterValue",
            "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the "
            "calling session.",
        )
    inherited = {key: value for key, value in caller.tags.items() if key.lower() in handed_on}
    return {**inherited, **request.tags}, frozenset(caller.transitive | frozenset(request.transitive))


def _source_identity(caller: SessionInfo, request: AssumeRoleRequest) -> str | None:
    """ "After a source identity is set ... the value cannot be changed"; it is passed on in every chained request."""
    if caller.source_identity and request.source_identity not in {None, caller.source_identity}:
        raise denied("The source identity of a session cannot be changed in a role chain.")
    return request.source_identity or caller.source_identity


def _seconds(caller: SessionInfo, request: AssumeRoleRequest, role: Role) -> int:
    """How long the session may last: the role's own maximum, and one hour for a session that assumes a role."""
    chained = caller.role_arn is not None
    if request.seconds is None:
        return CHAINED_SESSION_SECONDS
    if chained and request.seconds > CHAINED_SESSION_SECONDS:
        raise invalid("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining")
    if request.seconds > role.max_session_seconds:
        raise invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
    return request.seconds


def _one(value: str | None) -> tuple[str, ...]:
    return () if value is None else (value,)
