"""`gen prove`: the matrix of who can assume what, over the modules as they are written, or as they are planned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rolecall_generator.checking.fleet import Bench
from rolecall_generator.checking.intended import intended_of
from rolecall_generator.checking.written import read_written
from rolecall_generator.checks.finding import Finding
from rolecall_generator.checks.proof import Proof, prove
from rolecall_generator.generate import previous_slots
from rolecall_generator.iam.access import Access, union
from rolecall_generator.lock import read_lock
from rolecall_generator.manifest.load import load_manifest
from rolecall_generator.manifest.source import collection_paused
from rolecall_generator.naming import account_names, labeller
from rolecall_generator.plan import make_plan


@dataclass(frozen=True, slots=True)
class Proven:
    """The proof, the access that it is about, and what could not be read of it (a proof without it proves less)."""

    proof: Proof
    access: Access
    findings: tuple[Finding, ...]
    planned: bool
    names: Mapping[str, str]
    """The manifest's names of accounts, by id."""


def prove_manifest(
    manifest: Path,
    out: Path,
    *,
    planned: bool = False,
    processes: int | None = None,
    started: Callable[[int], None] = lambda _total: None,
    progress: Callable[[int], None] = lambda _done: None,
) -> Proven:
    """Prove the modules that are written in `out`; with `planned` those that gen terraform would write.

    Raises ManifestError, PlanError or OutputError.
    """
    with collection_paused():
        loaded = load_manifest(manifest)
        plan = make_plan(loaded.manifest, previous_slots(read_lock(out)))
        modules = tuple(module.build() for module in plan.modules)
        intended = intended_of(modules)
        names = account_names(loaded.manifest)
        findings: tuple[Finding, ...] = ()
        accesses = [module.access for module in modules]
        started(len(modules))
        if not planned:
            bench = Bench(manifest, out, plan.modules, labeller(names))
            written = read_written(bench, range(len(modules)), processes=processes, progress=progress)
            for index, verdict in written.verdicts.items():
                accesses[index] = verdict.access
                findings += verdict.findings
        access = union(accesses)
        return Proven(prove(access, intended.trusts, roles=access.roles.keys()), access, findings, planned, names)
