"""`gen check`: compares written or returned modules with the plan, proves their access and runs the rules."""

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
    CheckedModule,
    CheckInputs,
    ModuleVerdict,
    path_in_findings,
    read_written,
    unplanned_findings,
)
from rolecall_generator.check.returned_modules import check_returned
from rolecall_generator.errors import Problem
from rolecall_generator.findings import PROOF_FAILED, PROOF_UNDECIDED, Finding
from rolecall_generator.iam import Access
from rolecall_generator.iam.evaluation import Effect
from rolecall_generator.manifest.yaml_source import read_text
from rolecall_generator.output import CheckResult, Lock, load_state
from rolecall_generator.planning import select
from rolecall_generator.proof import Proof, counterexample, prove
from rolecall_generator.rules import CheckContext, Report, apply_suppressions, run_rules
from rolecall_generator.terraform.parser import find_declarations
from rolecall_generator.workers import collection_paused

_DENIED_HINT = "run gen terraform: trust policy and the caller's own policies must both allow it"


def proof_findings(proof: Proof, context: CheckContext) -> Iterator[Finding]:
    """Yield a finding for each failed cell, with the caller, the request and the deciding statement."""
    for cell in proof.failures:
        file, line = context.place(cell.request.resource) or (None, None)
        undecided = cell.decision.effect is Effect.REFUSED
        yield (PROOF_UNDECIDED if undecided else PROOF_FAILED).finding(
            cell.subject,
            f"{cell.case.value}: {counterexample(cell)}",
            file,
            line,
            hint=_DENIED_HINT if cell.expected and not undecided else None,
        )


@dataclass(frozen=True, slots=True)
class CheckSummary:
    """The result of a check.

    `modules` is the number of checked modules; `read` of them were parsed, the others had cached results. `cells` is the
    number of cells of the proof; `failed_cells` of them are undecided or do not have the expected result.
    """

    report: Report
    cells: int
    failed_cells: int
    modules: int
    read: int


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
    """Check the written modules of a manifest, or modules that customers returned.

    Args:
        manifest: The manifest file.
        out: The output folder.
        sent_back: Folders of returned modules, each as FOLDER or NAME=FOLDER. If there are any, only these are checked.
        only: Names of customers or switch roles; all if empty.
        leftovers: Report unplanned folders and Terraform files in the output folder.
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
        source = _SourceDigest()
        inputs = CheckInputs.load(manifest, out, source.read)
        plan, suppressions = inputs.plan, inputs.loaded.manifest.suppress
        if sent_back:
            started(len(sent_back))
            returned, findings = check_returned(plan, sent_back, label=inputs.label, progress=progress)
            return _check_part(inputs, returned, findings, read=len(returned))
        state = load_state(out)
        selected = select(plan, only) if only else None
        indices = [index for index, module in enumerate(plan.modules) if selected is None or module.path in selected]
        started(len(indices))
        verdicts, read = read_written(inputs, indices, state, processes=processes, progress=progress)
        if only:
            state.save_now()
            return _check_part(inputs, _modules_to_check(inputs, indices, verdicts), (), read=read)
        key = source.key(inputs.lock)
        result = None if read else state.result(key)
        if result is None:
            proof, judged = _prove_and_run_rules(inputs, _modules_to_check(inputs, indices, verdicts), complete=True)
            regions = tuple(region_findings(inputs.loaded))
            result = CheckResult(key, len(proof.cells), len(proof.failures), regions, tuple(judged))
            if not verdicts:
                state.record_result(result)
        state.save_now()
        findings = [finding for verdict in verdicts.values() for finding in verdict.findings]
        findings += result.declared
        if leftovers:
            findings += unplanned_findings(out, plan, inputs.lock)
        report = apply_suppressions([*findings, *result.judged], suppressions)
    return CheckSummary(report, result.cells, result.failed_cells, len(plan.modules), read)


class _SourceDigest:
    """Digest of the inputs of a check other than the modules: the manifest files read with `read`, and the assignment."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def read(self, path: Path, file: str) -> str | Problem:
        """Read a file as `read_text` does, and add it to the digest."""
        text = read_text(path, file)
        if isinstance(text, str):
            for part in (file, text):
                self._digest.update(hashlib.sha256(part.encode(errors="surrogatepass")).digest())
        return text

    def key(self, lock: Lock) -> str:
        """SHA-256 of the names and contents of the files read, and of the assignment in the lock."""
        digest = self._digest.copy()
        digest.update(json.dumps(lock.assignment, sort_keys=True).encode())
        return digest.hexdigest()


def _check_part(
    inputs: CheckInputs, checked: Sequence[CheckedModule], findings: Iterable[Finding], *, read: int
) -> CheckSummary:
    """Check some of the modules. The others are assumed to be as planned."""
    proof, judged = _prove_and_run_rules(inputs, checked, complete=False)
    found = [*findings, *(finding for each in checked for finding in each.verdict.findings), *judged]
    report = apply_suppressions(found, inputs.loaded.manifest.suppress, complete=False)
    return CheckSummary(report, len(proof.cells), len(proof.failures), len(checked), read)


def _modules_to_check(
    inputs: CheckInputs, indices: Sequence[int], verdicts: Mapping[int, ModuleVerdict]
) -> list[CheckedModule]:
    """The modules with these indices. A module without a verdict is as planned."""
    modules = {index: inputs.plan.modules[index].build() for index in indices}
    return [
        CheckedModule(module, verdicts.get(index) or ModuleVerdict(module.access), inputs.out / module.path, module.path)
        for index, module in modules.items()
    ]


def _prove_and_run_rules(
    inputs: CheckInputs, checked: Sequence[CheckedModule], *, complete: bool
) -> tuple[Proof, list[Finding]]:
    """Prove the written access and run the rules. Unless `complete`, unchecked modules are assumed to be as planned."""
    written = Access.union(each.verdict.access for each in checked)
    paths = {each.planned.path for each in checked}
    others = () if complete else tuple(module.build() for module in inputs.plan.modules if module.path not in paths)
    intended = intended_trust((*(each.planned for each in checked), *others))
    context = CheckContext(
        written,
        subjects={**_subjects(checked), **intended.subjects},
        customer_roles=intended.customer_roles,
        switch_roles=intended.switch_roles,
        backend_roles=intended.backend_roles,
        external_ids=intended.external_ids,
        quotas=inputs.loaded.manifest.quotas,
        place=_locator(checked),
        declared=DeclaredStatements(inputs.loaded),
    )
    all_access = Access.union((written, *(module.access for module in others)))
    # Skip roles that are not written: they already have a finding and cannot be assumed.
    checked_roles = {
        arn for each in checked for access in (each.planned.access, each.verdict.access) for arn in access.roles
    }
    roles = all_access.roles.keys() if complete else all_access.roles.keys() & checked_roles
    proof = prove(all_access, intended.trusts, roles=roles)
    subjects = {each.planned.subject for each in checked}
    judged = [found for found in run_rules(context) if complete or found.subject in subjects]
    return proof, [*proof_findings(proof, context), *judged]


def _subjects(checked: Iterable[CheckedModule]) -> dict[str, str]:
    """The subjects of written roles, policies, groups, users and instance profiles in modules with findings, by ARN."""
    found: dict[str, str] = {}
    for each in checked:
        if each.verdict.findings:
            found.update(dict.fromkeys(access_arns(each.verdict.access), each.planned.subject))
    return found


def _locator(checked: Iterable[CheckedModule]) -> Callable[[str], tuple[str, int] | None]:
    """Return a function that finds file and line of a resource by its ARN. It parses a module on first use."""
    module_of: dict[str, CheckedModule] = {}
    for each in checked:
        for arn in access_arns(each.verdict.access):
            module_of.setdefault(arn, each)

    @cache
    def places(folder: Path, account_id: str, partition: str) -> dict[str, tuple[str, int]]:
        return find_declarations(folder, account_id=account_id, partition=partition)

    def place(arn: str) -> tuple[str, int] | None:
        found = module_of.get(arn)
        if found is None:
            return None
        declared = places(found.folder, found.planned.account.account_id, found.planned.partition)
        file, line = declared.get(arn, ("main.tf", 1))
        return path_in_findings(found.root, file) or file, line

    return place
