"""From what failed to the likely causes, the likeliest first: by AWS's code, its text, the written modules and second looks.

AWS sends one and the same AccessDenied for a role that is not there, a trust that names someone else and another external
id ("the bare form", IAM user guide, November 2026). So a code alone decides little: what can be known from our side is asked
first, and what remains is named as candidates. Of AWS's texts only documented phrases are used, and only as hints.

Second looks, after something failed: each a question whose answer tells causes apart that AWS answers alike. None
stands for "not known": then nothing is concluded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from rolecall_generator.iam import Access, PolicyDocument, Principal, Role, Statement
from rolecall_generator.iam.evaluation import Caller, Effect, Evaluator, IdentitySide, PrincipalKind, Request, identity_of
from rolecall_runner.aws import PASSING, REFUSAL, account
from rolecall_runner.inventory import Target
from rolecall_runner.live import read_role
from rolecall_runner.redact import redact
from rolecall_runner.verify.causes import told
from rolecall_runner.verify.checks import EVERYBODY, RETIRED, WHICH, RotationState, rotation_of
from rolecall_runner.verify.context import VerifyContext
from rolecall_runner.verify.denials import Denial, cause_of_refused_assume, cause_of_refused_call, denial_of
from rolecall_runner.verify.probe_call import ask
from rolecall_runner.verify.verdict import OLDER_MODULE, Check, Mark, Step, Verdict

Found = Iterator[tuple[str, str]]
"""Causes with a detail for their texts."""

_TROUBLED = frozenset({Mark.FAILED, Mark.INCONCLUSIVE, Mark.UNREACHABLE})
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_UNKNOWN_KEY = frozenset(
    {"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "AuthFailure", "SignatureDoesNotMatch",
     "InvalidSignatureException", "MissingAuthenticationToken", "IncompleteSignature"}
)  # fmt: skip
_OWN_FAULTS = frozenset(
    {"InternalError", "InternalFailure", "InternalServerError", "InternalServiceException", "ServiceUnavailable",
     "ServiceUnavailableException", "Unavailable", "ServiceException"}
)  # fmt: skip
_OTHER_IDS = frozenset({Step.NO_EXTERNAL_ID, Step.OTHER_EXTERNAL_ID, Step.MADE_UP_EXTERNAL_ID})
_TAG_ACTIONS = re.compile(r"sts:(?:TagSession|SetSourceIdentity)\b")
_DETAILS = 3


def diagnose(verdict: Verdict, target: Target, context: VerifyContext) -> Verdict:
    """The verdict with a diagnosis for each likely cause, each cause once; unchanged where nothing went wrong.

    That a customer has yet to apply a rotation is no failure, and has its text for the customer all the same.

    Asks AWS second questions where those tell causes apart. Never raises what AWS answers.
    """
    details: dict[str, list[str]] = {}
    for cause, detail in _causes(verdict, target, context):
        said = details.setdefault(cause, [])
        if detail and detail not in said:
            said.append(detail)
    found = tuple(told(cause, target, _listed(said)) for cause, said in details.items())
    return replace(verdict, diagnoses=found)


def _listed(said: list[str]) -> str:
    rest = len(said) - _DETAILS
    return "; ".join(said[:_DETAILS]) + (f" and {rest} more" if rest > 0 else "")


def _causes(verdict: Verdict, target: Target, context: VerifyContext) -> Found:
    if rotation_of(verdict) is RotationState.WAITING:
        yield "rotation-not-applied", ""
    yield from _external_id(verdict, target)
    for check in verdict.checks:
        if check.mark is Mark.FAILED:
            yield from _FAILED[check.step](check, verdict, target, context)
        elif check.mark in _TROUBLED:
            yield from _not_known(check, context)


def _external_id(verdict: Verdict, target: Target) -> Found:
    """What the three assumes together say about the condition on the external id."""
    counted = [check for check in verdict.checks if WHICH not in check.evidence]
    if any(check.evidence.get(OLDER_MODULE) for check in counted if check.step in _OTHER_IDS and check.mark is Mark.FAILED):
        yield "newer-module-not-applied", "the trust policy is the one of an earlier module"
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


def _already_said(_check: Check, _verdict: Verdict, _target: Target, _context: VerifyContext) -> Found:
    yield from ()


def _assume(check: Check, _verdict: Verdict, target: Target, context: VerifyContext) -> Found:
    if check.code != REFUSAL:
        yield from _wrong_request(check)
        return
    denial = denial_of(check.message)
    if denial is not None and (named := cause_of_refused_assume(denial)):
        yield named, _denied(named, _action_named(check.message, "sts:AssumeRole"), denial)
        return
    if check.evidence.get(OLDER_MODULE):
        yield "newer-module-not-applied", "the role refuses what only the newest module lets in"
    if not caller_is_backend_role(target, context):
        yield "wrong-caller", context.assumer.caller.arn
    elif written_policy_allows(target, context) is False:
        yield "backend-policy-lacks-role", "the module as written does not name it; "
    elif written_trust_allows(target, context) is False:
        yield "module-not-current", ""
    elif _TAG_ACTIONS.search(check.message) or can_assume_plainly(target, context):
        yield "session-tags-not-allowed", ""
    else:
        yield from _one_side_or_the_other(check, target, context)


def _one_side_or_the_other(check: Check, target: Target, context: VerifyContext) -> Found:
    """Nothing on paper is wrong: ask whether our side works as a whole, then name what the customer's may lack."""
    deployed = deployed_policy_allows(target, context)
    if deployed is False:
        yield "backend-policy-lacks-role", "the module as written names it, but is not applied; "
        return
    denial = denial_of(check.message)
    if denial is not None and denial.kind == "role trust policy":
        candidates = ["external-id-differs", "other-principal", "backend-role-recreated"]  # so the role exists
    elif others_let_us_in(target, context) is False:
        # Every trust refuses: with our policies as they should be, the trusts hold the id of a role that is gone.
        candidates = [] if deployed else ["backend-policy-not-applied"]
        candidates += ["backend-role-recreated", "role-missing"]
    else:
        candidates = ["role-missing", "external-id-differs", "other-principal"]
        candidates += [] if deployed else ["backend-policy-not-applied"]
        candidates.append("backend-role-recreated")
    yield from ((cause, "") for cause in candidates)


def _wrong_request(check: Check) -> Found:
    if "DurationSeconds" in check.message:
        yield "session-too-long", ""
    else:
        yield "unknown", _answer(check)


def _other_id(check: Check, _verdict: Verdict, _target: Target, _context: VerifyContext) -> Found:
    if check.evidence.get(WHICH) == RETIRED:
        yield "retired-external-id", ""


def _identity(check: Check, _verdict: Verdict, _target: Target, _context: VerifyContext) -> Found:
    yield "identity-differs", str(check.evidence.get("arn", check.what))


def _again(_check: Check, _verdict: Verdict, _target: Target, _context: VerifyContext) -> Found:
    yield "unsteady", ""


def _granted(check: Check, _verdict: Verdict, target: Target, context: VerifyContext) -> Found:
    action = str(check.evidence.get("action", ""))
    denial = denial_of(check.message)
    if not action:
        yield "unknown", check.message
    elif check.evidence.get(OLDER_MODULE):
        yield "newer-module-not-applied", f"{action} does not work yet"
    elif denial is not None and (named := cause_of_refused_call(denial)):
        yield named, _denied(named, action, denial)
    else:
        yield "permission-missing", action
        intended = context.intended.get(target.role_arn)
        role = intended.roles.get(target.role_arn) if intended else None
        if role is not None and role.boundary is not None:
            yield "permission-boundary", action


def _outside(check: Check, _verdict: Verdict, _target: Target, _context: VerifyContext) -> Found:
    action = str(check.evidence.get("action", ""))
    if action and check.evidence.get(OLDER_MODULE):
        yield "newer-module-not-applied", f"{action} still works"
    else:
        yield ("more-than-agreed", action) if action else ("unknown", check.message)


def _drift(check: Check, _verdict: Verdict, _target: Target, _context: VerifyContext) -> Found:
    if check.evidence.get(OLDER_MODULE):
        yield "newer-module-not-applied", "the role is as an earlier module set it up"
        return
    if check.evidence.get("stale_principals"):
        yield "backend-role-recreated", ""
    yield "drift", check.what


def _configuration(check: Check, _verdict: Verdict, _target: Target, _context: VerifyContext) -> Found:
    trusts = check.evidence.get("trusts")
    if check.evidence.get(OLDER_MODULE):
        yield "newer-module-not-applied", "the role is as an earlier module set it up"
    elif trusts is not None:
        yield ("trusts-everybody" if trusts == EVERYBODY else "trusts-whole-account"), ""
    else:
        others = [problem for problem in check.evidence.get("problems", ()) if problem != check.evidence.get("mfa")]
        if check.evidence.get("mfa"):
            yield "mfa-not-registered", str(check.evidence["mfa"])
        if others or not check.evidence.get("mfa"):
            yield "configuration", check.what


_FAILED: Mapping[Step, Callable[[Check, Verdict, Target, VerifyContext], Found]] = {
    Step.ASSUME: _assume,
    Step.IDENTITY: _identity,
    Step.NO_EXTERNAL_ID: _already_said,
    Step.OTHER_EXTERNAL_ID: _other_id,
    Step.MADE_UP_EXTERNAL_ID: _already_said,
    Step.ASSUME_AGAIN: _again,
    Step.GRANTED: _granted,
    Step.OUTSIDE: _outside,
    Step.DRIFT: _drift,
    Step.CONFIGURATION: _configuration,
    Step.MODULE: _already_said,
}


def _denied(cause: str, action: str, denial: Denial) -> str:
    """The action and, where AWS names it, the ARN of the denying policy, as the texts of a cause take it."""
    if cause == "backend-policy-lacks-role":
        return ""
    return f"{action}, denied by {denial.arn}" if denial.arn else action


def _action_named(message: str, usual: str) -> str:
    """The action that a message says was refused: sts:TagSession and sts:SetSourceIdentity are asked with AssumeRole."""
    match = re.search(r"not authorized to perform:\s*([A-Za-z0-9-]+:[A-Za-z]+)", message)
    return match[1] if match is not None else usual


def _not_known(check: Check, context: VerifyContext) -> Found:
    """A check that could not be decided: what stood in the way."""
    code, evidence = check.code, check.evidence
    if "clock_offset_seconds" in evidence:
        yield "clock-off", _offset(evidence)
    elif code == "RegionDisabledException":
        works = region_that_works(context)
        yield "region-disabled", f"{context.assumer.caller.region} does not work, {works} does: " if works else ""
    elif code in _EXPIRED:
        yield "own-credentials-expired", ""
    elif code in _UNKNOWN_KEY:
        yield "own-credentials-invalid", code
    elif code.startswith("Sandbox"):
        yield "sandbox-limit", _answer(check)
    elif code in _OWN_FAULTS:
        yield "service-trouble", code
    elif code in PASSING:
        yield "throttled", ""
    elif not code and check.message:
        yield "network", redact(check.message)
    elif code and code != REFUSAL:
        yield "unknown", _answer(check)


def _offset(evidence: Mapping[str, Any]) -> str:
    seconds = int(evidence["clock_offset_seconds"])
    return f", {abs(seconds)} s {'behind' if seconds > 0 else 'ahead of'} AWS's"


def _answer(check: Check) -> str:
    return f"{check.code}: {redact(check.message)}"


_EVERYBODY = PolicyDocument(
    (
        Statement(
            "Allow",
            actions=("sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"),
            principals=(Principal("AWS", "*"),),
        ),
    )
)
_OTHER_REGIONS = ("us-east-1", "us-west-2")


def caller_is_backend_role(target: Target, context: VerifyContext) -> bool:
    """Whether the run's caller is the principal that the target trusts. A session's ARN has no path: names are compared."""
    found, wanted = identity_of(context.assumer.caller.arn), identity_of(target.backend_role_arn)
    if wanted.kind is not PrincipalKind.ROLE:
        return True
    name = (found.role or found.arn).rpartition("/")[2]
    return (found.account_id, found.partition, name) == (wanted.account_id, wanted.partition, wanted.name)


def written_policy_allows(target: Target, context: VerifyContext) -> bool | None:
    """Whether the backend module, as it is written, lets the backend role assume the target's role."""
    return None if context.backend is None else _allows(context.backend, target)


def written_trust_allows(target: Target, context: VerifyContext) -> bool | None:
    """Whether the customer's module, as it is written, lets the backend role in; None where no module is written."""
    access = context.written.get(target.role_arn)
    if access is None:
        return None
    caller = Caller(target.backend_role_arn, IdentitySide.ALLOWS_ALL)
    decision = Evaluator(access).may_assume(Request(caller, target.role_arn, context=_sent(target)))
    return None if decision.effect is Effect.REFUSED else decision.allowed


def deployed_policy_allows(target: Target, context: VerifyContext) -> bool | None:
    """The same of the backend role as it is now, where that may read itself (iam:GetRole and its like)."""
    name = target.backend_role_arn.rpartition("/")[2]
    with account(context.assumer.caller.credentials):
        reading = read_role(context.clients.client("iam", context.assumer.caller.region), name)
    if reading.not_checkable:
        return None
    arn = target.backend_role_arn
    return _allows(reading.over(Access(roles={arn: Role(arn, None)}), arn), target)


def _allows(backend: Access, target: Target) -> bool | None:
    """Ask the evaluator with a trust policy that lets everybody in: what remains is the backend's own side."""
    role = Role(target.role_arn, _EVERYBODY)
    asked = Request(Caller(target.backend_role_arn), target.role_arn, context=_sent(target))
    decision = Evaluator(Access.union([backend, Access(roles={role.arn: role})])).may_assume(asked)
    unsure = decision.effect is Effect.REFUSED or (not decision.allowed and decision.unknown_policies)
    return None if unsure else decision.allowed


def _sent(target: Target) -> dict[str, str | tuple[str, ...]]:
    """The condition keys of the assume as `Assumer` sends it."""
    return sent_with(target, target.external_id)


def sent_with(target: Target, external_id: str | None) -> dict[str, str | tuple[str, ...]]:
    """The condition keys of an assume that sends this external ID, or none."""
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


def others_let_us_in(target: Target, context: VerifyContext) -> bool | None:
    """Whether another customer's role can be assumed: then our side works as a whole. Asked once a run for each witness."""
    witnesses = [witness for witness in context.witnesses if witness.role_arn != target.role_arn]
    return _any(witnesses, context, lambda witness: can_assume(witness, context))


def _any(witnesses: Iterable[Target], context: VerifyContext, question: Callable[[Target], bool | None]) -> bool | None:
    found: bool | None = None
    for witness in witnesses:
        answer = context.memory.once(("assume", witness.role_arn), lambda witness=witness: question(witness))  # type: ignore[misc]
        if answer:
            return True
        found = answer if found is None else found
    return found


def can_assume(target: Target, context: VerifyContext) -> bool | None:
    """Whether the target's role can be assumed right now with its own external id."""
    answer = ask(lambda: context.assumer.assume(target), context)
    return {Mark.OK: True, Mark.REFUSED: False}.get(answer.mark)


def can_assume_plainly(target: Target, context: VerifyContext) -> bool | None:
    """Whether the role can be assumed without session tags and source identity; None also where it has neither."""
    if not target.session_tags and not target.source_identity:
        return None
    return can_assume(replace(target, session_tags=False, source_identity=False), context)


def region_that_works(context: VerifyContext) -> str | None:
    """Another Region in which STS answers our caller; None where there is none among a few."""
    caller = context.assumer.caller

    def who(region: str) -> object:
        with account(caller.credentials):
            return context.clients.client("sts", region).get_caller_identity()

    for region in _OTHER_REGIONS:
        if region != caller.region and ask(lambda region=region: who(region), context).mark is Mark.OK:  # type: ignore[misc]
            return region
    return None
