"""The roll call of one target, from the first assume to the likely cause of what failed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from rolecall_generator.iam.principals import Identity, identity_of
from rolecall_runner.credentials import AccountSession, Credentials
from rolecall_runner.engine.per_process import PerProcess
from rolecall_runner.failures import failure_of
from rolecall_runner.results.result import Outcome, Status
from rolecall_runner.targets import Target, TargetKind
from rolecall_runner.tasks.verify.context import VerifyContext
from rolecall_runner.tasks.verify.diagnosis import diagnose
from rolecall_runner.tasks.verify.drift import drift_of
from rolecall_runner.tasks.verify.grants import try_grants
from rolecall_runner.tasks.verify.ladder import Ladder, climb
from rolecall_runner.tasks.verify.newest import Newest, configuration_as
from rolecall_runner.tasks.verify.openness import openness
from rolecall_runner.tasks.verify.outside import try_outside
from rolecall_runner.tasks.verify.people import check_people
from rolecall_runner.tasks.verify.rotation import access_before
from rolecall_runner.tasks.verify.verdict import OLDER_MODULE, Mark, Rung, Step, Verdict


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
        rungs = tuple(_customer(target, context)) if other is None else (other,)
    else:
        rungs = tuple(_people(target, context))
    verdict = diagnose(Verdict(target.name, str(target.kind), target.account_id, target.role_arn, rungs), target, context)
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


def _another_roles(target: Target, context: VerifyContext) -> Rung | None:
    """A rung that skips a customer which another of the manifest's backend roles carries; None for the caller's own.

    A caller that is no backend role at all is asked for it: that its assume fails is worth a diagnosis.
    """
    who = identity_of(context.assumer.caller.arn)
    mine = [arn for arn in context.backend_roles if _same_role(arn, who)]
    if not mine or target.backend_role_arn in mine:
        return None
    name = target.backend_role_arn.rpartition("/")[2]
    return Rung(Step.ASSUME, Mark.SKIPPED, f"It trusts {name}, another backend role: call its roll under that role.")


def _same_role(arn: str, who: Identity) -> bool:
    """Whether a session or role is the role of this ARN; session ARNs carry no path."""
    role = identity_of(arn)
    return role.account_id == who.account_id and arn.rpartition("/")[2] == (who.role or "").rpartition("/")[2]


def _customer(target: Target, context: VerifyContext) -> Iterator[Rung]:
    ladder = climb(target, context)
    # Amid a rotation that waits for the customer it is known that the newest module is not applied.
    earlier = context.earlier(target) if ladder.target is target else ()
    newest = Newest(target, context.intended.get(target.role_arn), earlier, context)
    climbed = newest.explain(ladder.rungs)
    yield from climbed
    first = ladder.credentials
    if first is None:
        yield from (Rung(step, Mark.SKIPPED, "There is no session of the role to try it with.") for step in _later(context))
        yield from newest.conclude(climbed, opened=False)
        return
    rest = []
    for rung in _with_session(target, ladder, first, newest, context):
        rest.append(rung)
        yield rung
    yield from newest.conclude((*climbed, *rest))


def _with_session(
    target: Target, ladder: Ladder, first: Credentials, newest: Newest, context: VerifyContext
) -> Iterator[Rung]:
    """The rungs that need a session of the role."""
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
        for rung in _kept(Step.DRIFT, lambda: (drift_of(target, session, context)[0],)):
            older = {OLDER_MODULE: True} if rung.evidence.get(OLDER_MODULE) else {}
            yield rung
    for rung in _kept(Step.CONFIGURATION, lambda: (openness(target, session, context),)):
        # A role that is exactly as an earlier module set it up has that module's trust policy as well.
        yield replace(rung, evidence={**rung.evidence, **older}) if rung.mark is Mark.FAILED else rung


def _people(target: Target, context: VerifyContext) -> Iterator[Rung]:
    """The rungs of a switch role, and whether its newest modules are applied."""
    rungs = tuple(_kept(Step.CONFIGURATION, lambda: check_people(target, context.readers, context)))
    newest = Newest(target, context.intended.get(target.role_arn), context.earlier(target), context)
    if newest.candidates and any(rung.mark is Mark.FAILED for rung in rungs):
        for each in newest.candidates:
            then = replace(context, intended={target.role_arn: each.access})
            before = tuple(_kept(Step.CONFIGURATION, lambda then=then: check_people(target, then.readers, then)))  # type: ignore[misc]
            if configuration_as(before):
                rungs = tuple(
                    replace(rung, evidence={**rung.evidence, OLDER_MODULE: True}) if rung.mark is Mark.FAILED else rung
                    for rung in rungs
                )
                break
    yield from rungs
    if any(rung.mark in {Mark.OK, Mark.FAILED} for rung in rungs):
        yield from newest.conclude(rungs)


def _later(context: VerifyContext) -> Iterator[Step]:
    if context.options.probe_actions:
        yield from (Step.GRANTED, Step.OUTSIDE)
    if context.options.drift:
        yield Step.DRIFT
    yield Step.CONFIGURATION


def _kept(step: Step, climb_on: Callable[[], Iterable[Rung]]) -> Iterator[Rung]:
    """The rungs of one part; what it raises (the time is up) is a rung too, so that those before it are kept."""
    try:
        yield from climb_on()
    except Exception as error:  # whatever one part raises is this account's result, not the run's end
        failure = failure_of(error)
        mark = Mark.FAILED if failure.status is Status.FAILED else Mark.INCONCLUSIVE
        yield Rung(step, mark, "It could not be tried to the end.", failure.code, failure.message)
