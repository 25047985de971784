"""Use cases that add, change, import, remove and rename entries of the manifest.

Each returns a Proposal, which is not written yet: the edited manifest, the difference in access, and the steps to take once
it is written.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from rolecall_generator.errors import PlanError, SelectionError
from rolecall_generator.iam import Access, Arn, ModuleKind
from rolecall_generator.iam.difference import Change, Label, differences, labeller
from rolecall_generator.manifest import Customer, LoadedManifest, Manifest, fresh_external_id, load_manifest
from rolecall_generator.manifest.editing import (
    AddCustomer,
    Edit,
    Edited,
    RemoveEntry,
    RenameEntry,
    Section,
    SetField,
    UnsetField,
    Value,
    apply_edits,
    write_edited,
)
from rolecall_generator.output import read_lock
from rolecall_generator.planning import (
    BACKEND_PATH,
    Plan,
    PlannedModule,
    Slot,
    customer_path,
    make_plan,
    previous_slots,
    switch_role_path,
)
from rolecall_generator.records import change_rotations, read_rotations
from rolecall_generator.text import command_line, shell_word, suggest


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
    """Removed lines, prefixed with -, and added lines, prefixed with +, in the order of the files.

    `difflib` takes minutes for a file of thousands of changed entries. An edit keeps the order of unchanged lines, so
    lines that are unique in both files are anchors, and `difflib` compares only the lines between two anchors.
    """
    old, new = 0, 0
    for anchor_old, anchor_new in (*_anchors(before, after), (len(before), len(after))):
        yield from _between(before[old:anchor_old], after[new:anchor_new])
        old, new = anchor_old + 1, anchor_new + 1


def _anchors(before: Sequence[str], after: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Index pairs of lines that are unique in both files and in the same order in both."""
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


def add_customer(
    manifest: Path,
    out: Path,
    values: Mapping[str, Value],
    *,
    file: Path | None = None,
    make_id: Callable[[], str] = fresh_external_id,
) -> Proposal:
    """Propose a customer with these fields; without an `external_id` it gets a fresh one. Raises as `propose`."""
    fields = dict(values)
    fields.setdefault("external_id", make_id())
    proposal = propose(load_manifest(manifest), out, [AddCustomer(fields, file)])
    return replace(proposal, steps=steps_after_change(manifest, out, str(fields["name"]), proposal.difference.paths))


def change_customer(
    manifest: Path, out: Path, name: str, values: Mapping[str, Value], *, unset: Collection[str] = ()
) -> Proposal:
    """Propose new values for a customer's fields; fields in `unset` fall back to the manifest's defaults.

    Mappings (tags, labels, variables) are merged with the existing ones, new values win. Raises as `propose`, and
    SelectionError for a key in `unset` that customers do not have or that is also in `values`.
    """
    for key in unset:
        if key not in Customer.model_fields:
            hint = suggest(key, Customer.model_fields, "use a key of a customer from docs/manifest.md")
            raise SelectionError(f"a customer has no key {key}", where="--unset", hint=hint)
        if key in values:
            raise SelectionError(f"{key} is both set and unset", where="--unset", hint="remove one of the two options")
    loaded = load_manifest(manifest)
    known = {customer.name: customer for customer in loaded.manifest.customers}
    edits: list[Edit] = [
        SetField(name, field, {**getattr(known.get(name), field, {}), **value} if isinstance(value, Mapping) else value)
        for field, value in values.items()
    ]
    edits += [UnsetField(name, field) for field in unset]
    proposal = propose(loaded, out, edits)
    return replace(proposal, steps=steps_after_change(manifest, out, name, proposal.difference.paths))


def import_customers(loaded: LoadedManifest, out: Path, edits: Sequence[Edit], *, notes: Sequence[str]) -> Proposal:
    """Propose the edits of an import; `notes` describe it to the user. Raises as `propose`."""
    proposal = propose(loaded, out, edits, notes=notes)
    manifest = loaded.files[0]
    steps = (
        _generate(manifest, out, "write and check the modules"),
        _apply_backend(out, "let the backend role assume the customers' roles"),
        NextStep(command_line("gen bundle", manifest, out), "bundles for the customers"),
        NextStep(command_line("runner verify", manifest, out), "after the customers have applied them"),
    )
    return replace(proposal, steps=steps)


def remove_entries(manifest: Path, out: Path, names: Sequence[str], *, section: Section = "customers") -> Proposal:
    """Propose a manifest without these customers or switch roles. Raises as `propose`."""
    loaded = load_manifest(manifest)
    suppressed = {suppression.subject for suppression in loaded.manifest.suppress}
    notes = [f"the suppression for {name} no longer matches anything" for name in names if name in suppressed]
    proposal = propose(loaded, out, [RemoveEntry(name, section) for name in dict.fromkeys(names)], notes=notes)
    return replace(proposal, steps=tuple(_steps_after_removal(proposal, out, names, section)))


def _steps_after_removal(proposal: Proposal, out: Path, names: Sequence[str], section: Section) -> Iterator[NextStep]:
    last_customer = section == "customers" and not proposal.edited.after.manifest.customers
    generate = _generate(
        proposal.edited.manifest,
        out,
        "delete the modules from the output folder",
        " --prune-all" if last_customer else "",
    )
    if section == "switch_roles":
        yield NextStep("terraform destroy", "first, in both modules of the switch role, in their accounts")
        yield generate
        return
    subject = names[0] if len(names) == 1 else "these customers"
    yield generate
    yield _apply_backend(out, f"ends the backend's access to {subject}")
    yield NextStep("terraform destroy", f"run by {subject} in the module's folder: deletes the role from the account")


def rename_entry(manifest: Path, out: Path, old: str, new: str, *, section: Section = "customers") -> Proposal:
    """Propose another name for a customer or switch role. Raises as `propose`; SelectionError when the names are equal.

    The name is the vendor's: it is in no ARN and in no resource address, so a rename changes no AWS resource. The
    module's folder moves, with any Terraform state in it.
    """
    if old == new:
        raise SelectionError(f"{old} already has that name", where=str(manifest), hint="choose a different name")
    loaded = load_manifest(manifest)
    moved = _moved_modules(old, new, section)
    proposal = propose(
        loaded, out, [RenameEntry(old, new, section)], moved=moved, notes=_lost_patterns(loaded.manifest, old, new)
    )
    steps = _steps_after_rename(manifest, out, old, new, section, moved)
    remark = f"If a root module calls the folder, add this block so that nothing is destroyed:\n\n{moved_block(old, new)}"
    if section == "customers" and old in read_rotations(out):

        def save(edited: Edited) -> None:
            write_edited(edited)  # first: a record without a customer does no harm
            change_rotations(out, lambda found: {new if name == old else name: entry for name, entry in found.items()})

        proposal = replace(proposal, save=save)
    return replace(proposal, steps=steps, remark=remark)


def _moved_modules(old: str, new: str, section: Section) -> dict[str, str]:
    """Paths of an entry's modules below the output folder: old path to new path."""
    if section == "customers":
        return {customer_path(old): customer_path(new)}
    sides = (ModuleKind.TRUSTING, ModuleKind.TRUSTED)
    return {switch_role_path(old, side): switch_role_path(new, side) for side in sides}


def _lost_patterns(manifest: Manifest, old: str, new: str) -> list[str]:
    """Notes on suppressions with wildcards that match the old name but not the new one."""
    return [
        f"the suppression of {suppression.rule} for {suppression.subject} no longer matches this entry"
        for suppression in manifest.suppress
        if suppression.subject != old and fnmatchcase(old, suppression.subject) and not fnmatchcase(new, suppression.subject)
    ]


def _steps_after_rename(
    manifest: Path, out: Path, old: str, new: str, section: Section, moved: Mapping[str, str]
) -> tuple[NextStep, ...]:
    steps = [_generate(manifest, out, f"write {new}'s modules, delete {old}'s")]
    locked = read_lock(out).modules
    for source, target in moved.items():
        kept = _other_files(out / source, locked[source].files if source in locked else ())
        if kept:
            files = " ".join(map(shell_word, kept))
            steps.append(NextStep(f"mv {files} {shell_word(out / target)}/", "move Terraform's state to the new folder"))
    if section == "customers":
        steps.append(NextStep(command_line(f"gen bundle {new}", manifest, out), "the customer's bundle under its new name"))
    return tuple(steps)


def _other_files(folder: Path, generated: Collection[str]) -> list[Path]:
    """Files and folders next to the generated ones, such as Terraform's state."""
    try:
        return sorted(path for path in folder.iterdir() if path.name not in generated)
    except OSError:
        return []


def moved_block(old: str, new: str) -> str:
    """The `moved` block for a root module that calls the folder as a child module with the entry's name.

    Without it Terraform would destroy the role and create it again (Terraform language, "moved block", since 1.1).
    """
    return f"moved {{\n  from = module.{_module_label(old)}\n  to   = module.{_module_label(new)}\n}}"


def _module_label(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)


def steps_after_change(manifest: Path, out: Path, name: str, touched: Collection[str]) -> tuple[NextStep, ...]:
    """Steps after a customer was added or changed. `touched`: paths of the modules that change; no steps without any."""
    steps = [_generate(manifest, out, "write and check the modules")] if touched else []
    if BACKEND_PATH in touched:
        steps.append(_apply_backend(out, "let the backend role assume the customer's role"))
    if customer_path(name) in touched:
        steps.append(NextStep(command_line(f"gen bundle {name}", manifest, out), "bundle for the customer"))
        verify = command_line(f"runner verify --limit {name}", manifest, out)
        steps.append(NextStep(verify, "after the customer has applied it"))
    return tuple(steps)


def _generate(manifest: Path, out: Path, why: str, more: str = "") -> NextStep:
    return NextStep(command_line("gen terraform", manifest, out) + more, why)


def _apply_backend(out: Path, why: str) -> NextStep:
    return NextStep(f"terraform -chdir={shell_word(out / BACKEND_PATH)} apply", why)
