"""The recap of a verify run lists the customers in a rotation, and who has to act next."""

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
    """A customer in a rotation."""
    found = verdict(name)
    return replace(found, checks=(replace(found.checks[0], evidence={ROTATION: state.value}), *found.checks[1:]))


def recap(*verdicts: Verdict) -> str:
    """The recap in a pipe."""
    file = io.StringIO()
    print_summary(pipe(file), INFO, verdicts)
    return file.getvalue()


def rotation_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("rotation:")]


def test_recap_lists_pending_and_finishable_rotations() -> None:
    """One line for rotations waiting for the customer, one with the command for those waiting for the vendor."""
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


def test_finish_command_has_options_of_the_run() -> None:
    """Without them it would use the default manifest or folder."""
    file = io.StringIO()
    place = StatusPlace(Path("eu.yaml"), Path("there"))
    print_summary(pipe(file), INFO, [amid("beta", RotationState.BOTH)], place.command)

    assert rotation_lines(file.getvalue())[0].endswith(
        "finish with gen customer rotate-external-id beta --finish --manifest eu.yaml --out there"
    )


def test_long_list_of_rotations_is_truncated() -> None:
    """The first few customers are listed, the rest is counted."""
    text = recap(*(amid(f"c{number}", RotationState.WAITING) for number in range(60)))

    assert "c0, c1, c2, c3, c4 and 55 more accepted only the previous external ID" in rotation_lines(text)[0]


def test_recap_without_rotation_has_no_rotation_line() -> None:
    assert [] == rotation_lines(recap(verdict("plain")))
