"""Rotation of a customer's external ID: start, finish, abort, and the list of ongoing rotations.

During a rotation the manifest has both IDs and the customer's trust policy accepts both (`StringEquals` with a list), so
the role can be assumed before and after the customer applies the new module. A rotation ends once `runner verify` has
recorded in the status file that the new ID was accepted; from then on the old ID, kept in `rolecall.rotations.json`, must
be refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from rolecall_generator.customers.edits import NextStep, Proposal, propose, steps_after_change
from rolecall_generator.errors import ExitCode, OutputError, RolecallError, SelectionError
from rolecall_generator.manifest import Customer, LoadedManifest, fresh_external_id, load_manifest
from rolecall_generator.manifest.editing import Edit, Edited, SetField, UnsetField, write_edited
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
class AcceptedIds:
    """The external IDs that roles accepted, from a status file; `customers` is its unvalidated JSON value.

    {"acme": {"external_id_seen": {"sha256": "...", "date": "2026-11-24T12:00:00+00:00"}}}
    """

    path: Path
    customers: Any

    def first_accepted(self, name: str, external_id: str) -> str | None:
        """When the customer's role first accepted this external ID (ISO 8601 with a time zone).

        None unless it is the ID that the role accepted last. Raises OutputError for a broken entry.
        """
        with _status_file_errors(self.path):
            seen = self.customers.get(name, {}).get("external_id_seen")
            if seen is None:
                return None
            datetime.fromisoformat(seen["date"])  # raises here rather than in a caller that computes with it
            return str(seen["date"]) if seen["sha256"] == external_id_digest(external_id) else None


def read_accepted_ids(out: Path, *, rehearsal: bool = False) -> AcceptedIds:
    """Read the status file of an output folder. `rehearsal`: the file that is written against a sandbox.

    Raises OutputError for a broken file or one of a newer version.
    """
    path = status_path(out, rehearsal=rehearsal)
    with _status_file_errors(path):
        try:
            body = json.loads(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return AcceptedIds(path, {})
        except OSError as error:
            raise OutputError(f"cannot be read: {error.strerror}", where=str(path), hint="check its permissions") from error
        if body["version"] > STATUS_VERSION:
            what = "the status file was written by a newer rolecall"
            raise OutputError(what, where=str(path), hint="install the newer rolecall")
        return AcceptedIds(path, body["customers"])


@contextmanager
def _status_file_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise OutputError("the status file cannot be read", where=str(path), hint=_HINT) from error


_CURRENT, _PREVIOUS = "external_id", "previous_external_id"


class UnverifiedIdError(RolecallError):
    """A rotation cannot be finished: the customer's role is not known to accept the new external ID."""

    exit_code = ExitCode.FINDINGS


def _save(edited: Edited, out: Path, name: str, record: Rotation) -> None:
    """Write the record, then the manifest: an ID that is still in the manifest is never treated as retired.

    Raises OutputError; then the record is restored, unless another command has changed it since.
    """
    replaced: list[Rotation | None] = []

    def change(before: Mapping[str, Rotation]) -> Mapping[str, Rotation]:
        replaced.append(before.get(name))
        return {**before, name: record}

    def restore(now: Mapping[str, Rotation]) -> Mapping[str, Rotation]:
        (kept,) = replaced
        others = {key: entry for key, entry in now.items() if key != name}
        return now if now.get(name) != record else others | ({name: kept} if kept is not None else {})

    change_rotations(out, change)
    try:
        write_edited(edited)
    except RolecallError:
        change_rotations(out, restore)
        raise


def start_rotation(
    manifest: Path,
    out: Path,
    name: str,
    *,
    now: datetime,
    external_id: str | None = None,
    make_id: Callable[[], str] = fresh_external_id,
) -> Proposal:
    """Propose a new external ID that is accepted in addition to the old one. Raises SelectionError, and as `propose`."""
    loaded = load_manifest(manifest)
    customer = _customer(loaded, name)
    before = read_rotations(out).get(name)
    if customer.previous_external_id is not None:
        since = f" since {before.started}" if before is not None and not before.ended else ""
        hint = f"finish or abort it first, as in: gen customer rotate-external-id {name} --finish"
        raise SelectionError(f"a rotation of {name}'s external ID is in progress{since}", where=str(manifest), hint=hint)
    if customer.external_id is None:
        hint = "add external_id to its entry: a role without one is not affected by a rotation"
        raise SelectionError(f"customer {name} has no external ID to rotate", where=str(manifest), hint=hint)
    if external_id is not None and not external_id:  # such as an unset variable of a script
        hint = "name one, or omit the option to generate one"
        raise SelectionError("the new external ID is empty", where="--external-id", hint=hint)
    fresh = make_id() if external_id is None else external_id
    edits = [SetField(name, _CURRENT, fresh), SetField(name, _PREVIOUS, customer.external_id)]
    record = Rotation(now.isoformat(timespec="seconds"), "", before.retired if before is not None else "")
    return _proposal(loaded, out, name, edits, record)


def finish_rotation(
    manifest: Path, out: Path, name: str, *, now: datetime, force: bool = False, rehearsal: bool = False
) -> Proposal:
    """Propose to remove the previous ID. Raises NotSeenError unless the new ID was accepted or `force` is set.

    Raises SelectionError when no rotation is in progress, and as `propose`.
    """
    loaded = load_manifest(manifest)
    current, previous = _both(loaded, name)
    warning = ""
    if read_accepted_ids(out, rehearsal=rehearsal).first_accepted(name, current) is None:
        what = f"{name} is not known to accept its new external ID"
        if not force:
            raise UnverifiedIdError(
                f"{what}: its role may refuse access without the previous one",
                where=str(out),
                hint=f"have the customer apply the module, then: runner verify --limit {name} (--force skips this check)",
            )
        warning = f"{what}; its role may refuse access until the customer applies the module"
    return _end(loaded, out, name, [UnsetField(name, _PREVIOUS)], now, retired=previous, warning=warning)


def abort_rotation(manifest: Path, out: Path, name: str, *, now: datetime) -> Proposal:
    """Propose to restore the previous ID. Raises SelectionError when no rotation is in progress, and as `propose`."""
    loaded = load_manifest(manifest)
    current, previous = _both(loaded, name)
    edits: list[Edit] = [SetField(name, _CURRENT, previous), UnsetField(name, _PREVIOUS)]
    return _end(loaded, out, name, edits, now, retired=current, warning="")


def _end(
    loaded: LoadedManifest, out: Path, name: str, edits: Sequence[Edit], now: datetime, *, retired: str, warning: str
) -> Proposal:
    moment = now.isoformat(timespec="seconds")
    before = read_rotations(out).get(name, Rotation(moment))  # started by hand in the manifest: no record
    record = replace(before, ended=moment, retired=retired)
    return _proposal(loaded, out, name, edits, record, notes=(warning,) if warning else ())


def _proposal(
    loaded: LoadedManifest, out: Path, name: str, edits: Sequence[Edit], record: Rotation, notes: Sequence[str] = ()
) -> Proposal:
    found = propose(loaded, out, edits, notes=notes)
    manifest = loaded.files[0]
    # The backend's module names roles, not external IDs: it needs no apply.
    steps = steps_after_change(manifest, out, name, {customer_path(name)})
    remark = f"After {name} has applied it, runner verify checks that the role refuses the retired ID."
    if not record.ended:
        finish = command_line(f"gen customer rotate-external-id {name} --finish", manifest, out)
        steps += (NextStep(finish, "when runner verify has seen the new ID accepted"),)
        remark = f"Until {name} applies it, the runner uses the previous ID; the new module accepts both."
    save = partial(_save, out=out, name=name, record=record)
    return replace(found, steps=steps, remark=remark, save=save)


def _both(loaded: LoadedManifest, name: str) -> tuple[str, str]:
    """The customer's current and previous ID. Raises SelectionError when no rotation is in progress."""
    customer = _customer(loaded, name)
    if customer.external_id is None or customer.previous_external_id is None:
        hint = f"start one with: gen customer rotate-external-id {name}"
        raise SelectionError(f"no rotation of {name}'s external ID is in progress", where=str(loaded.files[0]), hint=hint)
    return customer.external_id, customer.previous_external_id


def _customer(loaded: LoadedManifest, name: str) -> Customer:
    customers = loaded.manifest.customers
    found = next((customer for customer in customers if customer.name == name), None)
    if found is None:
        names = [customer.name for customer in customers]
        hint = suggest(name, names, "name a customer of the manifest")
        raise SelectionError(f"there is no customer {name}", where=str(loaded.files[0]), hint=hint)
    return found


@dataclass(frozen=True, slots=True)
class OngoingRotation:
    """A customer whose rotation is in progress. Times have a time zone.

    `started` is None for a rotation that was written into the manifest by hand. `accepted` is when the new ID was first
    accepted, None if that is not known.
    """

    name: str
    account_id: str
    started: datetime | None
    accepted: datetime | None

    def days(self, now: datetime) -> int | None:
        """Whole days since the start; None if the start is not known."""
        return None if self.started is None else (now - self.started).days


def ongoing_rotations(manifest: Path, out: Path, *, rehearsal: bool = False) -> Iterator[OngoingRotation]:
    """The rotations in progress, in the manifest's order. Raises ManifestError, OutputError."""
    records = read_rotations(out)
    customers = load_manifest(manifest).manifest.customers
    rotating = [(one, one.external_id) for one in customers if one.external_id and one.previous_external_id]
    if not rotating:
        return
    accepted = read_accepted_ids(out, rehearsal=rehearsal)
    for customer, current in rotating:
        record = records.get(customer.name, Rotation(""))
        seen = accepted.first_accepted(customer.name, current)
        yield OngoingRotation(
            customer.name,
            customer.account_id,
            datetime.fromisoformat(record.started) if record.started and not record.ended else None,
            datetime.fromisoformat(seen) if seen is not None else None,
        )
