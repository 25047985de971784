"""The status file (`output/status.json`): one entry per customer or switch role, as described in `docs/onboarding.md`.

Updates hold an exclusive lock on `output/.status.lock` and are atomic, so that concurrent processes do not overwrite each
other's changes. Entries are sorted, one per line, so that a diff shows which ones changed.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from rolecall_generator.errors import ExitCode, RolecallError
from rolecall_generator.records import STATUS_VERSION
from rolecall_runner.inventory import Target, TargetKind
from rolecall_runner.private_files import create_private_file
from rolecall_runner.verify import EarlierModule, ModuleHistory, decode_access


@dataclass(frozen=True, slots=True)
class HandoverRecord:
    """The last hand-over: its date, and the digests of bundle and module (empty if there was none)."""

    date: str
    bundle: str = ""
    module: str = ""


@dataclass(frozen=True, slots=True)
class VerifiedEntry:
    """The last verification in which all checks passed, and the digest of the applied module (empty if not known)."""

    date: str
    run: str
    module: str = ""


@dataclass(frozen=True, slots=True)
class LastProblem:
    """A difference from what was agreed: first and last date, causes (IDs of docs/diagnosis.md), steps of the checks."""

    since: str
    date: str
    run: str
    what: str
    causes: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SeenId:
    """The external ID that was accepted last: its SHA-256 in hex, and when it was first accepted."""

    sha256: str
    date: str


@dataclass(frozen=True, slots=True)
class ModuleVersion:
    """A module that was verified or handed over: its digest, the date, and a snapshot of its access.

    `gone`: date of the run that found that it is no longer applied; empty if it may still be applied.
    """

    module: str
    date: str
    access: Mapping[str, Any]
    gone: str = ""


@dataclass(frozen=True, slots=True)
class Pending:
    """The newest module is not confirmed to be applied: dates of the first and last run that found this, and the reason.

    `module`: digest of the newest module; empty if the manifest was newer than the written module. `unseen`: changes that no
    AWS call can detect; empty if the run found that an earlier module is still applied.
    """

    since: str
    date: str
    run: str
    what: str
    module: str = ""
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A user's statement that this module is applied (`runner status NAME --applied`)."""

    date: str
    module: str


@dataclass(frozen=True, slots=True)
class LastRun:
    """The last verification, with any result."""

    date: str
    run: str
    mark: str


class RunOutcome(StrEnum):
    """The result of one verification, for the history; the values are stored in the status file.

    OUTDATED: the only failed checks show that an earlier module is still applied. NOT_APPLIED: the role was refused and has
    never been assumed. INCONCLUSIVE includes refusals by the vendor's own policies, which show nothing about the customer.
    """

    OK = "ok"
    FAILED = "failed"
    DRIFTING = "drifting"
    OUTDATED = "outdated"
    NOT_APPLIED = "not-applied"
    INCONCLUSIVE = "inconclusive"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class PastRun:
    """One verification in the history of an entry; as a string, its date and its outcome."""

    date: str
    outcome: RunOutcome

    def __str__(self) -> str:
        return f"{self.date} {self.outcome}"

    @classmethod
    def parse(cls, text: str) -> PastRun:
        """Read `str` back. Raises ValueError with a description of the problem."""
        date, outcome = _split_run(text)
        return cls(date, _OUTCOMES[outcome])


@dataclass(frozen=True, slots=True)
class StatusEntry:
    """One customer or switch role. Dates are ISO 8601 with a time zone; `applied`: when the role was first assumed.

    `role_arn`: the role of the entry; if the manifest now has another role for this name, the entry is ignored. `versions`:
    modules that were handed over or verified, newest last. `form`: how the customer applies modules (a bundle folder).
    `history`: the last verifications as `str(PastRun)`, newest last; empty in files of older versions of rolecall. They are
    parsed by `runs` and not when the file is read, which for 10,000 customers would take four times as long.
    """

    role_arn: str
    handed_over: HandoverRecord | None = None
    applied: str | None = None
    verified: VerifiedEntry | None = None
    failed: LastProblem | None = None
    drifting: LastProblem | None = None
    external_id_seen: SeenId | None = None
    last_run: LastRun | None = None
    pending: Pending | None = None
    confirmed: Confirmation | None = None
    form: str | None = None
    versions: tuple[ModuleVersion, ...] = ()
    history: tuple[str, ...] = ()

    @property
    def runs(self) -> tuple[PastRun, ...]:
        """The history, newest last."""
        return tuple(map(PastRun.parse, self.history))

    def to_json(self) -> dict[str, Any]:
        """The entry as JSON values, without unknown fields."""
        body = {name: _to_json(value) for name in _OBJECT_FIELDS if (value := getattr(self, name)) is not None}
        if self.versions:
            body["versions"] = _to_json(self.versions)
        if self.history:
            body["history"] = list(self.history)
        return body


def entry_from_json(body: Any) -> StatusEntry:
    """Parse the result of `StatusEntry.to_json`. Raises ValueError with a description of the problem."""
    if not isinstance(body, dict):
        raise ValueError("it is not an object")
    parts: dict[str, Any] = {key: _part(key, kind, body[key]) for key, kind in _PARTS.items() if key in body}
    applied = _date("applied", body["applied"]) if "applied" in body else None
    form = _string("form", body["form"]) if "form" in body else None
    versions, history = _versions(body.get("versions", [])), _history(body.get("history", []))
    role_arn = _string("role_arn", body.get("role_arn"))
    return StatusEntry(role_arn, applied=applied, form=form, versions=versions, history=history, **parts)


def _versions(items: Any) -> tuple[ModuleVersion, ...]:
    if not isinstance(items, list):
        raise ValueError("versions is not a list")
    found = []
    for item in items:
        if not isinstance(item, dict) or not isinstance(item.get("access"), dict):
            raise ValueError("versions has an entry without access")
        gone = _date("versions.gone", item["gone"]) if item.get("gone") else ""
        module = _string("versions.module", item.get("module"))
        found.append(ModuleVersion(module, _date("versions.date", item.get("date")), item["access"], gone))
    return tuple(found)


def _history(items: Any) -> tuple[str, ...]:
    """Check the history without making objects of it."""
    if not isinstance(items, list):
        raise ValueError("history is not a list")
    for item in items:
        _split_run(item)
    return tuple(items)


def _split_run(item: Any) -> tuple[str, str]:
    """Date and outcome of a verification. Raises ValueError."""
    date, _, outcome = _string("history", item).partition(" ")
    if outcome not in _OUTCOMES:
        raise ValueError("history has an unknown outcome")
    return _date("history", date), outcome


def _part(key: str, kind: type, item: Any) -> Any:
    if not isinstance(item, dict):
        raise ValueError(f"{key} is not an object")
    try:
        return kind(**{name: _value(f"{key}.{name}", name, value) for name, value in item.items()})
    except TypeError:
        raise ValueError(f"{key} must have these keys: {', '.join(_FIELD_NAMES[kind])}") from None


def _value(where: str, name: str, value: Any) -> str | tuple[str, ...]:
    if name in _LIST_FIELDS:
        if not isinstance(value, list):
            raise ValueError(f"{where} is not a list")
        return tuple(_string(where, each) for each in value)
    return _date(where, value) if name in _DATE_FIELDS else _string(where, value)


def _string(where: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{where} is not a string")
    return value


def _date(where: str, value: Any) -> str:
    """Check that a value is an ISO 8601 date, and return it. Raises ValueError."""
    try:
        datetime.fromisoformat(_string(where, value))
    except ValueError:
        raise ValueError(f"{where} is not a date") from None
    return str(value)


_PARTS: Mapping[str, type] = {
    "handed_over": HandoverRecord,
    "verified": VerifiedEntry,
    "failed": LastProblem,
    "drifting": LastProblem,
    "external_id_seen": SeenId,
    "last_run": LastRun,
    "pending": Pending,
    "confirmed": Confirmation,
}
_OUTCOMES = {str(each): each for each in RunOutcome}
_LIST_FIELDS, _DATE_FIELDS = frozenset({"causes", "steps", "unseen"}), frozenset({"date", "since"})


# `dataclasses.asdict` is not used: it copies every value, which takes a third of the time of a large write.
_FIELD_NAMES = {kind: tuple(each.name for each in fields(kind)) for kind in (StatusEntry, ModuleVersion, *_PARTS.values())}
_OBJECT_FIELDS = tuple(name for name in _FIELD_NAMES[StatusEntry] if name not in {"versions", "history"})


def _to_json(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, tuple):
        return [_to_json(each) for each in value]
    return {name: getattr(value, name) for name in _FIELD_NAMES[type(value)]}


_LOCK_NAME = ".status.lock"
_SECTIONS = {TargetKind.CUSTOMER: "customers", TargetKind.SWITCH_ROLE: "switch_roles"}

StatusKey = tuple[str, str]
"""Kind and name of a target."""


class StatusError(RolecallError):
    """The status file cannot be read or written."""

    exit_code = ExitCode.OUTPUT


@dataclass(frozen=True, slots=True)
class StatusFile:
    """All entries by kind and name."""

    entries: Mapping[StatusKey, StatusEntry] = field(default_factory=dict)

    def entry(self, target: Target) -> StatusEntry:
        """The entry of a target; an empty one if there is none, or if it has another role."""
        found = self.entries.get(target.key)
        return found if found is not None and found.role_arn == target.role_arn else StatusEntry(target.role_arn)


def stamp(now: datetime) -> str:
    """Format a time as in the status file: ISO 8601, UTC, whole seconds."""
    return now.astimezone(UTC).replace(microsecond=0).isoformat()


def read_status(path: Path) -> StatusFile:
    """Read the status file; empty if it does not exist. Raises StatusError, also for a newer version of the format."""
    try:
        body = json.loads(_read_checked(path))
    except FileNotFoundError:
        return StatusFile()
    except OSError as error:
        raise _access_error("read", path, error) from error
    except (ValueError, RecursionError) as error:
        raise _damaged_error(path, "it is not JSON") from error
    if not isinstance(body, dict) or type(body.get("version")) is not int:
        raise _damaged_error(path, "it has no version")
    if body["version"] > STATUS_VERSION:
        what = f"the status file has version {body['version']}; this version of rolecall supports {STATUS_VERSION}"
        raise StatusError(what, where=str(path), hint="install a newer version of rolecall")
    return StatusFile(dict(_entries(path, body)))


def read_module_history(path: Path, targets: Iterable[Target]) -> ModuleHistory:
    """Earlier modules of these targets, and how customers apply them; empty without a status file. Raises StatusError."""
    status = read_status(path)
    earlier: dict[StatusKey, tuple[EarlierModule, ...]] = {}
    forms: dict[StatusKey, str] = {}
    for target in targets:
        entry = status.entry(target)
        try:
            found = tuple(EarlierModule(decode_access(each.access), bool(each.gone)) for each in entry.versions)
        except ValueError as error:
            raise _damaged_error(path, f"{target.name}: {error}") from error
        if found:
            earlier[target.key] = found
        if entry.form:
            forms[target.key] = entry.form
    return ModuleHistory(earlier, forms)


def _read_checked(path: Path) -> bytes:
    """Read a file that belongs to the user, root or the owner of its folder, and is not world-writable.

    `output/` may belong to another user, as for a checkout in a container. Raises StatusError or OSError.
    """
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        if status.st_uid not in {os.geteuid(), 0, path.parent.stat().st_uid}:
            what = f"it belongs to another user (uid {status.st_uid})"
        elif status.st_mode & stat.S_IWOTH:
            what = f"it is world-writable (mode {stat.S_IMODE(status.st_mode):04o})"
        else:
            return file.read()
    hint = "check its origin; if it is yours, run chown and chmod 600 on it, otherwise delete it"
    raise StatusError(f"refusing to read the status file: {what}", where=str(path), hint=hint)


def _entries(path: Path, body: Mapping[str, Any]) -> Iterator[tuple[StatusKey, StatusEntry]]:
    for kind, section in _SECTIONS.items():
        if not isinstance(body.get(section), dict):
            raise _damaged_error(path, f"{section} is not an object")
        for name, item in body[section].items():
            try:
                yield (str(kind), name), entry_from_json(item)
            except ValueError as error:
                raise _damaged_error(path, f"{name}: {error}") from error


def change_status(path: Path, change: Callable[[StatusFile], Mapping[StatusKey, StatusEntry]]) -> StatusFile:
    """Read the file, update it with the entries that `change` returns, and write it if any of them differs.

    `change` is called while the lock is held, with the current entries. Raises StatusError; the file is then unchanged.
    """
    try:
        with _locked(path.with_name(_LOCK_NAME)):
            before = read_status(path)
            changed = {key: entry for key, entry in change(before).items() if before.entries.get(key) != entry}
            after = StatusFile({**before.entries, **changed})
            if changed:
                _write(path, after)
            return after
    except OSError as error:
        raise _access_error("written", path, error) from error


def encode(status: StatusFile) -> bytes:
    """Serialize the status as UTF-8 JSON."""
    parts = [f'"version": {STATUS_VERSION}']
    for kind, section in _SECTIONS.items():
        entries = {name: entry for (of, name), entry in status.entries.items() if of == kind}
        lines = ",".join(f"\n{json.dumps(name)}: {json.dumps(entry.to_json())}" for name, entry in sorted(entries.items()))
        parts.append(f'"{section}": {{{lines}}}')
    return ("{\n" + ",\n".join(parts) + "\n}\n").encode()


@contextmanager
def _locked(lock: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file; blocks until it is available. Raises OSError."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(path: Path, status: StatusFile) -> None:
    """Write the file atomically, since other processes may read it without the lock."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)  # left by a killed process; only the lock's holder writes
    with os.fdopen(create_private_file(temporary), "wb") as file:
        file.write(encode(status))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _damaged_error(path: Path, why: str) -> StatusError:
    hint = "restore it from version control, or delete it: runner verify writes a new one"
    return StatusError(f"the status file is damaged ({why})", where=str(path), hint=hint)


def _access_error(what: str, path: Path, error: OSError) -> StatusError:
    reason = error.strerror or type(error).__name__
    return StatusError(
        f"the status file cannot be {what}: {reason}", where=str(path), hint="check disk space and permissions"
    )
