"""Amid a rotation the roll call says which external ids a role takes by now, and nothing stops working meanwhile."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from rolecall_generator.iam.model import Access, Role
from rolecall_runner.verify.verdict import Mark, RotationState, Step, Verdict
from roll_rig import READ_ITSELF, World, causes, check_of, document, marks
from sandbox_rig import allow

NEW, OLD = "the-new-id", "the-old-id"
REFUSALS = (Step.NO_EXTERNAL_ID, Step.OTHER_EXTERNAL_ID, Step.MADE_UP_EXTERNAL_ID)


@pytest.fixture
def world(world: World) -> World:
    """A customer amid a rotation; a test makes the role that its customer has by now."""
    world.aim(external_id=NEW, previous_external_id=OLD)
    return world


def agreed(world: World) -> None:
    """What the manifest grants: both ids, and that the role reads itself."""
    role = Role(world.target.role_arn, document(world.good_trust(NEW, OLD)), {"itself": document(allow(*READ_ITSELF))})
    world.give(intended={world.target.role_arn: Access.of(role)})


def summary(verdict: Verdict) -> tuple[Mark, RotationState | None, bool, list[str]]:
    """Verdict, state of the rotation, whether the new id was seen, and the causes."""
    return verdict.mark, verdict.rotation, verdict.current_id_accepted, causes(verdict)


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ((OLD,), (Mark.OK, RotationState.WAITING, False, ["rotation-not-applied"])),
        ((NEW, OLD), (Mark.OK, RotationState.BOTH, True, [])),
        ((NEW,), (Mark.OK, RotationState.NEW_ONLY, True, [])),
    ],
)
def test_each_state_of_a_rotation_is_good_and_said(
    world: World, ids: tuple[str, ...], expected: tuple[Mark, RotationState, bool, list[str]]
) -> None:
    """Before the customer applies and after it the roll call is ok, and says which ids the role takes."""
    world.make(world.good_trust(*ids))

    assert expected == summary(world.verdict())


def test_a_role_that_takes_neither_id_fails(world: World) -> None:
    """A rotation excuses nothing else: a role that refuses both ids is failed, and nothing is said of the rotation."""
    world.make(world.good_trust("of-somebody-else"))
    verdict = world.verdict()

    assert (Mark.FAILED, None, False) == summary(verdict)[:3]
    assert "rotation-not-applied" not in causes(verdict)


def test_before_the_customer_applies_the_whole_ladder_is_climbed_with_the_previous_id(world: World) -> None:
    """Wrong callers must be refused then too, and the role is held against the module that the customer has."""
    agreed(world)
    world.make(world.good_trust(OLD), itself=READ_ITSELF)
    verdict = world.verdict()
    found = marks(verdict)

    assert [Mark.REFUSED] * 3 == [found[step] for step in REFUSALS]
    assert (Mark.OK, Mark.OK, Mark.OK) == (found[Step.ASSUME_AGAIN], found[Step.DRIFT], found[Step.CONFIGURATION])


def test_a_trust_without_any_condition_is_not_taken_for_a_rotation(world: World) -> None:
    """A role that opens with the new id and without one is failed, as at any time."""
    unconditional = world.good_trust()
    del unconditional["Statement"][0]["Condition"]
    world.make(unconditional)

    assert (Mark.FAILED, ["no-external-id-condition"]) == (world.verdict().mark, causes(world.verdict()))


def test_after_a_rotation_the_id_that_went_must_be_refused(world: World) -> None:
    """A role that takes the new id alone is good, and the refusal of the retired one is a check of its own."""
    world.aim(previous_external_id=None, retired_external_id=OLD)
    world.make(world.good_trust(NEW))
    verdict = world.verdict()
    retired = next(check for check in verdict.checks if check.evidence.get("external_id") == "retired")

    assert (Mark.OK, None, Mark.REFUSED) == (verdict.mark, verdict.rotation, retired.mark)


def test_a_role_that_still_takes_the_retired_id_is_failed(world: World) -> None:
    """Until the customer applies the module without it, the roll call says so, with a text for the customer."""
    world.aim(previous_external_id=None, retired_external_id=OLD)
    world.make(world.good_trust(NEW, OLD))
    verdict = world.verdict()

    assert (Mark.FAILED, ["retired-external-id"]) == (verdict.mark, causes(verdict))
    assert "former external ID" in verdict.diagnoses[0].customer


@pytest.mark.parametrize("ids", [(OLD,), (NEW, OLD), (NEW,)])
def test_a_session_is_had_in_every_state_of_a_rotation(world: World, ids: tuple[str, ...]) -> None:
    """Queries, shells and plays assume with the new id and fall back to the previous one."""
    world.make(world.good_trust(*ids))

    assert world.target.account_id in world.context.sessions.session(world.target).get_frozen_credentials().arn


def test_the_refusal_of_both_ids_is_one_refusal(world: World) -> None:
    """A role that takes neither refuses as it always does."""
    world.make(world.good_trust("of-somebody-else"))
    with pytest.raises(ClientError) as caught:
        world.context.assumer.assume(world.target)

    assert "AccessDenied" == caught.value.response["Error"]["Code"]


def test_no_external_id_is_in_a_verdict_amid_a_rotation(world: World) -> None:
    """The verdict goes into reports; neither of the two ids has a place there."""
    world.make(world.good_trust(OLD))
    said = str(world.verdict().to_json())

    assert [] == [external_id for external_id in (NEW, OLD) if external_id in said]
    assert (
        Mark.SKIPPED
        is next(check for check in world.verdict().checks if check.evidence.get("external_id") == "current").mark
    )
    assert Mark.OK is check_of(world.verdict(), Step.ASSUME).mark
