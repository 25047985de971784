"""Likely causes of failed checks, the likeliest first, and the kinds of policies that AWS's messages name.

AWS sends the same AccessDenied for a role that does not exist, a trust policy that names someone else, and another external
ID ("the bare form", IAM User Guide, November 2026). So what the vendor's side can decide is checked first, with additional
calls where they distinguish causes; the causes that remain are all named. Of AWS's messages only documented phrases are
used, and only as hints: the error code decides that a request was refused.

One table, `data/denials.toml`, holds every documented kind of policy. A refusal has one of two forms:

    User: WHO is not authorized to perform: ACTION on resource: WHAT with an explicit deny in a KIND: ARN
    User: WHO is not authorized to perform: ACTION on resource: WHAT because no KIND allows the ACTION action

Messages include the ARN of the denying policy only if caller and resource are in one account or organization. Across
accounts the message often ends after the resource.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any, Literal

from rolecall_generator.iam import Access, PolicyDocument, Principal, Role, Statement
from rolecall_generator.iam.evaluation import Caller, Effect, Evaluator, IdentitySide, PrincipalKind, Request, identity_of
from rolecall_runner.aws import ACCESS_DENIED, Status, account
from rolecall_runner.inventory import Target
from rolecall_runner.live import read_role
from rolecall_runner.redact import redact
from rolecall_runner.verify.causes import CAUSES, diagnosis_of
from rolecall_runner.verify.context import VerifyContext
from rolecall_runner.verify.probe_call import execute_call
from rolecall_runner.verify.verdict import ANY_ACCOUNT, WHICH, Check, Mark, RotationState, Step, Verdict


@dataclass(frozen=True, slots=True)
class Denial:
    """The policy that refused a request. `kind` is a key of DENIALS; `arn` is empty if AWS does not name it.

    `explicit`: a Deny statement matched; otherwise no statement of that kind of policy allows the request.
    """

    kind: str
    explicit: bool
    arn: str = ""


DENIALS: Mapping[str, Mapping[str, Sequence[str]]] = tomllib.loads(
    files(__package__ or "").joinpath("data", "denials.toml").read_text(encoding="utf-8")
)
"""Causes by the kind of policy in lower case, see `data/denials.toml`."""

_OTHER_NAMES = {name: kind for kind, entry in DENIALS.items() for name in entry.get("also", ())}
_NAMES = "|".join(sorted((re.escape(name) for name in (*DENIALS, *_OTHER_NAMES)), key=len, reverse=True))
_ARN = r"(?:\s*:\s*[\"']?(?P<arn>arn:[^\s\"',;]+))?"
# "with an explicit deny in a VPC endpoint policy transitively through a service control policy": the second one denies.
_EXPLICIT = re.compile(
    rf"explicit deny in (?:an? |the )?(?P<kind>{_NAMES})"
    rf"(?: transitively through (?:an? |the )?(?P<through>{_NAMES}))?{_ARN}",
    re.IGNORECASE,
)
_IMPLICIT = re.compile(rf"because (?:no|the) (?P<kind>{_NAMES}) allows(?: the \S+ action)?{_ARN}", re.IGNORECASE)


def denial_of(message: str) -> Denial | None:
    """The policy that an access-denied message names; None if it names none of the documented kinds."""
    text = " ".join(message.split())
    if (match := _EXPLICIT.search(text)) is not None:
        return Denial(_kind(match["through"] or match["kind"]), explicit=True, arn=_plain(match["arn"]))
    if (match := _IMPLICIT.search(text)) is not None:
        return Denial(_kind(match["kind"]), explicit=False, arn=_plain(match["arn"]))
    return None


def cause_of_denial(denial: Denial, refused: Literal["assume", "call"]) -> str:
    """The cause when AssumeRole, or a call of the role's session, was refused; empty if several remain."""
    explicit, implicit = DENIALS[denial.kind][refused]
    return explicit if denial.explicit else implicit


def _kind(name: str) -> str:
    lower = name.lower()
    return _OTHER_NAMES.get(lower, lower)


def _plain(arn: str | None) -> str:
    """The ARN without the full stop or bracket that may follow it in a sentence."""
    return (arn or "").rstrip(".)]")


Found = Iterator[tuple[str, str]]
"""Causes, each with a detail for its templates."""

_UNDECIDED = frozenset({Mark.INCONCLUSIVE, Mark.UNREACHABLE})
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_UNKNOWN_KEY = frozenset(
    {"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "AuthFailure", "SignatureDoesNotMatch",
     "InvalidSignatureException", "MissingAuthenticationToken", "IncompleteSignature"}
)  # fmt: skip
_SERVICE_ERRORS = frozenset(
    {"InternalError", "InternalFailure", "InternalServerError", "InternalServiceException", "ServiceUnavailable",
     "ServiceUnavailableException", "Unavailable", "ServiceException"}
)  # fmt: skip
_OTHER_IDS = frozenset({Step.NO_EXTERNAL_ID, Step.OTHER_EXTERNAL_ID, Step.MADE_UP_EXTERNAL_ID})
_TAG_ACTIONS = re.compile(r"sts:(?:TagSession|SetSourceIdentity)\b")
_DETAILS = 3


def diagnose(verdict: Verdict, target: Target, context: VerifyContext) -> Verdict:
    """The verdict with a diagnosis for each likely cause; unchanged if there is none. Errors of AWS are never raised.

    A rotation that the customer has not applied is not a failure, but has a diagnosis with a message for the customer.
    """
    details: dict[str, list[str]] = {}
    for cause, detail in _causes(verdict, target, context):
        known = details.setdefault(cause, [])
        if detail and detail not in known:
            known.append(detail)
    found = tuple(diagnosis_of(cause, target, _listed(known)) for cause, known in details.items())
    return replace(verdict, diagnoses=found)


def _listed(details: list[str]) -> str:
    rest = len(details) - _DETAILS
    return "; ".join(details[:_DETAILS]) + (f" and {rest} more" if rest > 0 else "")


def _causes(verdict: Verdict, target: Target, context: VerifyContext) -> Found:
    if verdict.rotation is RotationState.WAITING:
        yield "rotation-not-applied", ""
    yield from _external_id(verdict, target)
    for check in verdict.checks:
        if check.mark is Mark.FAILED:
            if check.step in _FAILED:
                yield from _FAILED[check.step](check, target, context)
            yield from ((name, detail) for name, cause in CAUSES.items() for detail in cause.detect(check))
        elif check.mark in _UNDECIDED:
            yield from _undecided(check, context)


def _external_id(verdict: Verdict, target: Target) -> Found:
    """Causes from the three assumes that must be refused: they show which condition the trust policy has."""
    counted = [check for check in verdict.checks if WHICH not in check.evidence]
    if any(check.older_module for check in counted if check.step in _OTHER_IDS and check.mark is Mark.FAILED):
        yield "newer-module-not-applied", "the trust policy is that of an earlier module"
        return
    marks = {check.step: check.mark for check in counted}
    open_to = {step for step, mark in marks.items() if mark is Mark.FAILED}
    if Step.NO_EXTERNAL_ID in open_to and target.external_id is None:
        yield "no-external-id-agreed", ""
    elif Step.NO_EXTERNAL_ID in open_to:
        made_up = marks.get(Step.MADE_UP_EXTERNAL_ID)
        yield ("external-id-optional" if made_up is Mark.REFUSED else "no-external-id-condition"), ""
    elif Step.MADE_UP_EXTERNAL_ID in open_to:
        yield "any-external-id", ""
    elif Step.OTHER_EXTERNAL_ID in open_to:
        yield "foreign-external-id", ""


def _assume(check: Check, target: Target, context: VerifyContext) -> Found:
    if check.code != ACCESS_DENIED:
        yield ("session-too-long", "") if "DurationSeconds" in check.message else ("unknown", _answer(check))
        return
    denial = denial_of(check.message)
    if denial is not None and (named := cause_of_denial(denial, "assume")):
        yield named, _denied(named, _denied_action(check.message, "sts:AssumeRole"), denial)
        return
    if check.older_module:
        yield "newer-module-not-applied", "the role refuses what only the newest module allows"
    if not _caller_is_backend_role(target, context):
        yield "wrong-caller", context.assumer.caller.arn
    elif _written_policy_allows(target, context) is False:
        yield "backend-policy-lacks-role", "the module as written does not name it; "
    elif written_trust_policy_allows(target, context) is False:
        yield "module-not-current", ""
    elif _TAG_ACTIONS.search(check.message) or _can_assume_untagged(target, context):
        yield "session-tags-not-allowed", ""
    else:
        yield from _vendor_or_customer(check, target, context)


def _vendor_or_customer(check: Check, target: Target, context: VerifyContext) -> Found:
    """Manifest and written modules are right: check whether the vendor's side works, then name the remaining causes."""
    deployed = _deployed_policy_allows(target, context)
    if deployed is False:
        yield "backend-policy-lacks-role", "the module as written names it, but is not applied; "
        return
    denial = denial_of(check.message)
    if denial is not None and denial.kind == "role trust policy":
        candidates = ["external-id-differs", "other-principal", "backend-role-recreated"]  # so the role exists
    elif _can_assume_others(target, context) is False:
        # Every role refuses: if our policies are right, the trust policies have the unique ID of a deleted role.
        candidates = [] if deployed else ["backend-policy-not-applied"]
        candidates += ["backend-role-recreated", "role-missing"]
    else:
        candidates = ["role-missing", "external-id-differs", "other-principal"]
        candidates += [] if deployed else ["backend-policy-not-applied"]
        candidates.append("backend-role-recreated")
    yield from ((cause, "") for cause in candidates)


def _granted(check: Check, target: Target, context: VerifyContext) -> Found:
    action = str(check.evidence.get("action", ""))
    denial = denial_of(check.message)
    if not action:
        yield "unknown", check.message
    elif check.older_module:
        yield "newer-module-not-applied", f"{action} does not work yet"
    elif denial is not None and (named := cause_of_denial(denial, "call")):
        yield named, _denied(named, action, denial)
    else:
        yield "permission-missing", action
        intended = context.agreed(target)
        if intended is not None and intended.roles[target.role_arn].boundary is not None:
            yield "permission-boundary", action


def _outside(check: Check, _target: Target, _context: VerifyContext) -> Found:
    action = str(check.evidence.get("action", ""))
    if action and check.older_module:
        yield "newer-module-not-applied", f"{action} still works"
    else:
        yield ("more-than-agreed", action) if action else ("unknown", check.message)


def _drift(check: Check, _target: Target, _context: VerifyContext) -> Found:
    if check.older_module:
        yield "newer-module-not-applied", "the role is as in an earlier module"
        return
    if check.evidence.get("stale_principals"):
        yield "backend-role-recreated", ""
    yield "drift", check.what


def _configuration(check: Check, _target: Target, _context: VerifyContext) -> Found:
    trusts = check.evidence.get("trusts")
    if check.older_module:
        yield "newer-module-not-applied", "the role is as in an earlier module"
    elif trusts is not None:
        yield ("trusts-everyone" if trusts == ANY_ACCOUNT else "trusts-whole-account"), ""
    else:
        others = [problem for problem in check.evidence.get("problems", ()) if problem != check.evidence.get("mfa")]
        if check.evidence.get("mfa"):
            yield "mfa-not-registered", str(check.evidence["mfa"])
        if others or not check.evidence.get("mfa"):
            yield "configuration", check.what


_FAILED: Mapping[Step, Callable[[Check, Target, VerifyContext], Found]] = {
    Step.ASSUME: _assume,
    Step.GRANTED: _granted,
    Step.OUTSIDE: _outside,
    Step.DRIFT: _drift,
    Step.CONFIGURATION: _configuration,
}


def _denied(cause: str, action: str, denial: Denial) -> str:
    """The detail for the templates of a cause: the action and, if AWS names it, the ARN of the denying policy."""
    if cause == "backend-policy-lacks-role":
        return ""
    return f"{action}, denied by {denial.arn}" if denial.arn else action


def _denied_action(message: str, default: str) -> str:
    """The action that a message names: AssumeRole also needs sts:TagSession and sts:SetSourceIdentity."""
    match = re.search(r"not authorized to perform:\s*([A-Za-z0-9-]+:[A-Za-z]+)", message)
    return match[1] if match is not None else default


def cause_of_code(code: str) -> str | None:
    """The cause that an AWS error code shows; None for a refusal and for codes that are not known."""
    if code == "RegionDisabledException":
        return "region-disabled"
    if code in _EXPIRED:
        return "own-credentials-expired"
    if code in _UNKNOWN_KEY:
        return "own-credentials-invalid"
    if code.startswith("Sandbox"):
        return "sandbox-limit"
    if code in _SERVICE_ERRORS:
        return "service-trouble"
    return "throttled" if Status.from_code(code).is_transient else None


def _undecided(check: Check, context: VerifyContext) -> Found:
    """Causes of a check without a result."""
    code, evidence = check.code, check.evidence
    if "clock_offset_seconds" in evidence:
        yield "clock-off", _offset(evidence)
    elif code == "RegionDisabledException":
        working = _working_region(context)
        yield "region-disabled", f"{context.assumer.caller.region} does not work, {working} does: " if working else ""
    elif (cause := cause_of_code(code)) is not None:
        details = {"own-credentials-invalid": code, "service-trouble": code, "sandbox-limit": _answer(check)}
        yield cause, details.get(cause, "")
    elif not code and check.message:
        yield "network", redact(check.message)
    elif code and code != ACCESS_DENIED:
        yield "unknown", _answer(check)


def _offset(evidence: Mapping[str, Any]) -> str:
    seconds = int(evidence["clock_offset_seconds"])
    return f", {abs(seconds)} s {'behind' if seconds > 0 else 'ahead of'} AWS's"


def _answer(check: Check) -> str:
    return f"{check.code}: {redact(check.message)}"


_ANYONE_MAY_ASSUME = PolicyDocument(
    (
        Statement(
            "Allow",
            actions=("sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"),
            principals=(Principal("AWS", "*"),),
        ),
    )
)
_OTHER_REGIONS = ("us-east-1", "us-west-2")


def _caller_is_backend_role(target: Target, context: VerifyContext) -> bool:
    """Whether the caller is the principal that the target trusts, by name: ARNs of sessions have no path."""
    found, wanted = identity_of(context.assumer.caller.arn), identity_of(target.backend_role_arn)
    if wanted.kind is not PrincipalKind.ROLE:
        return True
    name = (found.role or found.arn).rpartition("/")[2]
    return (found.account_id, found.partition, name) == (wanted.account_id, wanted.partition, wanted.name)


def _written_policy_allows(target: Target, context: VerifyContext) -> bool | None:
    """Whether the written backend module allows the backend role to assume the target's role; None if not known."""
    return None if context.backend is None else _allows(context.backend, target)


def written_trust_policy_allows(target: Target, context: VerifyContext) -> bool | None:
    """Whether the customer's written module allows the backend role to assume the role; None if not known."""
    access = context.output_access.get(target.role_arn)
    if access is None:
        return None
    caller = Caller(target.backend_role_arn, IdentitySide.ALLOWS_ALL)
    decision = Evaluator(access).may_assume(
        Request(caller, target.role_arn, context=assume_context(target, target.external_id))
    )
    return None if decision.effect is Effect.REFUSED else decision.allowed


def _deployed_policy_allows(target: Target, context: VerifyContext) -> bool | None:
    """Whether the deployed policies of the backend role allow it; None if the role may not read itself."""
    name = target.backend_role_arn.rpartition("/")[2]
    with account(context.assumer.caller.credentials):
        reading = read_role(context.client("iam"), name)
    if reading.not_checkable:
        return None
    arn = target.backend_role_arn
    return _allows(reading.merged_with(Access(roles={arn: Role(arn, None)}), arn), target)


def _allows(backend: Access, target: Target) -> bool | None:
    """Evaluate with a trust policy that allows everyone, so that only the policies of the backend role decide."""
    role = Role(target.role_arn, _ANYONE_MAY_ASSUME)
    request = Request(Caller(target.backend_role_arn), target.role_arn, context=assume_context(target, target.external_id))
    decision = Evaluator(Access.union([backend, Access(roles={role.arn: role})])).may_assume(request)
    unsure = decision.effect is Effect.REFUSED or (not decision.allowed and decision.unknown_policies)
    return None if unsure else decision.allowed


def assume_context(target: Target, external_id: str | None) -> dict[str, str | tuple[str, ...]]:
    """The condition keys of an assume by `Assumer` with this external ID; None sends none."""
    context: dict[str, str | tuple[str, ...]] = {"sts:ExternalId": external_id or ()}
    if target.session_tags:
        context |= {
            "aws:RequestTag/rolecall-run": "run",
            "aws:RequestTag/rolecall-target": target.name,
            "aws:TagKeys": ("rolecall-run", "rolecall-target"),
        }
    if target.source_identity:
        context["sts:SourceIdentity"] = "rolecall"
    return context


def _can_assume_others(target: Target, context: VerifyContext) -> bool | None:
    """Whether any other customer's role can be assumed, so that the vendor's side works; each is tried once per run."""
    found: bool | None = None
    for other in context.references:
        if other.role_arn != target.role_arn:
            answer = context.memory.get(("assume", other.role_arn), lambda other=other: _can_assume(other, context))  # type: ignore[misc]
            if answer:
                return True
            found = answer if found is None else found
    return found


def _can_assume(target: Target, context: VerifyContext) -> bool | None:
    """Whether the target's role can be assumed with its own external ID; None if not known."""
    answer = execute_call(lambda: context.assumer.assume(target), context)
    return {Mark.OK: True, Mark.REFUSED: False}.get(answer.mark)


def _can_assume_untagged(target: Target, context: VerifyContext) -> bool | None:
    """Whether the role can be assumed without session tags and source identity; None if not known or it has neither."""
    if not target.session_tags and not target.source_identity:
        return None
    return _can_assume(replace(target, session_tags=False, source_identity=False), context)


def _working_region(context: VerifyContext) -> str | None:
    """Another Region in which STS answers the caller, of a few that are tried; None if there is none."""
    caller = context.assumer.caller

    def call(region: str) -> object:
        with account(caller.credentials):
            return context.clients.client("sts", region).get_caller_identity()

    for region in _OTHER_REGIONS:
        if region != caller.region and execute_call(lambda region=region: call(region), context).mark is Mark.OK:  # type: ignore[misc]
            return region
    return None
