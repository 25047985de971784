"""The rotation of an external id, as the roll call sees it: which of the two ids a customer's role takes by now.

While a rotation is under way the manifest has a new id and the previous one. A role that knows the previous one alone is no
failure: its customer has yet to apply the new module. After the rotation the id that went must be refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum

from rolecall_generator.iam.access import Access
from rolecall_generator.iam.policy import Condition, PolicyDocument
from rolecall_runner.credentials import Credentials
from rolecall_runner.targets import Target
from rolecall_runner.tasks.verify.outcomes import Answer
from rolecall_runner.tasks.verify.verdict import Mark, Rung, Step, Verdict

WHICH = "external_id"
"""Evidence of a rung that sent another id than the current one: CURRENT, PREVIOUS or RETIRED."""
CURRENT, PREVIOUS, RETIRED = "current", "previous", "retired"
ROTATION = "rotation"
"""Evidence of one rung of a customer amid a rotation: a `RotationState`."""


class RotationState(StrEnum):
    """How far a rotation is. WAITING: the role takes the previous id alone. BOTH: it can be finished."""

    WAITING = "waiting"
    BOTH = "both"
    NEW_ALONE = "new-alone"


def rotation_of(verdict: Verdict) -> RotationState | None:
    """How far the customer's rotation is; None for one that is not amid a rotation, or of whom it is not known."""
    return next((RotationState(rung.evidence[ROTATION]) for rung in verdict.rungs if ROTATION in rung.evidence), None)


def current_id_seen(verdict: Verdict) -> bool:
    """Whether the role was assumed with the manifest's current external id in this roll call."""
    return any(rung.step is Step.ASSUME and rung.mark is Mark.OK and WHICH not in rung.evidence for rung in verdict.rungs)


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


def waiting_rungs(current: Answer[Credentials], previous: Answer[Credentials]) -> tuple[Rung, Rung]:
    """The role takes the previous id alone: the rung that was climbed with it, and one that says so of the new id."""
    opening = "The role was assumed with its previous external id: it does not know the new one yet."
    refused = "The new external id is refused so far: the customer has yet to apply the new module."
    return (
        _rung(Step.ASSUME, Mark.OK, opening, previous, {WHICH: PREVIOUS, ROTATION: RotationState.WAITING.value}),
        _rung(Step.ASSUME, Mark.SKIPPED, refused, current, {WHICH: CURRENT}),
    )


def previous_rung(current: Mark, answer: Answer[Credentials]) -> Rung:
    """What the previous id's assume says beside that of the current id."""
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
    return _rung(Step.ASSUME, mark, what, answer, found)


def retired_rung(answer: Answer[Credentials]) -> Rung:
    """After a rotation: the id that went must be refused."""
    if answer.mark is Mark.OK:
        mark, what = Mark.FAILED, "The external id of before the last rotation still opens the role."
    elif answer.mark is Mark.REFUSED:
        mark, what = Mark.REFUSED, "It was refused with the external id of before the last rotation, as it must be."
    else:
        mark = Mark.INCONCLUSIVE if answer.mark is Mark.FAILED else answer.mark
        what = "Whether the external id of before the last rotation is refused is not known."
    return _rung(Step.OTHER_EXTERNAL_ID, mark, what, answer, {WHICH: RETIRED})


def _rung(step: Step, mark: Mark, what: str, answer: Answer[Credentials], evidence: Mapping[str, str]) -> Rung:
    found = {**answer.evidence, **evidence}
    return Rung(step, mark, what, answer.code, answer.message, found, answer.seconds, answer.attempts)
