"""From what failed to the likely causes, the likeliest first: by AWS's code, its text, the written modules and second looks.

AWS sends one and the same AccessDenied for a role that is not there, a trust that names somebody else and another external
id ("the bare form", IAM user guide, November 2026). So a code alone decides little: what can be known from our side is asked
first, and what remains is named as candidates. Of AWS's texts only documented phrases are used, and only as hints.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from rolecall_runner.credentials import REFUSAL
from rolecall_runner.failures import PASSING
from rolecall_runner.redact import redact
from rolecall_runner.targets import Target
from rolecall_runner.tasks.verify import probes
from rolecall_runner.tasks.verify.causes import told
from rolecall_runner.tasks.verify.context import VerifyContext
from rolecall_runner.tasks.verify.denials import Denial, cause_of_refused_assume, cause_of_refused_call, denial_of
from rolecall_runner.tasks.verify.openness import EVERYBODY
from rolecall_runner.tasks.verify.rotation import RETIRED, WHICH, RotationState, rotation_of
from rolecall_runner.tasks.verify.verdict import OLDER_MODULE, Mark, Rung, Step, Verdict

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
    for rung in verdict.rungs:
        if rung.mark is Mark.FAILED:
            yield from _FAILED[rung.step](rung, verdict, target, context)
        elif rung.mark in _TROUBLED:
            yield from _not_known(rung, context)


def _external_id(verdict: Verdict, target: Target) -> Found:
    """What the three assumes together say about the condition on the external id."""
    counted = [rung for rung in verdict.rungs if WHICH not in rung.evidence]
    if any(rung.evidence.get(OLDER_MODULE) for rung in counted if rung.step in _OTHER_IDS and rung.mark is Mark.FAILED):
        yield "newer-module-not-applied", "the trust policy is the one of an earlier module"
        return
    marks = {rung.step: rung.mark for rung in counted}
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


def _already_said(_rung: Rung, _verdict: Verdict, _target: Target, _context: VerifyContext) -> Found:
    yield from ()


def _assume(rung: Rung, _verdict: Verdict, target: Target, context: VerifyContext) -> Found:
    if rung.code != REFUSAL:
        yield from _wrong_request(rung)
        return
    denial = denial_of(rung.message)
    if denial is not None and (named := cause_of_refused_assume(denial)):
        yield named, _denied(named, _action_named(rung.message, "sts:AssumeRole"), denial)
        return
    if rung.evidence.get(OLDER_MODULE):
        yield "newer-module-not-applied", "the role refuses what only the newest module lets in"
    if not probes.caller_is_backend_role(target, context):
        yield "wrong-caller", context.assumer.caller.arn
    elif probes.written_policy_allows(target, context) is False:
        yield "backend-policy-lacks-role", "the module as written does not name it; "
    elif probes.written_trust_allows(target, context) is False:
        yield "module-not-current", ""
    elif _TAG_ACTIONS.search(rung.message) or probes.can_assume_plainly(target, context):
        yield "session-tags-not-allowed", ""
    else:
        yield from _one_side_or_the_other(rung, target, context)


def _one_side_or_the_other(rung: Rung, target: Target, context: VerifyContext) -> Found:
    """Nothing on paper is wrong: ask whether our side works as a whole, then name what the customer's may lack."""
    deployed = probes.deployed_policy_allows(target, context)
    if deployed is False:
        yield "backend-policy-lacks-role", "the module as written names it, but is not applied; "
        return
    denial = denial_of(rung.message)
    if denial is not None and denial.kind == "role trust policy":
        candidates = ["external-id-differs", "other-principal", "backend-role-recreated"]  # so the role exists
    elif probes.others_let_us_in(target, context) is False:
        # Every trust refuses: with our policies as they should be, the trusts hold the id of a role that is gone.
        candidates = [] if deployed else ["backend-policy-not-applied"]
        candidates += ["backend-role-recreated", "role-missing"]
    else:
        candidates = ["role-missing", "external-id-differs", "other-principal"]
        candidates += [] if deployed else ["backend-policy-not-applied"]
        candidates.append("backend-role-recreated")
    yield from ((cause, "") for cause in candidates)


def _wrong_request(rung: Rung) -> Found:
    if "DurationSeconds" in rung.message:
        yield "session-too-long", ""
    else:
        yield "unknown", _answer(rung)


def _other_id(rung: Rung, _verdict: Verdict, _target: Target, _context: VerifyContext) -> Found:
    if rung.evidence.get(WHICH) == RETIRED:
        yield "retired-external-id", ""


def _identity(rung: Rung, _verdict: Verdict, _target: Target, _context: VerifyContext) -> Found:
    yield "identity-differs", str(rung.evidence.get("arn", rung.what))


def _again(_rung: Rung, _verdict: Verdict, _target: Target, _context: VerifyContext) -> Found:
    yield "unsteady", ""


def _granted(rung: Rung, _verdict: Verdict, target: Target, context: VerifyContext) -> Found:
    action = str(rung.evidence.get("action", ""))
    denial = denial_of(rung.message)
    if not action:
        yield "unknown", rung.message
    elif rung.evidence.get(OLDER_MODULE):
        yield "newer-module-not-applied", f"{action} does not work yet"
    elif denial is not None and (named := cause_of_refused_call(denial)):
        yield named, _denied(named, action, denial)
    else:
        yield "permission-missing", action
        intended = context.intended.get(target.role_arn)
        role = intended.roles.get(target.role_arn) if intended else None
        if role is not None and role.boundary is not None:
            yield "permission-boundary", action


def _outside(rung: Rung, _verdict: Verdict, _target: Target, _context: VerifyContext) -> Found:
    action = str(rung.evidence.get("action", ""))
    if action and rung.evidence.get(OLDER_MODULE):
        yield "newer-module-not-applied", f"{action} still works"
    else:
        yield ("more-than-agreed", action) if action else ("unknown", rung.message)


def _drift(rung: Rung, _verdict: Verdict, _target: Target, _context: VerifyContext) -> Found:
    if rung.evidence.get(OLDER_MODULE):
        yield "newer-module-not-applied", "the role is as an earlier module set it up"
        return
    if rung.evidence.get("stale_principals"):
        yield "backend-role-recreated", ""
    yield "drift", rung.what


def _configuration(rung: Rung, _verdict: Verdict, _target: Target, _context: VerifyContext) -> Found:
    trusts = rung.evidence.get("trusts")
    if rung.evidence.get(OLDER_MODULE):
        yield "newer-module-not-applied", "the role is as an earlier module set it up"
    elif trusts is not None:
        yield ("trusts-everybody" if trusts == EVERYBODY else "trusts-whole-account"), ""
    else:
        others = [problem for problem in rung.evidence.get("problems", ()) if problem != rung.evidence.get("mfa")]
        if rung.evidence.get("mfa"):
            yield "mfa-not-registered", str(rung.evidence["mfa"])
        if others or not rung.evidence.get("mfa"):
            yield "configuration", rung.what


_FAILED: Mapping[Step, Callable[[Rung, Verdict, Target, VerifyContext], Found]] = {
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


def _not_known(rung: Rung, context: VerifyContext) -> Found:
    """A rung that could not be decided: what stood in the way."""
    code, evidence = rung.code, rung.evidence
    if "clock_offset_seconds" in evidence:
        yield "clock-off", _offset(evidence)
    elif code == "RegionDisabledException":
        works = probes.region_that_works(context)
        yield "region-disabled", f"{context.assumer.caller.region} does not work, {works} does: " if works else ""
    elif code in _EXPIRED:
        yield "own-credentials-expired", ""
    elif code in _UNKNOWN_KEY:
        yield "own-credentials-invalid", code
    elif code.startswith("Sandbox"):
        yield "sandbox-limit", _answer(rung)
    elif code in _OWN_FAULTS:
        yield "service-trouble", code
    elif code in PASSING:
        yield "throttled", ""
    elif not code and rung.message:
        yield "network", redact(rung.message)
    elif code and code != REFUSAL:
        yield "unknown", _answer(rung)


def _offset(evidence: Mapping[str, Any]) -> str:
    seconds = int(evidence["clock_offset_seconds"])
    return f", {abs(seconds)} s {'behind' if seconds > 0 else 'ahead of'} AWS's"


def _answer(rung: Rung) -> str:
    return f"{rung.code}: {redact(rung.message)}"
