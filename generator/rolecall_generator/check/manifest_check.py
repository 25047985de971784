"""`gen check`: compares written or returned modules with the plan, proves their access and runs the rules.

Findings refer to the statements of permission sets in the manifest files. Returned modules are matched with the planned
modules by their folders.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rolecall_generator.check.module_check import (
    CheckedModule,
    CheckInputs,
    ModuleVerdict,
    access_arns,
    check_module,
    intended_trust,
    path_in_findings,
    read_written,
    unplanned_findings,
)
from rolecall_generator.errors import ModuleError, Problem, SelectionError
from rolecall_generator.findings import PROOF_FAILED, PROOF_UNDECIDED, UNKNOWN_REGION, UNPLANNED, Finding
from rolecall_generator.iam import Access, Statement
from rolecall_generator.iam.catalog import is_known_region, nearest_region, partition_of_region
from rolecall_generator.iam.difference import Label
from rolecall_generator.manifest import LoadedManifest, StatementSpec
from rolecall_generator.manifest.yaml_source import Loc, read_text
from rolecall_generator.output import CheckResult, Lock, load_state
from rolecall_generator.planning import Plan, PlannedModule, select, statement_of
from rolecall_generator.proof import Cell, CellState, Proof, counterexample_sentences, prove, show_command
from rolecall_generator.rules import CheckContext, Report, apply_suppressions, run_rules
from rolecall_generator.terraform.parser import ParsedModule, find_declarations, parse_module
from rolecall_generator.workers import collection_paused

RETURNED_HINT = "ask who changed it, and why; then change the manifest, or send the module again"


def check_returned(
    plan: Plan, given: Sequence[str], *, label: Label, progress: Callable[[int], None]
) -> tuple[list[CheckedModule], list[Finding]]:
    """Check folders, each given as FOLDER or NAME=FOLDER.

    Returns the modules whose planned module was found, and findings about the other folders. `progress` is called with the
    number of folders done so far. Raises ModuleError or SelectionError.
    """
    checked: list[CheckedModule] = []
    findings: list[Finding] = []
    for done, argument in enumerate(given, start=1):
        folder, planned = _find_planned(plan, argument)
        if planned is None:
            what = "not a module of this manifest: its guard names no account of the manifest, or it has no guard"
            hint = f"name its customer or switch role: --path NAME={folder}"
            findings.append(UNPLANNED.finding(str(folder), what, str(folder), 1, hint=hint))
        else:
            module, root = planned.build(), str(folder)
            verdict = check_module(module, folder, root=root, label=label, hint=RETURNED_HINT, returned=True)
            checked.append(CheckedModule(module, verdict, folder, root))
        progress(done)
    return checked, findings


def _find_planned(plan: Plan, argument: str) -> tuple[Path, PlannedModule | None]:
    name, equals, folder_name = argument.partition("=")
    if not argument or (equals and not folder_name and not Path(argument).exists()):
        hint = f"write {name or 'NAME'}=FOLDER; . is the current one"
        raise SelectionError(f"{argument or 'an empty string'} names no folder", where="--path", hint=hint)
    if equals and not Path(argument).exists():
        (path, *more) = sorted(select(plan, [name], where="--path"))
        if more:
            raise SelectionError(
                f"{name} has several modules: {', '.join((path, *more))}", where="--path", hint=f"write {path}={folder_name}"
            )
        if not Path(folder_name).is_dir():
            raise ModuleError(
                "the folder does not exist" if not os.path.lexists(folder_name) else "it is not a folder",
                where=f"--path {argument}",
                hint=f"write {name}=FOLDER with the folder that was sent back",
            )
        return Path(folder_name), next(module for module in plan.modules if module.path == path)
    folder = Path(argument)
    return folder, _by_content(plan, folder, parse_module(folder, account_id=None))


def _by_content(plan: Plan, folder: Path, parsed: ParsedModule) -> PlannedModule | None:
    """The planned module for the guard's account ID; if there are several, the one with the most ARNs in common.

    Without a guard, the only module with the name of the folder. None if there is no such module.
    """
    if parsed.guard_account_id is None:
        same_name = [
            module for module in plan.modules if folder.resolve().name in (module.subject, module.path.rpartition("/")[2])
        ]
        return same_name[0] if len(same_name) == 1 else None
    arns = set(access_arns(parsed.access))
    best: tuple[int, PlannedModule] | None = None
    for planned in plan.modules:
        module = planned.build()
        if module.account.account_id == parsed.guard_account_id:
            common = len(arns & set(access_arns(module.access)))
            if best is None or common > best[0]:
                best = (common, planned)
    return None if best is None else best[1]


def declared_statements(loaded: LoadedManifest) -> Callable[[Statement, str | None], str | None]:
    """A function that finds the statement of a permission set that equals a statement read in a module.

    It returns FILE:LINE of the given string in the statement, or without one of the statement; the first of equal statements
    is used. It returns None if no permission set has the statement.
    """

    @cache
    def statements() -> Mapping[Statement, tuple[Loc, StatementSpec]]:
        found: dict[Statement, tuple[Loc, StatementSpec]] = {}
        for name, permissions in loaded.manifest.permission_sets.items():
            for number, spec in enumerate(permissions.statements):
                location: Loc = ("permission_sets", name, "statements", number)
                found.setdefault(statement_of(spec).canonical(), (location, spec))
        return found

    @cache
    def locate(statement: Statement, text: str | None) -> str | None:
        entry = statements().get(statement)
        if entry is None:
            return None
        location, spec = entry
        inner = next((loc for loc, value in spec.strings() if value == text), ()) if text is not None else ()
        place = loaded.places.find(*location, *inner, key=bool(inner) and inner[-1] == text)
        return f"{place.file}:{place.line}"

    return lambda statement, text: locate(statement.canonical(), text)


def region_findings(loaded: LoadedManifest) -> Iterator[Finding]:
    """Yield a finding for each Region in the manifest that is unknown or belongs to another partition."""
    manifest = loaded.manifest
    region_lists: list[tuple[str, Loc, tuple[str, ...]]] = [("defaults", ("defaults",), manifest.defaults.regions)]
    region_lists += [
        (entry.name, ("customers", i), entry.regions) for i, entry in enumerate(manifest.customers) if entry.regions
    ]
    for subject, location, regions in region_lists:
        for number, region in enumerate(regions):
            region_partition = partition_of_region(region)
            if region_partition == manifest.partition:
                continue
            place = loaded.places.find(*location, "regions", number)
            if region_partition is not None:
                message = f"{region} is a Region of partition {region_partition}, the accounts are in {manifest.partition}"
            elif is_known_region(region):
                message = f"{region} is not a Region that can be queried"
            else:
                message = f"{region} is not a Region known to this version of rolecall"
            nearest = nearest_region(region, manifest.partition)
            yield UNKNOWN_REGION.finding(
                subject,
                message,
                hint=f"write {nearest}" if nearest else f"write a Region of partition {manifest.partition}",
                declared=f"{place.file}:{place.line}",
            )


_DENIED_HINT = "run gen terraform: trust policy and the caller's own policies must both allow it"


def proof_findings(proof: Proof, context: CheckContext) -> Iterator[Finding]:
    """Yield a finding for each failed cell, with the caller, the request and the deciding statement."""
    for row in proof.rows:
        for cell in row.failures:
            file, line = context.place(row.role_arn) or (None, None)
            undecided = cell.state is CellState.UNDECIDED
            sentences = " ".join(counterexample_sentences(cell, row.role_arn))
            yield (PROOF_UNDECIDED if undecided else PROOF_FAILED).finding(
                row.subject,
                f"{cell.case.value}: {sentences}",
                file,
                line,
                hint=None if undecided else _hint(cell),
            )


def _hint(cell: Cell) -> str | None:
    """What to do, and the command that shows the failure."""
    hint = _DENIED_HINT if cell.expected else PROOF_FAILED.hint
    return hint if cell.witness is None else f"{hint}; the request is: {show_command(cell.witness)}"


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
        verdicts, read = read_written(inputs, indices, state, progress=progress)
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
        declared=declared_statements(inputs.loaded),
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
