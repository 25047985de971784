"""Credentials cached on disk between runs, readable only by their owner: one file per session, named by a hash of its key.

Off by default. Whoever can read the folder can act in every account in it. A folder or file that others can access, or that
another user owns, is therefore refused and not repaired: it may have been read already.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from rolecall_generator.errors import ExitCode, RolecallError
from rolecall_runner.aws.credentials import Credentials
from rolecall_runner.private_files import make_private_folder, write_private_file

_SUFFIX = ".session.json"
_PARTIAL_FILE_SECONDS = 3600
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class SessionCacheError(RolecallError):
    """The folder of cached sessions is unsafe or unusable."""

    exit_code = ExitCode.OUTPUT


class DiskSessionCache:
    """A `SessionCache` in a folder, which is created if it does not exist. `user_id` returns the required owner.

    The constructor, `load`, and `save` raise SessionCacheError for a folder or file that others can access or that is not
    usable. Files without a valid session are ignored.
    """

    def __init__(self, folder: Path, clock: Callable[[], datetime], *, user_id: Callable[[], int] = os.getuid) -> None:
        self._folder = folder
        self._clock = clock
        self._user_id = user_id
        try:
            make_private_folder(folder)
            self._check(os.lstat(folder), folder, directory=True)
        except OSError as error:
            raise _unusable(folder, error) from error
        self.drop_expired()

    def load(self, key: str) -> Credentials | None:
        """The unexpired credentials stored under the key, or None."""
        path = self._path(key)
        try:
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
                self._check(os.fstat(file.fileno()), path, directory=False)
                found = _read(file.read(), key)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unusable(path, error) from error
        return found if found is not None and found.expires > self._clock() else None

    def save(self, key: str, credentials: Credentials) -> None:
        """Store credentials under the key, atomically."""
        path = self._path(key)
        body = {
            "key": key,
            "access_key": credentials.access_key,
            "secret_key": credentials.secret_key,
            "token": credentials.token,
            "expires": credentials.expires.isoformat(),
            "arn": credentials.arn,
        }
        try:
            write_private_file(path, json.dumps(body).encode())
        except OSError as error:
            raise _unusable(path, error) from error

    def drop(self, key: str) -> None:
        """Delete the credentials stored under the key, if any."""
        with contextlib.suppress(FileNotFoundError):
            self._path(key).unlink()

    def drop_expired(self) -> None:
        """Delete expired sessions, and partial files that a killed process left behind."""
        for path in self._folder.iterdir():
            with contextlib.suppress(OSError):  # another process may delete it at the same time
                if (
                    self._abandoned(path)
                    if path.name.endswith(".new")
                    else path.name.endswith(_SUFFIX) and self._ended(path)
                ):
                    path.unlink()

    def _abandoned(self, path: Path) -> bool:
        return self._clock().timestamp() - path.lstat().st_mtime > _PARTIAL_FILE_SECONDS

    def _ended(self, path: Path) -> bool:
        try:
            return datetime.fromisoformat(json.loads(path.read_text("utf-8"))["expires"]) <= self._clock()
        except (OSError, ValueError, TypeError, KeyError):
            return False

    def _path(self, key: str) -> Path:
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()}{_SUFFIX}"

    def _check(self, status: os.stat_result, path: Path, *, directory: bool) -> None:
        right_kind = stat.S_ISDIR(status.st_mode) if directory else stat.S_ISREG(status.st_mode)
        if not right_kind or status.st_uid != self._user_id():
            what = "it belongs to another user" if right_kind else "it is a symbolic link or a special file"
        elif status.st_mode & _OTHERS:
            what = f"other users can access it (mode {stat.S_IMODE(status.st_mode):04o})"
        else:
            return
        raise SessionCacheError(
            f"refusing to use this session cache: {what}",
            where=str(path),
            hint="delete it; if others may have read it, revoke the sessions (IAM console, role, Revoke sessions)",
        )


def _read(content: bytes, key: str) -> Credentials | None:
    try:
        body = json.loads(content)
        if body["key"] != key:
            return None
        expires = datetime.fromisoformat(body["expires"])
        if expires.tzinfo is None:
            return None
        return Credentials(body["access_key"], body["secret_key"], body["token"], expires, body["arn"])
    except (ValueError, TypeError, KeyError):
        return None


def _unusable(path: Path, error: OSError) -> SessionCacheError:
    reason = error.strerror or type(error).__name__
    return SessionCacheError(
        f"the session cache cannot be used: {reason}", where=str(path), hint="choose another folder, or use no cache"
    )
