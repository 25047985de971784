"""What a report says of the run itself: of what, by whom, when.

The roll call of one target, from the first assume to the likely cause of what failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from rolecall_generator.iam.evaluation import Identity, identity_of
from rolecall_runner.aws import AccountSession, Credentials, Status, failure_of
from rolecall_runner.execution import Outcome, PerProcess
from rolecall_runner.inventory import Target, TargetKind
from rolecall_runner.verify.checks import Ladder, access_before, climb, openness
from rolecall_runner.verify.context import VerifyContext
from rolecall_runner.verify.diagnosis import diagnose
from rolecall_runner.verify.drift import drift_of
from rolecall_runner.verify.grants import try_grants, try_outside
from rolecall_runner.verify.newest_module import Newest, configuration_as
from rolecall_runner.verify.switch_role_users import check_people
from rolecall_runner.verify.verdict import OLDER_MODULE, Check, Mark, Step, Verdict


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One run of the roll call.

    `manifest` and `selection` as the user gave them; `started` and `ended` know their time zone; `caller_arn` is who asked;
    `version` is rolecall's. `targets` counts the accounts that were to be asked; 0: as many as there are verdicts.
    `rehearsal`: a sandbox answered, not AWS.
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
        """How long the run took."""
        return (self.ended - self.started).total_seconds()

    def to_json(self) -> dict[str, Any]:
        """The run as JSON values; times as ISO 8601, `seconds` next to them."""
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


class _Seed:
    """A cache of one entry, as `AccountSession` asks for: the first assume's session, used on until AWS calls it expired."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials: Credentials | None = credentials

    def load(self, _key: str) -> Credentials | None:
        return self._credentials

    def save(self, _key: str, credentials: Credentials) -> None:
        self._credentials = credentials

    def drop(self, _key: str) -> None:
        self._credentials = None


def verify(target: Target, context: VerifyContext) -> Verdict:
    """Call the roll of one target. What fails there is in the verdict, never raised."""
    if target.kind is TargetKind.CUSTOMER:
        other = _another_roles(target, context)
        checks = tuple(_customer(target, context)) if other is None else (other,)
    else:
        checks = tuple(_people(target, context))
    verdict = diagnose(Verdict(target.name, str(target.kind), target.account_id, target.role_arn, checks), target, context)
    form = context.history.forms.get((str(target.kind), target.name), "")
    return replace(verdict, rehearsal=context.rehearsal, form=form)


@dataclass(frozen=True, slots=True)
class VerifyTask:
    """`verify` as the engines run it: the verdict as JSON values, the mark as the status. Each process makes its context."""

    context: PerProcess[VerifyContext]
    name: str = "verify"

    def __call__(self, target: Target) -> Outcome:
        """Verify one target."""
        verdict = verify(target, self.context.get())
        return Outcome(Status(verdict.mark), verdict.to_json())


def _another_roles(target: Target, context: VerifyContext) -> Check | None:
    """A check that skips a customer which another of the manifest's backend roles carries; None for the caller's own.

    A caller that is no backend role at all is asked for it: that its assume fails is worth a diagnosis.
    """
    who = identity_of(context.assumer.caller.arn)
    mine = [arn for arn in context.backend_roles if _same_role(arn, who)]
    if not mine or target.backend_role_arn in mine:
        return None
    name = target.backend_role_arn.rpartition("/")[2]
    return Check(Step.ASSUME, Mark.SKIPPED, f"It trusts {name}, another backend role: call its roll under that role.")


def _same_role(arn: str, who: Identity) -> bool:
    """Whether a session or role is the role of this ARN; session ARNs carry no path."""
    role = identity_of(arn)
    return role.account_id == who.account_id and arn.rpartition("/")[2] == (who.role or "").rpartition("/")[2]


def _customer(target: Target, context: VerifyContext) -> Iterator[Check]:
    ladder = climb(target, context)
    # Amid a rotation that waits for the customer it is known that the newest module is not applied.
    earlier = context.earlier(target) if ladder.target is target else ()
    newest = Newest(target, context.intended.get(target.role_arn), earlier, context)
    climbed = newest.explain(ladder.checks)
    yield from climbed
    first = ladder.credentials
    if first is None:
        yield from (Check(step, Mark.SKIPPED, "There is no session of the role to try it with.") for step in _later(context))
        yield from newest.conclude(climbed, opened=False)
        return
    rest = []
    for check in _with_session(target, ladder, first, newest, context):
        rest.append(check)
        yield check
    yield from newest.conclude((*climbed, *rest))


def _with_session(
    target: Target, ladder: Ladder, first: Credentials, newest: Newest, context: VerifyContext
) -> Iterator[Check]:
    """The checks that need a session of the role."""
    if ladder.target is not target:
        # Amid a rotation, before the customer applies: what was agreed is the module that the customer has.
        agreed = context.intended.get(target.role_arn)
        context = replace(context, intended={} if agreed is None else {target.role_arn: access_before(agreed, target)})
        target = ladder.target
    session = AccountSession(lambda: context.assumer.assume(target), context.clock, cache=_Seed(first))
    if context.options.probe_actions:
        yield from _kept(Step.OUTSIDE, lambda: newest.try_changes(session))
        sampled = (
            *_kept(Step.GRANTED, lambda: try_grants(target, session, context)),
            *_kept(Step.OUTSIDE, lambda: try_outside(target, session, context, newest.tried)),
        )
        yield from map(newest.explain_call, sampled)
    older: dict[str, bool] = {}
    if context.options.drift:
        for check in _kept(Step.DRIFT, lambda: (drift_of(target, session, context)[0],)):
            older = {OLDER_MODULE: True} if check.evidence.get(OLDER_MODULE) else {}
            yield check
    for check in _kept(Step.CONFIGURATION, lambda: (openness(target, session, context),)):
        # A role that is exactly as an earlier module set it up has that module's trust policy as well.
        yield replace(check, evidence={**check.evidence, **older}) if check.mark is Mark.FAILED else check


def _people(target: Target, context: VerifyContext) -> Iterator[Check]:
    """The checks of a switch role, and whether its newest modules are applied."""
    checks = tuple(_kept(Step.CONFIGURATION, lambda: check_people(target, context.readers, context)))
    newest = Newest(target, context.intended.get(target.role_arn), context.earlier(target), context)
    if newest.candidates and any(check.mark is Mark.FAILED for check in checks):
        for each in newest.candidates:
            then = replace(context, intended={target.role_arn: each.access})
            before = tuple(_kept(Step.CONFIGURATION, lambda then=then: check_people(target, then.readers, then)))  # type: ignore[misc]
            if configuration_as(before):
                checks = tuple(
                    replace(check, evidence={**check.evidence, OLDER_MODULE: True}) if check.mark is Mark.FAILED else check
                    for check in checks
                )
                break
    yield from checks
    if any(check.mark in {Mark.OK, Mark.FAILED} for check in checks):
        yield from newest.conclude(checks)


def _later(context: VerifyContext) -> Iterator[Step]:
    if context.options.probe_actions:
        yield from (Step.GRANTED, Step.OUTSIDE)
    if context.options.drift:
        yield Step.DRIFT
    yield Step.CONFIGURATION


def _kept(step: Step, climb_on: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    """The checks of one part; what it raises (the time is up) is a check too, so that those before it are kept."""
    try:
        yield from climb_on()
    except Exception as error:  # whatever one part raises is this account's result, not the run's end
        failure = failure_of(error)
        mark = Mark.FAILED if failure.status is Status.FAILED else Mark.INCONCLUSIVE
        yield Check(step, mark, "It could not be tried to the end.", failure.code, failure.message)
