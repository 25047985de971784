"""Building bundles: render all forms of a module, prove and check it, and move the files into place.

A bundle on disk is absent, as written, altered, or has files that rolecall did not create, which are never replaced.

A bundle whose build fails is a value in the result; an error that concerns the whole folder, such as a full disk, ends the
run. The proof covers only the bundle's own module and its counterpart. Unlike that of `gen prove`, it contains no other
customer, and its cost does not grow with the number of customers.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rolecall_generator.bundle.archive import is_program, read_sums, sums_of, zip_bytes
from rolecall_generator.bundle.forms import all_forms
from rolecall_generator.bundle.forms.interface import Files, Handover
from rolecall_generator.bundle.signing import Signer
from rolecall_generator.check import access_arns, intended_trust, proof_findings
from rolecall_generator.errors import RolecallError
from rolecall_generator.findings import Finding, Severity
from rolecall_generator.iam import Access, Module, ModuleKind, PolicyDocument, Role, Statement
from rolecall_generator.manifest import Quotas, Suppression
from rolecall_generator.output import Disk, LockedModule, Placer, hash_regular, read_regular, sha256
from rolecall_generator.proof import Proof, prove
from rolecall_generator.records import SUMS_NAME
from rolecall_generator.rules import CheckContext, apply_suppressions, run_rules
from rolecall_generator.terraform import module_view, render_module, render_text
from rolecall_generator.text import sanitize_line
from rolecall_generator.workers import Pool, chunked, collection_paused, worker_count

Hashes = Mapping[str, str]
"""SHA-256 (hex) by name relative to the bundle's folder; "" for anything but a regular file."""
Owned = Mapping[str, frozenset[str]]
"""Hashes that rolecall wrote, by file name: of files directly in the bundle's folder, and of its zip."""


@dataclass(frozen=True, slots=True)
class BundleState:
    """The state of a bundle on disk.

    Attributes:
        files: Files in its folder.
        zip_hash: Hash of its zip; None if there is no zip.
        checksums: Checksums in SHA256SUMS; empty if rolecall did not write that file.
        obstacle: What exists in place of the folder or of a parent folder; None if nothing does.
    """

    files: Hashes
    zip_hash: str | None
    checksums: Hashes
    obstacle: str | None = None

    @property
    def empty(self) -> bool:
        """Whether there are no files."""
        return not self.files and self.zip_hash is None and self.obstacle is None

    def is_intact(self, recorded: Hashes, zip_name: str) -> bool:
        """Whether exactly the files exist that were `recorded` (the lock's hashes)."""
        own = {**self.checksums, **recorded}
        return bool(self.checksums) and self.zip_hash == own.pop(zip_name, None) and self.files == own

    def foreign_files(self, contents: Hashes, zip_hash: str, owned: Owned, zip_name: str) -> list[str]:
        """Files that rolecall did not create.

        In a bundle that rolecall wrote (`owned` is not empty), all listed files are its own, even if altered. Otherwise
        only files that equal those to be written are: `contents` has their hashes, and `zip_hash` is that of the zip.
        """
        if self.obstacle is not None:
            return [self.obstacle]
        own = {*self.checksums, *owned, *contents} if owned else set()
        names = [name for name, sha in self.files.items() if not sha or (name not in own and contents.get(name) != sha)]
        if self.zip_hash is not None and not (self.zip_hash and (owned or self.zip_hash == zip_hash)):
            names.append(f"../{zip_name}")
        return sorted(names)


def zip_name(path: str) -> str:
    """Name of the zip next to a bundle's folder."""
    return f"{path.rpartition('/')[2]}.zip"


def read_bundle_state(root: str, path: str, owned: Owned) -> BundleState:
    """Read the state of a bundle below `root`. Raises OSError for files that cannot be read."""
    folder = f"{root}/{path}"
    obstacle = _obstacle(root, path)
    if obstacle is not None:
        return BundleState({}, None, {}, obstacle)
    files = dict(_walk(folder, ""))
    checksums: Hashes = {}
    if files.get(SUMS_NAME) and files[SUMS_NAME] in owned.get(SUMS_NAME, ()):
        checksums = read_sums(read_regular(f"{folder}/{SUMS_NAME}"))
    return BundleState(files, hash_regular(f"{folder}.zip"), checksums)


def _obstacle(root: str, path: str) -> str | None:
    """The first existing part of a path that is not a folder. A symbolic link counts: rolecall never writes through one."""
    parts = path.split("/")
    for count in range(1, len(parts) + 1):
        part = "/".join(parts[:count])
        try:
            mode = os.lstat(f"{root}/{part}").st_mode
        except FileNotFoundError:
            return None
        if not stat.S_ISDIR(mode):
            return f"{part} (a symbolic link)" if stat.S_ISLNK(mode) else f"{part} (not a folder)"
    return None


def _walk(folder: str, prefix: str) -> Iterator[tuple[str, str]]:
    try:
        entries = sorted(os.scandir(f"{folder}/{prefix}"), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    for entry in entries:
        name = f"{prefix}{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(folder, f"{name}/")
        else:
            yield name, hash_regular(entry.path) or ""


README = "README.md"


@dataclass(frozen=True, slots=True)
class BundleOptions:
    """Options of `gen bundle`: which bundles are written, and how.

    Attributes:
        names: Customers and switch roles; all if empty.
        template_url_base: Base URL of published CloudFormation templates.
        stored: Whether zips are written without compression.
        signer: Signs the checksums.
        prune: Whether bundles that are no longer planned are deleted.
        prune_all: Whether all bundles may be deleted.
        pdf: Whether the security review is also written as a PDF.
    """

    names: Collection[str] = ()
    template_url_base: str | None = None
    stored: bool = False
    signer: Signer | None = None
    prune: bool = True
    prune_all: bool = False
    pdf: bool = False


@dataclass(frozen=True, slots=True)
class BundleSettings:
    """Settings of a run.

    Attributes:
        root: Resolved path of the folder of bundles.
        source: File name of the manifest.
        replaced: Folder on the same file system to which replaced files are moved.
        options: The options of the command.
        quotas: Those of the manifest.
        suppress: Suppressions of the manifest.
    """

    root: str
    source: str
    replaced: str
    options: BundleOptions
    quotas: Quotas
    suppress: tuple[Suppression, ...] = ()


@dataclass(frozen=True, slots=True)
class BundleOrder:
    """One bundle to build.

    Attributes:
        module: The module to hand over.
        counterpart: The other side's module, for a switch role. Only the proof uses it.
        path: Path of the bundle relative to the folder of bundles.
        fingerprint: Digest of everything that the bundle's bytes depend on.
        locked: The lock's entry of an earlier run.
        owned: Hashes that earlier runs wrote.
        people: The module of the group and its users, if it is neither of the two. Only the proof uses it.
    """

    module: Module
    counterpart: Module | None
    path: str
    fingerprint: str
    locked: LockedModule | None = None
    owned: Owned = field(default_factory=dict)
    people: Module | None = None


@dataclass(frozen=True, slots=True)
class BundleOutcome:
    """The result for one bundle.

    Attributes:
        path: Path of the bundle relative to the folder of bundles.
        state: created, changed, restored, unchanged or failed.
        entry: The lock's new entry; None if it failed.
        files_written: Number of files written.
        reason: Why it failed.
        blocking_findings: Error findings. A bundle with errors is written, but should not be handed over.
    """

    path: str
    state: str
    entry: LockedModule | None = None
    files_written: int = 0
    reason: str = ""
    blocking_findings: tuple[Finding, ...] = ()


def readme_form(handover: Handover, files: Collection[str]) -> Files:
    """The bundle's README. `files` are the paths of all other files: it describes the forms that have files."""
    folders = {name.partition("/")[0] for name in files}
    module = handover.module
    access = module.access
    forms = [form.instructions for form in all_forms() if form.instructions is not None and form.folder in folders]
    empty = not (access.roles or access.groups or access.users)
    view = {
        **module_view(module, handover.source),
        "source": sanitize_line(handover.source),
        "kind": str(module.kind),
        "ways": [] if empty else [instructions(module) for instructions in forms],
        "reviews": sorted(name for name in files if name.startswith("review/")),
        "certified": "certificate" in folders,
        "send_back": _send_back(module),
        "empty": empty,
    }
    return {README: render_text(README, view).encode()}


def _send_back(module: Module) -> str | None:
    """The line to send back; None if there is none."""
    match module.kind:
        case ModuleKind.CUSTOMER:
            return next(iter(module.access.roles))
        case ModuleKind.TRUSTING:
            return (module.switch_role.link if module.switch_role else None) or next(iter(module.access.roles))
        case _:
            return None


def handover_proof(module: Module, counterpart: Module | None = None, people: Module | None = None) -> Proof:
    """Prove who may assume the roles of a module.

    For a customer, the proof assumes that the vendor's role may assume this role, which `gen prove` checks.

    Args:
        module: The module.
        counterpart: The other side's module, for a switch role.
        people: The module of the group and its users, if it is neither of the two. Its roles are left out.
    """
    modules = [module] if counterpart is None else [module, counterpart]
    others = Access() if people is None else replace(people.access, roles={})
    access = Access.union((*(each.access for each in modules), others, _vendor_side(module)))
    roles = [arn for each in modules for arn in each.access.roles]
    return prove(access, intended_trust(modules).trusts, roles=roles)


def _vendor_side(module: Module) -> Access:
    """The backend role with only its permission for this customer."""
    if module.customer is None:
        return Access()
    role = module.customer.role
    actions = role.trust.statements[0].actions if role.trust is not None else ()
    grant = PolicyDocument((Statement("Allow", actions=actions, resources=(role.arn,)),))
    return Access.of(Role(module.customer.backend_role_arn, trust=None, inline={"assume": grant}, existing=True))


def blocking_findings(
    items: Sequence[BundleOrder], proofs: Iterable[Proof], quotas: Quotas, suppress: tuple[Suppression, ...] = ()
) -> dict[str, tuple[Finding, ...]]:
    """Error findings by path of the bundle, as `gen check` would report them for its module.

    `proofs` are in the order of `items`. Bundles are checked together, because equal documents are evaluated once.
    Suppressed findings are left out, and so are warnings: a bundle with warnings may be handed over.
    """
    context = _context(items, quotas)
    subjects = {item.path: item.module.subject for item in items}
    found = list(run_rules(context))
    for item, proof in zip(items, proofs, strict=True):
        if not proof.ok:
            found += [replace(finding, subject=item.path) for finding in proof_findings(proof, context)]
    by_path: dict[str, tuple[Finding, ...]] = {}
    for finding in found:
        path = finding.subject
        named = replace(finding, subject=subjects.get(path, path))  # suppressions name customers and switch roles
        if finding.severity is Severity.ERROR and apply_suppressions((named,), suppress, complete=False).active:
            by_path[path] = (*by_path.get(path, ()), named)
    return by_path


def _context(items: Sequence[BundleOrder], quotas: Quotas) -> CheckContext:
    """The input of the rules. Subjects are paths of bundles, because both sides of a switch role have the same name."""
    modules = [item.module for item in items]
    intended = intended_trust(modules)
    paths: Mapping[str, str] = {arn: item.path for item in items for arn in access_arns(item.module.access)}
    return CheckContext(
        Access.union(module.access for module in modules),
        subjects=paths,
        customer_roles=intended.customer_roles,
        switch_roles=intended.switch_roles,
        external_ids=intended.external_ids,
        quotas=quotas,
    )


def bundle_files(handover: Handover) -> Files:
    """The files of a bundle by path, including SHA256SUMS. Raises ValueError if two forms write the same file."""
    files: dict[str, bytes] = {}
    for form in all_forms():
        for name, content in form.render(handover).items():
            if name in files:
                raise ValueError(f"two forms write {name}")
            files[name] = content
    files |= readme_form(handover, frozenset(files))
    return {**files, SUMS_NAME: sums_of(files)}


@dataclass(frozen=True, slots=True)
class _Staged:
    """A bundle in the staging folder, ready to be moved into place."""

    order: BundleOrder
    folder: str
    archive: bytes
    entry: LockedModule
    files: int


def build_chunk(orders: Sequence[BundleOrder], settings: BundleSettings, disk: Disk) -> list[BundleOutcome]:
    """Build some bundles; results are in the order of `orders`. Raises OSError if the folder cannot be written."""
    placer = Placer(disk, settings.root)
    proofs = [handover_proof(order.module, order.counterpart, order.people) for order in orders]
    blocking = blocking_findings(orders, proofs, settings.quotas, settings.suppress)
    try:
        prepared = [_prepare(order, proof, settings, placer) for order, proof in zip(orders, proofs, strict=True)]
        staged = [(item.order.path, item.entry.files) for item in prepared if isinstance(item, _Staged)]
        if staged:
            placer.journal(staged)
        outcomes = [_place(item, settings, placer) if isinstance(item, _Staged) else item for item in prepared]
        return [replace(outcome, blocking_findings=blocking.get(outcome.path, ())) for outcome in outcomes]
    finally:
        placer.close()


def _prepare(order: BundleOrder, proof: Proof, settings: BundleSettings, placer: Placer) -> _Staged | BundleOutcome:
    path, name = order.path, zip_name(order.path)
    existing = read_bundle_state(settings.root, path, order.owned)
    locked = order.locked
    if locked is not None and locked.fingerprint == order.fingerprint and existing.is_intact(locked.files, name):
        return BundleOutcome(path, "unchanged", locked)
    try:
        files = bundle_files(_handover(order, proof, settings))
    except RolecallError as error:
        return BundleOutcome(path, "failed", reason=str(error))
    try:
        staged, _ = placer.stage(files, [name for name in files if is_program(name)])
    except OSError as error:
        error.filename = f"{settings.root}/{path}"  # instead of the staging folder, which is temporary
        raise
    if settings.options.signer is not None:
        files = {**files, **settings.options.signer.sign(staged, SUMS_NAME, where=f"{settings.root}/{path}")}
    archive = zip_bytes(files, path.rpartition("/")[2], stored=settings.options.stored)
    return _judge(order, existing, _Staged(order, staged, archive, _entry(order, files, archive), len(files) + 1), files)


def _judge(order: BundleOrder, existing: BundleState, staged: _Staged, files: Files) -> _Staged | BundleOutcome:
    """Never replace files that rolecall did not create, and never write the same files again."""
    if existing.empty:
        return staged
    name = zip_name(order.path)
    hashes: Hashes = {each: sha256(content) for each, content in files.items()}
    zip_hash = staged.entry.files[name]
    if foreign := existing.foreign_files(hashes, zip_hash, order.owned, name):
        reason = f"refusing to overwrite files not created by rolecall: {', '.join(foreign)}"
        return BundleOutcome(order.path, "failed", reason=reason)
    if existing.files == hashes and existing.zip_hash == zip_hash:
        return BundleOutcome(order.path, "unchanged", staged.entry)
    return staged


def _place(item: _Staged, settings: BundleSettings, placer: Placer) -> BundleOutcome:
    order, path = item.order, item.order.path
    try:
        placer.replace_folder(item.folder, path, item.archive, replaced=settings.replaced)
    except OSError as error:
        error.filename = f"{settings.root}/{path}"  # as above
        raise
    state = "created" if order.locked is None else "restored" if order.locked.files == item.entry.files else "changed"
    return BundleOutcome(path, state, item.entry, item.files)


def _handover(order: BundleOrder, proof: Proof, settings: BundleSettings) -> Handover:
    module, base = order.module, settings.options.template_url_base
    return Handover(
        module,
        settings.source,
        render_module(module, settings.source),
        proof,
        f"{base.rstrip('/')}/{order.path}/cloudformation/template.json" if base else None,
        settings.options.pdf,
    )


def _entry(order: BundleOrder, files: Files, archive: bytes) -> LockedModule:
    """The lock's entry: hashes of SHA256SUMS, its signature and the zip. SHA256SUMS lists the other files."""
    top: Mapping[str, str] = {name: sha256(content) for name, content in files.items() if name.startswith(SUMS_NAME)}
    return LockedModule(order.fingerprint, {**top, zip_name(order.path): sha256(archive)})


SEQUENTIAL_LIMIT = 200
"""Up to this number, bundles are built in this process: starting others would take as long."""
_CHUNK = 32


def build_bundles(
    orders: Iterable[BundleOrder], count: int, settings: BundleSettings, *, disk: Disk, processes: int | None = None
) -> Iterator[BundleOutcome]:
    """Build `count` bundles, in order.

    `processes` defaults to a number that suits `count`. With a signer, all work is done in this process, because the signing
    program may prompt for a password. Raises OSError, ToolError or OutputError.
    """
    workers = processes or worker_count(count, sequential_limit=SEQUENTIAL_LIMIT)
    if workers == 1 or settings.options.signer is not None:
        for chunk in chunked(orders, _CHUNK):
            yield from build_chunk(chunk, settings, disk)
    else:
        resume = "run the command again: complete bundles are kept"
        pool = Pool(_prepare_worker, (settings,), _make, where=settings.root, resume=resume)
        for outcomes in pool.run(chunked(orders, _CHUNK), workers):
            yield from outcomes


def _prepare_worker(settings: BundleSettings) -> BundleSettings:
    return settings


def _make(settings: BundleSettings, chunk: list[BundleOrder]) -> list[BundleOutcome]:
    # Garbage collection would take a tenth of the time, and building creates no growing reference cycles.
    with collection_paused():
        return build_chunk(chunk, settings, Disk())
