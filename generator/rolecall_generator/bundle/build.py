"""README.md of a bundle, the one thing to open: who asks for what, the ways to give it, what to send back.

The proof of what one bundle hands over, from its own module and its counterpart alone. A whole manifest's proof (`gen
prove`) names every customer. Here the backend's side is reduced to what it grants for this one role, so that no other
customer can occur, and the cost does not grow with the fleet.

What speaks against handing a bundle over: the errors that `gen check` would find in its module, as it is planned.

One bundle: all forms of one module's access, the page to start with, and their checksums. Pure.

Making bundles, a chunk at a time: look at what stands, render and stage what is missing, journal it, move it into
place. What fails for one bundle is its outcome. Only what concerns the folder as a whole (a full disk) ends the run.

Making many bundles: in this process when they are few, else in one process a core, a few chunks ahead and no more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from rolecall_generator.bundle.archive import is_program, zip_bytes
from rolecall_generator.bundle.bundle_state import BundleState, Hashes, Owned, look, sums_of, zip_name
from rolecall_generator.bundle.forms.aws_cli import cli_script_form
from rolecall_generator.bundle.forms.cloudformation import cloudformation_form
from rolecall_generator.bundle.forms.console import walkthrough_form
from rolecall_generator.bundle.forms.interface import Files, Form, Handover
from rolecall_generator.bundle.forms.review import review_form
from rolecall_generator.bundle.forms.terraform_module import terraform_module_form
from rolecall_generator.bundle.signing import Signer
from rolecall_generator.check import arns_of, intended_of, proof_findings
from rolecall_generator.errors import RolecallError
from rolecall_generator.findings import Finding, Severity
from rolecall_generator.iam import Access, Module, ModuleKind, PolicyDocument, Role, Statement, access_of, union
from rolecall_generator.manifest import Quotas, Suppression
from rolecall_generator.output import JOURNAL_NAME, Disk, LockedModule, Placer, encode_journal, sha256
from rolecall_generator.proof import Proof, prove
from rolecall_generator.records import SUMS
from rolecall_generator.rules import CheckContext, apply_suppressions, run_rules
from rolecall_generator.terraform import module_view, render_module, render_text
from rolecall_generator.text import one_line
from rolecall_generator.workers import Pool, chunked, collection_paused, worker_count

README = "README.md"
_WAYS = ("terraform", "cloudformation", "aws-cli", "console")


def readme_form(handover: Handover, files: Collection[str]) -> Files:
    """The page. `files` are the paths of all other forms' files: it tells of those ways alone that the bundle holds."""
    folders = {name.partition("/")[0] for name in files}
    access = handover.module.access
    empty = not (access.roles or access.groups or access.users)
    view = {
        **module_view(handover.module, handover.source),
        "source": one_line(handover.source),
        "kind": str(handover.module.kind),
        "ways": [] if empty else [way for way in _WAYS if way in folders],
        "reviews": sorted(name for name in files if name.startswith("review/")),
        "send_back": _send_back(handover.module),
        "empty": empty,
    }
    return {README: render_text(README, view).encode()}


def _send_back(module: Module) -> str | None:
    """The one line to be sent back; None when nothing is."""
    match module.kind:
        case ModuleKind.CUSTOMER:
            return next(iter(module.access.roles))
        case ModuleKind.TRUSTING:
            return (module.switch_role.link if module.switch_role else None) or next(iter(module.access.roles))
        case _:
            return None


def handover_proof(module: Module, counterpart: Module | None = None, people: Module | None = None) -> Proof:
    """Prove who may assume the roles of a module. `counterpart` is a switch role's other side.

    `people` is the module that holds the group and its users, where that is neither of the two: no role of it occurs.

    For a customer the vendor's role is taken to be allowed to assume this role: that it is, `gen prove` shows.
    """
    modules = [module] if counterpart is None else [module, counterpart]
    access = union((*(each.access for each in modules), _people_of(people), _vendor_side(module)))
    roles = [arn for each in modules for arn in each.access.roles]
    return prove(access, intended_of(modules).trusts, roles=roles)


def _people_of(module: Module | None) -> Access:
    return Access() if module is None else replace(module.access, roles={})


def _vendor_side(module: Module) -> Access:
    """The backend role with the one permission that it has for this customer."""
    if module.customer is None:
        return Access()
    role = module.customer.role
    actions = role.trust.statements[0].actions if role.trust is not None else ()
    grant = PolicyDocument((Statement("Allow", actions=actions, resources=(role.arn,)),))
    return access_of(Role(module.customer.backend_role_arn, trust=None, inline={"assume": grant}, existing=True))


@dataclass(frozen=True, slots=True)
class Measure:
    """By what a manifest's bundles are judged besides the rules: its account's quotas, and what it suppresses."""

    quotas: Quotas
    suppress: tuple[Suppression, ...] = ()


class Judged(Protocol):
    """What is judged: a module, and the path of its bundle."""

    @property
    def module(self) -> Module:
        """The module that is handed over."""

    @property
    def path(self) -> str:
        """The bundle's, which no other has."""


def objections(items: Sequence[Judged], proofs: Iterable[Proof], measure: Measure) -> dict[str, tuple[Finding, ...]]:
    """Error findings by path of the bundle, for those that have any; `proofs` in the order of `items`.

    Many are judged at once, since equal documents cost once. Suppressed findings are left out: their reason stands in
    the manifest. Warnings are for `gen check`: a bundle with one may be handed over.
    """
    context = _context(items, measure)
    subjects = {item.path: item.module.subject for item in items}
    found = list(run_rules(context))
    for item, proof in zip(items, proofs, strict=True):
        if not proof.ok:
            found += [replace(finding, subject=item.path) for finding in proof_findings(proof, context)]
    by_path: dict[str, tuple[Finding, ...]] = {}
    for finding in found:
        path = finding.subject
        named = replace(finding, subject=subjects.get(path, path))  # the manifest suppresses by customer or switch role
        if finding.severity is Severity.ERROR and _active(named, measure):
            by_path[path] = (*by_path.get(path, ()), named)
    return by_path


def _context(items: Sequence[Judged], measure: Measure) -> CheckContext:
    """What the rules look at. Subjects are the bundles' paths, since both sides of a switch role have one name."""
    modules = [item.module for item in items]
    intended = intended_of(modules)
    paths: Mapping[str, str] = {arn: item.path for item in items for arn in arns_of(item.module.access)}
    return CheckContext(
        union(module.access for module in modules),
        subjects=paths,
        customer_roles=intended.customer_roles,
        switch_roles=intended.switch_roles,
        external_ids=intended.external_ids,
        quotas=measure.quotas,
    )


def _active(finding: Finding, measure: Measure) -> bool:
    return bool(apply_suppressions((finding,), measure.suppress, complete=False).active)


FORMS: tuple[Form, ...] = (terraform_module_form, cloudformation_form, cli_script_form, walkthrough_form, review_form)
"""Every form of the access that a bundle holds; the page to start with tells of those that are there."""


def bundle_files(handover: Handover) -> Files:
    """The files of a bundle by path, SHA256SUMS among them. Raises ValueError when two forms write the same file."""
    files: dict[str, bytes] = {}
    for form in FORMS:
        for name, content in form(handover).items():
            if name in files:
                raise ValueError(f"two forms write {name}")
            files[name] = content
    files |= readme_form(handover, frozenset(files))
    return {**files, SUMS: sums_of(files)}


@dataclass(frozen=True, slots=True)
class BundleSettings:
    """What all bundles of a run share. `root` is the real path of the folder of bundles, `source` the manifest's name.

    What is replaced goes into the folder `replaced`, in the same file system. `measure` is what bundles are judged by.
    """

    root: str
    source: str
    replaced: str
    measure: Measure
    template_url_base: str | None = None
    stored: bool = False
    signer: Signer | None = None
    pdf: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """One bundle to be made. `locked` and `owned` are what an earlier run wrote, None and empty when none did.

    `counterpart` is a switch role's other side, and `people` the module of the group and its users where that is neither:
    both are for the proof only.
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
    """How a bundle ended: created, changed, restored, unchanged, or failed for a `reason`. `entry` is for the lock.

    `objections` are the errors in what it asks for: it is written, and should not be handed over.
    """

    path: str
    state: str
    entry: LockedModule | None = None
    files_written: int = 0
    reason: str = ""
    objections: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class _Staged:
    """A bundle that is ready to be moved into place."""

    order: Order
    folder: str
    packed: bytes
    entry: LockedModule
    files: int


def make_chunk(orders: Sequence[Order], settings: BundleSettings, disk: Disk) -> list[BundleOutcome]:
    """Make some bundles; outcomes in the orders' order. Raises OSError when the folder cannot be written."""
    placer = Placer(disk, settings.root)
    proofs = [handover_proof(order.module, order.counterpart, order.people) for order in orders]
    against = objections(orders, proofs, settings.measure)
    try:
        prepared = [_prepare(order, proof, settings, placer) for order, proof in zip(orders, proofs, strict=True)]
        staged = [(item.order.path, item.entry.files) for item in prepared if isinstance(item, _Staged)]
        if staged:
            disk.append(f"{settings.root}/{JOURNAL_NAME}", encode_journal(staged))
        outcomes = [_place(item, settings, placer) if isinstance(item, _Staged) else item for item in prepared]
        return [replace(outcome, objections=against.get(outcome.path, ())) for outcome in outcomes]
    finally:
        placer.close()


def _prepare(order: Order, proof: Proof, settings: BundleSettings, placer: Placer) -> _Staged | BundleOutcome:
    path, name = order.path, zip_name(order.path)
    standing = look(settings.root, path, order.owned)
    locked = order.locked
    if locked is not None and locked.fingerprint == order.fingerprint and standing.intact(locked.files, name):
        return BundleOutcome(path, "unchanged", locked)
    try:
        files = bundle_files(_handover(order, proof, settings))
    except RolecallError as error:
        return BundleOutcome(path, "failed", reason=str(error))
    try:
        staged, _ = placer.stage(files, [name for name in files if is_program(name)])
    except OSError as error:
        error.filename = f"{settings.root}/{path}"  # the staging folder would tell no one anything
        raise
    if settings.signer is not None:
        files = {**files, **settings.signer.sign(staged, SUMS, where=f"{settings.root}/{path}")}
    packed = zip_bytes(files, path.rpartition("/")[2], stored=settings.stored)
    return _judge(order, standing, _Staged(order, staged, packed, _entry(order, files, packed), len(files) + 1), files)


def _judge(order: Order, standing: BundleState, staged: _Staged, files: Files) -> _Staged | BundleOutcome:
    """Whether what is ready may take the place: others' files are never replaced, the same files never written twice."""
    if standing.empty:
        return staged
    name = zip_name(order.path)
    hashes: Hashes = {each: sha256(content) for each, content in files.items()}
    packed = staged.entry.files[name]
    if foreign := standing.foreign(hashes, packed, order.owned, name):
        return BundleOutcome(order.path, "failed", reason=f"in the way, and not written by rolecall: {', '.join(foreign)}")
    if standing.found == hashes and standing.packed == packed:
        return BundleOutcome(order.path, "unchanged", staged.entry)
    return staged


def _place(item: _Staged, settings: BundleSettings, placer: Placer) -> BundleOutcome:
    order, path = item.order, item.order.path
    try:
        placer.replace_folder(item.folder, path, item.packed, replaced=settings.replaced)
    except OSError as error:
        error.filename = f"{settings.root}/{path}"  # as above
        raise
    return BundleOutcome(path, _state(order.locked, item.entry), item.entry, item.files)


def _state(locked: LockedModule | None, entry: LockedModule) -> str:
    if locked is None:
        return "created"
    return "restored" if locked.files == entry.files else "changed"


def _handover(order: Order, proof: Proof, settings: BundleSettings) -> Handover:
    module, base = order.module, settings.template_url_base
    return Handover(
        module,
        settings.source,
        render_module(module, settings.source),
        proof,
        f"{base.rstrip('/')}/{order.path}/cloudformation/template.json" if base else None,
        settings.pdf,
    )


def _entry(order: Order, files: Files, packed: bytes) -> LockedModule:
    """What the lock keeps: hashes of SHA256SUMS, of a signature next to it, and of the zip. SHA256SUMS has the others."""
    top: Mapping[str, str] = {name: sha256(content) for name, content in files.items() if name.startswith(SUMS)}
    return LockedModule(order.fingerprint, {**top, zip_name(order.path): sha256(packed)})


FEW = 200
"""Up to so many bundles are made here: further processes cost as much as making them."""
_CHUNK = 32


def make_bundles(
    orders: Iterable[Order], count: int, settings: BundleSettings, *, disk: Disk, processes: int | None = None
) -> Iterator[BundleOutcome]:
    """Make `count` bundles, in their order, in so many processes as are worth it when none are named.

    Signing is done in this process: the signer's program may ask for a password.

    Raises OSError, ToolError or OutputError.
    """
    workers = processes or worker_count(count, few=FEW)
    if workers == 1 or settings.signer is not None:
        for chunk in chunked(orders, _CHUNK):
            yield from make_chunk(chunk, settings, disk)
    else:
        yield from _in_processes(orders, settings, workers)


def _in_processes(orders: Iterable[Order], settings: BundleSettings, workers: int) -> Iterator[BundleOutcome]:
    resume = "run the command again: bundles that were complete are kept"
    pool = Pool(_prepare_worker, (settings,), _make, where=settings.root, resume=resume)
    for outcomes in pool.run(chunked(orders, _CHUNK), workers):
        yield from outcomes


def _prepare_worker(settings: BundleSettings) -> BundleSettings:
    return settings


def _make(settings: BundleSettings, chunk: list[Order]) -> list[BundleOutcome]:
    # Nothing here makes cycles that grow, and collecting among the loaded libraries costs a tenth of the time.
    with collection_paused():
        return make_chunk(chunk, settings, Disk())
