"""Where a target can stand. Apart from the rest: help texts name the states."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a target stands, what is most urgent first."""

    FAILED = "failed"
    DRIFTING = "drifting"
    OUTDATED = "outdated"
    STALE = "stale"
    APPLIED = "applied"
    HANDED_OVER = "handed-over"
    NOT_HANDED_OVER = "not-handed-over"
    VERIFIED = "verified"


URGENCY = {state: place for place, state in enumerate(State)}
