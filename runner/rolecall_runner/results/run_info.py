"""What a report says of the run itself: of what, by whom, when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One run of the roll call.

    `manifest` and `selection` as the user gave them; `started` and `ended` know their time zone; `caller_arn` is who asked;
    `version` is rolecall's. `targets` counts the accounts that were to be asked; 0: as many as there are verdicts.
    `rehearsal`: a sandbox answered, not AWS.
    """

    run_id: str
    manifest: str
    selection: str
    started: datetime
    ended: datetime
    caller_arn: str
    version: str
    targets: int = 0
    rehearsal: bool = False

    @property
    def seconds(self) -> float:
        """How long the run took."""
        return (self.ended - self.started).total_seconds()

    def to_json(self) -> dict[str, Any]:
        """The run as JSON values; times as ISO 8601, `seconds` beside them."""
        return {
            "run_id": self.run_id,
            "manifest": self.manifest,
            "selection": self.selection,
            "started": self.started.isoformat(),
            "ended": self.ended.isoformat(),
            "seconds": round(self.seconds, 3),
            "caller_arn": self.caller_arn,
            "version": self.version,
            "targets": self.targets,
            "rehearsal": self.rehearsal,
        }
