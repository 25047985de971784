"""A change of the manifest that was worked out but not written: its text, and what it does to the access."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rolecall_generator.customers.difference import AccessDifference, access_difference
from rolecall_generator.customers.line_changes import line_changes
from rolecall_generator.generate import previous_slots
from rolecall_generator.lock import read_lock
from rolecall_generator.manifest.edit import Edit, Edited, apply_edits
from rolecall_generator.manifest.edit_write import write_edited
from rolecall_generator.manifest.load import LoadedManifest
from rolecall_generator.manifest.models import Manifest


@dataclass(frozen=True, slots=True)
class Proposal:
    """What would be written, and what that means. `notes` are sentences that a person should read before agreeing."""

    edited: Edited
    difference: AccessDifference
    notes: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether no file would change."""
        return not self.edited.files

    def text_changes(self) -> Mapping[str, Sequence[str]]:
        """The lines that come (+) and go (-), by file."""
        changes: dict[str, Sequence[str]] = {}
        for path, content in self.edited.files.items():
            before, after = (_lines(data) for data in (content.before or b"", content.after))
            changes[str(path)] = list(line_changes(before, after))
        return changes

    def write(self) -> None:
        """Put the edited files in place. Raises OutputError; then nothing has changed."""
        write_edited(self.edited)


def propose(
    manifest: Path,
    out: Path,
    edits: Sequence[Edit],
    *,
    loaded: LoadedManifest | None = None,
    moved: Mapping[str, str] | None = None,
    notes: Callable[[Manifest], Iterable[str]] = lambda _before: (),
) -> Proposal:
    """Make edits in memory and work out what they change. Nothing is written.

    `loaded`: the manifest, where it was loaded already. `moved`: paths of renamed modules, old to new. `notes`: what a
    person should know, from the manifest before the edits. Raises ManifestError, EditError, SelectionError, PlanError, or
    OutputError for a broken lock file.
    """
    edited = apply_edits(manifest, edits, loaded)
    slots = previous_slots(read_lock(out))
    difference = access_difference(edited.before.manifest, edited.after.manifest, slots, moved=moved)
    return Proposal(edited, difference, tuple(notes(edited.before.manifest)))


def _lines(data: bytes) -> list[str]:
    return data.decode("utf-8-sig").splitlines()
