"""Onboarding a customer: waits until the module is applied, verifies the role, and writes a message to the customer."""

from typing import TYPE_CHECKING

from rolecall_generator.lazy import lazy_getattr

if TYPE_CHECKING:
    from rolecall_runner.onboarding.onboard_run import Onboarded, onboard
    from rolecall_runner.onboarding.waiting import PollAttempt, PollOptions

__all__ = ["Onboarded", "PollAttempt", "PollOptions", "onboard"]

__getattr__ = lazy_getattr(
    __name__,
    {
        "onboard_run": (
            "Onboarded",
            "onboard",
        ),
        "waiting": (
            "PollOptions",
            "PollAttempt",
        ),
    },
)
