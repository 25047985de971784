"""AssumeRole: validation of its parameters, and the decision over the stored policies.

Limits and patterns: botocore 1.44.5's model of STS and the STS API reference, November 2026. Messages are those of AWS;
where none is documented the message is the sandbox's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from rolecall_generator.iam import PARTITIONS, Arn, PolicyDocument, Role, quotas
from rolecall_generator.iam.evaluation import Caller, Decision, Evaluator, IdentitySide, Request
from rolecall_runner.sandbox.authorization.authorizer import session_context
from rolecall_runner.sandbox.iam.iam_writes import check_identity_document
from rolecall_runner.sandbox.iam.moto_backends import StoredAccess
from rolecall_runner.sandbox.protocol.aws_protocol import (
    ApiCall,
    AwsRefusalError,
    ContextValues,
    QueryParameters,
    SessionInfo,
    access_denied,
    constraint_error,
    validation_error,
)

MINIMUM_SECONDS = 900
USER_SESSION_SECONDS = 43_200
USER_SESSION_MAXIMUM_SECONDS = 129_600
SESSION_POLICY_CHARACTERS = 2_048
SESSION_POLICY_ARNS = 10

_NAME = re.compile(r"[\w+=,.@-]*", re.ASCII)
_EXTERNAL_ID = re.compile(r"[\w+=,.@:\/-]*", re.ASCII)
_SERIAL = re.compile(r"[\w+=/:,.@-]*", re.ASCII)
_TOKEN = re.compile(r"\d*", re.ASCII)
_TAG = re.compile(r"[\w\s_.:/=+\-@]*")
_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class AssumeRoleRequest:
    """Validated parameters of AssumeRole; `seconds` is None without DurationSeconds."""

    role_arn: str
    session_name: str
    external_id: str | None = None
    seconds: int | None = None
    serial_number: str | None = None
    token_code: str | None = field(default=None, repr=False)
    tags: Mapping[str, str] = field(default_factory=dict)
    transitive: tuple[str, ...] = ()
    source_identity: str | None = None
    policy: PolicyDocument | None = None
    policy_arns: tuple[str, ...] = ()

    @property
    def account_id(self) -> str:
        """The account ID of the role."""
        return self.role_arn.split(":")[4]

    @property
    def partition(self) -> str:
        """The partition of the role."""
        return self.role_arn.split(":")[1]


def read_assume_role(form: QueryParameters) -> AssumeRoleRequest:
    """Parse and validate AssumeRole. Raises AwsRefusalError for the first invalid parameter."""
    arn = _text(form, "RoleArn", 20, 2_048, None)
    name = _text(form, "RoleSessionName", 2, 64, _NAME)
    if arn is None or name is None:
        missing = "roleArn" if arn is None else "roleSessionName"
        raise validation_error(
            f"1 validation error detected: Value null at '{missing}' failed to satisfy constraint: Member must not be null"
        )
    tags, transitive = read_tags(form)
    request = AssumeRoleRequest(
        arn,
        name,
        external_id=_text(form, "ExternalId", 2, quotas.EXTERNAL_ID_CHARACTERS, _EXTERNAL_ID),
        seconds=read_seconds(form, quotas.MAXIMUM_MAX_SESSION_SECONDS),
        serial_number=_text(form, "SerialNumber", 9, 256, _SERIAL),
        token_code=_text(form, "TokenCode", 6, 6, _TOKEN),
        tags=tags,
        transitive=transitive,
        source_identity=_text(form, "SourceIdentity", 2, 64, _NAME),
        policy=_policy(form),
        policy_arns=_policy_arns(form),
    )
    _check_arn(arn)
    return request


def read_seconds(form: QueryParameters, maximum: int) -> int | None:
    """DurationSeconds, from 900 to `maximum`; None when it is absent. Raises AwsRefusalError."""
    text = form.get("DurationSeconds")
    if text is None:
        return None
    if not text.isdecimal():
        raise AwsRefusalError("MalformedInput", f"{text} is not a whole number of seconds")
    seconds = int(text)
    if seconds < MINIMUM_SECONDS:
        raise constraint_error("durationSeconds", seconds, f"have value greater than or equal to {MINIMUM_SECONDS}")
    if seconds > maximum:
        raise constraint_error("durationSeconds", seconds, f"have value less than or equal to {maximum}")
    return seconds


def read_mfa(form: QueryParameters) -> tuple[str | None, str | None]:
    """SerialNumber and TokenCode, each None when it is absent. Raises AwsRefusalError."""
    return _text(form, "SerialNumber", 9, 256, _SERIAL), _text(form, "TokenCode", 6, 6, _TOKEN)


def read_tags(form: QueryParameters) -> tuple[dict[str, str], tuple[str, ...]]:
    """Session tags, and the keys of the transitive ones. Raises AwsRefusalError."""
    keys = members(form, "Tags", "Key")
    values = members(form, "Tags", "Value")
    if len(keys) > quotas.TAGS:
        raise constraint_error("tags", f"[{len(keys)} tags]", f"have length less than or equal to {quotas.TAGS}")
    for key in keys:
        _within("tags.key", key, 1, 128, _TAG)
        if key.lower().startswith("aws:"):
            raise AwsRefusalError("InvalidParameterValue", "Tag keys may not begin with aws:, a reserved prefix")
    for value in values:
        _within("tags.value", value, 0, 256, _TAG)
    if len({key.lower() for key in keys}) < len(keys):
        raise AwsRefusalError(
            "InvalidParameterValue", "Duplicate tag keys found. Please note that Tag keys are case insensitive."
        )
    transitive = tuple(members(form, "TransitiveTagKeys"))
    if {key.lower() for key in transitive} - {key.lower() for key in keys}:
        raise AwsRefusalError(
            "InvalidParameterValue", "The specified transitive tag key must be included in the requested tags."
        )
    return dict(zip(keys, values, strict=True)), transitive


def members(form: QueryParameters, name: str, part: str = "") -> Sequence[str]:
    """The values of a list parameter in order: `NAME.member.N` or `NAME.member.N.PART`."""
    found: list[str] = []
    tail = f".{part}" if part else ""
    while (value := form.get(f"{name}.member.{len(found) + 1}{tail}")) is not None:
        found.append(value)
    return found


def _policy(form: QueryParameters) -> PolicyDocument | None:
    text = form.get("Policy")
    if text is None:
        return None
    if not text or len(text) > SESSION_POLICY_CHARACTERS:
        bound = f"less than or equal to {SESSION_POLICY_CHARACTERS}" if text else "greater than or equal to 1"
        raise constraint_error("policy", text, f"have length {bound}")
    return check_identity_document(text)


def _policy_arns(form: QueryParameters) -> tuple[str, ...]:
    arns = members(form, "PolicyArns", "arn")
    if len(arns) > SESSION_POLICY_ARNS:
        raise constraint_error(
            "policyArns", f"[{len(arns)} ARNs]", f"have length less than or equal to {SESSION_POLICY_ARNS}"
        )
    return tuple(arns)


def _check_arn(arn: str) -> None:
    parsed = Arn.parse(arn)
    if parsed is None or parsed.service != "iam" or parsed.partition not in PARTITIONS:
        raise validation_error("Request ARN is invalid")
    if parsed.region or not _ACCOUNT.fullmatch(parsed.account_id) or parsed.kind != "role" or not parsed.name:
        raise validation_error(f"{arn} is invalid")


def _text(form: QueryParameters, name: str, least: int, most: int, pattern: re.Pattern[str] | None) -> str | None:
    value = form.get(name)
    if value is not None:
        _within(name[0].lower() + name[1:], value, least, most, pattern)
    return value


def _within(name: str, value: str, least: int, most: int, pattern: re.Pattern[str] | None) -> None:
    if pattern is not None and not pattern.fullmatch(value):
        raise constraint_error(name, value, f"satisfy regular expression pattern: {pattern.pattern}")
    if len(value) < least:
        raise constraint_error(name, value, f"have length greater than or equal to {least}")
    if len(value) > most:
        raise constraint_error(name, value, f"have length less than or equal to {most}")


@dataclass(frozen=True, slots=True)
class Assumption:
    """The properties of the session of an allowed AssumeRole."""

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
    """Decide AssumeRole with the evaluator over the stored policies. Raises AwsRefusalError when it is refused.

    `mfa_age`: seconds since the MFA authentication, None without one. Rules: IAM User Guide ("Policy evaluation logic",
    "Cross-account policy evaluation logic", "Pass session tags in AWS STS", "Monitor and control actions taken with assumed
    roles", "Roles terms and concepts"), November 2026.
    """
    tags, transitive = _inherited_tags(caller, request)
    source_identity = _source_identity(caller, request)
    access, evaluator = stored.all_accounts()
    context = {
        **call.context,
        **session_context(caller, now),
        **_sts_keys(request, source_identity),
        **_mfa_keys(caller, mfa_age),
    }
    decision = _decision(evaluator, caller, request, context)
    # Same refusal for a role that does not exist, as in AWS: it must not reveal which roles exist.
    if not decision.allowed:
        if (parsed := Arn.parse(caller.arn)) is not None and parsed.resource == "root":
            raise access_denied("Roles may not be assumed by root accounts.")
        raise access_denied(
            f"User: {caller.arn} is not authorized to perform: {decision.action} on resource: {request.role_arn}"
        )
    role = access.roles[request.role_arn]
    return Assumption(role, _seconds(caller, request, role), tags, transitive, source_identity)


def _sts_keys(request: AssumeRoleRequest, source_identity: str | None) -> dict[str, tuple[str, ...]]:
    """Condition keys of STS; an empty tuple means that the request does not have the key."""
    return {
        "sts:externalid": _optional(request.external_id),
        "sts:rolesessionname": (request.session_name,),
        "sts:sourceidentity": _optional(source_identity),
        "sts:transitivetagkeys": request.transitive,
    }


def _mfa_keys(caller: SessionInfo, mfa_age: int | None) -> dict[str, tuple[str, ...]]:
    """Condition keys on MFA of the request or the session. Requests with long-term keys and without MFA do not have them."""
    if mfa_age is not None:
        return {"aws:multifactorauthpresent": ("true",), "aws:multifactorauthage": (str(mfa_age),)}
    present = () if caller.session_token is None else ("false",)
    return {"aws:multifactorauthpresent": present, "aws:multifactorauthage": ()}


def _decision(evaluator: Evaluator, caller: SessionInfo, request: AssumeRoleRequest, context: ContextValues) -> Decision:
    side = IdentitySide.ALLOWS_ALL if caller.operator else IdentitySide.KNOWN
    who = Caller(caller.arn, side, session_policies=tuple(caller.session_policies))
    return evaluator.may_assume(Request(who, request.role_arn, context=context))


def _inherited_tags(caller: SessionInfo, request: AssumeRoleRequest) -> tuple[dict[str, str], frozenset[str]]:
    """Tags of the new session and its transitive keys. Raises AwsRefusalError when the request sets a transitive tag."""
    inherited_keys = {key.lower() for key in caller.transitive}
    if inherited_keys & {key.lower() for key in request.tags}:
        raise AwsRefusalError(
            "InvalidParameterValue",
            "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the "
            "calling session.",
        )
    inherited = {key: value for key, value in caller.tags.items() if key.lower() in inherited_keys}
    return {**inherited, **request.tags}, frozenset(caller.transitive | frozenset(request.transitive))


def _source_identity(caller: SessionInfo, request: AssumeRoleRequest) -> str | None:
    """The source identity of the new session: "After a source identity is set ... the value cannot be changed".

    Raises AwsRefusalError when the request changes it.
    """
    if caller.source_identity and request.source_identity not in {None, caller.source_identity}:
        raise access_denied("The source identity of a session cannot be changed in a role chain.")
    return request.source_identity or caller.source_identity


def _seconds(caller: SessionInfo, request: AssumeRoleRequest, role: Role) -> int:
    """Duration of the new session, up to the role's maximum, or one hour with role chaining. Raises AwsRefusalError."""
    chained = caller.role_arn is not None
    if request.seconds is None:
        return quotas.CHAINED_SESSION_SECONDS
    if chained and request.seconds > quotas.CHAINED_SESSION_SECONDS:
        raise validation_error(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
        )
    if request.seconds > role.max_session_seconds:
        raise validation_error("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
    return request.seconds


def _optional(value: str | None) -> tuple[str, ...]:
    return () if value is None else (value,)
