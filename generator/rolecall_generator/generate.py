"""The main job, `gen terraform`, as one call: manifest -> plan -> files. Prints nothing."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path

from rolecall_generator.errors import OutputError, SelectionError
from rolecall_generator.left_people import people_left_behind
from rolecall_generator.lock import Lock, read_lock
from rolecall_generator.manifest.load import LoadedManifest, load_manifest
from rolecall_generator.manifest.source import collection_paused
from rolecall_generator.package_digest import feature_release, package_digest
from rolecall_generator.plan import Plan, PlannedModule, make_plan
from rolecall_generator.plan.assignment import Assignment, Slot
from rolecall_generator.render import render_module
from rolecall_generator.write import ModuleSource, WriteReport, write_output

_CUSTOMERS = "customers/"
_EVERYBODY = 2  # one customer who leaves is an ordinary day


@dataclass(frozen=True, slots=True)
class Generation:
    """What one run did: the manifest it read, the plan it made, the files it wrote."""

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
    """Write the modules of a manifest. `started` hears how many modules there are, `progress` how many are done.

    `prune` deletes what is no longer planned; that this is every customer's module needs `prune_all` as well.
    Raises ManifestError, PlanError, OutputError or SelectionError; what was written before stays.
    """
    # Nothing here makes cycles, and collecting among a fleet's objects costs a quarter of the time.
    with collection_paused():
        loaded = load_manifest(manifest)
        lock = read_lock(out)
        plan = make_plan(loaded.manifest, previous_slots(lock), repack=repack)
        chosen = select(plan, only) if only else None
        if prune and not prune_all and chosen is None:
            _refuse_to_lose_everybody(out, lock, plan)
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


def _refuse_to_lose_everybody(out: Path, lock: Lock, plan: Plan) -> None:
    """Raise OutputError when no customer of the last run is left: more often a lost include than a wish."""
    before = {path for path in lock.modules if path.startswith(_CUSTOMERS)}
    if len(before) >= _EVERYBODY and not any(module.path in before for module in plan.modules):
        raise OutputError(
            f"none of the {len(before):,} customers of the last run is in the manifest: every module of theirs would go",
            where=str(out),
            mend="look for a lost include or an empty list; --prune-all deletes the modules, --no-prune keeps them",
        )


def module_source(module: PlannedModule, source: str) -> ModuleSource:
    """A planned module as something to be written: rendered only when its fingerprint changed."""
    return ModuleSource(
        module.path, f"{_generator_fingerprint(source)}-{module.fingerprint}", partial(_render, module, source)
    )


@functools.cache
def _generator_fingerprint(source: str) -> str:
    """What all modules of a manifest depend on: this package's content, the manifest's name in the headers.

    The lock is shared by people, so libraries count by their feature release: Jinja2 renders.
    """
    text = f"{package_digest()}\0{feature_release('jinja2')}\0{source}"
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]  # a file's name need not be UTF-8


def _render(module: PlannedModule, source: str) -> Mapping[str, str]:
    return render_module(module.build(), source)


def previous_slots(lock: Lock) -> dict[str, Slot]:
    """The last run's assignment: role ARN to backend role and policy number; empty before the first run."""
    return {
        key: Slot(value[0], value[1])
        for key, value in lock.assignment.items()
        if isinstance(value, list) and len(value) == 2  # noqa: PLR2004 - a pair
    }


def slots_to_json(assignment: Assignment) -> dict[str, object]:
    """The assignment as the lock file keeps it."""
    return {key: [slot.role, slot.policy] for key, slot in assignment.slots.items()}


def select(plan: Plan, names: Collection[str], *, where: str = "--only") -> frozenset[str]:
    """Paths of the modules named by customer, switch role, `backend` or path; `where` is the option that names them.

    Raises SelectionError for unknown names.
    """
    paths: dict[str, set[str]] = {}
    for module in plan.modules:
        paths.setdefault(module.subject, set()).add(module.path)
        paths.setdefault(module.path, set()).add(module.path)
    for name in names:
        if name not in paths:
            near = get_close_matches(name, paths, n=1)
            raise SelectionError(
                f"there is no customer or switch role named {name}",
                where=where,
                mend=f"did you mean {near[0]}?" if near else "name a customer or switch role of the manifest, or backend",
            )
    return frozenset(path for name in names for path in paths[name])
