"""Onboarding a customer: waits until the module is applied, verifies the role, and writes a message to the customer."""

from typing import TYPE_CHECKING

from rolecall_generator.lazy import exports

if TYPE_CHECKING:
    from rolecall_runner.onboarding.onboard_run import Onboarded, onboard
    from rolecall_runner.onboarding.waiting import Pace, Sighting

__all__ = ["Onboarded", "Pace", "Sighting", "onboard"]

__getattr__ = exports(
    __name__,
    {
        "onboard_run": (
            "Onboarded",
            "onboard",
        ),
        "waiting": (
            "Pace",
            "Sighting",
        ),
    },
)
