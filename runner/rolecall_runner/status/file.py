"""The status file: read whole, changed under a lock, written in one step, so that two processes at once lose nothing.

    output/status.json, output/status.sandbox.json     see rolecall_generator.status_file
    output/.status.lock                                held (flock) by whoever changes one of them

An entry a line, sorted, as in the lock file: a diff shows who changed.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rolecall_generator.errors import ExitCode, RolecallError
from rolecall_generator.status_file import STATUS_VERSION
from rolecall_runner.private_files import create_private_file
from rolecall_runner.status.entry import Entry, entry_from_json
from rolecall_runner.targets import Target, TargetKind

_LOCK_NAME = ".status.lock"
_SECTIONS = {TargetKind.CUSTOMER: "customers", TargetKind.SWITCH_ROLE: "switch_roles"}

Key = tuple[str, str]
"""Kind and name, as results have it."""


class StatusError(RolecallError):
    """The status file cannot be read or written."""

    exit_code = ExitCode.OUTPUT


@dataclass(frozen=True, slots=True)
class Status:
    """All entries by kind and name."""

    entries: Mapping[Key, Entry] = field(default_factory=dict)

    def of(self, target: Target) -> Entry:
        """What is known of a target; an empty entry for one that nothing is known of, or whose role is another one now."""
        found = self.entries.get(key_of(target))
        return found if found is not None and found.role_arn == target.role_arn else Entry(target.role_arn)


def key_of(target: Target) -> Key:
    """The key of a target's entry."""
    return str(target.kind), target.name


def stamp(now: datetime) -> str:
    """A moment as the file keeps it: ISO 8601, UTC, whole seconds."""
    return now.astimezone(UTC).replace(microsecond=0).isoformat()


def read_status(path: Path) -> Status:
    """The status, empty when there is no file. Raises StatusError when it is broken or of a newer rolecall."""
    try:
        body = json.loads(_read_checked(path))
    except FileNotFoundError:
        return Status()
    except OSError as error:
        raise _cannot("read", path, error) from error
    except (ValueError, RecursionError) as error:
        raise _broken(path, "it is not JSON") from error
    if not isinstance(body, dict) or type(body.get("version")) is not int:
        raise _broken(path, "it has no version")
    if body["version"] > STATUS_VERSION:
        what = f"the status file has version {body['version']}; this rolecall knows {STATUS_VERSION}"
        raise StatusError(what, where=str(path), mend="install the newer rolecall")
    return Status(dict(_entries(path, body)))


def _read_checked(path: Path) -> bytes:
    """The file's bytes, of a file that the user, root or the folder's owner wrote. Raises StatusError, OSError.

    The folder is `output/`, which people share, so its owner may differ (a checkout in a container). What anyone can
    write is refused.
    """
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        if status.st_uid not in {os.geteuid(), 0, path.parent.stat().st_uid}:
            what = f"it belongs to another user (uid {status.st_uid})"
        elif status.st_mode & stat.S_IWOTH:
            what = f"anyone may write it (mode {stat.S_IMODE(status.st_mode):04o})"
        else:
            return file.read()
    mend = "check where it comes from; if it is yours: chown it to yourself and chmod 600 it, else delete it"
    raise StatusError(f"refusing to read the status file: {what}", where=str(path), mend=mend)


def _entries(path: Path, body: Mapping[str, Any]) -> Iterator[tuple[Key, Entry]]:
    for kind, section in _SECTIONS.items():
        if not isinstance(body.get(section), dict):
            raise _broken(path, f"{section} is no object")
        for name, item in body[section].items():
            try:
                yield (str(kind), name), entry_from_json(item)
            except ValueError as error:
                raise _broken(path, f"{name}: {error}") from error


def change_status(path: Path, change: Callable[[Status], Mapping[Key, Entry]]) -> Status:
    """Read, let `change` say which entries are new or other, write. Nothing is written where it names none.

    `change` runs under the lock and sees what another process has written by then. Raises StatusError; what was there
    before then stays.
    """
    try:
        with _held(path.with_name(_LOCK_NAME)):
            before = read_status(path)
            changed = {key: entry for key, entry in change(before).items() if before.entries.get(key) != entry}
            after = Status({**before.entries, **changed})
            if changed:
                _write(path, after)
            return after
    except OSError as error:
        raise _cannot("written", path, error) from error


def encode(status: Status) -> bytes:
    """The file's bytes."""
    parts: dict[str, Any] = {"version": STATUS_VERSION}
    for kind, section in _SECTIONS.items():
        entries = {name: entry.to_json() for (of, name), entry in status.entries.items() if of == kind}
        parts[section] = _Lines(entries)
    return ("{\n" + ",\n".join(f"{json.dumps(key)}: {_dump(value)}" for key, value in parts.items()) + "\n}\n").encode()


@dataclass(frozen=True, slots=True)
class _Lines:
    entries: Mapping[str, Any]


def _dump(value: Any) -> str:
    if not isinstance(value, _Lines):
        return json.dumps(value)
    lines = (f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in sorted(value.entries.items()))
    return "{" + ",".join(f"\n{line}" for line in lines) + "}"


@contextmanager
def _held(lock: Path) -> Iterator[None]:
    """The lock, waited for: whoever holds it writes one file. Raises OSError."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(path: Path, status: Status) -> None:
    """Whole or not at all: others read while this is written."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)  # left by a kill; the lock is ours
    with os.fdopen(create_private_file(fresh), "wb") as file:
        file.write(encode(status))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _broken(path: Path, why: str) -> StatusError:
    mend = "restore it from version control, or delete it: what runner verify hears is written anew"
    return StatusError(f"the status file is damaged ({why})", where=str(path), mend=mend)


def _cannot(what: str, path: Path, error: OSError) -> StatusError:
    reason = error.strerror or type(error).__name__
    return StatusError(f"the status file cannot be {what}: {reason}", where=str(path), mend="see to space and permissions")
