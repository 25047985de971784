"""Does the role refuse what nobody agreed to? A few safe calls outside the grant, each of which AWS must refuse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rolecall_generator.iam.access import Access
from rolecall_generator.iam.evaluator import Caller, Effect, Evaluator, Request
from rolecall_runner.clients import SigningCredentials
from rolecall_runner.targets import Target
from rolecall_runner.tasks.verify.agreed import Bounds, bounds_of, covers, model_of, statements_of
from rolecall_runner.tasks.verify.calling import Answer, Tried, try_call
from rolecall_runner.tasks.verify.context import VerifyContext
from rolecall_runner.tasks.verify.safe_calls import SafeCall, offered, safe_call
from rolecall_runner.tasks.verify.verdict import Mark, Rung, Step
from rolecall_runner.tasks.verify.well_known import READS


def try_outside(
    target: Target, credentials: SigningCredentials, context: VerifyContext, tried: frozenset[str] = frozenset()
) -> Iterator[Rung]:
    """One rung for each of a sample of actions that the role must not have; one skipped rung when none can be named.

    The sample of a target is the same in every run; actions in `tried` were probed already. An action counts as outside when
    no statement of the agreed policies allows it on anything, or one denies it; where a policy's text is not known, every
    action may be granted by it.
    """
    intended = context.intended.get(target.role_arn)
    if intended is None or target.role_arn not in intended.roles:
        yield Rung(Step.OUTSIDE, Mark.SKIPPED, "not checkable: the manifest does not say what was agreed for this role")
        return
    bounds = bounds_of(target, intended, credentials, context)
    region = target.regions[0] if target.regions else context.assumer.caller.region
    calls = [call for call in _sample(target, bounds, region, context) if call.action not in tried]
    if not calls and not tried:
        yield Rung(Step.OUTSIDE, Mark.SKIPPED, _why_none(bounds), evidence={"unknown_policies": list(bounds.unknown)})
    for call in calls:
        yield _rung(try_call(call, region, credentials, context))


def outside_of(role_arn: str, access: Access, actions: Sequence[str] = READS) -> tuple[str, ...]:
    """Those of the actions that the role may not do on anything, as far as all its policies in `access` say."""
    statements = [statement for statement in statements_of(role_arn, access) if statement.effect == "Allow"]
    evaluator = Evaluator(access)

    def outside(action: str) -> bool:
        if not any(covers(statement, action) for statement in statements):
            return True
        return evaluator.may(Request(Caller(role_arn), "*", action)).effect is Effect.EXPLICIT_DENY

    return tuple(action for action in actions if outside(action))


def _sample(target: Target, bounds: Bounds, region: str, context: VerifyContext) -> Iterator[SafeCall]:
    if bounds.unknown:
        return
    actions = list(outside_of(target.role_arn, bounds.most))
    # By a rank of each action's own: the choice differs between targets, is the same in every run, and does not shift when
    # another action joins or leaves.
    actions.sort(key=lambda action: context.drawn(target, "outside", action))
    left = len(actions) if context.options.all_actions else context.options.outside_actions
    for action in actions:
        if left <= 0:
            return
        call = safe_call(action, "*", model_of(context, region))
        if call is not None and offered(call.service, region, target.partition):
            left -= 1
            yield call


def _why_none(bounds: Bounds) -> str:
    if bounds.unknown:
        return f"not checkable: the text of {', '.join(bounds.unknown)} is not known, so any action may be granted by it"
    return "nothing to refuse: the role was granted every action that could be tried"


def _rung(tried: Tried) -> Rung:
    action = tried.call.action
    match tried.answer:
        case Answer.REFUSED:
            mark, what = Mark.REFUSED, f"{action} is refused: it was not granted"
        case Answer.ALLOWED:
            mark, what = Mark.FAILED, f"{action} is allowed, but was never granted: the role may do more than was agreed"
        case Answer.NOT_OFFERED:
            mark, what = Mark.SKIPPED, f"{action}: {tried.not_rehearsed}"
        case _:
            mark, what = Mark.INCONCLUSIVE, f"whether {action} is refused cannot be told"
    return Rung(Step.OUTSIDE, mark, what, tried.code, tried.message, tried.evidence, tried.seconds, tried.attempts)
