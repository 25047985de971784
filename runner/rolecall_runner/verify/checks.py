"""The rotation of an external id, as the roll call sees it: which of the two ids a customer's role takes by now.

While a rotation is under way the manifest has a new id and the previous one. A role that knows the previous one alone is no
failure: its customer has yet to apply the new module. After the rotation the id that went must be refused.

The ladder of one customer: the role lets us in with the right external id, and with none else. A refusal proves nothing
alone: a role that is not there refuses everybody. So the refusals count only between two assumes that succeed (IAM user
guide, "Access to AWS accounts owned by third parties": test with and without the external id).

Does the role trust more than the backend role: the vendor's whole account, or everybody? The backend role's own assumes
cannot tell. The trust policy does, where the role may read itself (iam:GetRole), and so does a second principal of the
backend's account that gets in. Without either it is "not checkable", never "ok".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from rolecall_generator.iam import Access, Arn, Condition, PolicyDocument, Role, role_arn
from rolecall_generator.iam.evaluation import (
    Caller,
    Decision,
    Effect,
    Evaluator,
    IdentitySide,
    PrincipalKind,
    Request,
    identity_of,
)
from rolecall_runner.aws import Assumer, Credentials, SigningCredentials, account
from rolecall_runner.inventory import Target
from rolecall_runner.live import document_of
from rolecall_runner.verify.context import VerifyContext
from rolecall_runner.verify.probe_call import CallResult, ask
from rolecall_runner.verify.verdict import Check, Mark, Step, Verdict

WHICH = "external_id"
"""Evidence of a check that sent another id than the current one: CURRENT, PREVIOUS or RETIRED."""
CURRENT, PREVIOUS, RETIRED = "current", "previous", "retired"
ROTATION = "rotation"
"""Evidence of one check of a customer amid a rotation: a `RotationState`."""


class RotationState(StrEnum):
    """How far a rotation is. WAITING: the role takes the previous id alone. BOTH: it can be finished."""

    WAITING = "waiting"
    BOTH = "both"
    NEW_ALONE = "new-alone"


def rotation_of(verdict: Verdict) -> RotationState | None:
    """How far the customer's rotation is; None for one that is not amid a rotation, or of whom it is not known."""
    return next((RotationState(check.evidence[ROTATION]) for check in verdict.checks if ROTATION in check.evidence), None)


def current_id_seen(verdict: Verdict) -> bool:
    """Whether the role was assumed with the manifest's current external id in this roll call."""
    return any(
        check.step is Step.ASSUME and check.mark is Mark.OK and WHICH not in check.evidence for check in verdict.checks
    )


def before_applying(target: Target) -> Target:
    """The target as its role knows it before the customer applies the new module: the previous id is the one that counts.

    The new id takes the other's place, so that nothing is lost when the customer applies meanwhile.
    """
    return replace(target, external_id=target.previous_external_id, previous_external_id=target.external_id)


def access_before(access: Access, target: Target) -> Access:
    """The agreed access of a target as its module was before the rotation: its trust without the new external id."""
    role = access.roles.get(target.role_arn)
    if role is None or role.trust is None or target.external_id is None:
        return access
    trust = _without(role.trust, target.external_id)
    return replace(access, roles={**access.roles, role.arn: replace(role, trust=trust)})


def _without(trust: PolicyDocument, external_id: str) -> PolicyDocument:
    def kept(condition: Condition) -> Condition:
        if condition.key.lower() != "sts:externalid":
            return condition
        return replace(condition, values=tuple(value for value in condition.values if value != external_id))

    return replace(
        trust,
        statements=tuple(
            replace(statement, conditions=tuple(map(kept, statement.conditions))) for statement in trust.statements
        ),
    )


def waiting_rungs(current: CallResult[Credentials], previous: CallResult[Credentials]) -> tuple[Check, Check]:
    """The role takes the previous id alone: the check that was climbed with it, and one that says so of the new id."""
    opening = "The role was assumed with its previous external id: it does not know the new one yet."
    refused = "The new external id is refused so far: the customer has yet to apply the new module."
    return (
        _check(Step.ASSUME, Mark.OK, opening, previous, {WHICH: PREVIOUS, ROTATION: RotationState.WAITING.value}),
        _check(Step.ASSUME, Mark.SKIPPED, refused, current, {WHICH: CURRENT}),
    )


def previous_rung(current: Mark, answer: CallResult[Credentials]) -> Check:
    """What the previous id's assume says next to that of the current id."""
    found = {WHICH: PREVIOUS}
    if answer.mark is Mark.OK and current is Mark.OK:
        mark, what = Mark.OK, "The previous external id is accepted too: the rotation can be finished."
        found[ROTATION] = RotationState.BOTH.value
    elif answer.mark is Mark.OK:
        mark, what = Mark.OK, "The previous external id is accepted; whether the new one is, is not known this time."
    elif answer.mark is Mark.REFUSED and current is Mark.OK:
        mark, what = Mark.REFUSED, "The previous external id is refused already: the rotation can be finished."
        found[ROTATION] = RotationState.NEW_ALONE.value
    elif answer.mark is Mark.REFUSED:
        mark, what = Mark.SKIPPED, "The previous external id is refused as well: nothing follows from it."
    else:
        mark = Mark.INCONCLUSIVE if answer.mark is Mark.FAILED else answer.mark
        what = "Whether the previous external id is still accepted is not known."
    return _check(Step.ASSUME, mark, what, answer, found)


def retired_rung(answer: CallResult[Credentials]) -> Check:
    """After a rotation: the id that went must be refused."""
    if answer.mark is Mark.OK:
        mark, what = Mark.FAILED, "The external id of before the last rotation still opens the role."
    elif answer.mark is Mark.REFUSED:
        mark, what = Mark.REFUSED, "It was refused with the external id of before the last rotation, as it must be."
    else:
        mark = Mark.INCONCLUSIVE if answer.mark is Mark.FAILED else answer.mark
        what = "Whether the external id of before the last rotation is refused is not known."
    return _check(Step.OTHER_EXTERNAL_ID, mark, what, answer, {WHICH: RETIRED})


def _check(step: Step, mark: Mark, what: str, answer: CallResult[Credentials], evidence: Mapping[str, str]) -> Check:
    found = {**answer.evidence, **evidence}
    return Check(step, mark, what, answer.code, answer.message, found, answer.seconds, answer.attempts)


_HEX = "0123456789abcdef"
_MADE_UP_CHARACTERS = 32
_ADVICE = "AWS asks vendors not to use a role that can be assumed without one"


@dataclass(frozen=True, slots=True)
class Ladder:
    """The checks in the order in which they were climbed, and the session of the first assume: None when it failed.

    `target`: with the external id that its role knows as its own: amid a rotation that may be the previous one.
    """

    checks: tuple[Check, ...]
    credentials: Credentials | None = field(repr=False)
    target: Target


def climb(target: Target, context: VerifyContext) -> Ladder:
    """Climb the ladder of a customer's role. What AWS refuses is in the checks, never raised."""
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


def _climbed(target: Target, opening: Check, credentials: Credentials, context: VerifyContext) -> Iterator[Check]:
    """The checks of a role that was assumed with the target's external id, in their order."""
    middle = tuple(_refusals(target, context))
    again = ask(lambda: _with_its_id(target, context), context)
    yield opening
    yield _identity(credentials, target, context)
    yield from (_unproven(check, again.mark) for check in middle)
    yield _again(again)


def _with_its_id(target: Target, context: VerifyContext) -> Credentials:
    """Assume with the target's current id alone: amid a rotation too, no other may stand in for it here."""
    seconds = context.assumer.session_seconds
    return context.assumer.assume(target, external_id=target.external_id, seconds=seconds)


def _with_previous_id(target: Target, context: VerifyContext) -> CallResult[Credentials] | None:
    """Amid a rotation: whether the id of before still opens the role; None where there is none."""
    previous = target.previous_external_id
    if previous is None:
        return None
    seconds = context.assumer.session_seconds
    return ask(lambda: context.assumer.assume(target, external_id=previous, seconds=seconds), context)


def _assumed(answer: CallResult[Credentials], target: Target) -> Check:
    how = "with its external id" if target.external_id is not None else "without an external id, as the manifest has it"
    sentences = {
        Mark.OK: f"The role was assumed {how}.",
        Mark.REFUSED: f"The role could not be assumed {how}: AWS refused.",
        Mark.FAILED: "AWS does not take the request to assume the role.",
    }
    mark = Mark.FAILED if answer.mark is Mark.REFUSED else answer.mark
    return _trust_check(
        Step.ASSUME, mark, sentences.get(answer.mark, "Whether the role can be assumed is not known."), answer
    )


def _identity(credentials: Credentials, target: Target, context: VerifyContext) -> Check:
    def who() -> str:
        with account(credentials):
            reply = context.clients.client("sts", context.assumer.caller.region).get_caller_identity()
        return str(reply["Arn"])

    answer = ask(who, context)
    if answer.value is None:
        # GetCallerIdentity cannot be denied (its API reference): a refusal is an answer of something else than STS.
        mark = Mark.INCONCLUSIVE if answer.mark is Mark.REFUSED else answer.mark
        return _trust_check(Step.IDENTITY, mark, "Whose session it is could not be asked.", answer)
    if _is_session_of(answer.value, target):
        return _trust_check(Step.IDENTITY, Mark.OK, "The session is the role's, in the account meant.", answer)
    what = f"The session is {answer.value}, not one of {target.role_arn}."
    return _trust_check(Step.IDENTITY, Mark.FAILED, what, replace(answer, evidence={"arn": answer.value}))


def _is_session_of(arn: str, target: Target) -> bool:
    found, role = identity_of(arn), identity_of(target.role_arn)
    named = (found.account_id, found.partition, (found.role or "").rpartition("/")[2])
    return found.kind is PrincipalKind.SESSION and named == (target.account_id, target.partition, role.name)


def _refusals(target: Target, context: VerifyContext) -> Iterator[Check]:
    """The three assumes that must be refused."""
    if target.external_id is None:
        yield _none_agreed(target, context)
        for step in (Step.OTHER_EXTERNAL_ID, Step.MADE_UP_EXTERNAL_ID):
            yield Check(
                step, Mark.SKIPPED, "The manifest gives this customer no external id that another could be held against."
            )
        return
    yield _must_be_refused(Step.NO_EXTERNAL_ID, "without an external id", None, target, context)
    another = context.another_external_id(target)
    if another is None:
        yield Check(Step.OTHER_EXTERNAL_ID, Mark.SKIPPED, "No other customer has an external id to try.")
    else:
        yield _must_be_refused(Step.OTHER_EXTERNAL_ID, "with another customer's external id", another, target, context)
    made_up = "".join(_HEX[int(context.random() * len(_HEX))] for _ in range(_MADE_UP_CHARACTERS))
    yield _must_be_refused(Step.MADE_UP_EXTERNAL_ID, "with a made-up external id", made_up, target, context)
    if (retired := target.retired_external_id) is not None:
        yield retired_rung(ask(lambda: context.assumer.assume(target, external_id=retired), context))


def _none_agreed(target: Target, context: VerifyContext) -> Check:
    """A role that was just assumed without an external id: wrong, unless the manifest says why it is right."""
    reason = context.without_external_id.get(target.name)
    if reason is not None:
        return Check(Step.NO_EXTERNAL_ID, Mark.SKIPPED, f"Agreed without an external id (RC103 is suppressed): {reason}")
    return Check(Step.NO_EXTERNAL_ID, Mark.FAILED, f"The role can be assumed without an external id; {_ADVICE}.")


def _must_be_refused(step: Step, how: str, external_id: str | None, target: Target, context: VerifyContext) -> Check:
    answer = ask(lambda: context.assumer.assume(target, external_id=external_id), context)
    if answer.mark is Mark.OK:
        return _trust_check(step, Mark.FAILED, f"The role can be assumed {how}; {_ADVICE}.", answer)
    if answer.mark is Mark.REFUSED:
        return _trust_check(step, Mark.REFUSED, f"It was refused {how}, as it must be.", answer)
    mark = Mark.INCONCLUSIVE if answer.mark is Mark.FAILED else answer.mark
    return _trust_check(step, mark, f"Whether it is refused {how} is not known.", answer)


def _again(answer: CallResult[Credentials]) -> Check:
    if answer.mark is Mark.OK:
        return _trust_check(Step.ASSUME_AGAIN, Mark.OK, "With the right external id it was assumed again.", answer)
    if answer.mark is Mark.REFUSED:
        what = "It was refused with what let us in just before: the refusals between prove nothing."
        return _trust_check(Step.ASSUME_AGAIN, Mark.FAILED, what, answer)
    what = "Whether it can still be assumed is not known: the refusals before prove nothing."
    return _trust_check(Step.ASSUME_AGAIN, answer.mark, what, answer)


def _unproven(check: Check, again: Mark) -> Check:
    """A refusal that the second assume does not bear out is no refusal."""
    if check.mark is not Mark.REFUSED or again is Mark.OK:
        return check
    return replace(check, mark=Mark.INCONCLUSIVE, what=f"{check.what[:-1]}, but the role then refused the right one too.")


def _skipped(first: Mark) -> Iterator[Check]:
    why = "was not assumed" if first in {Mark.REFUSED, Mark.FAILED} else "could not be asked"
    yield Check(Step.IDENTITY, Mark.SKIPPED, f"The role {why}: there is no session.")
    for step in (Step.NO_EXTERNAL_ID, Step.OTHER_EXTERNAL_ID, Step.MADE_UP_EXTERNAL_ID, Step.ASSUME_AGAIN):
        yield Check(step, Mark.SKIPPED, f"The role {why} with the right external id: a refusal would prove nothing.")


def _trust_check(
    step: Step, mark: Mark, what: str, answer: CallResult[object] | CallResult[Credentials] | CallResult[str]
) -> Check:
    return Check(step, mark, what, answer.code, answer.message, answer.evidence, answer.seconds, answer.attempts)


WHOLE_ACCOUNT, EVERYBODY = "account", "everybody"
"""Values of the evidence `trusts`."""

# Nobody's role: what it may assume, every role of its account may. AWS gives no account the id of zeros alone.
_SOMEBODY = "rolecall-somebody-else"
_NO_ACCOUNT = "000000000000"


def openness(target: Target, credentials: SigningCredentials, context: VerifyContext) -> Check:
    """The check on who else may assume a customer's role; it stands under Step.CONFIGURATION."""
    answer = ask(lambda: _read_trust(target, credentials, context), context)
    if answer.value is not None:
        return judge(target, answer.value)
    if context.second_caller is not None:
        return _try_second(target, context.second_caller, context)
    if answer.mark is Mark.REFUSED:
        what = "Whether the role trusts the whole backend account is not checkable: it may not read itself (iam:GetRole)."
        return Check(Step.CONFIGURATION, Mark.SKIPPED, what, answer.code, answer.message, seconds=answer.seconds)
    what = "Whether the role trusts the whole backend account could not be read this time."
    mark = Mark.UNREACHABLE if answer.mark is Mark.UNREACHABLE else Mark.INCONCLUSIVE
    return Check(
        Step.CONFIGURATION, mark, what, answer.code, answer.message, answer.evidence, answer.seconds, answer.attempts
    )


def judge(target: Target, trust: PolicyDocument) -> Check:
    """Judge a trust policy: any other principal of the backend's account, and one of any account, must be kept out.

    They are taken as sending the right external id, and as meeting every condition that is in their own hands.
    """
    backend = Arn.parse(target.backend_role_arn)
    if backend is None:
        return Check(Step.CONFIGURATION, Mark.SKIPPED, "Not checkable: the manifest names no backend role for it.")
    strangers = ((EVERYBODY, _NO_ACCOUNT), (WHOLE_ACCOUNT, backend.account_id))
    decisions = {
        who: _decide(target, trust, role_arn(backend.partition, number, "/", _SOMEBODY)) for who, number in strangers
    }
    for who, decision in decisions.items():
        if decision.allowed:
            whom = "principals of any account" if who == EVERYBODY else f"every principal of account {backend.account_id}"
            when = f", on conditions of {', '.join(decision.assumed)} alone" if decision.assumed else ""
            return Check(
                Step.CONFIGURATION, Mark.FAILED, f"The trust policy lets in {whom}{when}, not the backend role alone.",
                evidence={"trusts": who, "keys": list(decision.assumed)},
            )  # fmt: skip
    if any(decision.effect is Effect.REFUSED for decision in decisions.values()):
        what = (
            "Whether the role trusts the whole backend account is not checkable: its trust policy cannot be judged surely."
        )
        return Check(Step.CONFIGURATION, Mark.SKIPPED, what)
    return Check(Step.CONFIGURATION, Mark.OK, "The trust policy lets in no other principal of the backend account.")


def _decide(target: Target, trust: PolicyDocument, somebody: str) -> Decision:
    evaluator = Evaluator(Access(roles={target.role_arn: Role(target.role_arn, trust)}))
    given: dict[str, str | tuple[str, ...]] = {"sts:ExternalId": target.external_id or ()}
    return evaluator.may_assume(
        Request(Caller(somebody, IdentitySide.ALLOWS_ALL), target.role_arn, context=given, free=True)
    )


def _read_trust(target: Target, credentials: SigningCredentials, context: VerifyContext) -> PolicyDocument:
    name = target.role_arn.rpartition("/")[2]
    with account(credentials):
        role: Any = context.clients.client("iam", context.assumer.caller.region).get_role(RoleName=name)["Role"]
    where = f"{target.role_arn}, trust policy"
    return document_of(role["AssumeRolePolicyDocument"], where=where, partition=target.partition)


def _try_second(target: Target, second: Assumer, context: VerifyContext) -> Check:
    """A refusal of the second caller claims nothing: its own policies may be what refuses it."""
    answer = ask(lambda: second.assume(target), context)
    if answer.mark is Mark.OK:
        what = f"{second.caller.arn} can assume the role too: it trusts more than the backend role."
        return Check(Step.CONFIGURATION, Mark.FAILED, what, evidence={"trusts": WHOLE_ACCOUNT})
    what = (
        "Whether the role trusts the whole backend account is not checkable: a second caller was not let in, by either side."
    )
    return Check(Step.CONFIGURATION, Mark.SKIPPED, what, answer.code, answer.message)
