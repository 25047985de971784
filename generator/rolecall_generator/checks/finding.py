"""What every check produces: a finding with its rule, its subject and its place."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Severity(IntEnum):
    """How bad a finding is; the order is the order of badness."""

    NOTE = 1
    WARNING = 2
    ERROR = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. `file` is relative to the checked folder, `line` counts from 1; both absent when there is no place.

    `declared` is FILE:LINE of the manifest where what it is about is declared; None where that is not one place.
    """

    rule: str
    severity: Severity
    subject: str
    message: str
    mend: str
    file: str | None = None
    line: int | None = None
    declared: str | None = None
