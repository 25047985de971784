"""The specification of a verify run: what it checks besides who may assume the role."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from rolecall_runner.aws import RetryPolicy

Actions = Literal["none", "sample", "all"]


@dataclass(frozen=True, slots=True)
class VerifySpec:
    """What a verify run checks. Options of `runner verify`, keys of a play, and run records derive from it.

    `retry` is for one call that came out inconclusive; the engine may process the whole target again after that.
    """

    actions: Actions = field(default="sample", metadata={"description": "Granted read actions to try."})
    drift: bool = field(
        default=True,
        metadata={"description": "Compare the role with the modules, where it may read itself.", "strict": True},
    )
    all_regions: bool = field(default=False, metadata={"description": "Try actions in all Regions of the account."})
    actions_per_service: int = field(default=3, metadata={"description": "Sample size: granted actions per service."})
    outside_actions: int = field(default=5, metadata={"description": "Sample size: actions that were not granted."})
    retry: RetryPolicy = field(default_factory=lambda: RetryPolicy(attempts=5, base_seconds=0.2, cap_seconds=5.0))

    @property
    def probe_actions(self) -> bool:
        """Whether granted actions are tried at all."""
        return self.actions != "none"

    @property
    def all_actions(self) -> bool:
        """Whether all granted actions are tried, not only a sample."""
        return self.actions == "all"
