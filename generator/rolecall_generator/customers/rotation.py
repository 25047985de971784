"""Was a customer's external id accepted? Read from the status file that `runner verify` writes.

    {"version": 1, "customers": {"acme": {"external_id_seen": {"sha256": "...", "date": "2026-11-24T12:00:00+00:00"}}}}

Nothing else of the file is looked at.

The rotation of a customer's external id: start, finish, abort. While it is under way the manifest has both ids, and the
customer's trust policy takes both (`StringEquals` with a list), so that the role can be assumed before the customer
applies the new module, and after. It ends when the runner has seen the new id accepted. What went with it is kept in
`rolecall.rotations.json`: it must be refused from then on.

The rotations that are under way: since when, and whether the new id was seen to be accepted.

What a person does after a step of a rotation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from rolecall_generator.customers.edits import NextStep, after_change
from rolecall_generator.customers.proposal import Proposal, propose
from rolecall_generator.errors import ExitCode, OutputError, RolecallError, SelectionError
from rolecall_generator.manifest import Customer, LoadedManifest, fresh_external_id, load_manifest
from rolecall_generator.manifest.editing import DropField, Edit, SetField, write_edited
from rolecall_generator.planning import customer_path
from rolecall_generator.records import (
    STATUS_VERSION,
    Rotation,
    change_rotations,
    external_id_digest,
    read_rotations,
    status_path,
)
from rolecall_generator.text import command_line, suggest

_HINT = "restore it from version control, or delete it and run `runner verify` again"


@dataclass(frozen=True, slots=True)
class SeenIds:
    """The external ids that roles let us in with, as a status file has them; `customers` is as it stands in the file."""

    path: Path
    customers: Any

    def at(self, name: str, external_id: str) -> str | None:
        """When the customer's role first let us in with this external id, if that is the one that it took last.

        ISO 8601 with a time zone; None when it did not, as far as is known. Raises OutputError for a broken entry.
        """
        with _read_as_broken(self.path):
            seen = self.customers.get(name, {}).get("external_id_seen")
            if seen is None:
                return None
            datetime.fromisoformat(seen["date"])  # whoever lists rotations reckons with it
            return str(seen["date"]) if seen["sha256"] == external_id_digest(external_id) else None


def read_seen(out: Path, *, rehearsal: bool = False) -> SeenIds:
    """Read the file of an output folder, once for all customers. `rehearsal`: what was seen in a sandbox instead of AWS.

    Raises OutputError for a broken or newer file.
    """
    path = status_path(out, rehearsal=rehearsal)
    with _read_as_broken(path):
        try:
            body = json.loads(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return SeenIds(path, {})
        except OSError as error:
            raise OutputError(f"cannot be read: {error.strerror}", where=str(path), hint="see to its permissions") from error
        if body["version"] > STATUS_VERSION:
            what = "the status file was written by a newer rolecall"
            raise OutputError(what, where=str(path), hint="install the newer rolecall")
        return SeenIds(path, body["customers"])


@contextmanager
def _read_as_broken(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise OutputError("the status file cannot be read", where=str(path), hint=_HINT) from error


_CURRENT, _PREVIOUS = "external_id", "previous_external_id"


class NotSeenError(RolecallError):
    """A rotation cannot be finished: the customer's role was not seen to take the new external id."""

    exit_code = ExitCode.FINDINGS


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationProposal(Proposal):
    """One step of a rotation, worked out and not written: the change of the manifest, and the record next to it."""

    name: str
    out: Path
    record: Rotation

    def write(self) -> None:
        """Write the record, then the manifest: an id that the manifest still has counts as retired for no one.

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
    """Propose a new external id, the old one next to it. Raises SelectionError, and as `propose`."""
    loaded = load_manifest(manifest)
    customer = _customer(loaded, name)
    before = read_rotations(out).get(name)
    if customer.previous_external_id is not None:
        since = f" since {before.started}" if before is not None and not before.ended else ""
        hint = f"end it with --finish or --abort: gen customer rotate-external-id {name} --finish"
        raise SelectionError(f"the external id of {name} is being rotated{since}", where=str(manifest), hint=hint)
    if customer.external_id is None:
        hint = "write external_id into its entry: a role that asks for none takes any, so nothing needs to stand next to it"
        raise SelectionError(f"customer {name} has no external id to rotate", where=str(manifest), hint=hint)
    if external_id is not None and not external_id:  # an unset variable of a script must not pass for a wish
        hint = "give one, or leave the option out: a fresh one is made"
        raise SelectionError("the new external id is empty", where="--external-id", hint=hint)
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
                hint=f"have the customer apply the new module, then: runner verify --limit {name} (--force ends it anyway)",
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
        hint = f"start one with: gen customer rotate-external-id {name}"
        raise SelectionError(f"no rotation of {name}'s external id is under way", where=str(_path(loaded)), hint=hint)
    return customer.external_id, customer.previous_external_id


def _customer(loaded: LoadedManifest, name: str) -> Customer:
    customers = loaded.manifest.customers
    found = next((customer for customer in customers if customer.name == name), None)
    if found is None:
        names = [customer.name for customer in customers]
        hint = suggest(name, names, "name a customer of the manifest")
        raise SelectionError(f"there is no customer {name}", where=str(_path(loaded)), hint=hint)
    return found


def _path(loaded: LoadedManifest) -> Path:
    return loaded.files[0]


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A customer amid a rotation. Moments have a time zone.

    `started` is None for one that was written into the manifest by hand; `seen`: when the new id was accepted first, None
    where it was not, as far as is known.
    """

    name: str
    account_id: str
    started: datetime | None
    seen: datetime | None

    def days(self, now: datetime) -> int | None:
        """How many whole days it is under way; None where the start is not known."""
        return None if self.started is None else (now - self.started).days


def rotations_under_way(manifest: Path, out: Path, *, rehearsal: bool = False) -> Iterator[UnderWay]:
    """In the manifest's order. Raises ManifestError, OutputError."""
    records = read_rotations(out)
    customers = load_manifest(manifest).manifest.customers
    rotating = [(one, one.external_id) for one in customers if one.external_id and one.previous_external_id]
    if not rotating:
        return
    accepted = read_seen(out, rehearsal=rehearsal)
    for customer, current in rotating:
        record = records.get(customer.name, Rotation(""))
        seen = accepted.at(customer.name, current)
        yield UnderWay(
            customer.name,
            customer.account_id,
            datetime.fromisoformat(record.started) if record.started and not record.ended else None,
            datetime.fromisoformat(seen) if seen is not None else None,
        )


def rotation_lines(found: Sequence[UnderWay], now: datetime, command: Callable[[str], str] = str) -> Iterator[str]:
    """A line a rotation for people: whose, since when, whom it waits for.

    `command` gives a command line to copy the options that are needed here.
    """
    if not found:
        yield "no rotation"
    width = max((len(one.name) for one in found), default=0)
    for one in found:
        since = _since(one.days(now))
        waits = (
            "the customer has yet to apply the new module, or no one has looked: runner verify"
            if one.seen is None
            else f"the new id was seen: {command(f'gen customer rotate-external-id {one.name} --finish')}"
        )
        yield f"{one.name:<{width}}  {since}: {waits}"


def _since(days: int | None) -> str:
    if not days:
        return "since an unknown day" if days is None else "since today"
    return f"for {days:,} {'day' if days == 1 else 'days'}"


def rotations_json(found: Sequence[UnderWay]) -> list[dict[str, str | None]]:
    """The same for programs; moments are ISO 8601."""
    return [
        {
            "name": one.name,
            "account_id": one.account_id,
            "started": one.started.isoformat() if one.started is not None else None,
            "seen": one.seen.isoformat() if one.seen is not None else None,
        }
        for one in found
    ]


def after_rotation(manifest: Path, out: Path, name: str, *, started: bool) -> tuple[NextStep, ...]:
    """Steps after a rotation was started, or ended. The backend's module names roles, not ids: it needs no apply."""
    steps = list(after_change(manifest, out, name, {customer_path(name)}))
    if started:
        finish = command_line(f"gen customer rotate-external-id {name} --finish", manifest, out)
        steps.append(NextStep(finish, "when runner verify saw the new id"))
    return tuple(steps)


def rotation_remark(name: str, *, started: bool) -> str:
    """What holds meanwhile, in a sentence."""
    if started:
        return f"Until {name} applies, the runner goes on with the previous id; the new module takes both."
    return f"Once {name} has applied, runner verify sees the id that went refused."
