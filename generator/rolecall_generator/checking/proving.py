"""`gen prove`: the matrix of who can assume what, over the modules as they are written, or as they are planned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rolecall_generator.checking.access import module_access
from rolecall_generator.checking.intended import intended_of
from rolecall_generator.checking.written import unplanned_findings
from rolecall_generator.checks.finding import Finding
from rolecall_generator.checks.proof import Proof, prove
from rolecall_generator.iam.access import Access, union
from rolecall_generator.lock import read_lock
from rolecall_generator.manifest.source import collection_paused
from rolecall_generator.naming import account_names


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
    found = module_access(manifest, out, planned=planned, processes=processes, started=started, progress=progress)
    stray = () if planned else unplanned_findings(out, found.plan, read_lock(out))
    with collection_paused():
        access = union(found.accesses)
        proof = prove(access, intended_of(found.modules).trusts, roles=access.roles.keys())
    return Proven(proof, access, (*found.findings, *stray), planned, account_names(found.loaded.manifest))
