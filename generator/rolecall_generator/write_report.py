"""What a run of the writer did, for the summary and for machines."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class WriteReport:
    """What a run did, by module path. `kept` are files left where modules or files of rolecall's went: others' or edited."""

    created: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    restored: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    files_written: int = 0
    files_removed: int = 0

    @property
    def wrote_nothing(self) -> bool:
        """True when every module stood as planned."""
        return not (self.files_written or self.files_removed)


@dataclass(slots=True)
class Tally:
    """A report in the making."""

    created: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    files_written: int = 0
    files_removed: int = 0

    def report(self) -> WriteReport:
        """The report of what was counted so far."""
        return WriteReport(
            tuple(self.created),
            tuple(self.changed),
            tuple(self.restored),
            tuple(self.unchanged),
            tuple(self.removed),
            tuple(sorted(self.kept)),
            self.files_written,
            self.files_removed,
        )
