"""`gen check`: every module of a manifest, or folders that customers sent back, read, compared, proven and judged."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rolecall_generator.checking.declared import DeclaredStatements, region_findings
from rolecall_generator.checking.fleet import Bench
from rolecall_generator.checking.intended import arns_of, intended_of
from rolecall_generator.checking.module import Verdict, below
from rolecall_generator.checking.proof_findings import proof_findings
from rolecall_generator.checking.sent_back import SentBack, judge_sent_back
from rolecall_generator.checking.written import read_written, unplanned_findings
from rolecall_generator.checks.context import CheckContext
from rolecall_generator.checks.finding import Finding
from rolecall_generator.checks.proof import Proof, prove
from rolecall_generator.checks.rules import run_rules
from rolecall_generator.checks.suppress import Report, apply_suppressions
from rolecall_generator.generate import previous_slots, select
from rolecall_generator.iam.access import union
from rolecall_generator.iam.module import Module
from rolecall_generator.lock import read_lock
from rolecall_generator.manifest.load import LoadedManifest, load_manifest
from rolecall_generator.manifest.source import collection_paused
from rolecall_generator.naming import account_names, labeller
from rolecall_generator.parse.places import declared_places
from rolecall_generator.plan import Plan, make_plan


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found. `modules` were checked, `read` of them were read and not remembered."""

    report: Report
    proof: Proof
    modules: int
    read: int


@dataclass(frozen=True, slots=True)
class Scope:
    """What is checked: planned modules by index with what is written of each, and the folder each stands in."""

    modules: tuple[Module, ...]
    verdicts: tuple[Verdict, ...]
    folders: tuple[Path, ...]
    roots: tuple[str, ...]


def check(
    manifest: Path,
    out: Path,
    *,
    sent_back: Sequence[str] = (),
    only: Collection[str] = (),
    leftovers: bool = True,
    processes: int | None = None,
    started: Callable[[int], None] = lambda _total: None,
    progress: Callable[[int], None] = lambda _done: None,
) -> Checked:
    """Check the modules of a manifest as they are written in `out`, or the folders of `sent_back` in their place.

    `sent_back` holds folders, or NAME=FOLDER where the folder itself does not say whose it is; then these alone are
    checked. `only` names customers or switch roles. `leftovers`: report what the output folder holds beside the planned
    modules. `started` hears how many modules there are, `progress` how many are
    done. Raises ManifestError, PlanError, OutputError, SelectionError or ModuleError.
    """
    with collection_paused():
        loaded = load_manifest(manifest)
        lock = read_lock(out)
        plan = make_plan(loaded.manifest, previous_slots(lock))
        label = labeller(account_names(loaded.manifest))
        findings: list[Finding] = []
        if sent_back:
            started(len(sent_back))
            back = judge_sent_back(plan, sent_back, label=label, progress=progress)
            scope, read = _scope_of(back), len(back.modules)
            findings += back.findings
        else:
            chosen = select(plan, only) if only else None
            indices = [index for index, module in enumerate(plan.modules) if chosen is None or module.path in chosen]
            started(len(indices))
            scope, read = _written(Bench(manifest, out, plan.modules, label), indices, processes, progress)
        findings += [finding for verdict in scope.verdicts for finding in verdict.findings]
        complete = not sent_back and not only
        if complete:
            findings += region_findings(loaded)
        if complete and leftovers:
            findings += unplanned_findings(out, plan, lock)
        proof, more = _judge(loaded, plan, scope, complete=complete)
        report = apply_suppressions([*findings, *more], loaded.manifest.suppress, complete=complete)
    return Checked(report, proof, len(scope.modules), read)


def _written(
    bench: Bench, indices: Sequence[int], processes: int | None, progress: Callable[[int], None]
) -> tuple[Scope, int]:
    """What is written of the planned modules, and how many of them had to be read."""
    written = read_written(bench, indices, processes=processes, progress=progress)
    modules = tuple(bench.modules[index].build() for index in indices)
    verdicts = tuple(
        written.verdicts.get(index) or Verdict(module.path, module.access)
        for index, module in zip(indices, modules, strict=True)
    )
    folders = tuple(bench.out / module.path for module in modules)
    return Scope(modules, verdicts, folders, tuple(module.path for module in modules)), written.read


def _scope_of(back: SentBack) -> Scope:
    return Scope(back.modules, back.verdicts, back.folders, tuple(map(str, back.folders)))


def _judge(loaded: LoadedManifest, plan: Plan, scope: Scope, *, complete: bool) -> tuple[Proof, list[Finding]]:
    """Proof and rules over what is written; where a part alone is checked, the rest counts as planned."""
    written = union(verdict.access for verdict in scope.verdicts)
    checked = {module.path for module in scope.modules}
    others = () if complete else tuple(module.build() for module in plan.modules if module.path not in checked)
    intended = intended_of((*scope.modules, *others))
    context = CheckContext(
        written,
        subjects={**_subjects(scope), **intended.subjects},
        customer_roles=intended.customer_roles,
        switch_roles=intended.switch_roles,
        backend_roles=intended.backend_roles,
        external_ids=intended.external_ids,
        quotas=loaded.manifest.quotas,
        place=_placer(scope),
        declared=DeclaredStatements(loaded),
    )
    surroundings = union((written, *(module.access for module in others)))
    # A role that is not written is somebody's finding already, and nobody can assume it.
    roles = surroundings.roles.keys() if complete else surroundings.roles.keys() & _roles(scope)
    proof = prove(surroundings, intended.trusts, roles=roles)
    subjects = {module.subject for module in scope.modules}
    judged = [found for found in run_rules(context) if complete or found.subject in subjects]
    return proof, [*proof_findings(proof, context), *judged]


def _roles(scope: Scope) -> frozenset[str]:
    """The roles that a check of a part is about: those written and those intended there."""
    intended = (arn for module in scope.modules for arn in module.access.roles)
    return frozenset((*intended, *(arn for verdict in scope.verdicts for arn in verdict.access.roles)))


def _subjects(scope: Scope) -> dict[str, str]:
    """Whose each written part is, also those that nobody intended."""
    found: dict[str, str] = {}
    for module, verdict in zip(scope.modules, scope.verdicts, strict=True):
        if verdict.findings:
            found.update(dict.fromkeys(arns_of(verdict.access), module.subject))
    return found


def _placer(scope: Scope) -> Callable[[str], tuple[str, int] | None]:
    """Where a principal or policy is declared; its module is read for it when first asked."""
    homes: dict[str, int] = {}
    for index, verdict in enumerate(scope.verdicts):
        for arn in arns_of(verdict.access):
            homes.setdefault(arn, index)

    @cache
    def places(index: int) -> dict[str, tuple[str, int]]:
        module = scope.modules[index]
        return declared_places(scope.folders[index], account_id=module.account.account_id, partition=module.partition)

    def place(arn: str) -> tuple[str, int] | None:
        index = homes.get(arn)
        if index is None:
            return None
        file, line = places(index).get(arn, ("main.tf", 1))
        return below(scope.roots[index], file) or file, line

    return place
