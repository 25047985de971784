"""`gen diff`: what the next run would change, as a difference of two Access values: intended against written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rolecall_generator.checks.finding import Finding
from rolecall_generator.disk import read_regular
from rolecall_generator.generate import module_source, previous_slots
from rolecall_generator.iam.access import Access
from rolecall_generator.iam.difference import Change, Label, differences
from rolecall_generator.lock import LockedModule, read_lock
from rolecall_generator.manifest.load import load_manifest
from rolecall_generator.naming import account_names, labeller
from rolecall_generator.parse import ParsedModule, parse_module
from rolecall_generator.plan import PlannedModule, make_plan
from rolecall_generator.survey import sha256
from rolecall_generator.write import ModuleSource


@dataclass(frozen=True, slots=True)
class ModuleChanges:
    """What changes in one module: `state` is new, changed, gone or text (files change, access does not)."""

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
        progress(done)
    planned = {module.path for module in plan.modules}
    touched += [_gone(path, out, name) for path in sorted(locked) if path not in planned]
    return Comparison(tuple(touched), len(plan.modules) - sum(item.state != "gone" for item in touched))


def _would_write(source: ModuleSource, out: Path, known: LockedModule) -> bool:
    """Whether the next run would write files of a module: they are planned otherwise, or stand otherwise on disk."""
    planned = dict(known.files)
    if source.fingerprint != known.fingerprint:
        planned = {name: sha256(text.encode()) for name, text in source.render().items()}
    return planned != {name: _hash_of(out / source.path / name) for name in known.files}


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
    return parse_module(folder, account_id=account_id, partition=partition)


def _gone(path: str, out: Path, name: Label) -> ModuleChanges:
    written = _written(out / path, account_id=None)
    return ModuleChanges(path, "gone", differences(written.access.canonical(), Access(), label=name), written.findings)
