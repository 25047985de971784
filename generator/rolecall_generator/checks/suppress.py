"""The manifest's `suppress` entries applied: what is reported, and what is not, with the reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rolecall_generator.checks.finding import UNUSED_SUPPRESSION, Finding, Severity
from rolecall_generator.manifest.models import Suppression


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A finding that is not reported, with the manifest's reason."""

    finding: Finding
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """Findings after suppression; `active` ends with a note for each suppression that hides nothing."""

    active: tuple[Finding, ...]
    suppressed: tuple[Suppressed, ...] = ()

    @property
    def worst(self) -> Severity | None:
        """The worst severity that is reported; None when nothing is."""
        return max((finding.severity for finding in self.active), default=None)


def apply_suppressions(findings: Iterable[Finding], suppressions: Iterable[Suppression], *, complete: bool = True) -> Report:
    """Split findings by the first suppression that names them.

    `complete` False says that only a part was checked (one customer), where an unused suppression means nothing.
    """
    entries = tuple(suppressions)
    active: list[Finding] = []
    suppressed: list[Suppressed] = []
    used: set[int] = set()
    for finding in findings:
        matching = [index for index, entry in enumerate(entries) if entry.covers(finding.rule, finding.subject)]
        used.update(matching)
        if matching:
            suppressed.append(Suppressed(finding, entries[matching[0]].reason))
        else:
            active.append(finding)
    if complete:
        active += [_unused(entry) for index, entry in enumerate(entries) if index not in used]
    return Report(tuple(active), tuple(suppressed))


def _unused(entry: Suppression) -> Finding:
    return UNUSED_SUPPRESSION.finding(entry.subject, f"the suppression of {entry.rule} for {entry.subject} hides nothing")
