"""Verification of one target: all its checks, then the likely causes of those that failed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from rolecall_generator.iam.evaluation import Identity, identity_of
from rolecall_runner.aws import AccountSession, Credentials, Status, failure_of
from rolecall_runner.execution import Outcome, ProcessLocal
from rolecall_runner.inventory import Target, TargetKind
from rolecall_runner.verify.agreed_access import access_before
from rolecall_runner.verify.checks import AssumeChecks, check_assume, check_trust_scope
from rolecall_runner.verify.context import VerifyContext
from rolecall_runner.verify.diagnosis import diagnose
from rolecall_runner.verify.drift import check_switch_role, drift_of
from rolecall_runner.verify.grants import try_grants, try_outside
from rolecall_runner.verify.newest_module import NewestModule
from rolecall_runner.verify.verdict import OLDER_MODULE, Check, Mark, Step, Verdict, configuration_agrees


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
