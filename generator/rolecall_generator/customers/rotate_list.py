"""The rotations that are under way: since when, and whether the new id was seen to be accepted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rolecall_generator.customers.rotate_seen import read_seen
from rolecall_generator.manifest.load import load_manifest
from rolecall_generator.rotations import Rotation, read_rotations


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
            "the customer has yet to apply the new module, or nobody has looked: runner verify"
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
