"""Onboarding a customer: waits until the module is applied, verifies the role, and writes a message to the customer."""

from rolecall_runner.onboarding.customer_message import revocations
from rolecall_runner.onboarding.onboard_run import OnboardingResult, PollAttempt, PollOptions, onboard

__all__ = ["OnboardingResult", "PollAttempt", "PollOptions", "onboard", "revocations"]
