"""`gen diff`: what the next run would change, as a difference of two Access values: intended against written."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from rolecall_generator.checks.finding import DIFFERENCE, Finding, Severity
from rolecall_generator.disk import output_error, read_regular
from rolecall_generator.generate import module_source, previous_slots
from rolecall_generator.iam.access import Access
from rolecall_generator.iam.difference import Change, Label, differences
from rolecall_generator.lock import LockedModule, read_lock
from rolecall_generator.manifest.load import load_manifest
from rolecall_generator.naming import account_names, labeller
from rolecall_generator.parse import ParsedModule, parse_module
from rolecall_generator.plan import PlannedModule, make_plan
from rolecall_generator.survey import sha256
from rolecall_generator.unplanned import unplanned
from rolecall_generator.write import ModuleSource


@dataclass(frozen=True, slots=True)
class ModuleChanges:
    """What changes in one module: `state` is new, changed, gone, text (files change, access does not) or extra.

    `extra`: the next run changes nothing there, but files that it leaves alone are in the way of what the manifest says.
    """

    path: str
    state: str
    changes: tuple[Change, ...]
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """The modules that the next run would touch, in the plan's order, then those that it would remove."""

    modules: tuple[ModuleChanges, ...]
    unchanged: int


def compare(
    manifest: Path,
    out: Path,
    *,
    started: Callable[[int], None] = lambda _total: None,
    progress: Callable[[int], None] = lambda _done: None,
) -> Comparison:
    """Compare the plan of a manifest with what was written. Only modules whose fingerprint changed are parsed."""
    loaded = load_manifest(manifest)
    lock = read_lock(out)
    plan = make_plan(loaded.manifest, previous_slots(lock))
    locked = lock.modules
    name = labeller(account_names(loaded.manifest))
    touched: list[ModuleChanges] = []
    started(len(plan.modules))
    for done, module in enumerate(plan.modules, start=1):
        known = locked.get(module.path)
        if known is None:
            added = differences(Access(), module.build().access.canonical(), label=name)
            touched.append(ModuleChanges(module.path, "new", added))
        elif _would_write(module_source(module, manifest.name), out, known):
            touched.append(_changed(module, out, name))
        elif _has_others(out / module.path, known):
            touched += _extra(module, out)
        progress(done)
    planned = {module.path for module in plan.modules}
    untouched = len(plan.modules) - len(touched)
    touched += [_gone(path, out, name) for path in sorted(locked) if path not in planned]
    touched += [ModuleChanges(found.subject, "extra", (), (found,)) for found in _unplanned(out, planned, locked)]
    return Comparison(tuple(touched), untouched)


def _would_write(source: ModuleSource, out: Path, known: LockedModule) -> bool:
    """Whether the next run would write files of a module: they are planned otherwise, or stand otherwise on disk."""
    planned = dict(known.files)
    if source.fingerprint != known.fingerprint:
        planned = {name: sha256(text.encode()) for name, text in source.render().items()}
    return planned != {name: _hash_of(out / source.path / name) for name in known.files}


def _has_others(folder: Path, known: LockedModule) -> bool:
    """Whether a module's folder holds anything that rolecall did not write."""
    with os.scandir(folder) as entries:
        return any(entry.name not in known.files for entry in entries)


def _extra(module: PlannedModule, out: Path) -> Iterator[ModuleChanges]:
    """The findings of a module with files of others, where they matter."""
    built = module.build()
    written = _written(out / module.path, account_id=built.account.account_id, partition=built.partition)
    findings = tuple(finding for finding in written.findings if finding.severity > Severity.NOTE)
    if written.access.canonical() != built.access.canonical():
        message = "other files change the access that the generated ones grant; gen check shows how"
        place = f"{module.path}/main.tf"
        findings += (DIFFERENCE.finding(module.subject, message, place, 1, hint="remove the other files"),)
    if findings:
        yield ModuleChanges(module.path, "extra", (), findings)


def _unplanned(out: Path, planned: Collection[str], locked: Collection[str]) -> list[Finding]:
    try:
        return [found for found in unplanned(str(out), planned, locked) if found.subject not in locked]
    except OSError as error:
        raise output_error(error, str(out)) from error


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
    """What a module's folder grants; nothing when somebody took the folder away."""
    if not folder.exists():
        return ParsedModule()
    return parse_module(folder, account_id=account_id, partition=partition, returned=False)


def _gone(path: str, out: Path, name: Label) -> ModuleChanges:
    written = _written(out / path, account_id=None)
    return ModuleChanges(path, "gone", differences(written.access.canonical(), Access(), label=name), written.findings)
