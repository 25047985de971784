"""The ladder of one customer: the role lets us in with the right external id, and with none else.

A refusal proves nothing alone: a role that is not there refuses everybody. So the refusals count only between two assumes
that succeed (IAM user guide, "Access to AWS accounts owned by third parties": test with and without the external id).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from rolecall_generator.iam.principals import Kind, identity_of
from rolecall_runner.clients import account
from rolecall_runner.credentials import Credentials
from rolecall_runner.targets import Target
from rolecall_runner.tasks.verify.context import VerifyContext
from rolecall_runner.tasks.verify.outcomes import Answer, ask
from rolecall_runner.tasks.verify.verdict import Mark, Rung, Step

PREVIOUS = "previous"
"""Value of the evidence `external_id` of the rung that tries the id of before a rotation."""

_HEX = "0123456789abcdef"
_MADE_UP_CHARACTERS = 32
_ADVICE = "AWS asks vendors not to use a role that can be assumed without one"


@dataclass(frozen=True, slots=True)
class Ladder:
    """The rungs in the order in which they were climbed, and the session of the first assume: None when it failed."""

    rungs: tuple[Rung, ...]
    credentials: Credentials | None = field(default=None, repr=False)


def climb(target: Target, context: VerifyContext) -> Ladder:
    """Climb the ladder of a customer's role. What AWS refuses is in the rungs, never raised."""
    assumer = context.assumer
    first = ask(lambda: assumer.assume(target), context)
    opening = _assumed(first, target)
    previous = tuple(_previous(target, context, first.mark))
    if first.value is None:
        return Ladder((opening, *previous, *_skipped(first.mark)))
    middle = tuple(_refusals(target, context))
    again = ask(lambda: assumer.assume(target), context)
    rungs = (
        opening,
        _identity(first.value, target, context),
        *(_unproven(rung, again.mark) for rung in middle),
        _again(again),
        *previous,
    )
    return Ladder(rungs, first.value)


def _assumed(answer: Answer[Credentials], target: Target) -> Rung:
    how = "with its external id" if target.external_id is not None else "without an external id, as the manifest has it"
    sentences = {
        Mark.OK: f"The role was assumed {how}.",
        Mark.REFUSED: f"The role could not be assumed {how}: AWS refused.",
        Mark.FAILED: "AWS does not take the request to assume the role.",
    }
    mark = Mark.FAILED if answer.mark is Mark.REFUSED else answer.mark
    return _rung(Step.ASSUME, mark, sentences.get(answer.mark, "Whether the role can be assumed is not known."), answer)


def _identity(credentials: Credentials, target: Target, context: VerifyContext) -> Rung:
    def who() -> str:
        with account(credentials):
            reply = context.clients.client("sts", context.assumer.caller.region).get_caller_identity()
        return str(reply["Arn"])

    answer = ask(who, context)
    if answer.value is None:
        # GetCallerIdentity cannot be denied (its API reference): a refusal is an answer of something else than STS.
        mark = Mark.INCONCLUSIVE if answer.mark is Mark.REFUSED else answer.mark
        return _rung(Step.IDENTITY, mark, "Whose session it is could not be asked.", answer)
    if _is_session_of(answer.value, target):
        return _rung(Step.IDENTITY, Mark.OK, "The session is the role's, in the account meant.", answer)
    what = f"The session is {answer.value}, not one of {target.role_arn}."
    return _rung(Step.IDENTITY, Mark.FAILED, what, replace(answer, evidence={"arn": answer.value}))


def _is_session_of(arn: str, target: Target) -> bool:
    found, role = identity_of(arn), identity_of(target.role_arn)
    named = (found.account_id, found.partition, (found.role or "").rpartition("/")[2])
    return found.kind is Kind.SESSION and named == (target.account_id, target.partition, role.name)


def _refusals(target: Target, context: VerifyContext) -> Iterator[Rung]:
    """The three assumes that must be refused."""
    if target.external_id is None:
        yield _none_agreed(target, context)
        for step in (Step.OTHER_EXTERNAL_ID, Step.MADE_UP_EXTERNAL_ID):
            yield Rung(
                step, Mark.SKIPPED, "The manifest gives this customer no external id that another could be held against."
            )
        return
    yield _must_be_refused(Step.NO_EXTERNAL_ID, "without an external id", None, target, context)
    another = context.another_external_id(target)
    if another is None:
        yield Rung(Step.OTHER_EXTERNAL_ID, Mark.SKIPPED, "No other customer has an external id to try.")
    else:
        yield _must_be_refused(Step.OTHER_EXTERNAL_ID, "with another customer's external id", another, target, context)
    made_up = "".join(_HEX[int(context.random() * len(_HEX))] for _ in range(_MADE_UP_CHARACTERS))
    yield _must_be_refused(Step.MADE_UP_EXTERNAL_ID, "with a made-up external id", made_up, target, context)


def _none_agreed(target: Target, context: VerifyContext) -> Rung:
    """A role that was just assumed without an external id: wrong, unless the manifest says why it is right."""
    reason = context.without_external_id.get(target.name)
    if reason is not None:
        return Rung(Step.NO_EXTERNAL_ID, Mark.SKIPPED, f"Agreed without an external id (RC103 is suppressed): {reason}")
    return Rung(Step.NO_EXTERNAL_ID, Mark.FAILED, f"The role can be assumed without an external id; {_ADVICE}.")


def _must_be_refused(step: Step, how: str, external_id: str | None, target: Target, context: VerifyContext) -> Rung:
    answer = ask(lambda: context.assumer.assume(target, external_id=external_id), context)
    if answer.mark is Mark.OK:
        return _rung(step, Mark.FAILED, f"The role can be assumed {how}; {_ADVICE}.", answer)
    if answer.mark is Mark.REFUSED:
        return _rung(step, Mark.REFUSED, f"It was refused {how}, as it must be.", answer)
    mark = Mark.INCONCLUSIVE if answer.mark is Mark.FAILED else answer.mark
    return _rung(step, mark, f"Whether it is refused {how} is not known.", answer)


def _again(answer: Answer[Credentials]) -> Rung:
    if answer.mark is Mark.OK:
        return _rung(Step.ASSUME_AGAIN, Mark.OK, "With the right external id it was assumed again.", answer)
    if answer.mark is Mark.REFUSED:
        what = "It was refused with what let us in just before: the refusals between prove nothing."
        return _rung(Step.ASSUME_AGAIN, Mark.FAILED, what, answer)
    what = "Whether it can still be assumed is not known: the refusals before prove nothing."
    return _rung(Step.ASSUME_AGAIN, answer.mark, what, answer)


def _unproven(rung: Rung, again: Mark) -> Rung:
    """A refusal that the second assume does not bear out is no refusal."""
    if rung.mark is not Mark.REFUSED or again is Mark.OK:
        return rung
    return replace(rung, mark=Mark.INCONCLUSIVE, what=f"{rung.what[:-1]}, but the role then refused the right one too.")


def _previous(target: Target, context: VerifyContext, current: Mark) -> Iterator[Rung]:
    """During a rotation: whether the id of before still stands."""
    previous = target.previous_external_id
    if previous is None:
        return
    answer = ask(lambda: context.assumer.assume(target, external_id=previous), context)
    if answer.mark is Mark.OK:
        accepted = "The previous external id is accepted too: the rotation can be finished."
        waiting = "The previous external id is accepted, the new one is not: the customer has yet to apply the new module."
        mark, what = Mark.OK, accepted if current is Mark.OK else waiting
    elif answer.mark is Mark.REFUSED and current is Mark.OK:
        mark, what = Mark.REFUSED, "The previous external id is refused: the customer has finished the rotation."
    elif answer.mark is Mark.REFUSED:
        mark, what = Mark.SKIPPED, "The previous external id is refused as well: nothing follows from it."
    else:
        mark = Mark.INCONCLUSIVE if answer.mark is Mark.FAILED else answer.mark
        what = "Whether the previous external id is still accepted is not known."
    rung = _rung(Step.ASSUME, mark, what, answer)
    yield replace(rung, evidence={**rung.evidence, "external_id": PREVIOUS})


def _skipped(first: Mark) -> Iterator[Rung]:
    why = "was not assumed" if first in {Mark.REFUSED, Mark.FAILED} else "could not be asked"
    yield Rung(Step.IDENTITY, Mark.SKIPPED, f"The role {why}: there is no session.")
    for step in (Step.NO_EXTERNAL_ID, Step.OTHER_EXTERNAL_ID, Step.MADE_UP_EXTERNAL_ID, Step.ASSUME_AGAIN):
        yield Rung(step, Mark.SKIPPED, f"The role {why} with the right external id: a refusal would prove nothing.")


def _rung(step: Step, mark: Mark, what: str, answer: Answer[object] | Answer[Credentials] | Answer[str]) -> Rung:
    return Rung(step, mark, what, answer.code, answer.message, answer.evidence, answer.seconds, answer.attempts)
