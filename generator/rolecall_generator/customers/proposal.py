"""A change of the manifest that was worked out but not written: its text, and what it does to the access.

What an edit of the manifest changes, as access: the plan before against the plan after, module by module. `gen diff`
holds the plan against what was written; this holds it against the manifest as it was, so that one edit is shown alone,
whatever else has not been written yet.

The lines that an edit takes out of a text and puts into it, for a file of any size. `difflib` alone takes minutes for a
file of thousands of entries that changed in each. An edit keeps the order of what it leaves alone, so lines that stand
once in both texts are sure marks, and only what lies between two of them is compared.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rolecall_generator.errors import PlanError
from rolecall_generator.iam import Access, Arn
from rolecall_generator.iam.difference import Change, Label, differences, labeller
from rolecall_generator.manifest import LoadedManifest, Manifest, account_names
from rolecall_generator.manifest.editing import Edit, Edited, apply_edits, write_edited
from rolecall_generator.output import read_lock
from rolecall_generator.planning import Plan, PlannedModule, Slot, make_plan, previous_slots


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


@dataclass(frozen=True, slots=True)
class ModuleDifference:
    """What changes in one module. `state` is new, changed, gone, moved or text (files change, access does not).

    `moved_from` is the module's path before a rename. `replaced`: ARNs of roles that AWS deletes and makes anew under
    another name, as (before, after); AWS cannot rename a role.
    """

    path: str
    state: str
    changes: tuple[Change, ...]
    moved_from: str | None = None
    replaced: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class AccessDifference:
    """The modules that an edit touches, in the plan's order, those that go last; and how many it leaves alone.

    `note` says why the manifest before the edit could not be planned, where that is so: everything is then new.
    """

    modules: tuple[ModuleDifference, ...]
    unchanged: int
    note: str = ""

    @property
    def paths(self) -> frozenset[str]:
        """Paths of the modules that the edit touches."""
        return frozenset(module.path for module in self.modules)

    @property
    def widens(self) -> bool:
        """Whether anything is allowed that was not allowed before."""
        return any(change.widens for module in self.modules for change in module.changes)


def access_difference(
    before: Manifest, after: Manifest, previous: Mapping[str, Slot], *, moved: Mapping[str, str] | None = None
) -> AccessDifference:
    """The difference of two manifests. `previous` is the last run's assignment, `moved` paths of modules, old to new.

    Raises PlanError when AWS would refuse the manifest after the edit.
    """
    old, note = _planned_before(before, previous)
    new = make_plan(after, {**previous, **old.assignment.slots})
    name = labeller({**account_names(before), **account_names(after)})
    came_from = {target: source for source, target in (moved or {}).items()}
    known = {module.path: module for module in old.modules}
    touched: list[ModuleDifference] = []
    for module in new.modules:
        origin = known.pop(came_from.get(module.path, module.path), None)
        if origin is None or origin.fingerprint != module.fingerprint:
            touched.append(_compared(origin, module, name))
    touched += (_gone(module, name) for module in known.values())
    return AccessDifference(tuple(touched), len(new.modules) - sum(item.state != "gone" for item in touched), note)


def _planned_before(before: Manifest, previous: Mapping[str, Slot]) -> tuple[Plan, str]:
    """The plan of the manifest as it stands; an edit that fixes a manifest that AWS would refuse must be possible."""
    try:
        return make_plan(before, previous), ""
    except PlanError as error:
        empty = make_plan(before.model_copy(update={"customers": (), "switch_roles": (), "backend": None}))
        return empty, f"the manifest as it stands cannot be planned, so everything is shown as new ({error.what})"


def _compared(origin: PlannedModule | None, module: PlannedModule, name: Label) -> ModuleDifference:
    after = module.build().access.canonical()
    if origin is None:
        return ModuleDifference(module.path, "new", differences(Access(), after, label=name))
    before = origin.build().access.canonical()
    changes = differences(before, after, label=name)
    moved_from = origin.path if origin.path != module.path else None
    state = "moved" if moved_from else "changed" if changes else "text"
    return ModuleDifference(module.path, state, changes, moved_from, tuple(_replaced(before, after)))


def _gone(module: PlannedModule, name: Label) -> ModuleDifference:
    return ModuleDifference(module.path, "gone", differences(module.build().access.canonical(), Access(), label=name))


def _replaced(before: Access, after: Access) -> Iterator[tuple[str, str]]:
    """Roles of one account that go while others come: what a changed name or path looks like."""
    gone = [arn for arn, role in before.roles.items() if arn not in after.roles and not role.existing]
    come = [arn for arn, role in after.roles.items() if arn not in before.roles and not role.existing]
    for old, new in zip(gone, come, strict=False):
        was, now = Arn.parse(old), Arn.parse(new)
        if was is not None and now is not None and was.account_id == now.account_id:
            yield old, new


def line_changes(before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    """Lines that go, with a - before them, and that come, with a +, in the order of the texts."""
    old, new = 0, 0
    for mark_old, mark_new in (*_marks(before, after), (len(before), len(after))):
        yield from _between(before[old:mark_old], after[new:mark_new])
        old, new = mark_old + 1, mark_new + 1


def _marks(before: Sequence[str], after: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Indexes of lines that stand once in both texts, as far as they follow each other in both."""
    times_before, times_after = Counter(before), Counter(after)
    where = {line: number for number, line in enumerate(after) if times_after[line] == 1}
    last = -1
    for number, line in enumerate(before):
        found = where.get(line, -1)
        if found > last and times_before[line] == 1:
            last = found
            yield number, found


def _between(before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    if before == after:
        return
    for tag, old_start, old_end, new_start, new_end in difflib.SequenceMatcher(None, before, after, False).get_opcodes():
        if tag != "equal":
            yield from (f"-{line}" for line in before[old_start:old_end])
            yield from (f"+{line}" for line in after[new_start:new_end])
