"""The access of a manifest's modules as they are written, or as they are planned: what proof and sandbox build on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rolecall_generator.checking.fleet import Bench
from rolecall_generator.checking.written import read_written
from rolecall_generator.checks.finding import Finding
from rolecall_generator.generate import previous_slots
from rolecall_generator.iam.access import Access
from rolecall_generator.iam.module import Module
from rolecall_generator.lock import read_lock
from rolecall_generator.manifest.load import LoadedManifest, load_manifest
from rolecall_generator.manifest.source import collection_paused
from rolecall_generator.naming import account_names, labeller
from rolecall_generator.output_state import load_state
from rolecall_generator.plan import Plan, make_plan


@dataclass(frozen=True, slots=True)
class ModuleAccess:
    """A manifest's modules as planned, and by module what is written (or planned, where that was asked for).

    `findings` say where the two differ, and what could not be read.
    """

    loaded: LoadedManifest
    plan: Plan
    modules: tuple[Module, ...]
    accesses: tuple[Access, ...]
    findings: tuple[Finding, ...] = ()


def module_access(
    manifest: Path,
    out: Path,
    *,
    planned: bool = False,
    processes: int | None = None,
    started: Callable[[int], None] = lambda _total: None,
    progress: Callable[[int], None] = lambda _done: None,
) -> ModuleAccess:
    """Read the modules that are written in `out`; with `planned` take those that gen terraform would write.

    Raises ManifestError, PlanError or OutputError.
    """
    with collection_paused():
        loaded = load_manifest(manifest)
        plan = make_plan(loaded.manifest, previous_slots(read_lock(out)))
        modules = tuple(module.build() for module in plan.modules)
        accesses = [module.access for module in modules]
        started(len(modules))
        findings: tuple[Finding, ...] = ()
        if not planned:
            bench = Bench(manifest, out, plan.modules, labeller(account_names(loaded.manifest)))
            state = load_state(out)
            written = read_written(bench, range(len(modules)), state, processes=processes, progress=progress)
            state.save_alone()
            for index, verdict in written.verdicts.items():
                accesses[index] = verdict.access
                findings += verdict.findings
        return ModuleAccess(loaded, plan, modules, tuple(accesses), findings)
