"""What the status file keeps of one customer or switch role, and its JSON form; `docs/onboarding.md` describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
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
class Version:
    """A module that was verified or handed over: its digest, when that was first known, and what it grants (a snapshot).

    `gone`: since when a roll call has shown that the customer does not have it any more; "" while the customer may have it.
    """

    module: str
    date: str
    access: Mapping[str, Any]
    gone: str = ""


@dataclass(frozen=True, slots=True)
class Pending:
    """The newest module is not known to be applied: the first roll call that said so, the last, and why.

    `module`: the digest of the newest module; "" where the manifest was newer than what was written. `unseen`: changes that
    no call can show; empty where the roll call has seen that an earlier module is still in force.
    """

    since: str
    date: str
    run: str
    what: str
    module: str = ""
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A person said that this module is applied (`runner status NAME --applied`)."""

    date: str
    module: str


@dataclass(frozen=True, slots=True)
class Asked:
    """The last roll call, however it came out."""

    date: str
    run: str
    mark: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One customer or switch role. Dates are ISO 8601 with a time zone; `applied`: when the role first let us in.

    `role_arn` says whose history it is: a name that now means another role starts anew. `versions`: modules that the
    customer has or had, the newest last. `form`: how the customer applies modules, as in `tasks.verify.message.Form`.
    """

    role_arn: str
    handed_over: HandedOver | None = None
    applied: str | None = None
    verified: Verified | None = None
    failed: Trouble | None = None
    drifting: Trouble | None = None
    external_id_seen: SeenId | None = None
    asked: Asked | None = None
    pending: Pending | None = None
    confirmed: Confirmed | None = None
    form: str | None = None
    versions: tuple[Version, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The entry as JSON values; what is not known is left out."""
        body = {name: _plain(value) for name in _NAMES[Entry] if (value := getattr(self, name)) is not None}
        if not self.versions:
            del body["versions"]
        return body


def entry_from_json(body: Any) -> Entry:
    """Read `Entry.to_json` back. Raises ValueError for anything else, with what is wrong of it."""
    if not isinstance(body, dict):
        raise ValueError("it is no object")
    parts: dict[str, Any] = {key: _part(key, kind, body[key]) for key, kind in _PARTS.items() if key in body}
    applied = _date("applied", body["applied"]) if "applied" in body else None
    form = _text("form", body["form"]) if "form" in body else None
    versions = _versions(body.get("versions", []))
    return Entry(_text("role_arn", body.get("role_arn")), applied=applied, form=form, versions=versions, **parts)


def _versions(items: Any) -> tuple[Version, ...]:
    if not isinstance(items, list):
        raise ValueError("versions is not a list")
    found = []
    for item in items:
        if not isinstance(item, dict) or not isinstance(item.get("access"), dict):
            raise ValueError("versions has an entry without access")
        gone = _date("versions.gone", item["gone"]) if item.get("gone") else ""
        module = _text("versions.module", item.get("module"))
        found.append(Version(module, _date("versions.date", item.get("date")), item["access"], gone))
    return tuple(found)


def _part(key: str, kind: type, item: Any) -> Any:
    if not isinstance(item, dict):
        raise ValueError(f"{key} is no object")
    try:
        return kind(**{name: _value(f"{key}.{name}", name, value) for name, value in item.items()})
    except TypeError:
        raise ValueError(f"{key} has not the keys that it should have: {', '.join(_NAMES[kind])}") from None


def _value(where: str, name: str, value: Any) -> str | tuple[str, ...]:
    if name in _LISTS:
        if not isinstance(value, list):
            raise ValueError(f"{where} is no list")
        return tuple(_text(where, each) for each in value)
    return _date(where, value) if name in _DATES else _text(where, value)


def _text(where: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{where} is no text")
    return value


def _date(where: str, value: Any) -> str:
    """A date as it stands there: who asks for the fleet's state reckons with it later."""
    try:
        datetime.fromisoformat(_text(where, value))
    except ValueError:
        raise ValueError(f"{where} is no date") from None
    return str(value)


_PARTS: Mapping[str, type] = {
    "handed_over": HandedOver,
    "verified": Verified,
    "failed": Trouble,
    "drifting": Trouble,
    "external_id_seen": SeenId,
    "asked": Asked,
    "pending": Pending,
    "confirmed": Confirmed,
}
_LISTS, _DATES = frozenset({"causes", "steps", "unseen"}), frozenset({"date", "since"})

# By hand and not by `asdict`, which copies every value: a third of the time of noting a fleet.
_NAMES: Mapping[type, tuple[str, ...]] = {
    kind: tuple(field.name for field in fields(kind))
    for kind in (Entry, HandedOver, Verified, Trouble, SeenId, Asked, Version, Pending, Confirmed)
}


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return {name: getattr(value, name) for name in _NAMES[type(value)]}
