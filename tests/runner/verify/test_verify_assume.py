"""Assume checks: only the right external ID is accepted, and only AccessDenied counts as a refusal."""

from __future__ import annotations

from rolecall_runner.verify.verdict import Mark, Step, Verdict
from sandbox_rig import trust
from verify_worlds import World, causes, check_of, marks

STEPS = (
    Step.ASSUME,
    Step.IDENTITY,
    Step.NO_EXTERNAL_ID,
    Step.OTHER_EXTERNAL_ID,
    Step.MADE_UP_EXTERNAL_ID,
    Step.ASSUME_AGAIN,
)
GOOD = (Mark.OK, Mark.OK, Mark.REFUSED, Mark.REFUSED, Mark.REFUSED, Mark.OK)


def test_role_as_generated_passes_every_check(world: World) -> None:
    """The right ID is accepted twice, the three wrong ones are refused, and there is no diagnosis."""
    world.make()
    verdict = world.verdict()

    assert GOOD == tuple(marks(verdict)[step] for step in STEPS)
    assert Mark.OK is verdict.mark
    assert () == verdict.diagnoses


def test_role_without_external_id_condition_fails(world: World) -> None:
    """Each of the three wrong external IDs is accepted, and the verdict is failed."""
    world.make(trust(world.backend))
    verdict = world.verdict()

    assert (Mark.OK, Mark.OK, Mark.FAILED, Mark.FAILED, Mark.FAILED, Mark.OK) == tuple(marks(verdict)[s] for s in STEPS)
    assert Mark.FAILED is verdict.mark


def test_wrong_ids_are_not_tried_when_right_id_is_refused(world: World) -> None:
    """Their refusals would not prove the external ID condition."""
    verdict = world.verdict()

    assert (Mark.FAILED, *[Mark.SKIPPED] * 5) == tuple(marks(verdict)[step] for step in STEPS)
    assert "not be conclusive" in check_of(verdict, Step.MADE_UP_EXTERNAL_ID).what


def test_refusals_are_inconclusive_if_last_assume_is_refused(world: World) -> None:
    """If the right ID is refused at the end, the refusals before it may have had the same reason."""
    world.make()
    draws = iter(range(10_000))

    def spoil() -> float:
        if next(draws) == 0:  # called when the random ID is drawn: after the first assume, before the last
            world.retrust(world.good_trust("another"))
        return 0.5

    world.give(random=spoil)
    verdict = world.verdict()

    assert (Mark.OK, Mark.OK, *[Mark.INCONCLUSIVE] * 3, Mark.FAILED) == tuple(marks(verdict)[step] for step in STEPS)
    assert ["unsteady"] == causes(verdict)


def test_suppressed_rc103_skips_missing_external_id(world: World) -> None:
    world.aim(external_id=None)
    world.make(trust(world.backend))
    world.give(without_external_id={world.target.name: "an account of our own"})
    verdict = world.verdict()

    assert (Mark.SKIPPED, True) == (
        check_of(verdict, Step.NO_EXTERNAL_ID).mark,
        "an account of our own" in check_of(verdict, Step.NO_EXTERNAL_ID).what,
    )
    assert Mark.OK is verdict.mark


def test_id_of_another_customer_is_never_the_targets_own(world: World) -> None:
    """Current and previous IDs are excluded, the choice is stable, and None if there is no other customer."""
    world.aim(external_id="a", previous_external_id="b")
    world.give(external_ids={"x": "a", "y": "b", "z": "c"})

    assert {"c"} == {world.context.another_external_id(world.target) for _ in range(20)}
    world.give(external_ids={"x": "a"})
    assert None is world.context.another_external_id(world.target)


def test_verdict_contains_no_external_id_of_another_customer(world: World) -> None:
    """Verdicts are written to the customer's report."""
    world.make(trust(world.backend))
    verdict = world.verdict()

    assert f"id-of-witness{world.number}" not in str(verdict.to_json())
    assert verdict == Verdict.from_json(verdict.to_json())
