"""A change of the manifest that is computed but not written: its text and its effect on access."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rolecall_generator.errors import PlanError
from rolecall_generator.iam import Access, Arn
from rolecall_generator.iam.difference import Change, Label, differences, labeller
from rolecall_generator.manifest import LoadedManifest, Manifest
from rolecall_generator.manifest.editing import Edit, Edited, apply_edits, write_edited
from rolecall_generator.output import read_lock
from rolecall_generator.planning import Plan, PlannedModule, Slot, make_plan, previous_slots


@dataclass(frozen=True, slots=True)
class NextStep:
    """One step for the user: `command` to copy, "" where there is none, and what it is for."""

    command: str
    reason: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """An edited manifest that is not written yet, with its effect on access.

    `notes` are sentences to show before the user agrees. `steps` are to be taken once it is written; `remark` is a
    sentence or block to show below them, "" for none. `save` writes the files, and a record of the change if there is one.
    """

    edited: Edited
    difference: AccessDifference
    notes: tuple[str, ...] = ()
    steps: tuple[NextStep, ...] = ()
    remark: str = ""
    save: Callable[[Edited], None] = write_edited

    @property
    def empty(self) -> bool:
        """Whether no file would change."""
        return not self.edited.files

    def text_changes(self) -> Mapping[str, Sequence[str]]:
        """The added (+) and removed (-) lines by file."""
        changes: dict[str, Sequence[str]] = {}
        for path, content in self.edited.files.items():
            before, after = (data.decode("utf-8-sig").splitlines() for data in (content.before or b"", content.after))
            changes[str(path)] = list(line_changes(before, after))
        return changes

    def write(self) -> None:
        """Replace the edited files. Raises OutputError; then nothing has changed."""
        self.save(self.edited)


def propose(
    loaded: LoadedManifest,
    out: Path,
    edits: Sequence[Edit],
    *,
    moved: Mapping[str, str] | None = None,
    notes: Iterable[str] = (),
) -> Proposal:
    """Apply edits in memory and compute what they change. Nothing is written.

    `moved`: paths of renamed modules, old to new. Raises EditError, EditedManifestError, SelectionError, PlanError, or
    OutputError for a broken lock file.
    """
    edited = apply_edits(loaded.files[0], edits, loaded)
    slots = previous_slots(read_lock(out))
    difference = access_difference(edited.before.manifest, edited.after.manifest, slots, moved=moved)
    return Proposal(edited, difference, tuple(notes))


@dataclass(frozen=True, slots=True)
class ModuleDifference:
    """What changes in one module. `state` is new, changed, removed, moved or text (files change, access does not).

    `moved_from` is the module's path before a rename. `replaced`: pairs of ARNs (before, after) of roles that are deleted
    and created under another name, because AWS cannot rename a role.
    """

    path: str
    state: str
    changes: tuple[Change, ...]
    moved_from: str | None = None
    replaced: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class AccessDifference:
    """The modules that an edit changes, in the plan's order, removed ones last; and the number of unchanged modules.

    `note` is the reason why the manifest before the edit could not be planned, "" if it could; without a plan every module
    is new.
    """

    modules: tuple[ModuleDifference, ...]
    unchanged: int
    note: str = ""

    @property
    def paths(self) -> frozenset[str]:
        """Paths of the modules that the edit changes."""
        return frozenset(module.path for module in self.modules)

    @property
    def widens(self) -> bool:
        """Whether the edit grants access that was not granted before."""
        return any(change.widens for module in self.modules for change in module.changes)


def access_difference(
    before: Manifest, after: Manifest, previous: Mapping[str, Slot], *, moved: Mapping[str, str] | None = None
) -> AccessDifference:
    """Compare the plans of two manifests, module by module.

    `previous` is the last run's assignment, `moved` maps old paths of modules to new ones.

    Raises PlanError when the manifest after the edit exceeds a quota of AWS.
    """
    old, note = _planned_before(before, previous)
    new = make_plan(after, {**previous, **old.assignment.slots})
    name = labeller(before.account_names() | after.account_names())
    came_from = {target: source for source, target in (moved or {}).items()}
    known = {module.path: module for module in old.modules}
    touched: list[ModuleDifference] = []
    for module in new.modules:
        origin = known.pop(came_from.get(module.path, module.path), None)
        if origin is None or origin.fingerprint != module.fingerprint:
            touched.append(_compared(origin, module, name))
    for module in known.values():
        changes = differences(module.build().access.canonical(), Access(), label=name)
        touched.append(ModuleDifference(module.path, "removed", changes))
    return AccessDifference(tuple(touched), len(new.modules) - sum(item.state != "removed" for item in touched), note)


def _planned_before(before: Manifest, previous: Mapping[str, Slot]) -> tuple[Plan, str]:
    """The plan of the manifest before the edit, empty if it cannot be planned: the edit may be the fix."""
    try:
        return make_plan(before, previous), ""
    except PlanError as error:
        empty = make_plan(before.model_copy(update={"customers": (), "switch_roles": (), "backend": None}))
        return empty, f"the current manifest cannot be planned, so everything is shown as new ({error.what})"


def _compared(origin: PlannedModule | None, module: PlannedModule, name: Label) -> ModuleDifference:
    after = module.build().access.canonical()
    if origin is None:
        return ModuleDifference(module.path, "new", differences(Access(), after, label=name))
    before = origin.build().access.canonical()
    changes = differences(before, after, label=name)
    moved_from = origin.path if origin.path != module.path else None
    state = "moved" if moved_from else "changed" if changes else "text"
    return ModuleDifference(module.path, state, changes, moved_from, tuple(_replaced(before, after)))


def _replaced(before: Access, after: Access) -> Iterator[tuple[str, str]]:
    """Pairs of a removed and an added role of one account: the effect of a changed name or path."""
    removed = [arn for arn, role in before.roles.items() if arn not in after.roles and not role.existing]
    added = [arn for arn, role in after.roles.items() if arn not in before.roles and not role.existing]
    for old, new in zip(removed, added, strict=False):
        was, now = Arn.parse(old), Arn.parse(new)
        if was is not None and now is not None and was.account_id == now.account_id:
            yield old, new


def line_changes(before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    """Removed lines, prefixed with -, and added lines, prefixed with +, in the order of the texts.

    `difflib` takes minutes for a file of thousands of changed entries. An edit keeps the order of unchanged lines, so
    lines that are unique in both texts are anchors, and `difflib` compares only the lines between two anchors.
    """
    old, new = 0, 0
    for anchor_old, anchor_new in (*_anchors(before, after), (len(before), len(after))):
        yield from _between(before[old:anchor_old], after[new:anchor_new])
        old, new = anchor_old + 1, anchor_new + 1


def _anchors(before: Sequence[str], after: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Index pairs of lines that are unique in both texts and in the same order in both."""
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
