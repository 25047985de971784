"""Below a roll call stands who is amid a rotation, and whom it waits for."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

from consoles import pipe
from rolecall_runner.reports.summary import print_summary
from rolecall_runner.status.overview import StatusPlace
from rolecall_runner.verify.verdict import ROTATION, RotationState, Verdict
from verdict_worlds import INFO, verdict


def amid(name: str, state: RotationState) -> Verdict:
    """A customer amid a rotation."""
    found = verdict(name)
    return replace(found, checks=(replace(found.checks[0], evidence={ROTATION: state.value}), *found.checks[1:]))


def recap(*verdicts: Verdict) -> str:
    """The recap through a pipe."""
    file = io.StringIO()
    print_summary(pipe(file), INFO, verdicts)
    return file.getvalue()


def rotation_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("rotation:")]


def test_the_recap_says_who_has_yet_to_apply_and_whose_rotation_can_end() -> None:
    """One line for those that wait for the customer, one with the command for those that wait for the vendor."""
    text = recap(
        verdict("plain"),
        amid("acme", RotationState.WAITING),
        amid("beta", RotationState.BOTH),
        amid("gamma", RotationState.NEW_ONLY),
    )

    assert [
        "rotation: acme accepted only the previous external ID: the new module is not applied",
        "rotation: beta, gamma accepted the new external ID: finish with gen customer rotate-external-id beta --finish",
    ] == rotation_lines(text)


def test_the_command_that_ends_a_rotation_has_the_options_of_this_run() -> None:
    """With another manifest or folder the plain command would act on the wrong one."""
    file = io.StringIO()
    place = StatusPlace(Path("eu.yaml"), Path("there"))
    print_summary(pipe(file), INFO, [amid("beta", RotationState.BOTH)], place.command)

    assert rotation_lines(file.getvalue())[0].endswith(
        "finish with gen customer rotate-external-id beta --finish --manifest eu.yaml --out there"
    )


def test_a_rotation_of_a_fleet_is_summed_up() -> None:
    """Of many customers the first few are named, and the rest counted."""
    text = recap(*(amid(f"c{number}", RotationState.WAITING) for number in range(60)))

    assert "c0, c1, c2, c3, c4 and 55 more accepted only the previous external ID" in rotation_lines(text)[0]


def test_without_a_rotation_nothing_is_said_of_one() -> None:
    """An ordinary roll call has no such line."""
    assert [] == rotation_lines(recap(verdict("plain")))
