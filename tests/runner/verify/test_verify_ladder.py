"""The ladder: the right external id lets in, none else does, and nothing but AccessDenied counts as a refusal."""

from __future__ import annotations

import pytest

from rolecall_runner.verify.verdict import Mark, Step, Verdict
from roll_rig import World, causes, check_of, marks
from sandbox_rig import trust

LADDER = (
    Step.ASSUME,
    Step.IDENTITY,
    Step.NO_EXTERNAL_ID,
    Step.OTHER_EXTERNAL_ID,
    Step.MADE_UP_EXTERNAL_ID,
    Step.ASSUME_AGAIN,
)
GOOD = (Mark.OK, Mark.OK, Mark.REFUSED, Mark.REFUSED, Mark.REFUSED, Mark.OK)


def test_a_role_as_handed_over_passes_every_rung(world: World) -> None:
    """Right id in, the three wrong ones refused, right id in again, and no diagnosis."""
    world.make()
    verdict = world.verdict()

    assert GOOD == tuple(marks(verdict)[step] for step in LADDER)
    assert Mark.OK is verdict.mark
    assert () == verdict.diagnoses


def test_a_role_without_a_condition_on_the_external_id_fails(world: World) -> None:
    """Each of the three wrong ids lets us in, and the verdict is not good."""
    world.make(trust(world.backend))
    verdict = world.verdict()

    assert (Mark.OK, Mark.OK, Mark.FAILED, Mark.FAILED, Mark.FAILED, Mark.OK) == tuple(marks(verdict)[s] for s in LADDER)
    assert Mark.FAILED is verdict.mark


def test_refusals_of_a_role_that_lets_nobody_in_prove_nothing(world: World) -> None:
    """Where the right id is refused the wrong ones are not even tried: their refusals would look like good ones."""
    verdict = world.verdict()

    assert (Mark.FAILED, *[Mark.SKIPPED] * 5) == tuple(marks(verdict)[step] for step in LADDER)
    assert "not be conclusive" in check_of(verdict, Step.MADE_UP_EXTERNAL_ID).what


def test_a_role_that_changes_its_mind_makes_its_refusals_worthless(world: World) -> None:
    """When the role is refused at the end, what it refused before is inconclusive."""
    world.make()
    draws = iter(range(10_000))

    def spoil() -> float:
        if next(draws) == 0:  # drawn when the made-up id is: after the first assume, before the last
            world.retrust(world.good_trust("another"))
        return 0.5

    world.give(random=spoil)
    verdict = world.verdict()

    assert (Mark.OK, Mark.OK, *[Mark.INCONCLUSIVE] * 3, Mark.FAILED) == tuple(marks(verdict)[step] for step in LADDER)
    assert ["unsteady"] == causes(verdict)


def test_a_role_without_external_id_in_the_manifest_fails_with_awss_advice(world: World) -> None:
    """AWS asks vendors not to use such a role; the verdict says so."""
    world.aim(external_id=None)
    world.make(trust(world.backend))
    verdict = world.verdict()

    assert Mark.FAILED is check_of(verdict, Step.NO_EXTERNAL_ID).mark
    assert "AWS asks vendors not to use" in check_of(verdict, Step.NO_EXTERNAL_ID).what
    assert ["no-external-id-agreed"] == causes(verdict)


def test_a_suppressed_rule_makes_a_missing_external_id_agreed(world: World) -> None:
    """Where the manifest suppresses RC103 with a reason, the check is skipped with that reason."""
    world.aim(external_id=None)
    world.make(trust(world.backend))
    world.give(without_external_id={world.target.name: "an account of our own"})
    verdict = world.verdict()

    assert (Mark.SKIPPED, True) == (
        check_of(verdict, Step.NO_EXTERNAL_ID).mark,
        "an account of our own" in check_of(verdict, Step.NO_EXTERNAL_ID).what,
    )
    assert Mark.OK is verdict.mark


@pytest.mark.parametrize(
    ("ids", "expected", "words"),
    [
        (("new", "old"), Mark.OK, "can be finished"),
        (("new",), Mark.REFUSED, "already refused"),
    ],
)
def test_a_rotation_tries_the_previous_id_too(world: World, ids: tuple[str, ...], expected: Mark, words: str) -> None:
    """The previous id may stand or not: both are good, and said."""
    world.aim(external_id="new", previous_external_id="old")
    world.make(world.good_trust(*ids))
    verdict = world.verdict()
    check = next(check for check in verdict.checks if check.evidence.get("external_id") == "previous")

    assert (expected, True) == (check.mark, words in check.what)
    assert Mark.OK is verdict.mark


def test_another_customers_id_is_never_the_targets_own(world: World) -> None:
    """Own and previous ids are left out, the choice is the same each time, and without another customer there is none."""
    world.aim(external_id="a", previous_external_id="b")
    world.give(external_ids={"x": "a", "y": "b", "z": "c"})

    assert {"c"} == {world.context.another_external_id(world.target) for _ in range(20)}
    world.give(external_ids={"x": "a"})
    assert None is world.context.another_external_id(world.target)


def test_no_external_id_of_another_customer_is_in_a_verdict(world: World) -> None:
    """The verdict goes to the customer's report: other customers' ids have no place there."""
    world.make(trust(world.backend))
    verdict = world.verdict()

    assert f"id-of-witness{world.number}" not in str(verdict.to_json())
    assert verdict == Verdict.from_json(verdict.to_json())
