"""Verify runs during a rotation report which external IDs a role accepts, and access is never interrupted."""

from __future__ import annotations

import pytest

from rolecall_generator.iam.model import Access, Role
from rolecall_runner.verify.verdict import Mark, RotationState, Step, Verdict
from sandbox_rig import allow
from verify_worlds import READ_ITSELF, World, causes, check_of, document, marks

NEW, OLD = "the-new-id", "the-old-id"
REFUSALS = (Step.NO_EXTERNAL_ID, Step.OTHER_EXTERNAL_ID, Step.MADE_UP_EXTERNAL_ID)


@pytest.fixture
def world(world: World) -> World:
    """A customer in a rotation; the test creates the role in the customer's current state."""
    world.aim(external_id=NEW, previous_external_id=OLD)
    return world


def agreed(world: World) -> None:
    """The access that the manifest grants: both external IDs, and reading of the role by itself."""
    role = Role(world.target.role_arn, document(world.good_trust(NEW, OLD)), {"itself": document(allow(*READ_ITSELF))})
    world.give(intended={world.target.role_arn: Access.of(role)})


def summary(verdict: Verdict) -> tuple[Mark, RotationState | None, bool, list[str]]:
    """Verdict, state of the rotation, whether the new external ID was accepted, and the causes."""
    return verdict.mark, verdict.rotation, verdict.current_id_accepted, causes(verdict)


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ((OLD,), (Mark.OK, RotationState.WAITING, False, ["rotation-not-applied"])),
        ((NEW, OLD), (Mark.OK, RotationState.BOTH, True, [])),
        ((NEW,), (Mark.OK, RotationState.NEW_ONLY, True, [])),
    ],
)
def test_rotation_state_is_ok_and_reported(
    world: World, ids: tuple[str, ...], expected: tuple[Mark, RotationState, bool, list[str]]
) -> None:
    """The result is ok before and after the customer applies, and lists the external IDs that the role accepts."""
    world.make(world.good_trust(*ids))

    assert expected == summary(world.verdict())


def test_role_refusing_both_ids_fails(world: World) -> None:
    world.make(world.good_trust("of-somebody-else"))
    verdict = world.verdict()

    assert (Mark.FAILED, None, False) == summary(verdict)[:3]
    assert "rotation-not-applied" not in causes(verdict)


def test_previous_id_runs_all_checks_before_the_apply(world: World) -> None:
    """Wrong callers must be refused, and the role is compared with the module that the customer has."""
    agreed(world)
    world.make(world.good_trust(OLD), itself=READ_ITSELF)
    verdict = world.verdict()
    found = marks(verdict)

    assert [Mark.REFUSED] * 3 == [found[step] for step in REFUSALS]
    assert (Mark.OK, Mark.OK, Mark.OK) == (found[Step.ASSUME_AGAIN], found[Step.DRIFT], found[Step.CONFIGURATION])


def test_trust_without_external_id_condition_fails_during_rotation(world: World) -> None:
    unconditional = world.good_trust()
    del unconditional["Statement"][0]["Condition"]
    world.make(unconditional)

    assert (Mark.FAILED, ["no-external-id-condition"]) == (world.verdict().mark, causes(world.verdict()))


def test_retired_id_must_be_refused_after_rotation(world: World) -> None:
    """A role that accepts only the new external ID is ok; the refusal of the retired ID is a separate check."""
    world.aim(previous_external_id=None, retired_external_id=OLD)
    world.make(world.good_trust(NEW))
    verdict = world.verdict()
    retired = next(check for check in verdict.checks if check.evidence.get("external_id") == "retired")

    assert (Mark.OK, None, Mark.REFUSED) == (verdict.mark, verdict.rotation, retired.mark)


def test_role_accepting_retired_id_fails(world: World) -> None:
    """The role fails until the customer applies the module without the retired ID, with a message for the customer."""
    world.aim(previous_external_id=None, retired_external_id=OLD)
    world.make(world.good_trust(NEW, OLD))
    verdict = world.verdict()

    assert (Mark.FAILED, ["retired-external-id"]) == (verdict.mark, causes(verdict))
    assert "former external ID" in verdict.diagnoses[0].customer


def test_verdict_contains_no_external_id_during_rotation(world: World) -> None:
    """Verdicts are written to reports, which must contain neither external ID."""
    world.make(world.good_trust(OLD))
    said = str(world.verdict().to_json())

    assert [] == [external_id for external_id in (NEW, OLD) if external_id in said]
    assert (
        Mark.SKIPPED
        is next(check for check in world.verdict().checks if check.evidence.get("external_id") == "current").mark
    )
    assert Mark.OK is check_of(world.verdict(), Step.ASSUME).mark
