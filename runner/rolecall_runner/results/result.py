"""What a task says of one target; what fails there is said here too, never raised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """How a task ended for one target.

    REFUSED: AWS said AccessDenied. INCONCLUSIVE: throttled, timed out, 5xx, cut: nothing is known; it was retried.
    UNREACHABLE: no connection at all. FAILED: all else that went wrong, a fault of the task itself included.
    """

    OK = "ok"
    REFUSED = "refused"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    UNREACHABLE = "unreachable"
    SKIPPED = "skipped"


WORTH_RETRYING = frozenset({Status.INCONCLUSIVE, Status.UNREACHABLE})
"""What may come out otherwise a moment later."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a task returns: `data` in JSON's types; `code` is AWS's error code, `error` a text without secrets."""

    status: Status = Status.OK
    data: Any = None
    error: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """One target's outcome. `started` has a time zone; `seconds` is the time of all `attempts`, waits included."""

    target: str
    task: str
    status: Status
    started: datetime
    seconds: float = 0.0
    attempts: int = 1
    data: Any = None
    error: str = ""
    code: str = ""
    kind: str = "customer"

    @property
    def key(self) -> tuple[str, str]:
        """Kind and name of the target: a customer and a switch role may share a name."""
        return self.kind, self.target

    def to_json(self) -> dict[str, Any]:
        """The result as JSON values; what is empty is left out."""
        body: dict[str, Any] = {
            "target": self.target,
            "kind": self.kind,
            "task": self.task,
            "status": str(self.status),
            "started": self.started.isoformat(),
            "seconds": round(self.seconds, 3),
            "attempts": self.attempts,
        }
        optional = {"data": self.data, "error": self.error, "code": self.code}
        return body | {key: value for key, value in optional.items() if value not in (None, "")}


def result_from_json(body: Mapping[str, Any]) -> Result:
    """Read `Result.to_json` back. Raises KeyError, TypeError or ValueError for anything else."""
    return Result(
        body["target"],
        body["task"],
        Status(body["status"]),
        datetime.fromisoformat(body["started"]),
        float(body["seconds"]),
        int(body["attempts"]),
        body.get("data"),
        body.get("error", ""),
        body.get("code", ""),
        body["kind"],
    )
