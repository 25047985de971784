"""Making bundles, a chunk at a time: look at what stands, render and stage what is missing, journal it, move it into place.

What fails for one bundle is its outcome. Only what concerns the folder as a whole (a full disk) ends the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from rolecall_generator.checks.finding import Finding
from rolecall_generator.checks.proof import Proof
from rolecall_generator.disk import Disk
from rolecall_generator.errors import RolecallError
from rolecall_generator.handover.bundle import bundle_files
from rolecall_generator.handover.layout import SUMS
from rolecall_generator.handover.model import Files, Handover
from rolecall_generator.handover.objections import Measure, objections
from rolecall_generator.handover.packing import is_program, zip_bytes
from rolecall_generator.handover.proving import handover_proof
from rolecall_generator.handover.signing import Signer
from rolecall_generator.handover.standing import Hashes, Owned, Standing, look, zip_name
from rolecall_generator.iam.module import Module
from rolecall_generator.lock import JOURNAL_NAME, LockedModule, encode_journal
from rolecall_generator.placing import Placer
from rolecall_generator.render import render_module
from rolecall_generator.survey import sha256


@dataclass(frozen=True, slots=True)
class Settings:
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
class Outcome:
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


def make_chunk(orders: Sequence[Order], settings: Settings, disk: Disk) -> list[Outcome]:
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


def _prepare(order: Order, proof: Proof, settings: Settings, placer: Placer) -> _Staged | Outcome:
    path, name = order.path, zip_name(order.path)
    standing = look(settings.root, path, order.owned)
    locked = order.locked
    if locked is not None and locked.fingerprint == order.fingerprint and standing.intact(locked.files, name):
        return Outcome(path, "unchanged", locked)
    try:
        files = bundle_files(_handover(order, proof, settings))
    except RolecallError as error:
        return Outcome(path, "failed", reason=str(error))
    try:
        staged, _ = placer.stage(files, [name for name in files if is_program(name)])
    except OSError as error:
        error.filename = f"{settings.root}/{path}"  # the staging folder would tell nobody anything
        raise
    if settings.signer is not None:
        files = {**files, **settings.signer.sign(staged, SUMS, where=f"{settings.root}/{path}")}
    packed = zip_bytes(files, path.rpartition("/")[2], stored=settings.stored)
    return _judge(order, standing, _Staged(order, staged, packed, _entry(order, files, packed), len(files) + 1), files)


def _judge(order: Order, standing: Standing, staged: _Staged, files: Files) -> _Staged | Outcome:
    """Whether what is ready may take the place: others' files are never replaced, the same files never written twice."""
    if standing.empty:
        return staged
    name = zip_name(order.path)
    hashes: Hashes = {each: sha256(content) for each, content in files.items()}
    packed = staged.entry.files[name]
    if foreign := standing.foreign(hashes, packed, order.owned, name):
        return Outcome(order.path, "failed", reason=f"in the way, and not written by rolecall: {', '.join(foreign)}")
    if standing.found == hashes and standing.packed == packed:
        return Outcome(order.path, "unchanged", staged.entry)
    return staged


def _place(item: _Staged, settings: Settings, placer: Placer) -> Outcome:
    order, path = item.order, item.order.path
    try:
        placer.replace_folder(item.folder, path, item.packed, replaced=settings.replaced)
    except OSError as error:
        error.filename = f"{settings.root}/{path}"  # as above
        raise
    return Outcome(path, _state(order.locked, item.entry), item.entry, item.files)


def _state(locked: LockedModule | None, entry: LockedModule) -> str:
    if locked is None:
        return "created"
    return "restored" if locked.files == entry.files else "changed"


def _handover(order: Order, proof: Proof, settings: Settings) -> Handover:
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
    """What the lock keeps: hashes of SHA256SUMS, of a signature beside it, and of the zip. SHA256SUMS has the others."""
    top: Mapping[str, str] = {name: sha256(content) for name, content in files.items() if name.startswith(SUMS)}
    return LockedModule(order.fingerprint, {**top, zip_name(order.path): sha256(packed)})
