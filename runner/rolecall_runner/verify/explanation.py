"""Explains a pasted error of AWS: an access-denied message, a CloudTrail event, or a decoded authorization message.

Formats: "Troubleshoot access denied error messages" (IAM User Guide), "CloudTrail record contents" (CloudTrail User Guide),
"Events delivered by CloudTrail" (EventBridge User Guide), DecodeAuthorizationMessage (STS API reference); read November
2026. No call is made. The text is untrusted: nothing in it is evaluated, and secrets are removed from all fields.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rolecall_generator.iam import Access, Arn
from rolecall_generator.iam.evaluation import Caller, Effect, Evaluator, PrincipalKind, Request, identity_of
from rolecall_generator.text import sanitize_line
from rolecall_runner.aws import ACCESS_DENIED, Status
from rolecall_runner.inventory import Target, TargetKind
from rolecall_runner.redact import redact
from rolecall_runner.verify.causes import diagnosis_of
from rolecall_runner.verify.diagnosis import (
    cause_of_code,
    cause_of_denial,
    denial_of,
)
from rolecall_runner.verify.verdict import Diagnosis

MAXIMUM_EVENTS = 100
_FIELD_CHARACTERS = 2000
_ASSUME_ACTIONS = frozenset({"sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"})
_VPC_ENDPOINT_CODE = "VpceAccessDenied"
"""The code of CloudTrail's network activity events; the error message names no other policy."""

_OPERATION = re.compile(r"\(([A-Za-z0-9.]{1,100})\) when calling the ([A-Za-z0-9]{1,100}) operation")
_CODES = (
    re.compile(r"\bapi error ([A-Za-z][A-Za-z.]{1,100})\b"),  # Go, and so Terraform
    re.compile(r"<Code>([A-Za-z][A-Za-z.]{1,100})</Code>"),
    re.compile(r"\bError Code: ([A-Za-z][A-Za-z.]{1,100})\b"),  # Java
)
_CODE_WORD = re.compile(r"\b(?:[A-Z][a-z]{1,30}){2,6}\b")
_DENIED = re.compile(r"not authorized to (?:perform|access)|access denied|explicit deny in", re.IGNORECASE)
_CALLER = re.compile(r"\bUser: ?(arn:[^\s\"'<>,;]{1,2048})", re.IGNORECASE)
_ACTION = re.compile(r"not authorized to perform:?\s+([A-Za-z0-9-]{1,64}:[A-Za-z0-9]{1,128})")
_RESOURCE = re.compile(r"\bon (?:the )?resource:?\s+[\"']?(arn:[^\s\"'<>,;]{1,2048}|\*)")
_ENCODED = re.compile(r"Encoded authorization failure message:?\s*\S", re.IGNORECASE)
_DECODE_FACT = (
    "The message contains an encoded authorization message. Decode it with credentials of the account that sent the "
    "request: aws sts decode-authorization-message --encoded-message MESSAGE; then explain its output."
)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a text shows, and the likely causes, the most likely first. Strings are sanitized and have no secrets.

    Attributes:
        source: `message`, `cloudtrail`, or `decoded-message`.
        code: AWS error code; empty if the text has none.
        action: The action that was refused, such as `s3:GetObject`.
        caller: ARN of the principal that sent the request.
        resource: ARN of the resource of the request.
        policy: Kind of the policy that refused the request, as AWS names it; empty if it does not.
        explicit: Whether a Deny statement refused it, or no statement allows it; None if not known.
        policy_arn: ARN of that policy.
        target: Customer or switch role of the manifest.
        facts: Sentences on what else the text and the manifest show.
        causes: Causes of docs/diagnosis.md; empty if the text shows no error that is known.
    """

    source: str
    code: str = ""
    action: str = ""
    caller: str = ""
    resource: str = ""
    policy: str = ""
    explicit: bool | None = None
    policy_arn: str = ""
    target: str = ""
    facts: tuple[str, ...] = ()
    causes: tuple[Diagnosis, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The explanation as JSON values, with empty fields."""
        names = ("source", "code", "action", "caller", "resource", "policy", "explicit", "policy_arn", "target")
        causes = [{"cause": each.cause, "hint": each.vendor, "customer": each.customer} for each in self.causes]
        return {name: getattr(self, name) for name in names} | {"facts": list(self.facts), "causes": causes}

    def lines(self) -> Iterator[tuple[int, str]]:
        """The explanation as lines, each with its indentation."""
        head = f"{self.code}: {self.action or 'the action is not named'}" if self.code else "no known error was found"
        yield 0, f"{self.target}: {head}" if self.target else head
        yield from ((2, f"{name}: {value}") for name in ("caller", "resource") if (value := getattr(self, name)))
        if self.policy:
            how = {True: "explicit deny", False: "no statement allows it", None: "refused"}[self.explicit]
            yield 2, f"policy: {self.policy} ({how}){f', {self.policy_arn}' if self.policy_arn else ''}"
        yield from ((2, fact) for fact in self.facts)
        for cause in self.causes:
            yield 2, cause.cause
            yield 4, f"hint: {cause.vendor}"


@dataclass(frozen=True, slots=True)
class _Request:
    """What a text shows about a request. `external_ids`: the ID that it sent, empty for none; None if not known."""

    source: str
    message: str = ""
    code: str = ""
    action: str = ""
    caller: str = ""
    resource: str = ""
    explicit: bool | None = None
    external_ids: tuple[str, ...] | None = None
    facts: tuple[str, ...] = ()


AccessOf = Callable[[Target], Access | None]
"""The agreed access of a target's role; None if it is not known."""


def explain(
    text: str,
    targets: Sequence[Target] = (),
    backend_account: str = "",
    access_of: AccessOf = lambda _target: None,
) -> tuple[Explanation, ...]:
    """Explain a text; one explanation per failed request in it, at least one.

    Args:
        text: A message, or JSON: a single event of CloudTrail, also in EventBridge's `detail` or in a list of `Records` or
            `Events`; an error reply; or the output of DecodeAuthorizationMessage.
        targets: The targets of the manifest, for causes that depend on it; may be empty.
        backend_account: The vendor's account ID; empty if not known.
        access_of: Returns the agreed access of a target, which shows whether the refused action was agreed.
    """
    requests = list(_requests(text))
    explanations = [_explain_request(request, targets, backend_account, access_of) for request in requests[:MAXIMUM_EVENTS]]
    if left := len(requests) - len(explanations):
        explanations[-1] = replace(
            explanations[-1], facts=(*explanations[-1].facts, f"{left:,} more failed events are not shown.")
        )
    return tuple(explanations)


def _requests(text: str) -> Iterator[_Request]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, Mapping | list):
        yield _of_message(text)
        return
    found = list(_of_json(value, depth=0))
    failed = [request for request in found if request.code or request.message]
    yield from failed or found[:1] or [_Request("message", facts=("The JSON is none of the documented forms.",))]


_DEPTH = 5


def _of_json(value: Any, depth: int) -> Iterator[_Request]:
    """The requests in JSON values. Lists and nested JSON of known members are searched to a fixed depth."""
    if depth > _DEPTH:
        return
    if isinstance(value, list):
        for each in value:
            yield from _of_json(each, depth + 1)
    elif isinstance(value, Mapping):
        if "eventName" in value and "eventSource" in value:
            yield _of_event(value)
        elif "allowed" in value and "context" in value:
            yield _of_decoded(value)
        elif (error := _error_reply(value)) is not None:
            yield error
        else:
            for name in ("detail", "Records", "Events", "CloudTrailEvent", "DecodedMessage", "events"):
                if name in value:
                    yield from _of_json(_parsed(value[name]), depth + 1)


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def _string(value: Any, *path: str) -> str:
    """The string at a path of keys; empty if there is none."""
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""


def _of_event(event: Mapping[str, Any]) -> _Request:
    service, name = _string(event, "eventSource").partition(".")[0], _string(event, "eventName")
    code, text = _string(event, "errorCode"), _string(event, "errorMessage")
    parsed = _of_message(text)
    parameters = event.get("requestParameters")
    sent: tuple[str, ...] | None = None
    resource = parsed.resource
    action = parsed.action or (f"{service}:{name}" if service and name else "")
    if name == "AssumeRole" and isinstance(parameters, Mapping) and _string(parameters, "roleArn"):
        resource = resource or _string(parameters, "roleArn")
        sent = tuple(filter(None, [_string(parameters, "externalId")]))
    caller = parsed.caller or _string(event, "userIdentity", "arn")
    facts = list(parsed.facts)
    if not code and not text:
        return _Request("cloudtrail", facts=("The event has no error: the request succeeded.",))
    if invoked := _string(event, "userIdentity", "invokedBy"):
        facts.append(f"The request was sent by {invoked} for the caller.")
    return replace(
        parsed,
        source="cloudtrail",
        code=code or parsed.code,
        action=action,
        caller=caller,
        resource=resource,
        external_ids=sent,
        facts=tuple(facts),
    )


def _of_decoded(value: Mapping[str, Any]) -> _Request:
    """The output of DecodeAuthorizationMessage. It does not name the kind of policy."""
    context = value.get("context")
    if value.get("allowed") is True:
        return _Request("decoded-message", facts=("The request was allowed.",))
    explicit = value.get("explicitDeny")
    statements = value.get("matchedStatements")
    items = statements.get("items") if isinstance(statements, Mapping) else None
    names = [_string(item, "statementId") for item in items] if isinstance(items, list) else []
    facts = [f"Statement {name} matched." for name in names if name]
    return _Request(
        "decoded-message",
        code=ACCESS_DENIED,
        action=_string(context, "action"),
        caller=_string(context, "principal", "arn"),
        resource=_string(context, "resource"),
        explicit=explicit if isinstance(explicit, bool) else None,
        facts=tuple(facts),
    )


def _error_reply(value: Mapping[str, Any]) -> _Request | None:
    """An error reply of AWS as JSON, or botocore's `ClientError.response`."""
    for body in (value.get("Error"), value.get("error"), value):
        if isinstance(body, Mapping):
            code = _string(body, "Code") or _string(body, "code") or _string(body, "__type").rpartition("#")[2]
            text = _string(body, "Message") or _string(body, "message")
            if code or (body is not value and text) or _DENIED.search(text):
                parsed = _of_message(text)
                return replace(parsed, code=code or parsed.code)
    return None


def _of_message(text: str) -> _Request:
    message = " ".join(text.split())
    operation = _OPERATION.search(message)
    code = operation[1] if operation else _code_in(message)
    action = _first(_ACTION, message)
    if not action and operation and operation[2] == "AssumeRole":
        action = "sts:AssumeRole"
    if not code and _DENIED.search(message):
        code = ACCESS_DENIED
    facts = (_DECODE_FACT,) if _ENCODED.search(message) else ()
    caller, resource = _first(_CALLER, message), _first(_RESOURCE, message)
    return _Request("message", message, code, action, caller.rstrip(".)]"), resource.rstrip(".)]"), facts=facts)


def _first(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match[1] if match is not None else ""


def _code_in(message: str) -> str:
    for pattern in _CODES:
        if found := _first(pattern, message):
            return found
    words = _CODE_WORD.findall(message)
    return next((word for word in words if _is_refusal(word) or cause_of_code(word) is not None), "")


def _is_refusal(code: str) -> bool:
    return code == _VPC_ENDPOINT_CODE or Status.from_code(_without_prefix(code)) is Status.REFUSED


def _without_prefix(code: str) -> str:
    """The code without the prefix that CloudTrail's events of EC2 have."""
    return code.removeprefix("Client.").removeprefix("Server.")


def _explain_request(request: _Request, targets: Sequence[Target], backend_account: str, access_of: AccessOf) -> Explanation:
    denial = denial_of(request.message)
    policy = denial.kind if denial is not None else ""
    if not policy and request.code == _VPC_ENDPOINT_CODE:
        policy = "vpc endpoint policy"
    explicit = denial.explicit if denial is not None else request.explicit
    found = _target(request, targets)
    agreed = _agreed(request, found, access_of) if found is not None and _is_refusal(request.code) else None
    facts = [*request.facts, *_facts(request, found, targets)]
    if agreed and found is not None:
        facts.append(f"The manifest grants {request.action} on {request.resource} to {found.name}.")
    stand_in = found or _stand_in(request)
    named = list(_causes(request, policy, explicit, found, backend_account))
    clean = Explanation(
        request.source,
        _clean(request.code),
        _clean(request.action),
        _clean(request.caller),
        _clean(request.resource),
        policy,
        explicit,
        _clean(denial.arn if denial is not None else ""),
        found.name if found is not None else "",
        tuple(_clean(fact) for fact in facts),
    )
    wrong = _wrong_external_id(request, found) if _is_refusal(request.code) and not policy else None
    if wrong is None and agreed is False and found is not None and (not policy or _lacks_permission(policy, explicit)):
        hint = f"The manifest does not grant {request.action} on {request.resource} to {found.name}: add it to a permission "
        hint += "set, run gen terraform and send the module again, or do not use it."
        wrong = Diagnosis("not-agreed", _clean(hint), "")
    if wrong is not None:
        return replace(clean, causes=(wrong,))
    causes = tuple(_clean_diagnosis(diagnosis_of(cause, stand_in, _clean(detail))) for cause, detail in named)
    return replace(clean, causes=causes)


def _lacks_permission(policy: str, explicit: bool | None) -> bool:
    return policy == "identity-based policy" and explicit is False


def _agreed(request: _Request, target: Target, access_of: AccessOf) -> bool | None:
    """Whether the agreed access allows a call of the role's session for every value of conditions; None if undecided."""
    if _is_assume(request) or not request.action or not request.resource:
        return None
    access = access_of(target)
    if access is None or target.role_arn not in access.roles:
        return None
    decision = Evaluator(access).may(Request(Caller(target.role_arn), request.resource, request.action, free=True))
    if decision.allowed:
        return None if decision.assumed else True
    unknown = decision.effect is Effect.REFUSED or decision.unknown_policies
    return None if unknown else False


def _clean(text: str) -> str:
    return sanitize_line(redact(text[:_FIELD_CHARACTERS]))


def _clean_diagnosis(found: Diagnosis) -> Diagnosis:
    return replace(found, vendor=sanitize_line(found.vendor))


def _is_assume(request: _Request) -> bool:
    return request.action in _ASSUME_ACTIONS


def _target(request: _Request, targets: Sequence[Target]) -> Target | None:
    """The target whose role was to be assumed, or whose session sent the request."""
    if _is_assume(request):
        return next((target for target in targets if target.role_arn == request.resource), None)
    caller = identity_of(request.caller) if request.caller else None
    if caller is None or caller.role is None:
        return None
    name = caller.role.rpartition("/")[2]
    return next(
        (each for each in targets if each.account_id == caller.account_id and each.role_arn.rpartition("/")[2] == name),
        None,
    )


def _stand_in(request: _Request) -> Target:
    """The role of a request that is not of a target, for the templates of causes."""
    caller = identity_of(request.caller) if request.caller else None
    role = request.resource if _is_assume(request) else (caller.role or caller.arn) if caller is not None else ""
    arn = Arn.parse(role)
    backend = (caller.role or caller.arn) if caller is not None and _is_assume(request) else ""
    return Target(
        "CUSTOMER",
        _clean(arn.account_id) if arn is not None else "ACCOUNT",
        arn.partition if arn is not None else "aws",
        _clean(role) or "ROLE",
        backend_role_arn=_clean(backend),
    )


def _facts(request: _Request, found: Target | None, targets: Sequence[Target]) -> Iterator[str]:
    arn = Arn.parse(request.resource) if _is_assume(request) else None
    if arn is not None and found is None and targets:
        others = [target.role_arn for target in targets if target.account_id == arn.account_id]
        names = f"; in this account it has {', '.join(others[:3])}" if others else ""
        yield f"The manifest does not have the role {request.resource}{names}."


def _wrong_external_id(request: _Request, found: Target | None) -> Diagnosis | None:
    """The cause if the request did not send the customer's external ID, which is a fault of the request."""
    if found is None or found.external_id is None or request.external_ids is None:
        return None
    if found.external_id in request.external_ids:
        return None
    if found.previous_external_id is not None and found.previous_external_id in request.external_ids:
        return None  # valid during a rotation
    sent = "another external ID than the manifest has" if request.external_ids else "no external ID; the manifest has one"
    hint = f"The request sent {sent} for {found.name}: send that one, or use runner shell {found.name}."
    return Diagnosis("wrong-external-id-sent", hint, "")


def _causes(
    request: _Request, policy: str, explicit: bool | None, found: Target | None, backend_account: str
) -> Iterator[tuple[str, str]]:
    """Causes with their details, the most likely first."""
    code = request.code
    if not code:
        return
    if not _is_refusal(code):
        if "DurationSeconds" in request.message and _is_assume(request):
            yield "session-too-long", ""
        else:
            cause = cause_of_code(_without_prefix(code)) or "unknown"
            yield cause, _code_detail(request, cause)
        return
    if policy:
        yield from _of_policy(request, policy, explicit, backend_account)
        return
    if not _is_assume(request):
        yield from ((cause, request.action or "the action is not named") for cause in _CALL_CANDIDATES[explicit])
        return
    if found is not None and not _is_backend_role(request.caller, found):
        yield "wrong-caller", request.caller
    elif request.action != "sts:AssumeRole":
        yield "session-tags-not-allowed", ""
    else:
        yield from ((cause, "") for cause in _assume_candidates(explicit))


_CALL_CANDIDATES: Mapping[bool | None, tuple[str, ...]] = {
    True: ("role-policy-denies", "organization-policy", "permission-boundary", "resource-policy-denies"),
    False: ("permission-missing", "permission-boundary"),
    None: ("permission-missing", "resource-policy-denies", "organization-policy", "permission-boundary"),
}
"""By whether the text shows an explicit deny: every cause that remains when AWS names no kind of policy."""


def _assume_candidates(explicit: bool | None) -> Iterator[str]:
    if explicit:
        yield from ("trust-policy-denies", "own-policy-denies", "resource-control-policy", "own-organization-policy")
        return
    yield from ("role-missing", "external-id-differs", "other-principal", "backend-policy-not-applied")
    yield "backend-role-recreated"


def _of_policy(request: _Request, policy: str, explicit: bool | None, backend_account: str) -> Iterator[tuple[str, str]]:
    denial = denial_of(request.message)
    if denial is None:  # only the code names the policy
        yield "own-endpoint-policy", request.action
        return
    own_call = bool(backend_account) and identity_of(request.caller).account_id == backend_account
    if _is_assume(request) or own_call:
        cause = cause_of_denial(denial, "assume")
        if own_call and not _is_assume(request):
            cause = cause if denial.kind not in _OF_ROLES and cause != "backend-policy-lacks-role" else "unknown"
    else:
        cause = cause_of_denial(denial, "call")
    detail = request.action or "the action is not named"
    if cause == "unknown":
        yield (
            cause,
            f"{request.code}, {detail}: {'a Deny statement in a' if explicit else 'no'} {policy} of {request.caller}",
        )
    elif cause == "backend-policy-lacks-role":
        yield cause, ""
    elif cause:
        yield cause, f"{detail}, denied by {denial.arn}" if denial.arn else detail
    else:  # no statement of the trust policy allows it
        yield from ((each, "") for each in ("external-id-differs", "other-principal", "backend-role-recreated"))


_OF_ROLES = frozenset({"role trust policy", "resource-based policy", "resource control policy"})
"""Kinds whose causes of a refused AssumeRole concern the customer's role, so not another call of the vendor's role."""


def _is_backend_role(arn: str, target: Target) -> bool:
    """Whether a caller may be the principal that the target trusts; also if either is not known."""
    if not arn or not target.backend_role_arn or target.kind is not TargetKind.CUSTOMER:
        return True
    caller, wanted = identity_of(arn), identity_of(target.backend_role_arn)
    if wanted.kind is not PrincipalKind.ROLE:
        return True
    name = (caller.role or caller.arn).rpartition("/")[2]
    return (caller.account_id, name) == (wanted.account_id, wanted.name)


def _code_detail(request: _Request, cause: str) -> str:
    """The detail for the templates of a cause that an error code shows."""
    if cause in {"own-credentials-invalid", "service-trouble"}:
        return request.code
    if cause in {"unknown", "sandbox-limit"}:
        return f"{request.code}: {request.message}" if request.message else request.code
    return ""
