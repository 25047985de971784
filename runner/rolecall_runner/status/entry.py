"""What the status file keeps of one customer or switch role, and its JSON form; `docs/onboarding.md` describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class HandedOver:
    """The module went to the customer: when, and which one (see `digests`; "" where there was none)."""

    date: str
    bundle: str = ""
    module: str = ""


@dataclass(frozen=True, slots=True)
class Verified:
    """The last roll call in which all was as agreed, and the module that was written at the time."""

    date: str
    run: str
    module: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What was not as agreed: the first day of it, the last, causes (ids of docs/diagnosis.md), steps of the roll call."""

    since: str
    date: str
    run: str
    what: str
    causes: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SeenId:
    """The external id that let us in last: its SHA-256 in hex, and when it did so first."""

    sha256: str
    date: str


@dataclass(frozen=True, slots=True)
class Asked:
    """The last roll call, however it came out."""

    date: str
    run: str
    mark: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One customer or switch role. Dates are ISO 8601 with a time zone; `applied`: when the role first let us in.

    `role_arn` says whose history it is: a name that now means another role starts anew.
    """

    role_arn: str
    handed_over: HandedOver | None = None
    applied: str | None = None
    verified: Verified | None = None
    failed: Trouble | None = None
    drifting: Trouble | None = None
    external_id_seen: SeenId | None = None
    asked: Asked | None = None

    def to_json(self) -> dict[str, Any]:
        """The entry as JSON values; what is not known is left out."""
        return {name: _plain(value) for name in _NAMES[Entry] if (value := getattr(self, name)) is not None}


def entry_from_json(body: Mapping[str, Any]) -> Entry:
    """Read `Entry.to_json` back. Raises KeyError, TypeError or ValueError for anything else."""
    plain = [body["role_arn"], body.get("applied", "")]
    if not all(isinstance(text, str) for text in plain):
        raise ValueError("role_arn and applied are texts")
    parts: dict[str, Any] = {key: kind(**body[key]) for key, kind in _PARTS.items() if key in body}
    for key in ("failed", "drifting"):
        if key in body:
            item = body[key]
            parts[key] = Trouble(**{**item, "causes": tuple(item["causes"]), "steps": tuple(item["steps"])})
    return Entry(body["role_arn"], applied=body.get("applied"), **parts)


_PARTS = {"handed_over": HandedOver, "verified": Verified, "external_id_seen": SeenId, "asked": Asked}

# By hand and not by `asdict`, which copies every value: a third of the time of noting a fleet.
_NAMES: Mapping[type, tuple[str, ...]] = {
    kind: tuple(field.name for field in fields(kind)) for kind in (Entry, HandedOver, Verified, Trouble, SeenId, Asked)
}


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else {name: getattr(value, name) for name in _NAMES[type(value)]}
