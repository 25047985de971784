"""The rotation of a customer's external id: start, finish, abort.

While it is under way the manifest has both ids, and the customer's trust policy takes both (`StringEquals` with a list), so
that the role can be assumed before the customer applies the new module, and after. It ends when the runner has seen the new
id accepted. What went with it is kept in `rolecall.rotations.json`: it must be refused from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from rolecall_generator.customers.proposal import Proposal, propose
from rolecall_generator.customers.rotate_seen import read_seen
from rolecall_generator.errors import ExitCode, RolecallError, SelectionError
from rolecall_generator.manifest.edit import DropField, Edit, SetField
from rolecall_generator.manifest.edit_write import write_edited
from rolecall_generator.manifest.load import LoadedManifest, load_manifest
from rolecall_generator.manifest.messages import suggest
from rolecall_generator.manifest.models import Customer
from rolecall_generator.manifest.starter import fresh_external_id
from rolecall_generator.rotations import Rotation, change_rotations, read_rotations

_CURRENT, _PREVIOUS = "external_id", "previous_external_id"


class NotSeenError(RolecallError):
    """A rotation cannot be finished: the customer's role was not seen to take the new external id."""

    exit_code = ExitCode.FINDINGS


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationProposal(Proposal):
    """One step of a rotation, worked out and not written: the change of the manifest, and the record beside it."""

    name: str
    out: Path
    record: Rotation

    def write(self) -> None:
        """Write the record, then the manifest: an id that the manifest still has counts as retired for nobody.

        Raises OutputError; then the record is as it was, unless another command has changed it since.
        """
        replaced: list[Rotation | None] = []

        def change(before: Mapping[str, Rotation]) -> Mapping[str, Rotation]:
            replaced.append(before.get(self.name))
            return {**before, self.name: self.record}

        def back(now: Mapping[str, Rotation]) -> Mapping[str, Rotation]:
            (kept,) = replaced
            others = {name: entry for name, entry in now.items() if name != self.name}
            return now if now.get(self.name) != self.record else others | ({self.name: kept} if kept is not None else {})

        change_rotations(self.out, change)
        try:
            write_edited(self.edited)
        except RolecallError:
            change_rotations(self.out, back)
            raise


def start_rotation(
    manifest: Path,
    out: Path,
    name: str,
    *,
    now: datetime,
    external_id: str | None = None,
    make_id: Callable[[], str] = fresh_external_id,
) -> RotationProposal:
    """Propose a new external id, the old one beside it. Raises SelectionError, and as `propose`."""
    loaded = load_manifest(manifest)
    customer = _customer(loaded, name)
    before = read_rotations(out).get(name)
    if customer.previous_external_id is not None:
        since = f" since {before.started}" if before is not None and not before.ended else ""
        mend = f"end it with --finish or --abort: gen customer rotate-external-id {name} --finish"
        raise SelectionError(f"the external id of {name} is being rotated{since}", where=str(manifest), mend=mend)
    if customer.external_id is None:
        mend = "write external_id into its entry: a role that asks for none takes any, so nothing needs to stand beside it"
        raise SelectionError(f"customer {name} has no external id to rotate", where=str(manifest), mend=mend)
    if external_id is not None and not external_id:  # an unset variable of a script must not pass for a wish
        mend = "give one, or leave the option out: a fresh one is made"
        raise SelectionError("the new external id is empty", where="--external-id", mend=mend)
    fresh = make_id() if external_id is None else external_id
    edits = [SetField(name, _CURRENT, fresh), SetField(name, _PREVIOUS, customer.external_id)]
    record = Rotation(now.isoformat(timespec="seconds"), "", before.retired if before is not None else "")
    return _proposal(loaded, out, name, edits, record)


def finish_rotation(
    manifest: Path, out: Path, name: str, *, now: datetime, force: bool = False, rehearsal: bool = False
) -> RotationProposal:
    """Propose that the previous id goes. Raises NotSeenError unless the new one was seen or `force` is given.

    Raises SelectionError where no rotation is under way, and as `propose`.
    """
    loaded = load_manifest(manifest)
    current, previous = _both(loaded, name)
    warning = ""
    if read_seen(out, rehearsal=rehearsal).at(name, current) is None:
        what = f"{name} was not seen to take its new external id"
        if not force:
            raise NotSeenError(
                f"{what}: without the previous one its role might shut us out",
                where=str(out),
                mend=f"have the customer apply the new module, then: runner verify --limit {name} (--force ends it anyway)",
            )
        warning = f"{what}; its role may refuse us until the customer applies the module"
    return _end(loaded, out, name, [DropField(name, _PREVIOUS)], now, retired=previous, warning=warning)


def abort_rotation(manifest: Path, out: Path, name: str, *, now: datetime) -> RotationProposal:
    """Propose to go back to the previous id. Raises SelectionError where no rotation is under way, and as `propose`."""
    loaded = load_manifest(manifest)
    current, previous = _both(loaded, name)
    edits: list[Edit] = [SetField(name, _CURRENT, previous), DropField(name, _PREVIOUS)]
    return _end(loaded, out, name, edits, now, retired=current, warning="")


def _end(
    loaded: LoadedManifest, out: Path, name: str, edits: Sequence[Edit], now: datetime, *, retired: str, warning: str
) -> RotationProposal:
    moment = now.isoformat(timespec="seconds")
    before = read_rotations(out).get(name, Rotation(moment))  # started by hand in the manifest: nothing was noted
    record = replace(before, ended=moment, retired=retired)
    return _proposal(loaded, out, name, edits, record, notes=(warning,) if warning else ())


def _proposal(
    loaded: LoadedManifest, out: Path, name: str, edits: Sequence[Edit], record: Rotation, notes: Sequence[str] = ()
) -> RotationProposal:
    found = propose(_path(loaded), out, edits, loaded=loaded)
    notes = (*found.notes, *notes)
    return RotationProposal(edited=found.edited, difference=found.difference, notes=notes, name=name, out=out, record=record)


def _both(loaded: LoadedManifest, name: str) -> tuple[str, str]:
    """Current and previous id of a customer amid a rotation."""
    customer = _customer(loaded, name)
    if customer.external_id is None or customer.previous_external_id is None:
        mend = f"start one with: gen customer rotate-external-id {name}"
        raise SelectionError(f"no rotation of {name}'s external id is under way", where=str(_path(loaded)), mend=mend)
    return customer.external_id, customer.previous_external_id


def _customer(loaded: LoadedManifest, name: str) -> Customer:
    customers = loaded.manifest.customers
    found = next((customer for customer in customers if customer.name == name), None)
    if found is None:
        names = [customer.name for customer in customers]
        mend = suggest(name, names, "name a customer of the manifest")
        raise SelectionError(f"there is no customer {name}", where=str(_path(loaded)), mend=mend)
    return found


def _path(loaded: LoadedManifest) -> Path:
    return loaded.files[0]
