"""Writing all bundles of a manifest: one folder and one zip per bundle.

Like the output folder, the folder of bundles has a lock. It lists the files that rolecall wrote, so that bundles that are no
longer planned can be removed while other files are kept. A journal allows the next run to continue after an interruption.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from rolecall_generator.bundle.build import (
    BundleOptions,
    BundleOrder,
    BundleOutcome,
    BundleSettings,
    Owned,
    build_bundles,
    read_bundle_state,
    zip_name,
)
from rolecall_generator.bundle.forms import all_forms
from rolecall_generator.errors import OutputError, SelectionError, missing_extra
from rolecall_generator.findings import Finding
from rolecall_generator.generate import module_source
from rolecall_generator.iam import Module, ModuleKind
from rolecall_generator.manifest import Manifest, load_manifest
from rolecall_generator.output import (
    BUNDLES,
    LOCK_NAME,
    Disk,
    Lock,
    OutputFolder,
    WriteCounts,
    WriteReport,
    open_output,
    read_lock,
    remove_empty,
)
from rolecall_generator.package_digest import page_digest
from rolecall_generator.planning import Plan, PlannedModule, make_plan, previous_slots, select, switch_role_path
from rolecall_generator.records import SUMS_NAME, bundle_path
from rolecall_generator.workers import collection_paused

_LOCK_CHARACTERS = 512  # reserved per bundle
_SEVERAL = 2  # removing the only bundle needs no confirmation
_PDF_LIBRARY = "reportlab"


@dataclass(frozen=True, slots=True)
class BundleReport:
    """The result of a run.

    Attributes:
        folder: The folder of bundles; all paths are relative to it.
        report: Bundles by state.
        failed: Why a bundle could not be written, by path.
        blocking_findings: Error findings by path. Such a bundle is written, but should not be handed over.
    """

    folder: Path
    report: WriteReport
    failed: Mapping[str, str]
    blocking_findings: Mapping[str, tuple[Finding, ...]]


def write_bundles(
    manifest: Path,
    out: Path,
    options: BundleOptions,
    *,
    processes: int | None = None,
    disk: Disk | None = None,
    started: Callable[[int], None] = lambda _total: None,
    progress: Callable[[int], None] = lambda _done: None,
) -> BundleReport:
    """Write the bundles of a manifest to `out`/bundles.

    `started` is called with the number of bundles, `progress` with the number of bundles done so far.

    Raises ManifestError, PlanError, SelectionError, ToolError or OutputError; complete bundles are kept.
    """
    folder = out / BUNDLES
    if options.signer is not None:
        options.signer.ready()
    if options.pdf:
        try:
            importlib.import_module(_PDF_LIBRARY)
        except ModuleNotFoundError as error:
            raise missing_extra(error) or error from None
    with collection_paused():
        loaded = load_manifest(manifest)
        plan = make_plan(loaded.manifest, previous_slots(read_lock(out)))
        bundles = _bundles(plan, manifest)
        chosen = _chosen(plan, options.names)
    with open_output(folder, disk=disk) as opened:
        if options.prune and not options.prune_all and chosen is None:
            _refuse_to_remove_all(folder, opened.lock, bundles)
        run = _Run(opened, options, manifest.name, loaded.manifest)
        selected = {path: planned for path, planned in bundles.items() if chosen is None or planned.path in chosen}
        started(len(selected))
        run.make(selected, {planned.path: planned for planned in bundles.values()}, processes, progress)
        run.end(bundles.keys(), everything=chosen is None)
    return BundleReport(folder, run.tally.report(), run.failed, run.blocking_findings)


def _bundles(plan: Plan, manifest: Path) -> dict[str, PlannedModule]:
    """Modules by path of their bundle. Raises OutputError if two have the same path."""
    found = {bundle_path(each.path): each for each in plan.modules if each.kind is not ModuleKind.BACKEND}
    taken = {LOCK_NAME.casefold(): LOCK_NAME, "switch-roles": "the folder of switch roles"}
    for path, planned in found.items():
        for place in (path, f"{path}.zip"):
            other = taken.setdefault(place.casefold(), f"{planned.subject}'s {place}")
            if other != f"{planned.subject}'s {place}":
                raise OutputError(
                    f"{planned.subject}'s bundle would have the same path as {other}",
                    where=str(manifest),
                    hint=f"give {planned.subject} another name",
                )
    return found


def _chosen(plan: Plan, names: Collection[str]) -> frozenset[str] | None:
    """Paths of the selected modules; None for all. Raises SelectionError."""
    if not names:
        return None
    if "backend" in names:
        raise SelectionError(
            "the backend module has no bundle: you apply it yourself", where="NAME", hint="name customers or switch roles"
        )
    return select(plan, names, where="NAME")


def _refuse_to_remove_all(folder: Path, lock: Lock, bundles: Collection[str]) -> None:
    """Raise OutputError if all bundles of the last run would be removed, which is more often a mistake than intended."""
    if len(lock.modules) >= _SEVERAL and not lock.modules.keys() & set(bundles):
        raise OutputError(
            f"none of the {len(lock.modules):,} bundles of the last run is in the manifest: all of them would be deleted",
            where=str(folder),
            hint="check for a missing include or an empty list; --prune-all deletes the bundles, --no-prune keeps them",
        )


class _Run:
    """One run over the folder of bundles; `_entries` become the next lock."""

    def __init__(self, folder: OutputFolder, options: BundleOptions, source: str, manifest: Manifest) -> None:
        self._folder, self._options, self._source, self._manifest = folder, options, source, manifest
        self._root, self._disk, self._lock, self._placer = folder.root, folder.disk, folder.lock, folder.placer
        self._entries = dict(folder.lock.modules)
        self._handled: set[str] = set()
        self.tally = WriteCounts()
        self.failed: dict[str, str] = {}
        self.blocking_findings: dict[str, tuple[Finding, ...]] = {}

    def make(
        self,
        selected: Mapping[str, PlannedModule],
        modules: Mapping[str, PlannedModule],
        processes: int | None,
        progress: Callable[[int], None],
    ) -> None:
        """Build the wanted bundles. The lock is written even if an error is raised."""
        orders = self._orders(selected, modules)
        settings = BundleSettings(
            self._root,
            self._source,
            self._placer.staging_folder(),
            self._options,
            self._manifest.quotas,
            tuple(self._manifest.suppress),
        )
        try:
            self._placer.reserve(_LOCK_CHARACTERS * (len(selected) + len(self._entries)))
            outcomes = build_bundles(orders, len(selected), settings, disk=self._disk, processes=processes)
            for done, outcome in enumerate(outcomes, start=1):
                self._count(outcome)
                progress(done)
        except BaseException:
            self._placer.close()  # first: on a full disk it frees the space reserved for the lock
            with suppress(OSError):
                self._save()
            raise

    def end(self, planned: Collection[str], *, everything: bool) -> None:
        """Remove what is no longer planned, write the lock, forget the journal."""
        if everything and self._options.prune:
            for path in sorted((self._lock.modules.keys() | self._lock.pending.keys()) - set(planned)):
                self.tally.kept += remove_bundle(self._disk, self._root, path, self._lock.owned(path))
                self.tally.states[path] = "removed"
                self._entries.pop(path, None)
                self._handled.add(path)
        self._save()
        self._folder.delete_journal(self._handled)

    def _orders(self, selected: Mapping[str, PlannedModule], modules: Mapping[str, PlannedModule]) -> Iterator[BundleOrder]:
        common = _fingerprint(self._options)
        for path, planned in selected.items():
            fingerprint = f"{module_source(planned, self._source).fingerprint}-{common}"
            locked, owned = self._lock.modules.get(path), self._lock.owned(path)
            module, counterpart = planned.build(), _counterpart(planned, modules)
            people = _people(module, counterpart, modules)
            yield BundleOrder(module, counterpart, path, fingerprint, locked, owned, people)

    def _count(self, outcome: BundleOutcome) -> None:
        self._handled.add(outcome.path)
        if outcome.blocking_findings:
            self.blocking_findings[outcome.path] = outcome.blocking_findings
        if outcome.entry is None:
            self.failed[outcome.path] = outcome.reason
            self._handled.discard(outcome.path)
            return
        self.tally.states[outcome.path] = outcome.state
        self.tally.files_written += outcome.files_written
        self._entries[outcome.path] = outcome.entry

    def _save(self) -> None:
        self._folder.save_lock(replace(self._lock, modules=self._entries))


def _counterpart(planned: PlannedModule, modules: Mapping[str, PlannedModule]) -> Module | None:
    """The module of a switch role's other side."""
    match planned.kind:
        case ModuleKind.TRUSTING:
            return modules[switch_role_path(planned.subject, ModuleKind.TRUSTED)].build()
        case ModuleKind.TRUSTED:
            return modules[switch_role_path(planned.subject, ModuleKind.TRUSTING)].build()
        case _:
            return None


def _people(module: Module, counterpart: Module | None, modules: Mapping[str, PlannedModule]) -> Module | None:
    """The module of a switch role's group and users, if it belongs to another switch role."""
    if module.switch_role is None:
        return None
    path = module.switch_role.people_path
    own = {module.path, counterpart.path if counterpart is not None else None}
    return modules[path].build() if path not in own else None


def _fingerprint(options: BundleOptions) -> str:
    """Digest of everything except the module that a bundle depends on: HTML templates, library versions, options."""
    libraries = sorted({"jinja2", *(library for form in all_forms() for library in form.libraries)})
    if options.pdf:
        libraries.append(_PDF_LIBRARY)
    versions = "".join(f"{name} {importlib.metadata.version(name)}\0" for name in libraries)
    signer = options.signer.program if options.signer else None
    text = f"{page_digest()}\0{versions}{options.template_url_base}\0{options.stored}\0{signer}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def remove_bundle(disk: Disk, root: str, path: str, owned: Owned) -> list[str]:
    """Remove a bundle's folder and zip. Return the paths of kept files: edited ones and foreign ones."""
    existing = read_bundle_state(root, path, owned)
    if existing.obstacle is not None:
        return [existing.obstacle]
    kept = []
    # SHA256SUMS is deleted last: with it, the next run recognizes the rest if this one is killed.
    for name, sha in sorted(existing.files.items(), key=lambda item: item[0] == SUMS_NAME):
        if sha and (existing.checksums.get(name) == sha or sha in owned.get(name, ())):
            disk.unlink(f"{root}/{path}/{name}")
        else:
            kept.append(f"{path}/{name}")
    if existing.zip_hash is not None:
        if existing.zip_hash and existing.zip_hash in owned.get(zip_name(path), ()):
            disk.unlink(f"{root}/{path}.zip")
        else:
            kept.append(f"{path}.zip")
    for folder, _, _ in os.walk(f"{root}/{path}", topdown=False):
        if not any(Path(folder).iterdir()):
            disk.rmdir(folder)
    remove_empty(disk, root, path.rpartition("/")[0])
    return sorted(kept)
