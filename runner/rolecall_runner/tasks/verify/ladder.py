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
from rolecall_runner.tasks.verify.rotation import before_applying, previous_rung, retired_rung, waiting_rungs
from rolecall_runner.tasks.verify.verdict import Mark, Rung, Step

_HEX = "0123456789abcdef"
_MADE_UP_CHARACTERS = 32
_ADVICE = "AWS asks vendors not to use a role that can be assumed without one"


@dataclass(frozen=True, slots=True)
class Ladder:
    """The rungs in the order in which they were climbed, and the session of the first assume: None when it failed.

    `target`: with the external id that its role knows as its own: amid a rotation that may be the previous one.
    """

    rungs: tuple[Rung, ...]
    credentials: Credentials | None = field(repr=False)
    target: Target


def climb(target: Target, context: VerifyContext) -> Ladder:
    """Climb the ladder of a customer's role. What AWS refuses is in the rungs, never raised."""
    first = ask(lambda: _with_its_id(target, context), context)
    previous = _with_previous_id(target, context)
    if previous is not None and first.mark is Mark.REFUSED and previous.value is not None:
        opening, refused = waiting_rungs(first, previous)
        known = before_applying(target)
        return Ladder((*_climbed(known, opening, previous.value, context), refused), previous.value, known)
    opening = _assumed(first, target)
    beside = () if previous is None else (previous_rung(first.mark, previous),)
    if first.value is None:
        return Ladder((opening, *beside, *_skipped(first.mark)), None, target)
    return Ladder((*_climbed(target, opening, first.value, context), *beside), first.value, target)


def _climbed(target: Target, opening: Rung, credentials: Credentials, context: VerifyContext) -> Iterator[Rung]:
    """The rungs of a role that was assumed with the target's external id, in their order."""
    middle = tuple(_refusals(target, context))
    again = ask(lambda: _with_its_id(target, context), context)
    yield opening
    yield _identity(credentials, target, context)
    yield from (_unproven(rung, again.mark) for rung in middle)
    yield _again(again)


def _with_its_id(target: Target, context: VerifyContext) -> Credentials:
    """Assume with the target's current id alone: amid a rotation too, no other may stand in for it here."""
    seconds = context.assumer.session_seconds
    return context.assumer.assume(target, external_id=target.external_id, seconds=seconds)


def _with_previous_id(target: Target, context: VerifyContext) -> Answer[Credentials] | None:
    """Amid a rotation: whether the id of before still opens the role; None where there is none."""
    previous = target.previous_external_id
    if previous is None:
        return None
    seconds = context.assumer.session_seconds
    return ask(lambda: context.assumer.assume(target, external_id=previous, seconds=seconds), context)


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
    if (retired := target.retired_external_id) is not None:
        yield retired_rung(ask(lambda: context.assumer.assume(target, external_id=retired), context))


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


def _skipped(first: Mark) -> Iterator[Rung]:
    why = "was not assumed" if first in {Mark.REFUSED, Mark.FAILED} else "could not be asked"
    yield Rung(Step.IDENTITY, Mark.SKIPPED, f"The role {why}: there is no session.")
    for step in (Step.NO_EXTERNAL_ID, Step.OTHER_EXTERNAL_ID, Step.MADE_UP_EXTERNAL_ID, Step.ASSUME_AGAIN):
        yield Rung(step, Mark.SKIPPED, f"The role {why} with the right external id: a refusal would prove nothing.")


def _rung(step: Step, mark: Mark, what: str, answer: Answer[object] | Answer[Credentials] | Answer[str]) -> Rung:
    return Rung(step, mark, what, answer.code, answer.message, answer.evidence, answer.seconds, answer.attempts)
