"""Use cases of `gen terraform` and `gen diff`: write the modules of a manifest, or compare them with the written ones."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rolecall_generator.errors import OutputError, RolecallError
from rolecall_generator.findings import ACCESS_DIFFERENCE, Finding, Severity
from rolecall_generator.iam import Access, Group, ModuleKind, User
from rolecall_generator.iam.difference import Change, Label, differences, labeller
from rolecall_generator.manifest import LoadedManifest, load_manifest
from rolecall_generator.output import (
    Lock,
    LockedModule,
    ModuleSource,
    WriteReport,
    find_unplanned,
    read_lock,
    read_regular,
    sha256,
    write_output,
)
from rolecall_generator.package_digest import feature_release, package_digest
from rolecall_generator.planning import Plan, PlannedModule, make_plan, previous_slots, select, slots_to_json
from rolecall_generator.proof import TrustChange, access_changes
from rolecall_generator.terraform import render_module
from rolecall_generator.terraform.parser import ParsedModule, parse_module
from rolecall_generator.workers import collection_paused

_SWITCH_ROLES = "switch-roles/"


def retained_people(out: Path, written: Iterable[str], plan: Plan) -> tuple[str, ...]:
    """Warnings about removed modules that created groups or users that other switch roles still need.

    Pruning deletes the files of a module but not its Terraform state. Without the files, nothing prevents `terraform
    destroy` from deleting the group and its users. `written` are the paths of the last run's modules, relative to `out`.
    Modules that cannot be read are skipped.
    """
    planned = {module.path for module in plan.modules}
    removed = sorted(path for path in written if path.startswith(_SWITCH_ROLES) and path not in planned)
    return tuple(_people_notes(out, removed, plan)) if removed else ()


def _people_notes(out: Path, removed: Iterable[str], plan: Plan) -> Iterator[str]:
    needed: dict[str, str] = {}
    for planned in plan.modules:
        if planned.kind in {ModuleKind.TRUSTING, ModuleKind.TRUSTED}:
            module = planned.build()
            needed |= dict.fromkeys(_people_arns(module.access, existing=True), module.path)
    for path in removed:
        try:
            created = _people_arns(parse_module(out / path, account_id=None).access, existing=False)
        except RolecallError:
            continue
        if shared := sorted(needed.keys() & created):
            names = ", ".join(arn.rpartition(":")[2].replace("/", " ", 1) for arn in shared)
            module_path = needed[shared[0]]
            yield (
                f"{path} created {names}, which {module_path} still needs: do not run terraform destroy there. "
                f"To keep them under Terraform, remove `existing: true` in the manifest and move the state to {module_path}"
            )


def _people_arns(access: Access, *, existing: bool) -> set[str]:
    """ARNs of the groups and users that a module references (`existing`) or creates."""
    parts: tuple[Group | User, ...] = (*access.groups.values(), *access.users.values())
    return {part.arn for part in parts if part.existing is existing}


_CUSTOMERS = "customers/"
_LOST_CUSTOMERS = 2  # removing the only customer of a manifest can be intended


@dataclass(frozen=True, slots=True)
class Generation:
    """The result of a run: the manifest, the plan, the report of the written files, and notes for the user."""

    loaded: LoadedManifest
    plan: Plan
    report: WriteReport
    notes: tuple[str, ...] = ()


def generate(
    manifest: Path,
    out: Path,
    *,
    only: Collection[str] = (),
    prune: bool = True,
    prune_all: bool = False,
    repack: bool = False,
    started: Callable[[int], None] = lambda _total: None,
    progress: Callable[[int], None] = lambda _done: None,
) -> Generation:
    """Write the modules of a manifest.

    `only` limits the run to modules of these customers or switch roles. `prune` deletes modules that are no longer planned;
    deleting the modules of all customers requires `prune_all`. `repack` allows customers to move to other backend policies.
    `started` is called with the number of modules, `progress` with the number of finished ones.

    Raises ManifestError, PlanError, OutputError or SelectionError. Modules written before an error are kept.
    """
    # Garbage collection would take a quarter of the time, and there are no cycles to collect.
    with collection_paused():
        loaded = load_manifest(manifest)
        lock = read_lock(out)
        plan = make_plan(loaded.manifest, previous_slots(lock), repack=repack)
        selected = select(plan, only) if only else None
        if prune and not prune_all and selected is None:
            _check_lost_customers(out, lock, plan)
        notes = retained_people(out, lock.modules, plan) if prune and selected is None else ()
        started(len(plan.modules))
        report = write_output(
            out,
            [module_source(module, manifest.name) for module in plan.modules],
            assignment=slots_to_json(plan.assignment),
            only=selected,
            prune=prune,
            progress=progress,
            known=lock,
        )
    return Generation(loaded, plan, report, notes)


def _check_lost_customers(out: Path, lock: Lock, plan: Plan) -> None:
    """Raise OutputError if the plan has no customer of the last run, which is probably a mistake."""
    before = {path for path in lock.modules if path.startswith(_CUSTOMERS)}
    if len(before) >= _LOST_CUSTOMERS and not any(module.path in before for module in plan.modules):
        raise OutputError(
            f"none of the {len(before):,} customers of the last run is in the manifest: all their modules would be deleted",
            where=str(out),
            hint="check for a missing include or an empty list; --prune-all deletes the modules, --no-prune keeps them",
        )


def module_source(module: PlannedModule, source: str) -> ModuleSource:
    """Convert a planned module for `write_output`, which renders it only if the fingerprint has changed."""
    return ModuleSource(
        module.path, f"{_generator_fingerprint(source)}-{module.fingerprint}", partial(_render, module, source)
    )


@functools.cache
def _generator_fingerprint(source: str) -> str:
    """Fingerprint of the inputs of all modules: this package's code, Jinja2, and the manifest's name in the file headers.

    It contains only the feature release of Jinja2, because users on different machines share the lock file.
    """
    text = f"{package_digest()}\0{feature_release('jinja2')}\0{source}"
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]  # file names may not be UTF-8


def _render(module: PlannedModule, source: str) -> Mapping[str, str]:
    return render_module(module.build(), source)


@dataclass(frozen=True, slots=True)
class ModuleChanges:
    """The changes of one module. `state` is new, changed, removed, text (files change but access does not) or extra.

    `extra`: the next run changes nothing, but files that rolecall did not write conflict with the manifest. `trusts`: the
    requests that a changed module allows more and less than before, by each trust policy that is changed, added or removed.
    """

    path: str
    state: str
    changes: tuple[Change, ...]
    findings: tuple[Finding, ...] = ()
    trusts: tuple[TrustChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """The modules that the next run would change, in the order of the plan, then those that it would remove."""

    modules: tuple[ModuleChanges, ...]
    unchanged: int


def compare(
    manifest: Path,
    out: Path,
    *,
    started: Callable[[int], None] = lambda _total: None,
    progress: Callable[[int], None] = lambda _done: None,
) -> Comparison:
    """Compare the plan of a manifest with the output folder. Only modules whose files would change are parsed.

    Raises ManifestError, PlanError, OutputError.
    """
    loaded = load_manifest(manifest)
    lock = read_lock(out)
    plan = make_plan(loaded.manifest, previous_slots(lock))
    locked = lock.modules
    label = labeller(loaded.manifest.account_names())
    changes: list[ModuleChanges] = []
    started(len(plan.modules))
    for done, module in enumerate(plan.modules, start=1):
        locked_module = locked.get(module.path)
        if locked_module is None:
            added = differences(Access(), module.build().access.canonical(), label=label)
            changes.append(ModuleChanges(module.path, "new", added))
        elif _is_outdated(module_source(module, manifest.name), out, locked_module):
            changes.append(_changed(module, out, label))
        elif _has_other_files(out / module.path, locked_module):
            changes += _additional_files(module, out)
        progress(done)
    planned = {module.path for module in plan.modules}
    unchanged = len(plan.modules) - len(changes)
    changes += [_removed(path, out, label) for path in sorted(locked) if path not in planned]
    unplanned_findings = (found for found in find_unplanned(out, planned, locked) if found.subject not in locked)
    changes += [ModuleChanges(found.subject, "extra", (), (found,)) for found in unplanned_findings]
    return Comparison(tuple(changes), unchanged)


def _is_outdated(source: ModuleSource, out: Path, locked: LockedModule) -> bool:
    """Whether the next run would write a module: the planned files or the files on disk differ from the lock."""
    planned = dict(locked.files)
    if source.fingerprint != locked.fingerprint:
        planned = {name: sha256(text.encode()) for name, text in source.render().items()}
    return planned != {name: _file_digest(out / source.path / name) for name in locked.files}


def _has_other_files(folder: Path, locked: LockedModule) -> bool:
    """Whether the folder of a module has files that rolecall did not write."""
    with os.scandir(folder) as entries:
        return any(entry.name not in locked.files for entry in entries)


def _additional_files(module: PlannedModule, out: Path) -> Iterator[ModuleChanges]:
    """Yield the findings of a module with additional files, if these affect access."""
    built = module.build()
    written = _parse_written(out / module.path, account_id=built.account.account_id, partition=built.partition)
    findings = tuple(finding for finding in written.findings if finding.severity > Severity.NOTE)
    if written.access.canonical() != built.access.canonical():
        message = "other files change the access that the generated files grant; run gen check for details"
        place = f"{module.path}/main.tf"
        findings += (ACCESS_DIFFERENCE.finding(module.subject, message, place, 1, hint="remove the other files"),)
    if findings:
        yield ModuleChanges(module.path, "extra", (), findings)


def _file_digest(path: Path) -> str | None:
    try:
        return sha256(read_regular(str(path)))
    except OSError:
        return None


def _changed(module: PlannedModule, out: Path, label: Label) -> ModuleChanges:
    built = module.build()
    written = _parse_written(out / module.path, account_id=built.account.account_id, partition=built.partition)
    before, after = written.access.canonical(), built.access.canonical()
    found = access_changes(before, after, label)
    state = "changed" if found.changes else "text"
    return ModuleChanges(module.path, state, found.changes, written.findings, found.trusts)


def _parse_written(folder: Path, *, account_id: str | None, partition: str = "aws") -> ParsedModule:
    """Parse the folder of a module. The result is empty if the folder does not exist."""
    if not folder.exists():
        return ParsedModule()
    return parse_module(folder, account_id=account_id, partition=partition, returned=False)


def _removed(path: str, out: Path, label: Label) -> ModuleChanges:
    written = _parse_written(out / path, account_id=None)
    return ModuleChanges(path, "removed", differences(written.access.canonical(), Access(), label=label), written.findings)
