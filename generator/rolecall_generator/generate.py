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
from rolecall_generator.terraform import render_module
from rolecall_generator.terraform.parser import ParsedModule, parse_module
from rolecall_generator.workers import collection_paused

_SWITCH_ROLES = "switch-roles/"


def people_left_behind(out: Path, written: Iterable[str], plan: Plan) -> tuple[str, ...]:
    """Notes on removed modules that created groups or users which other switch roles still need.

    Pruning deletes the files of a module but not its Terraform state, and without the files nothing prevents
    `terraform destroy` from deleting the group and its users. `written` are the paths of the last run's modules below
    `out`. Modules that cannot be read are skipped.
    """
    planned = {module.path for module in plan.modules}
    gone = sorted(path for path in written if path.startswith(_SWITCH_ROLES) and path not in planned)
    return tuple(_notes(out, gone, plan)) if gone else ()


def _notes(out: Path, gone: Iterable[str], plan: Plan) -> Iterator[str]:
    needed: dict[str, str] = {}
    for planned in plan.modules:
        if planned.kind in {ModuleKind.TRUSTING, ModuleKind.TRUSTED}:
            module = planned.build()
            needed |= dict.fromkeys(_people(module.access, existing=True), module.path)
    for path in gone:
        try:
            created = _people(parse_module(out / path, account_id=None).access, existing=False)
        except RolecallError:
            continue
        if left := sorted(needed.keys() & created):
            names = ", ".join(arn.rpartition(":")[2].replace("/", " ", 1) for arn in left)
            user = needed[left[0]]
            yield (
                f"{path} created {names}, which {user} still needs: do not run terraform destroy there. To keep them under "
                f"Terraform, remove `existing: true` in the manifest and move the state to {user}"
            )


def _people(access: Access, *, existing: bool) -> set[str]:
    """ARNs of the groups and users that are looked up (`existing`), or created."""
    parts: tuple[Group | User, ...] = (*access.groups.values(), *access.users.values())
    return {part.arn for part in parts if part.existing is existing}


_CUSTOMERS = "customers/"
_LOST_CUSTOMERS = 2  # removing the only customer of a manifest is not suspicious


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

    `started` is called with the number of modules, `progress` with the number of finished ones. `prune` deletes modules
    that are no longer planned; deleting the modules of all customers requires `prune_all`. Raises ManifestError,
    PlanError, OutputError or SelectionError; modules that were written before the error stay.
    """
    # Garbage collection would cost a quarter of the time, and there are no cycles to collect.
    with collection_paused():
        loaded = load_manifest(manifest)
        lock = read_lock(out)
        plan = make_plan(loaded.manifest, previous_slots(lock), repack=repack)
        chosen = select(plan, only) if only else None
        if prune and not prune_all and chosen is None:
            _check_lost_customers(out, lock, plan)
        notes = people_left_behind(out, lock.modules, plan) if prune and chosen is None else ()
        started(len(plan.modules))
        report = write_output(
            out,
            [module_source(module, manifest.name) for module in plan.modules],
            assignment=slots_to_json(plan.assignment),
            only=chosen,
            prune=prune,
            progress=progress,
            known=lock,
        )
    return Generation(loaded, plan, report, notes)


def _check_lost_customers(out: Path, lock: Lock, plan: Plan) -> None:
    """Raise OutputError when no customer of the last run is left, which is more likely a mistake than intended."""
    before = {path for path in lock.modules if path.startswith(_CUSTOMERS)}
    if len(before) >= _LOST_CUSTOMERS and not any(module.path in before for module in plan.modules):
        raise OutputError(
            f"none of the {len(before):,} customers of the last run is in the manifest: all their modules would be deleted",
            where=str(out),
            hint="check for a missing include or an empty list; --prune-all deletes the modules, --no-prune keeps them",
        )


def module_source(module: PlannedModule, source: str) -> ModuleSource:
    """A planned module for `write_output`, which renders it only if its fingerprint has changed."""
    return ModuleSource(
        module.path, f"{_generator_fingerprint(source)}-{module.fingerprint}", partial(_render, module, source)
    )


@functools.cache
def _generator_fingerprint(source: str) -> str:
    """Fingerprint of what all modules depend on: this package's code, Jinja2, the manifest's name in the headers.

    Users of different machines share the lock file, so only the feature release of Jinja2 is included.
    """
    text = f"{package_digest()}\0{feature_release('jinja2')}\0{source}"
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]  # file names may not be UTF-8


def _render(module: PlannedModule, source: str) -> Mapping[str, str]:
    return render_module(module.build(), source)


@dataclass(frozen=True, slots=True)
class ModuleChanges:
    """What changes in one module: `state` is new, changed, gone, text (files change, access does not) or extra.

    `extra`: the next run changes nothing, but files that rolecall did not write conflict with the manifest.
    """

    path: str
    state: str
    changes: tuple[Change, ...]
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """The modules that the next run would change, in the plan's order, then those that it would remove."""

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
    name = labeller(loaded.manifest.account_names())
    touched: list[ModuleChanges] = []
    started(len(plan.modules))
    for done, module in enumerate(plan.modules, start=1):
        known = locked.get(module.path)
        if known is None:
            added = differences(Access(), module.build().access.canonical(), label=name)
            touched.append(ModuleChanges(module.path, "new", added))
        elif _would_write(module_source(module, manifest.name), out, known):
            touched.append(_changed(module, out, name))
        elif _has_other_files(out / module.path, known):
            touched += _extra(module, out)
        progress(done)
    planned = {module.path for module in plan.modules}
    untouched = len(plan.modules) - len(touched)
    touched += [_gone(path, out, name) for path in sorted(locked) if path not in planned]
    stray = (found for found in find_unplanned(out, planned, locked) if found.subject not in locked)
    touched += [ModuleChanges(found.subject, "extra", (), (found,)) for found in stray]
    return Comparison(tuple(touched), untouched)


def _would_write(source: ModuleSource, out: Path, known: LockedModule) -> bool:
    """Whether the next run would write files of a module: the planned content differs, or the content on disk."""
    planned = dict(known.files)
    if source.fingerprint != known.fingerprint:
        planned = {name: sha256(text.encode()) for name, text in source.render().items()}
    return planned != {name: _hash_of(out / source.path / name) for name in known.files}


def _has_other_files(folder: Path, known: LockedModule) -> bool:
    """Whether a module's folder has files that rolecall did not write."""
    with os.scandir(folder) as entries:
        return any(entry.name not in known.files for entry in entries)


def _extra(module: PlannedModule, out: Path) -> Iterator[ModuleChanges]:
    """The findings of a module with additional files, if they affect access."""
    built = module.build()
    written = _written(out / module.path, account_id=built.account.account_id, partition=built.partition)
    findings = tuple(finding for finding in written.findings if finding.severity > Severity.NOTE)
    if written.access.canonical() != built.access.canonical():
        message = "other files change the access that the generated files grant; run gen check for details"
        place = f"{module.path}/main.tf"
        findings += (ACCESS_DIFFERENCE.finding(module.subject, message, place, 1, hint="remove the other files"),)
    if findings:
        yield ModuleChanges(module.path, "extra", (), findings)


def _hash_of(path: Path) -> str | None:
    try:
        return sha256(read_regular(str(path)))
    except OSError:
        return None


def _changed(module: PlannedModule, out: Path, name: Label) -> ModuleChanges:
    built = module.build()
    written = _written(out / module.path, account_id=built.account.account_id, partition=built.partition)
    changes = differences(written.access.canonical(), built.access.canonical(), label=name)
    return ModuleChanges(module.path, "changed" if changes else "text", changes, written.findings)


def _written(folder: Path, *, account_id: str | None, partition: str = "aws") -> ParsedModule:
    """Parse a module's folder; empty if the folder was deleted."""
    if not folder.exists():
        return ParsedModule()
    return parse_module(folder, account_id=account_id, partition=partition, returned=False)


def _gone(path: str, out: Path, name: Label) -> ModuleChanges:
    written = _written(out / path, account_id=None)
    return ModuleChanges(path, "gone", differences(written.access.canonical(), Access(), label=name), written.findings)
