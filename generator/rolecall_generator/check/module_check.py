"""How large written access may be to be compared, proven and judged exactly.

The work grows with the square of statements and principals. AWS's own quotas are far below these limits, so what exceeds
them could not be applied; it is an error finding, and nothing more is claimed about it.

One written module against the planned one: what it grants otherwise than intended, and what cannot be read.

The written modules of a plan: from the cache if nothing changed, parsed if something did.

Reading many modules: in this process when they are few, else in one process a core. A worker loads the manifest and
plans by itself, and hands back only what is not as planned: what it would otherwise have to be sent, and to send back,
costs more than the reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rolecall_generator.errors import ModuleError, OutputError
from rolecall_generator.findings import DIFFERENCE, NOT_WRITTEN, Finding
from rolecall_generator.iam import Access, Module, PolicyDocument, quotas
from rolecall_generator.iam.difference import Label, differences, labeller
from rolecall_generator.manifest import load_manifest
from rolecall_generator.output import FolderStamp, Lock, OutputState, output_error, read_lock, stamp_folder, unplanned
from rolecall_generator.planning import Plan, PlannedModule, make_plan, previous_slots
from rolecall_generator.terraform.parser import GUARD, UNREADABLE, ParsedModule, declared_places, parse_module
from rolecall_generator.workers import _CHUNK, FEW, Pool, chunked, collection_paused, worker_count

DOCUMENT_CHARACTERS = 2 * max(quotas.ROLE_INLINE_CHARACTERS, quotas.TRUST_POLICY_CHARACTERS_MAXIMUM)
"""Characters of one policy document, as AWS counts them."""
PARTS = 200
"""Roles, users, groups, policies and instance profiles of one module, beyond four times the intended ones."""
TOTAL_CHARACTERS = 64 * 1024
"""Characters of all documents together, beyond four times the intended ones."""
ATTACHMENTS = 400
"""Managed policies attached and groups joined in one module, beyond four times the intended ones."""
_MARGIN = 4


def too_large(written: Access, intended: Access) -> str | None:
    """Why the written access of a module is too large to be judged; None when it is not."""
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


ASK_WHY = "ask who changed it, and why; then change the manifest, or send the module again"


@dataclass(frozen=True, slots=True)
class ModuleVerdict:
    """What one module grants as written, and what is to be said of it. `access` is canonical.

    `as_intended` is true when it grants just what was planned and nothing about it is to be said.
    """

    path: str
    access: Access
    findings: tuple[Finding, ...] = ()

    @property
    def as_intended(self) -> bool:
        """True when there is nothing to say."""
        return not self.findings


def judge(
    planned: Module, folder: Path, *, root: str, label: Label, hint: str | None = None, returned: bool = False
) -> ModuleVerdict:
    """Read the module in `folder` and compare it with the planned one. `returned`: the folder comes from someone else.

    `root` leads from the checked folder to `folder`, as in `customers/account1`: findings' files start with it.
    """
    # lexists: a broken link is not "not written".
    if not folder.is_symlink() and not folder.exists():
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
    """The verdict on a module that was read."""
    written, intended = parsed.access.canonical(), planned.access.canonical()
    findings = [_placed(finding, planned.subject, root) for finding in parsed.findings]
    if written != intended:
        if excess := too_large(written, intended):
            findings.append(_too_large(planned, excess, root))
            return ModuleVerdict(planned.path, Access(), tuple(findings))
        findings += _differences(planned, written, folder, root, label, hint)
    return ModuleVerdict(planned.path, written, tuple(findings))


def _too_large(planned: Module, excess: str, root: str) -> Finding:
    message = f"too large to be compared and proven: {excess}, far more than was planned or AWS accepts"
    hint = "send the module as it was generated, or read it yourself"
    return UNREADABLE.finding(planned.subject, message, below(root, "main.tf"), 1, hint=hint)


def _placed(finding: Finding, subject: str, root: str) -> Finding:
    """A reader's finding in the words of the whole: its subject is the customer, its file counts from the checked folder."""
    message = finding.message if finding.subject == "module" else f"{finding.subject}: {finding.message}"
    # That there is no guard has no place of its own: main.tf is where it belongs.
    file = finding.file or ("main.tf" if finding.rule == GUARD.id else None)
    return replace(finding, subject=subject, message=message, file=below(root, file))


def _differences(
    planned: Module, written: Access, folder: Path, root: str, label: Label, hint: str | None
) -> Iterator[Finding]:
    places = declared_places(folder, account_id=planned.account.account_id, partition=planned.partition)
    for change in differences(planned.access, written, label=label):
        file, line = places.get(change.subject, ("main.tf", 1))
        text = f"{change.text} (more than the manifest says)" if change.widens else change.text
        yield DIFFERENCE.finding(planned.subject, text, below(root, file), line, hint=hint)


def below(root: str, file: str | None) -> str | None:
    """A file of a module as seen from the checked folder; the module's folder where no file is named."""
    return "/".join(part for part in (root, file) if part) or None


def unplanned_findings(out: Path, plan: Plan, lock: Lock) -> tuple[Finding, ...]:
    """Folders and Terraform files of the output folder that the manifest does not plan. Raises OutputError."""
    try:
        return tuple(unplanned(str(out), {module.path for module in plan.modules}, lock.modules.keys()))
    except OSError as error:
        raise output_error(error, str(out)) from error


@dataclass(frozen=True, slots=True)
class WrittenModules:
    """Verdicts by index of the modules that are not as planned, and how many modules were read."""

    verdicts: Mapping[int, ModuleVerdict]
    read: int


def read_written(
    bench: Bench,
    indices: Sequence[int],
    state: OutputState,
    *,
    processes: int | None = None,
    progress: Callable[[int], None],
) -> WrittenModules:
    """Find out which of the modules with these indices are not as planned, and record the others in `state`.

    Raises OutputError.
    """
    unread = [index for index in indices if not state.is_checked(bench.modules[index])]
    known = len(indices) - len(unread)
    verdicts: dict[int, ModuleVerdict] = {}
    for read in read_modules(bench, unread, processes=processes, progress=lambda done: progress(known + done)):
        if read.verdict is not None:
            verdicts[read.index] = read.verdict
        elif read.stamp is not None:
            module = bench.modules[read.index]
            state.record_checked(module.path, module.fingerprint, read.stamp)
    state.keep_only({module.path for module in bench.modules})
    progress(len(indices))
    return WrittenModules(verdicts, len(unread))


@dataclass(frozen=True, slots=True)
class Read:
    """One module that was read: the verdict if it is not as planned, else its folder's stamp (None if it has none)."""

    index: int
    verdict: ModuleVerdict | None
    stamp: FolderStamp | None


@dataclass(frozen=True, slots=True)
class Bench:
    """What reading needs: the manifest's file, the output folder, and the plan."""

    manifest: Path
    out: Path
    modules: Sequence[PlannedModule]
    label: Label


def read_modules(
    bench: Bench, indices: Sequence[int], *, processes: int | None = None, progress: Callable[[int], None]
) -> Iterator[Read]:
    """Read the modules with these indices. `progress` hears how many are done. Raises OutputError."""
    workers = worker_count(len(indices), few=FEW, processes=processes)
    if workers == 1:
        yield from _here(bench, indices, progress)
    else:
        yield from _in_processes(bench, indices, workers, progress)


def _here(bench: Bench, indices: Sequence[int], progress: Callable[[int], None]) -> Iterator[Read]:
    for done, index in enumerate(indices, start=1):
        yield _read(bench, index)
        progress(done)


def _in_processes(bench: Bench, indices: Sequence[int], workers: int, progress: Callable[[int], None]) -> Iterator[Read]:
    chunks = [(chunk, [bench.modules[index].fingerprint for index in chunk]) for chunk in chunked(indices, _CHUNK)]
    pool = Pool(_prepare, (bench.manifest, bench.out), _read_chunk, where=str(bench.out), resume="run the command again")
    done = 0
    for chunk, reads in zip(chunks, pool.run(chunks, workers), strict=True):
        yield from reads
        done += len(chunk[0])
        progress(done)


def _prepare(manifest: Path, out: Path) -> Bench:
    """A worker process's own plan."""
    with collection_paused():
        loaded = load_manifest(manifest)
        plan = make_plan(loaded.manifest, previous_slots(read_lock(out)))
    return Bench(manifest, out, plan.modules, labeller(loaded.manifest.account_names()))


def _read_chunk(bench: Bench, chunk: tuple[Sequence[int], Sequence[str]]) -> list[Read]:
    indices, fingerprints = chunk
    if any(
        index >= len(bench.modules) or bench.modules[index].fingerprint != fingerprint
        for index, fingerprint in zip(indices, fingerprints, strict=True)
    ):
        what = "the manifest or the lock changed while it was read"
        raise OutputError(what, where=str(bench.manifest), hint="run the check again")
    with collection_paused():
        return [_read(bench, index) for index in indices]


def _read(bench: Bench, index: int) -> Read:
    module = bench.modules[index]
    folder = bench.out / module.path
    stamp = stamp_folder(str(folder))  # before the reading, so that a change meanwhile is seen
    verdict = judge(module.build(), folder, root=module.path, label=bench.label)
    return Read(index, None, stamp) if verdict.as_intended else Read(index, verdict, None)
