"""`gen check`: compares written or returned modules with the plan, proves their access and applies the rules."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rolecall_generator.check.finding_locations import DeclaredStatements, region_findings
from rolecall_generator.check.module_access import access_arns, intended_trust
from rolecall_generator.check.module_check import (
    CheckInputs,
    ModuleVerdict,
    path_in_findings,
    read_written,
    unplanned_findings,
)
from rolecall_generator.check.returned_modules import ReturnedModules, check_returned
from rolecall_generator.errors import Problem
from rolecall_generator.findings import PROOF_FAILED, PROOF_UNDECIDED, Finding
from rolecall_generator.iam import Access, Module
from rolecall_generator.iam.difference import labeller
from rolecall_generator.iam.evaluation import Effect
from rolecall_generator.manifest import LoadedManifest, load_manifest
from rolecall_generator.manifest.yaml_source import read_text
from rolecall_generator.output import CheckResult, Lock, load_state, read_lock
from rolecall_generator.planning import Plan, make_plan, previous_slots, select
from rolecall_generator.proof import Proof, counterexample, prove
from rolecall_generator.rules import CheckContext, Report, apply_suppressions, run_rules
from rolecall_generator.terraform.parser import find_declarations
from rolecall_generator.workers import collection_paused

_REFUSED_HINT = "run gen terraform: trust policy and the caller's own policies must both allow it"


def proof_findings(proof: Proof, context: CheckContext) -> Iterator[Finding]:
    """Yield a finding for each failed cell, with its counterexample: the caller, the request and the deciding statement."""
    for cell in proof.failures:
        file, line = context.place(cell.request.resource) or (None, None)
        undecided = cell.decision.effect is Effect.REFUSED
        yield (PROOF_UNDECIDED if undecided else PROOF_FAILED).finding(
            cell.subject,
            f"{cell.case.value}: {counterexample(cell)}",
            file,
            line,
            hint=_REFUSED_HINT if cell.expected and not undecided else None,
        )


@dataclass(frozen=True, slots=True)
class CheckSummary:
    """The result of a check. `modules` is the number of modules checked, `read` of those parsed (the others were cached).

    `cells` is the number of cells of the proof, `failed_cells` of those without the expected result.
    """

    report: Report
    cells: int
    failed_cells: int
    modules: int
    read: int


@dataclass(frozen=True, slots=True)
class CheckScope:
    """The modules to check: as planned, and for each its verdict, its folder, and its path in findings."""

    modules: tuple[Module, ...]
    verdicts: tuple[ModuleVerdict, ...]
    folders: tuple[Path, ...]
    roots: tuple[str, ...]


def check_output(
    manifest: Path,
    out: Path,
    *,
    sent_back: Sequence[str] = (),
    only: Collection[str] = (),
    leftovers: bool = True,
    processes: int | None = None,
    started: Callable[[int], None] = lambda _total: None,
    progress: Callable[[int], None] = lambda _done: None,
) -> CheckSummary:
    """Check the written modules of a manifest, or modules that customers sent back.

    Args:
        manifest: The manifest file.
        out: The output folder.
        sent_back: Folders of returned modules, each as FOLDER or NAME=FOLDER; only these are checked if there are any.
        only: Names of customers or switch roles; all if empty.
        leftovers: Report unplanned folders and Terraform files of the output folder.
        processes: Number of processes; by default it depends on the number of modules.
        started: Called with the number of modules.
        progress: Called with the number of modules done so far.

    Raises:
        ManifestError: The manifest is invalid.
        PlanError: The manifest exceeds a quota of AWS.
        OutputError: The output folder cannot be read.
        SelectionError: A name selects nothing.
        ModuleError: A returned module cannot be read.
    """
    with collection_paused():
        source = _Source()
        loaded = load_manifest(manifest, read=source.read)
        lock = read_lock(out)
        plan = make_plan(loaded.manifest, previous_slots(lock))
        inputs = CheckInputs(manifest, out, plan.modules, labeller(loaded.manifest.account_names()))
        if sent_back:
            started(len(sent_back))
            returned = check_returned(plan, sent_back, label=inputs.label, progress=progress)
            return _check_part(loaded, plan, _returned_scope(returned), returned.findings, read=len(returned.modules))
        state = load_state(out)
        if only:
            chosen = select(plan, only)
            indices = [index for index, module in enumerate(plan.modules) if module.path in chosen]
            started(len(indices))
            written = read_written(inputs, indices, state, processes=processes, progress=progress)
            state.save_now()
            return _check_part(loaded, plan, _scope(inputs, indices, written.verdicts), (), read=written.read)
        started(len(plan.modules))
        written = read_written(inputs, range(len(plan.modules)), state, processes=processes, progress=progress)
        result = None if written.read else state.result(source.key(lock))
        findings = [finding for verdict in written.verdicts.values() for finding in verdict.findings]
        if result is None:
            scope = _scope(inputs, range(len(plan.modules)), written.verdicts)
            result = _judge_all(loaded, plan, scope, source.key(lock))
            if not written.verdicts:
                state.record_result(result)
        state.save_now()
        findings += result.declared
        if leftovers:
            findings += unplanned_findings(out, plan, lock)
        report = apply_suppressions([*findings, *result.judged], loaded.manifest.suppress)
    return CheckSummary(report, result.cells, result.failed_cells, len(plan.modules), written.read)


class _Source:
    """The inputs of a check besides the modules: the manifest's files, read with `read`, and the lock's assignment."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def read(self, path: Path, file: str) -> str | Problem:
        """As `read_text`."""
        text = read_text(path, file)
        if isinstance(text, str):
            for part in (file, text):
                self._digest.update(hashlib.sha256(part.encode(errors="surrogatepass")).digest())
        return text

    def key(self, lock: Lock) -> str:
        """SHA-256 of the names and contents of all files read, and of the assignment."""
        whole = self._digest.copy()
        whole.update(json.dumps(lock.assignment, sort_keys=True).encode())
        return whole.hexdigest()


def _check_part(
    loaded: LoadedManifest, plan: Plan, scope: CheckScope, findings: Iterable[Finding], *, read: int
) -> CheckSummary:
    """Check some modules; the others are assumed to be as planned."""
    proof, judged = _judge(loaded, plan, scope, complete=False)
    found = [*findings, *(finding for verdict in scope.verdicts for finding in verdict.findings), *judged]
    report = apply_suppressions(found, loaded.manifest.suppress, complete=False)
    return CheckSummary(report, len(proof.cells), len(proof.failures), len(scope.modules), read)


def _judge_all(loaded: LoadedManifest, plan: Plan, scope: CheckScope, key: str) -> CheckResult:
    """Check all modules."""
    proof, judged = _judge(loaded, plan, scope, complete=True)
    return CheckResult(key, len(proof.cells), len(proof.failures), tuple(region_findings(loaded)), tuple(judged))


def _scope(inputs: CheckInputs, indices: Sequence[int], verdicts: Mapping[int, ModuleVerdict]) -> CheckScope:
    """The modules with these indices; a module without a verdict is as planned."""
    modules = tuple(inputs.modules[index].build() for index in indices)
    return CheckScope(
        modules,
        tuple(
            verdicts.get(index) or ModuleVerdict(module.path, module.access)
            for index, module in zip(indices, modules, strict=True)
        ),
        tuple(inputs.out / module.path for module in modules),
        tuple(module.path for module in modules),
    )


def _returned_scope(returned: ReturnedModules) -> CheckScope:
    return CheckScope(returned.modules, returned.verdicts, returned.folders, tuple(map(str, returned.folders)))


def _judge(loaded: LoadedManifest, plan: Plan, scope: CheckScope, *, complete: bool) -> tuple[Proof, list[Finding]]:
    """Prove and lint the written access. If only some modules are checked, the others are assumed to be as planned."""
    written = Access.union(verdict.access for verdict in scope.verdicts)
    checked = {module.path for module in scope.modules}
    others = () if complete else tuple(module.build() for module in plan.modules if module.path not in checked)
    intended = intended_trust((*scope.modules, *others))
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
    surroundings = Access.union((written, *(module.access for module in others)))
    # A role that is not written already has a finding, and cannot be assumed.
    roles = surroundings.roles.keys() if complete else surroundings.roles.keys() & _roles(scope)
    proof = prove(surroundings, intended.trusts, roles=roles)
    subjects = {module.subject for module in scope.modules}
    judged = [found for found in run_rules(context) if complete or found.subject in subjects]
    return proof, [*proof_findings(proof, context), *judged]


def _roles(scope: CheckScope) -> frozenset[str]:
    """The written and the intended roles of the checked modules."""
    intended = (arn for module in scope.modules for arn in module.access.roles)
    return frozenset((*intended, *(arn for verdict in scope.verdicts for arn in verdict.access.roles)))


def _subjects(scope: CheckScope) -> dict[str, str]:
    """The subject of each written role, policy, group, user and instance profile, by ARN."""
    found: dict[str, str] = {}
    for module, verdict in zip(scope.modules, scope.verdicts, strict=True):
        if verdict.findings:
            found.update(dict.fromkeys(access_arns(verdict.access), module.subject))
    return found


def _placer(scope: CheckScope) -> Callable[[str], tuple[str, int] | None]:
    """Return a function that finds the file and line of a part by its ARN; it parses a module at the first use."""
    module_of: dict[str, int] = {}
    for index, verdict in enumerate(scope.verdicts):
        for arn in access_arns(verdict.access):
            module_of.setdefault(arn, index)

    @cache
    def places(index: int) -> dict[str, tuple[str, int]]:
        module = scope.modules[index]
        return find_declarations(scope.folders[index], account_id=module.account.account_id, partition=module.partition)

    def place(arn: str) -> tuple[str, int] | None:
        index = module_of.get(arn)
        if index is None:
            return None
        file, line = places(index).get(arn, ("main.tf", 1))
        return path_in_findings(scope.roots[index], file) or file, line

    return place
