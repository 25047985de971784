"""Decides calls of sessions with the evaluator over the stored policies, with AWS's refusal messages.

A call may need permissions besides its own action; one whose effect the sandbox cannot enforce is refused. A call that
cannot be decided, because the value of a condition key or the resource is not known, is refused with a code of its own and
never allowed.

Sources: "Required permissions for Amazon S3 API operations" (S3 User Guide), "Grant a user permissions to pass a role to an
AWS service" (IAM User Guide), "Grant permission to tag Amazon EC2 resources during creation" (EC2 User Guide), "ReEncrypt"
(KMS API reference); November 2026.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import unquote

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
from rolecall_runner.sandbox.authorization.service_reference import (
    EVERYTHING,
    RESOURCE_TAGS,
    SERVICE_FACTS,
    StoredPaths,
    fill_placeholders,
    may_have_unknown_value,
)
from rolecall_runner.sandbox.protocol.aws_protocol import (
    ApiCall,
    ContextValues,
    ErrorCategory,
    HttpReply,
    SessionInfo,
    category_reply,
    error_reply,
)

_ROLE = re.compile(r"^arn:[^:]+:iam::\d{12}:role/.+$")
_ROLE_PARAMETER = re.compile(r"role(?:arn)?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RequiredPermission:
    """A permission that a call needs: the action on each of the resources; none when they are not known."""

    action: str
    resources: tuple[str, ...]
    context: ContextValues = field(default_factory=dict)


def required_permissions(call: ApiCall, access: Access, account_id: str) -> tuple[RequiredPermission, ...]:
    """The permissions that a call needs, starting with its own action. `access` contains the roles of instance profiles."""
    own = RequiredPermission(call.action, call.resources, call.context)
    further: list[RequiredPermission] = []
    if call.service == "s3":
        own = _for_version(call, own)
        further += _s3_needs(call)
    elif call.action == "kms:ReEncryptFrom":
        further.append(replace(own, action="kms:ReEncryptTo", resources=_destination_key(call)))
    elif call.service == "ec2":
        further += _ec2_tag_needs(call)
    elif call.service == "iam" and call.operation in SERVICE_FACTS["tags_of_iam"] and call.parameters.get("Tags"):
        further.append(replace(own, action=f"iam:{SERVICE_FACTS['tags_of_iam'][call.operation]}"))
    return (own, *further, *_pass_role_needs(call, access, account_id))


def _for_version(call: ApiCall, own: RequiredPermission) -> RequiredPermission:
    if call.operation not in SERVICE_FACTS["versioned"] or not call.parameters.get("VersionId"):
        return own
    return replace(own, action=own.action.replace("Object", "ObjectVersion", 1))


def _s3_needs(call: ApiCall) -> Iterator[RequiredPermission]:
    source = call.parameters.get("CopySource")
    if call.operation in {"CopyObject", "UploadPartCopy"}:
        path, _, version = str(source).partition("?versionId=")
        plain = unquote(path).lstrip("/")
        known = () if plain.startswith("arn:") else (f"arn:${{Partition}}:s3:::{plain}",)
        yield RequiredPermission("s3:GetObjectVersion" if version else "s3:GetObject", known, call.context)
    if call.action == "s3:PutObject":
        if call.parameters.get("ACL"):
            yield RequiredPermission("s3:PutObjectAcl", call.resources, call.context)
        if call.parameters.get("Tagging"):
            yield RequiredPermission("s3:PutObjectTagging", call.resources, call.context)


def _destination_key(call: ApiCall) -> tuple[str, ...]:
    key = str(call.parameters.get("DestinationKeyId", ""))
    if "alias/" in key:
        return ()
    return (key if key.startswith("arn:") else f"arn:${{Partition}}:kms:{call.region}:${{Account}}:key/{key}",)


def _ec2_tag_needs(call: ApiCall) -> Iterator[RequiredPermission]:
    specifications = call.parameters.get("TagSpecifications")
    for specification in specifications if isinstance(specifications, list) else ():
        if isinstance(specification, Mapping) and specification.get("Tags"):
            kind = specification.get("ResourceType", "*")
            account = "" if kind in {"image", "snapshot"} else "${Account}"
            arn = f"arn:${{Partition}}:ec2:{call.region}:{account}:{kind}/*"
            yield RequiredPermission("ec2:CreateTags", (arn,), {**call.context, "ec2:createaction": (call.operation,)})


def _pass_role_needs(call: ApiCall, access: Access, account_id: str) -> Iterator[RequiredPermission]:
    """`iam:PassRole` for each role that the call passes to a service.

    The Service Authorization Reference does not list it, so it follows from the parameters: a role ARN in a parameter whose
    name ends in "role" or "role ARN", in an operation that changes something.
    """
    if call.operation.startswith(("Describe", "Get", "List")) or call.service == "sts":
        return
    roles = [] if call.service == "iam" else list(_roles_in(call.parameters))
    if call.operation == "AddRoleToInstanceProfile":
        roles.append(f"arn:${{Partition}}:iam::${{Account}}:role/{call.parameters.get('RoleName')}")
    profile = call.parameters.get("IamInstanceProfile")
    if isinstance(profile, Mapping):
        # A missing profile passes no role; the service reports it.
        name = str(profile.get("Arn") or profile.get("Name")).rpartition("/")[2]
        roles += [stored.role for stored in access.instance_profiles.values() if _is_named(stored.arn, account_id, name)]
    service = SERVICE_FACTS["passed_to"].get(call.action.partition(":")[0])
    context = {**call.context, **({"iam:passedtoservice": (service,)} if service else {})}
    for role in dict.fromkeys(roles):
        yield RequiredPermission("iam:PassRole", (role,), context)


def _is_named(arn: str, account_id: str, name: str) -> bool:
    return arn.split(":")[4] == account_id and arn.rpartition("/")[2] == name


def _roles_in(value: object, name: str = "") -> Iterator[str]:
    """Role ARNs in parameters with the name of a role, nested ones included."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _roles_in(inner, str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from _roles_in(inner, name)
    elif isinstance(value, str) and _ROLE_PARAMETER.search(name) and _ROLE.match(value):
        yield value


UNSUPPORTED_ACTIONS: Mapping[str, str] = SERVICE_FACTS["unsupported"]
"""Actions that store something that the sandbox does not enforce, with a description of it."""


def unsupported_reason(call: ApiCall) -> str | None:
    """Why the sandbox refuses a call that stores something that it does not enforce; None for other calls."""
    what = UNSUPPORTED_ACTIONS.get(call.action)
    if what is None and "Policy" in _attribute_names(call):
        what = "policies on queues and topics"
    return None if what is None else f"The sandbox does not enforce {what} and refuses {call.action}."


def _attribute_names(call: ApiCall) -> tuple[str, ...]:
    """Names of the attributes that a call to SQS or SNS sets, with an empty name among them."""
    if call.service not in {"sqs", "sns"} or not call.operation.startswith(("Create", "Set")):
        return ()
    attributes = call.parameters.get("Attributes")
    names = tuple(attributes) if isinstance(attributes, Mapping) else ()
    return (*names, str(call.parameters.get("AttributeName", "")))


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

    def __init__(self, access: Access, evaluator: Evaluator) -> None:
        self._access = access
        self._evaluator = evaluator
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
