"""Verification of one target: who can assume its role, with which external IDs, what it may do, and the causes of failures.

A refusal proves nothing by itself: a role that does not exist refuses every request. The refusals therefore count only
between two successful assumes (IAM User Guide, "Access to AWS accounts owned by third parties": test with and without the
external ID).

During a rotation the manifest has a new external ID and the previous one. A role that accepts only the previous one is not
a failure: the customer has not applied the new module yet. After the rotation the retired ID must be refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from rolecall_generator.iam import Access, Arn, PolicyDocument, Role, role_arn
from rolecall_generator.iam.evaluation import (
    Caller,
    Decision,
    Effect,
    Evaluator,
    Identity,
    IdentitySide,
    PrincipalKind,
    Request,
    identity_of,
)
from rolecall_generator.iam_replies import document_of
from rolecall_runner.aws import AccountSession, Assumer, Credentials, SigningCredentials, Status, account, failure_of
from rolecall_runner.execution import Outcome, ProcessLocal
from rolecall_runner.inventory import Target, TargetKind
from rolecall_runner.verify.context import VerifyContext, access_before, before_applying
from rolecall_runner.verify.diagnosis import diagnose
from rolecall_runner.verify.drift import check_switch_role, drift_of
from rolecall_runner.verify.grants import try_grants, try_outside
from rolecall_runner.verify.newest_module import NewestModule
from rolecall_runner.verify.probe_call import CallResult, execute_call
from rolecall_runner.verify.verdict import (
    ANY_ACCOUNT,
    CURRENT,
    OLDER_MODULE,
    PREVIOUS,
    RETIRED,
    ROTATION,
    WHICH,
    WHOLE_ACCOUNT,
    Check,
    Mark,
    RotationState,
    Step,
    Verdict,
    configuration_agrees,
)

_HEX = "0123456789abcdef"
_MADE_UP_CHARACTERS = 32
_ADVICE = "AWS asks vendors not to use a role that can be assumed without one"


@dataclass(frozen=True, slots=True)
class AssumeChecks:
    """The checks in the order in which they ran, and the first session; None if the role could not be assumed.

    `target`: the target with the external ID that its role accepts; during a rotation this may be the previous one.
    """

    checks: tuple[Check, ...]
    credentials: Credentials | None = field(repr=False)
    target: Target


def check_assume(target: Target, context: VerifyContext) -> AssumeChecks:
    """Assume a customer's role with the right external ID, and without it. Errors of AWS are in the checks, never raised."""
    first = _assume(target, target.external_id, context)
    rotating = target.previous_external_id is not None
    previous = _assume(target, target.previous_external_id, context) if rotating else None
    if previous is not None and first.mark is Mark.REFUSED and previous.value is not None:
        opening, refused = _waiting_checks(first, previous)
        known = before_applying(target)
        return AssumeChecks((*_after_assume(known, opening, previous.value, context), refused), previous.value, known)
    opening = _assumed(first, target)
    rotation = () if previous is None else (_previous_id_check(first.mark, previous),)
    if first.value is None:
        return AssumeChecks((opening, *rotation, *_skipped(first.mark)), None, target)
    return AssumeChecks((*_after_assume(target, opening, first.value, context), *rotation), first.value, target)


def _after_assume(target: Target, opening: Check, credentials: Credentials, context: VerifyContext) -> Iterator[Check]:
    """All checks of a role that was assumed with the target's external ID, in their order."""
    refusals = tuple(_refusals(target, context))
    again = _assume(target, target.external_id, context)
    yield opening
    yield _identity(credentials, target, context)
    yield from (_unproven(check, again.mark) for check in refusals)
    yield _again(again)


def _assume(target: Target, external_id: str | None, context: VerifyContext) -> CallResult[Credentials]:
    """Assume with this external ID only; the assumer would try the previous one too during a rotation."""
    seconds = context.assumer.session_seconds
    return execute_call(lambda: context.assumer.assume(target, external_id=external_id, seconds=seconds), context)


def _waiting_checks(current: CallResult[Credentials], previous: CallResult[Credentials]) -> tuple[Check, Check]:
    """The role accepts only the previous ID: the check with that ID, and one for the new ID."""
    opening = "The role was assumed with its previous external ID; it does not accept the new one yet."
    refused = "The new external ID is refused so far: the customer has not applied the new module yet."
    return (
        _check(Step.ASSUME, Mark.OK, opening, previous, {WHICH: PREVIOUS, ROTATION: RotationState.WAITING.value}),
        _check(Step.ASSUME, Mark.SKIPPED, refused, current, {WHICH: CURRENT}),
    )


def _previous_id_check(current: Mark, answer: CallResult[Credentials]) -> Check:
    """What the assume with the previous ID shows, given the mark of the current ID."""
    found = {WHICH: PREVIOUS}
    if answer.mark is Mark.OK and current is Mark.OK:
        mark, what = Mark.OK, "The previous external ID is accepted too: the rotation can be finished."
        found[ROTATION] = RotationState.BOTH.value
    elif answer.mark is Mark.OK:
        mark, what = (
            Mark.OK,
            "The previous external ID is accepted; whether the new one is accepted could not be determined.",
        )
    elif answer.mark is Mark.REFUSED and current is Mark.OK:
        mark, what = Mark.REFUSED, "The previous external ID is already refused: the rotation can be finished."
        found[ROTATION] = RotationState.NEW_ONLY.value
    elif answer.mark is Mark.REFUSED:
        mark, what = Mark.SKIPPED, "The previous external ID is refused as well, which is not conclusive."
    else:
        mark, what = (
            _unless_failed(answer.mark),
            "Whether the previous external ID is still accepted could not be determined.",
        )
    return _check(Step.ASSUME, mark, what, answer, found)


def _retired_id_check(answer: CallResult[Credentials]) -> Check:
    """After a rotation: the retired ID must be refused."""
    if answer.mark is Mark.OK:
        mark, what = Mark.FAILED, "The role can still be assumed with the external ID that the last rotation retired."
    elif answer.mark is Mark.REFUSED:
        mark, what = Mark.REFUSED, "Refused with the external ID that the last rotation retired, as intended."
    else:
        mark = _unless_failed(answer.mark)
        what = "Whether the external ID that the last rotation retired is refused could not be determined."
    return _check(Step.OTHER_EXTERNAL_ID, mark, what, answer, {WHICH: RETIRED})


def _assumed(answer: CallResult[Credentials], target: Target) -> Check:
    how = "with its external ID" if target.external_id is not None else "without an external ID, as in the manifest"
    what = {
        Mark.OK: f"The role was assumed {how}.",
        Mark.REFUSED: f"The role could not be assumed {how}: AWS refused.",
        Mark.FAILED: "AWS rejected the AssumeRole request as invalid.",
    }.get(answer.mark, "Whether the role can be assumed could not be determined.")
    return _check(Step.ASSUME, Mark.FAILED if answer.mark is Mark.REFUSED else answer.mark, what, answer)


def _identity(credentials: Credentials, target: Target, context: VerifyContext) -> Check:
    def session_arn() -> str:
        with account(credentials):
            reply = context.client("sts").get_caller_identity()
        return str(reply["Arn"])

    answer = execute_call(session_arn, context)
    if answer.value is None:
        # GetCallerIdentity cannot be denied (its API reference): a refusal does not come from STS.
        mark = Mark.INCONCLUSIVE if answer.mark is Mark.REFUSED else answer.mark
        return _check(Step.IDENTITY, mark, "The identity of the session could not be read.", answer)
    if _is_session_of(answer.value, target):
        return _check(Step.IDENTITY, Mark.OK, "The session belongs to the role, in the expected account.", answer)
    what = f"The session is {answer.value}, not one of {target.role_arn}."
    return _check(Step.IDENTITY, Mark.FAILED, what, answer, {"arn": answer.value})


def _is_session_of(arn: str, target: Target) -> bool:
    found, role = identity_of(arn), identity_of(target.role_arn)
    named = (found.account_id, found.partition, (found.role or "").rpartition("/")[2])
    return found.kind is PrincipalKind.SESSION and named == (target.account_id, target.partition, role.name)


def _refusals(target: Target, context: VerifyContext) -> Iterator[Check]:
    """The assumes that must be refused."""
    if target.external_id is None:
        yield _no_id_agreed(target, context)
        for step in (Step.OTHER_EXTERNAL_ID, Step.MADE_UP_EXTERNAL_ID):
            yield Check(step, Mark.SKIPPED, "The manifest has no external ID for this customer to compare with.")
        return
    yield _must_be_refused(Step.NO_EXTERNAL_ID, "without an external ID", None, target, context)
    another = context.another_external_id(target)
    if another is None:
        yield Check(Step.OTHER_EXTERNAL_ID, Mark.SKIPPED, "No other customer has an external ID to try.")
    else:
        yield _must_be_refused(Step.OTHER_EXTERNAL_ID, "with another customer's external ID", another, target, context)
    made_up = "".join(_HEX[int(context.random() * len(_HEX))] for _ in range(_MADE_UP_CHARACTERS))
    yield _must_be_refused(Step.MADE_UP_EXTERNAL_ID, "with a made-up external ID", made_up, target, context)
    if (retired := target.retired_external_id) is not None:
        yield _retired_id_check(execute_call(lambda: context.assumer.assume(target, external_id=retired), context))


def _no_id_agreed(target: Target, context: VerifyContext) -> Check:
    """A role that was assumed without an external ID: a failure unless the manifest suppresses RC103 for it."""
    reason = context.without_external_id.get(target.name)
    if reason is not None:
        return Check(Step.NO_EXTERNAL_ID, Mark.SKIPPED, f"Agreed without an external ID (RC103 is suppressed): {reason}")
    return Check(Step.NO_EXTERNAL_ID, Mark.FAILED, f"The role can be assumed without an external ID; {_ADVICE}.")


def _must_be_refused(step: Step, how: str, external_id: str | None, target: Target, context: VerifyContext) -> Check:
    answer = execute_call(lambda: context.assumer.assume(target, external_id=external_id), context)
    if answer.mark is Mark.OK:
        return _check(step, Mark.FAILED, f"The role can be assumed {how}; {_ADVICE}.", answer)
    if answer.mark is Mark.REFUSED:
        return _check(step, Mark.REFUSED, f"Refused {how}, as intended.", answer)
    return _check(step, _unless_failed(answer.mark), f"Whether it is refused {how} could not be determined.", answer)


def _unless_failed(mark: Mark) -> Mark:
    """The mark of a request that had to be refused: one that AWS rejected as invalid proves nothing."""
    return Mark.INCONCLUSIVE if mark is Mark.FAILED else mark


def _again(answer: CallResult[Credentials]) -> Check:
    if answer.mark is Mark.OK:
        return _check(Step.ASSUME_AGAIN, Mark.OK, "The role was assumed again with the right external ID.", answer)
    if answer.mark is Mark.REFUSED:
        what = "The external ID that was accepted before is now refused: the refusals in between are not conclusive."
        return _check(Step.ASSUME_AGAIN, Mark.FAILED, what, answer)
    what = "Whether the role can still be assumed could not be determined: the earlier refusals are not conclusive."
    return _check(Step.ASSUME_AGAIN, answer.mark, what, answer)


def _unproven(check: Check, again: Mark) -> Check:
    """A refusal is inconclusive unless the second assume succeeds."""
    if check.mark is not Mark.REFUSED or again is Mark.OK:
        return check
    what = f"{check.what[:-1]}, but the right external ID was not accepted a second time."
    return replace(check, mark=Mark.INCONCLUSIVE, what=what)


def _skipped(first: Mark) -> Iterator[Check]:
    why = "was not assumed" if first in {Mark.REFUSED, Mark.FAILED} else "could not be reached"
    yield Check(Step.IDENTITY, Mark.SKIPPED, f"The role {why}: there is no session.")
    for step in (Step.NO_EXTERNAL_ID, Step.OTHER_EXTERNAL_ID, Step.MADE_UP_EXTERNAL_ID, Step.ASSUME_AGAIN):
        yield Check(step, Mark.SKIPPED, f"The role {why} with the right external ID: a refusal would not be conclusive.")


def _check(
    step: Step,
    mark: Mark,
    what: str,
    answer: CallResult[Any],
    evidence: Mapping[str, str] | None = None,
) -> Check:
    found = {**answer.evidence, **(evidence or {})}
    return Check(step, mark, what, answer.code, answer.message, found, answer.seconds, answer.attempts)


# A role that no trust policy names: if it is allowed, so is every role of its account. AWS does not assign the ID of zeros.
_STRANGER = "rolecall-unknown-principal"
_NO_ACCOUNT = "000000000000"


def check_trust_scope(target: Target, credentials: SigningCredentials, context: VerifyContext) -> Check:
    """Check that the role trusts no more than the backend role; the result is under Step.CONFIGURATION.

    Decided by the trust policy where the role may read itself (iam:GetRole), else by a second principal of the backend's
    account, which proves a failure if it can assume the role. SKIPPED without either.
    """
    answer = execute_call(lambda: _read_trust(target, credentials, context), context)
    if answer.value is not None:
        return judge_trust(target, answer.value)
    if context.second_caller is not None:
        return _try_second(target, context.second_caller, context)
    if answer.mark is Mark.REFUSED:
        what = "Whether the role trusts the whole backend account is not checkable: it may not read itself (iam:GetRole)."
        return Check(Step.CONFIGURATION, Mark.SKIPPED, what, answer.code, answer.message, seconds=answer.seconds)
    what = "Whether the role trusts the whole backend account could not be read this time."
    mark = Mark.UNREACHABLE if answer.mark is Mark.UNREACHABLE else Mark.INCONCLUSIVE
    return _check(Step.CONFIGURATION, mark, what, answer)


def judge_trust(target: Target, trust: PolicyDocument) -> Check:
    """Check that a trust policy allows no other principal of the backend's account, and none of another account.

    These principals are assumed to send the right external ID and to meet every condition that they control.
    """
    backend = Arn.parse(target.backend_role_arn)
    if backend is None:
        return Check(Step.CONFIGURATION, Mark.SKIPPED, "Not checkable: the manifest names no backend role for it.")
    strangers = ((ANY_ACCOUNT, _NO_ACCOUNT), (WHOLE_ACCOUNT, backend.account_id))
    decisions = {
        scope: _decide(target, trust, role_arn(backend.partition, number, "/", _STRANGER)) for scope, number in strangers
    }
    for scope, decision in decisions.items():
        if decision.allowed:
            everyone = "principals of any account" if scope == ANY_ACCOUNT else f"every principal of {backend.account_id}"
            when = f", subject only to conditions on {', '.join(decision.assumed)}" if decision.assumed else ""
            what = f"The trust policy allows {everyone}{when}, not only the backend role."
            evidence = {"trusts": scope, "keys": list(decision.assumed)}
            return Check(Step.CONFIGURATION, Mark.FAILED, what, evidence=evidence)
    if any(decision.effect is Effect.REFUSED for decision in decisions.values()):
        what = (
            "Whether the role trusts the whole backend account is not checkable: its trust policy has parts that rolecall "
            "cannot evaluate."
        )
        return Check(Step.CONFIGURATION, Mark.SKIPPED, what)
    return Check(Step.CONFIGURATION, Mark.OK, "The trust policy allows no other principal of the backend account.")


def _decide(target: Target, trust: PolicyDocument, stranger: str) -> Decision:
    evaluator = Evaluator(Access(roles={target.role_arn: Role(target.role_arn, trust)}))
    given: dict[str, str | tuple[str, ...]] = {"sts:ExternalId": target.external_id or ()}
    return evaluator.may_assume(
        Request(Caller(stranger, IdentitySide.ALLOWS_ALL), target.role_arn, context=given, free=True)
    )


def _read_trust(target: Target, credentials: SigningCredentials, context: VerifyContext) -> PolicyDocument:
    name = target.role_arn.rpartition("/")[2]
    with account(credentials):
        role: Any = context.client("iam").get_role(RoleName=name)["Role"]
    where = f"{target.role_arn}, trust policy"
    return document_of(role["AssumeRolePolicyDocument"], where=where, partition=target.partition)


def _try_second(target: Target, second: Assumer, context: VerifyContext) -> Check:
    """A refusal of the second caller proves nothing: its own policies may be the cause."""
    answer = execute_call(lambda: second.assume(target), context)
    if answer.mark is Mark.OK:
        what = f"{second.caller.arn} can assume the role too: it trusts more than the backend role."
        return Check(Step.CONFIGURATION, Mark.FAILED, what, evidence={"trusts": WHOLE_ACCOUNT})
    what = (
        "Whether the role trusts the whole backend account is not checkable: the second caller was refused, by its own "
        "policies or by the role's."
    )
    return Check(Step.CONFIGURATION, Mark.SKIPPED, what, answer.code, answer.message)


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One verify run, for reports.

    `manifest` and `selection` are as the user gave them; `started` and `ended` have a time zone; `version` is rolecall's.
    `targets`: number of selected targets; 0: as many as there are verdicts. `rehearsal`: a sandbox was used instead of AWS.
    """

    run_id: str
    manifest: str
    selection: str
    started: datetime
    ended: datetime
    caller_arn: str
    version: str
    targets: int = 0
    rehearsal: bool = False

    @property
    def seconds(self) -> float:
        """Duration of the run."""
        return (self.ended - self.started).total_seconds()

    def to_json(self) -> dict[str, Any]:
        """The run as JSON values, with its duration in `seconds`; times are in ISO 8601."""
        return {
            "run_id": self.run_id,
            "manifest": self.manifest,
            "selection": self.selection,
            "started": self.started.isoformat(),
            "ended": self.ended.isoformat(),
            "seconds": round(self.seconds, 3),
            "caller_arn": self.caller_arn,
            "version": self.version,
            "targets": self.targets,
            "rehearsal": self.rehearsal,
        }


class _FirstSession:
    """A session cache of one entry for `AccountSession`: the first assume's session, used until AWS reports it expired."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials: Credentials | None = credentials

    def load(self, _key: str) -> Credentials | None:
        return self._credentials

    def save(self, _key: str, credentials: Credentials) -> None:
        self._credentials = credentials

    def drop(self, _key: str) -> None:
        self._credentials = None


def verify(target: Target, context: VerifyContext) -> Verdict:
    """Verify one target. Failures are checks of the verdict, never raised."""
    if target.kind is TargetKind.CUSTOMER:
        skipped = _check_of_other_backend(target, context)
        checks = tuple(_customer(target, context)) if skipped is None else (skipped,)
    else:
        checks = tuple(_switch_role(target, context))
    verdict = diagnose(Verdict(target.name, str(target.kind), target.account_id, target.role_arn, checks), target, context)
    form = context.history.forms.get(target.key, "")
    return replace(verdict, rehearsal=context.rehearsal, form=form)


@dataclass(frozen=True, slots=True)
class VerifyTask:
    """`verify` as a task of the engines: its outcome has the verdict as JSON values and its mark as the status."""

    context: ProcessLocal[VerifyContext]
    name: str = "verify"

    def __call__(self, target: Target) -> Outcome:
        """Verify one target."""
        verdict = verify(target, self.context.get())
        return Outcome(Status(verdict.mark), verdict.to_json(), final=True)


def _check_of_other_backend(target: Target, context: VerifyContext) -> Check | None:
    """A skipped check for a customer that trusts another of the manifest's backend roles; None for the caller's own.

    Also None for a caller that is none of the backend roles: its failed assume gets a diagnosis.
    """
    caller = identity_of(context.assumer.caller.arn)
    own = [arn for arn in context.backend_roles if _same_role(arn, caller)]
    if not own or target.backend_role_arn in own:
        return None
    name = target.backend_role_arn.rpartition("/")[2]
    return Check(Step.ASSUME, Mark.SKIPPED, f"It trusts {name}, another backend role: verify it with that role.")


def _same_role(arn: str, identity: Identity) -> bool:
    """Whether a session or role is the role with this ARN; ARNs of sessions have no path."""
    role = identity_of(arn)
    return role.account_id == identity.account_id and arn.rpartition("/")[2] == (identity.role or "").rpartition("/")[2]


def _customer(target: Target, context: VerifyContext) -> Iterator[Check]:
    assumed = check_assume(target, context)
    # While a rotation waits for the customer, the newest module is known not to be applied.
    earlier = context.earlier(target) if assumed.target is target else ()
    newest = NewestModule(target, context.intended.get(target.role_arn), earlier, context)
    explained = newest.explain(assumed.checks)
    yield from explained
    first = assumed.credentials
    if first is None:
        yield from (Check(step, Mark.SKIPPED, "There is no session of the role to try it with.") for step in _later(context))
        yield from newest.conclude(explained, has_session=False)
        return
    rest = []
    for check in _with_session(target, assumed, first, newest, context):
        rest.append(check)
        yield check
    yield from newest.conclude((*explained, *rest))


def _with_session(
    target: Target, assumed: AssumeChecks, first: Credentials, newest: NewestModule, context: VerifyContext
) -> Iterator[Check]:
    """The checks that need a session of the role."""
    if assumed.target is not target:
        # During a rotation that the customer has not applied, compare with the access before the rotation.
        agreed = context.intended.get(target.role_arn)
        context = replace(context, intended={} if agreed is None else {target.role_arn: access_before(agreed, target)})
        target = assumed.target
    session = AccountSession(lambda: context.assumer.assume(target), context.clock, cache=_FirstSession(first))
    if context.options.probe_actions:
        yield from _guarded(Step.OUTSIDE, lambda: newest.try_changes(session))
        sampled = (
            *_guarded(Step.GRANTED, lambda: try_grants(target, session, context)),
            *_guarded(Step.OUTSIDE, lambda: try_outside(target, session, context, newest.tried)),
        )
        yield from map(newest.explain_call, sampled)
    older: dict[str, bool] = {}
    if context.options.drift:
        for check in _guarded(Step.DRIFT, lambda: (drift_of(target, session, context)[0],)):
            older = {OLDER_MODULE: True} if check.older_module else {}
            yield check
    for check in _guarded(Step.CONFIGURATION, lambda: (check_trust_scope(target, session, context),)):
        # A role that is exactly as in an earlier module has that module's trust policy as well.
        yield replace(check, evidence={**check.evidence, **older}) if check.mark is Mark.FAILED else check


def _switch_role(target: Target, context: VerifyContext) -> Iterator[Check]:
    """The checks of a switch role, and whether its newest modules are applied."""
    checks = tuple(_guarded(Step.CONFIGURATION, lambda: check_switch_role(target, context)))
    newest = NewestModule(target, context.intended.get(target.role_arn), context.earlier(target), context)
    if any(check.mark is Mark.FAILED for check in checks) and _matches_earlier(newest, target, context):
        checks = tuple(
            replace(check, evidence={**check.evidence, OLDER_MODULE: True}) if check.mark is Mark.FAILED else check
            for check in checks
        )
    yield from checks
    if any(check.mark in {Mark.OK, Mark.FAILED} for check in checks):
        yield from newest.conclude(checks)


def _matches_earlier(newest: NewestModule, target: Target, context: VerifyContext) -> bool:
    """Whether the switch role is exactly as in an earlier module that may still be applied."""
    for each in newest.candidates:
        then = replace(context, intended={target.role_arn: each.access})
        checks = tuple(_guarded(Step.CONFIGURATION, lambda then=then: check_switch_role(target, then)))  # type: ignore[misc]
        if configuration_agrees(checks):
            return True
    return False


def _later(context: VerifyContext) -> Iterator[Step]:
    if context.options.probe_actions:
        yield from (Step.GRANTED, Step.OUTSIDE)
    if context.options.drift:
        yield Step.DRIFT
    yield Step.CONFIGURATION


def _guarded(step: Step, run: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    """The checks of one part; an exception (such as a timeout) becomes a check, so that earlier ones are kept."""
    try:
        yield from run()
    except Exception as error:  # an exception of one part is this target's result and does not end the run
        failure = failure_of(error)
        mark = Mark.FAILED if failure.status is Status.FAILED else Mark.INCONCLUSIVE
        yield Check(step, mark, "The check could not be completed.", failure.code, failure.message)
