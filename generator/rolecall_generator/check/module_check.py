"""Compares written modules with the plan: one module, or many in several processes, without those known from the cache.

A worker process loads the manifest and plans by itself, and returns only modules that are not as planned: sending the plan
to the workers takes longer than making it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rolecall_generator.errors import ModuleError, OutputError
from rolecall_generator.findings import ACCESS_DIFFERENCE, NOT_WRITTEN, Finding
from rolecall_generator.iam import Access, Module, PolicyDocument, quotas
from rolecall_generator.iam.difference import Label, differences, labeller
from rolecall_generator.manifest import load_manifest
from rolecall_generator.output import FolderStamp, Lock, OutputState, find_unplanned, read_lock, stamp_folder
from rolecall_generator.planning import Plan, PlannedModule, make_plan, previous_slots
from rolecall_generator.terraform.parser import GUARD, UNREADABLE, ParsedModule, find_declarations, parse_module
from rolecall_generator.workers import Pool, chunked, collection_paused, worker_count

FEW = 400
"""Up to this many modules are read in this process: starting another takes as long as reading them."""
_CHUNK = 128

# Larger access is not compared and proven: the work grows with the square of statements and principals. AWS's quotas are far
# below these limits, so such a module cannot be applied. It is reported as an error.
DOCUMENT_CHARACTERS = 2 * max(quotas.ROLE_INLINE_CHARACTERS, quotas.TRUST_POLICY_CHARACTERS_MAXIMUM)
"""Characters of a policy document, as AWS counts them."""
PARTS = 200
"""Roles, users, groups, policies and instance profiles of one module, beyond four times the intended ones."""
TOTAL_CHARACTERS = 64 * 1024
"""Characters of all documents together, beyond four times the intended ones."""
ATTACHMENTS = 400
"""Managed policies attached and groups joined in one module, beyond four times the intended ones."""
_MARGIN = 4


def too_large(written: Access, intended: Access) -> str | None:
    """The reason why the written access of a module is too large to be checked; None if it is not."""
    parts = _parts(written)
    if parts > PARTS + _MARGIN * _parts(intended):
        return f"it declares {parts:,} roles, users, groups, policies and instance profiles"
    attachments = _attachments(written)
    if attachments > ATTACHMENTS + _MARGIN * _attachments(intended):
        return f"it attaches policies and adds users to groups {attachments:,} times"
    total = 0
    for owner, document in _documents(written):
        size = document.size
        total += size
        if size > DOCUMENT_CHARACTERS:
            return f"a policy document of {owner} has {size:,} characters"
    if total > TOTAL_CHARACTERS and total > _MARGIN * sum(document.size for _, document in _documents(intended)):
        return f"its policy documents have {total:,} characters in all"
    return None


def _parts(access: Access) -> int:
    return sum(map(len, (access.roles, access.policies, access.groups, access.users, access.instance_profiles)))


def _attachments(access: Access) -> int:
    attached = [role.attached for role in access.roles.values()]
    attached += [group.attached for group in access.groups.values()]
    attached += [user.attached | user.groups for user in access.users.values()]
    return sum(map(len, attached))


def _documents(access: Access) -> Iterator[tuple[str, PolicyDocument]]:
    for role in access.roles.values():
        if role.trust is not None:
            yield role.arn, role.trust
    holders: Iterable[tuple[str, Iterable[PolicyDocument]]] = (
        (holder.arn, holder.inline.values())
        for holders in (access.roles, access.groups, access.users)
        for holder in holders.values()
    )
    for arn, documents in holders:
        yield from ((arn, document) for document in documents)
    yield from ((policy.arn, policy.document) for policy in access.policies.values())


RETURNED_HINT = "ask who changed it, and why; then change the manifest, or send the module again"


@dataclass(frozen=True, slots=True)
class ModuleVerdict:
    """The result of checking one module. `access` is what it grants as written, in canonical form."""

    path: str
    access: Access
    findings: tuple[Finding, ...] = ()

    @property
    def as_intended(self) -> bool:
        """True if the module grants what was planned and has no findings."""
        return not self.findings


def check_module(
    planned: Module, folder: Path, *, root: str, label: Label, hint: str | None = None, returned: bool = False
) -> ModuleVerdict:
    """Parse the module in `folder` and compare it with the planned one.

    `root` is the path of `folder` in findings, as in `customers/account1`. `hint` replaces the usual hint of differences.
    `returned`: a customer sent the folder back.
    """
    if not folder.is_symlink() and not folder.exists():  # a broken symbolic link is read, and reported as unreadable
        missing = NOT_WRITTEN.finding(planned.subject, f"{planned.path} is not written", root or None)
        return ModuleVerdict(planned.path, Access(), (missing,))
    try:
        parsed = parse_module(folder, account_id=planned.account.account_id, partition=planned.partition, returned=returned)
    except ModuleError as error:
        message = f"{planned.path}: {error.what}"
        unreadable = UNREADABLE.finding(planned.subject, message, root or None, hint=error.hint or "")
        return ModuleVerdict(planned.path, Access(), (unreadable,))
    return compare_parsed(planned, parsed, folder, root=root, label=label, hint=hint)


def compare_parsed(
    planned: Module, parsed: ParsedModule, folder: Path, *, root: str, label: Label, hint: str | None = None
) -> ModuleVerdict:
    """Compare a parsed module with the planned one; the arguments are those of `check_module`."""
    written, intended = parsed.access.canonical(), planned.access.canonical()
    findings = [_placed(finding, planned.subject, root) for finding in parsed.findings]
    if written != intended:
        if excess := too_large(written, intended):
            findings.append(_too_large(planned, excess, root))
            return ModuleVerdict(planned.path, Access(), tuple(findings))
        findings += _differences(planned, written, folder, root, label, hint)
    return ModuleVerdict(planned.path, written, tuple(findings))


def _too_large(planned: Module, excess: str, root: str) -> Finding:
    message = f"too large to be compared and proven: {excess}, far more than planned or accepted by AWS"
    hint = "use the module as it was generated, or review it by hand"
    return UNREADABLE.finding(planned.subject, message, path_in_findings(root, "main.tf"), 1, hint=hint)


def _placed(finding: Finding, subject: str, root: str) -> Finding:
    """The parser's finding with the customer as subject, and a path relative to the checked folder."""
    message = finding.message if finding.subject == "module" else f"{finding.subject}: {finding.message}"
    # A missing guard has no line; it belongs in main.tf.
    file = finding.file or ("main.tf" if finding.rule == GUARD.id else None)
    return replace(finding, subject=subject, message=message, file=path_in_findings(root, file))


def _differences(
    planned: Module, written: Access, folder: Path, root: str, label: Label, hint: str | None
) -> Iterator[Finding]:
    places = find_declarations(folder, account_id=planned.account.account_id, partition=planned.partition)
    for change in differences(planned.access, written, label=label):
        file, line = places.get(change.subject, ("main.tf", 1))
        text = f"{change.text} (more than the manifest says)" if change.widens else change.text
        yield ACCESS_DIFFERENCE.finding(planned.subject, text, path_in_findings(root, file), line, hint=hint)


def path_in_findings(root: str, file: str | None) -> str | None:
    """The path of a module's file in findings; the module's folder if no file is given."""
    return "/".join(part for part in (root, file) if part) or None


def unplanned_findings(out: Path, plan: Plan, lock: Lock) -> tuple[Finding, ...]:
    """Findings for folders and Terraform files of the output folder that are not planned. Raises OutputError."""
    return find_unplanned(out, {module.path for module in plan.modules}, lock.modules.keys())


@dataclass(frozen=True, slots=True)
class WrittenModules:
    """Verdicts by index of the modules that are not as planned, and how many modules were read."""

    verdicts: Mapping[int, ModuleVerdict]
    read: int


def read_written(
    inputs: CheckInputs,
    indices: Sequence[int],
    state: OutputState,
    *,
    processes: int | None = None,
    progress: Callable[[int], None],
) -> WrittenModules:
    """Check the modules with these indices and record in `state` those that are as planned.

    `progress` is called with the number of modules done so far. Raises OutputError.
    """
    unread = [index for index in indices if not state.is_checked(inputs.modules[index])]
    known = len(indices) - len(unread)
    verdicts: dict[int, ModuleVerdict] = {}
    for read in _read_modules(inputs, unread, processes=processes, progress=lambda done: progress(known + done)):
        if read.verdict is not None:
            verdicts[read.index] = read.verdict
        elif read.stamp is not None:
            module = inputs.modules[read.index]
            state.record_checked(module.path, module.fingerprint, read.stamp)
    state.keep_only({module.path for module in inputs.modules})
    progress(len(indices))
    return WrittenModules(verdicts, len(unread))


@dataclass(frozen=True, slots=True)
class ModuleReading:
    """The result for one module: a verdict if it is not as planned, else its folder's stamp (None if it has none)."""

    index: int
    verdict: ModuleVerdict | None
    stamp: FolderStamp | None


@dataclass(frozen=True, slots=True)
class CheckInputs:
    """The manifest file, the output folder, the planned modules, and the labels of accounts in messages."""

    manifest: Path
    out: Path
    modules: Sequence[PlannedModule]
    label: Label


def _read_modules(
    inputs: CheckInputs, indices: Sequence[int], *, processes: int | None = None, progress: Callable[[int], None]
) -> Iterator[ModuleReading]:
    """Check the modules with these indices, in this process if they are few. Raises OutputError."""
    workers = worker_count(len(indices), few=FEW, processes=processes)
    if workers == 1:
        yield from _here(inputs, indices, progress)
    else:
        yield from _in_processes(inputs, indices, workers, progress)


def _here(inputs: CheckInputs, indices: Sequence[int], progress: Callable[[int], None]) -> Iterator[ModuleReading]:
    for done, index in enumerate(indices, start=1):
        yield _read(inputs, index)
        progress(done)


def _in_processes(
    inputs: CheckInputs, indices: Sequence[int], workers: int, progress: Callable[[int], None]
) -> Iterator[ModuleReading]:
    chunks = [(chunk, [inputs.modules[index].fingerprint for index in chunk]) for chunk in chunked(indices, _CHUNK)]
    pool = Pool(_prepare, (inputs.manifest, inputs.out), _read_chunk, where=str(inputs.out), resume="run the command again")
    done = 0
    for chunk, reads in zip(chunks, pool.run(chunks, workers), strict=True):
        yield from reads
        done += len(chunk[0])
        progress(done)


def _prepare(manifest: Path, out: Path) -> CheckInputs:
    """Load the manifest and plan in a worker process."""
    with collection_paused():
        loaded = load_manifest(manifest)
        plan = make_plan(loaded.manifest, previous_slots(read_lock(out)))
    return CheckInputs(manifest, out, plan.modules, labeller(loaded.manifest.account_names()))


def _read_chunk(inputs: CheckInputs, chunk: tuple[Sequence[int], Sequence[str]]) -> list[ModuleReading]:
    indices, fingerprints = chunk
    if any(
        index >= len(inputs.modules) or inputs.modules[index].fingerprint != fingerprint
        for index, fingerprint in zip(indices, fingerprints, strict=True)
    ):
        what = "the manifest or the lock changed during the check"
        raise OutputError(what, where=str(inputs.manifest), hint="run the check again")
    with collection_paused():
        return [_read(inputs, index) for index in indices]


def _read(inputs: CheckInputs, index: int) -> ModuleReading:
    module = inputs.modules[index]
    folder = inputs.out / module.path
    stamp = stamp_folder(str(folder))  # before reading, so that a concurrent change is detected
    verdict = check_module(module.build(), folder, root=module.path, label=inputs.label)
    return ModuleReading(index, None, stamp) if verdict.as_intended else ModuleReading(index, verdict, None)
