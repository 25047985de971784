"""Credentials of assumed roles, refreshed before they expire, and their cache on disk. Only this module calls AssumeRole.

Credentials are refreshed five minutes before they expire, with one refresh at a time per account. If the caller is an
assumed role, its sessions last at most one hour (role chaining; IAM User Guide, November 2026). No repr, error, or log line
of this module contains a secret.

The cache is off by default: one file per session, named by a hash of its key and readable only by its owner. Whoever can
read the folder can act in every account in it. A folder or file that others can access, or that another user owns, is
therefore refused and not repaired: it may have been read already.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Protocol
from weakref import WeakValueDictionary

from rolecall_generator.errors import ExitCode, RolecallError, SelectionError
from rolecall_generator.iam import quotas
from rolecall_runner.aws.clients import Clients, SigningCredentials, account
from rolecall_runner.aws.failures import ACCESS_DENIED, EXPIRED_CODES, CallerRejectedError, failure_of
from rolecall_runner.inventory import Target
from rolecall_runner.private_files import make_private_folder, write_private_file

PROBE_SECONDS = 900
SESSION_SECONDS = 3600
REFRESH_AHEAD = timedelta(minutes=5)

_REJECTED_CALLER = EXPIRED_CODES | {"InvalidClientTokenId"}
"""What AssumeRole returns for credentials of the caller that have expired or were deleted."""
_CONFIRMATIONS = 2
"""Calls that must reject the caller too, so that a single wrong reply of AWS does not end a run over all accounts."""
_NOT_IN_NAMES = re.compile(r"[^\w+=,.@-]", re.ASCII)
_NAME_CHARACTERS = 64


def utc_now() -> datetime:
    """The current time."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Credentials of an assumed role, with the field names that botocore's signers read. The repr shows no secret.

    `expires` has a time zone. `arn` is the ARN of the session, as in GetCallerIdentity and the customer's CloudTrail.
    """

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str | None = field(repr=False)
    expires: datetime
    arn: str = ""

    @classmethod
    def from_reply(cls, reply: Mapping[str, Any]) -> Credentials:
        """The credentials in a reply of AssumeRole, as boto3 returns it."""
        found = reply["Credentials"]
        return cls(
            found["AccessKeyId"],
            found["SecretAccessKey"],
            found["SessionToken"],
            found["Expiration"],
            reply.get("AssumedRoleUser", {}).get("Arn", ""),
        )

    def get_frozen_credentials(self) -> Credentials:
        """These credentials; botocore calls this to sign."""
        return self

    def valid_at(self, moment: datetime) -> bool:
        """Whether no refresh is due at this time."""
        return moment < self.expires - REFRESH_AHEAD


@dataclass(frozen=True, slots=True)
class CallerIdentity:
    """The principal that assumes the roles: a session of the backend role, or a person.

    `region` is the Region of the STS endpoint. `rehearsal`: the identity comes from a sandbox, not from AWS.
    """

    credentials: SigningCredentials = field(repr=False)
    arn: str
    account_id: str
    region: str
    rehearsal: bool = False

    @property
    def is_assumed_role(self) -> bool:
        """Whether its sessions are chained, and so last at most one hour."""
        return ":assumed-role/" in self.arn

    @property
    def name(self) -> str:
        """Session or user name, the last part of the ARN."""
        return self.arn.rpartition("/")[2]


class _Own(Enum):
    OWN = "the target's own"


OWN = _Own.OWN
"""The target's own external ID."""


class SessionCache(Protocol):
    """Storage for credentials outside of an `AccountSession`."""

    def load(self, key: str) -> Credentials | None:
        """The unexpired credentials stored under the key, or None."""

    def save(self, key: str, credentials: Credentials) -> None:
        """Store credentials under the key."""

    def drop(self, key: str) -> None:
        """Delete the credentials stored under the key, if any."""


_SESSION_NAME = "rolecall-{run_id}"
_POLICY_CHARACTERS = 2048
_POLICY_ARN = re.compile(r"arn:[\w{}-]+:iam::[\w{}]*:policy/[\w{}+=,.@/-]+", re.ASCII)
_POLICY_ARNS = 10


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How sessions of roles are named and limited.

    `name` may contain `{run_id}`. `policy` is a session policy as JSON, `policy_arns` are managed policies as session
    policies; they may contain `{account_id}` and `{partition}`. A session has the permissions that the role and these
    policies both allow. `source_identity` needs sts:SetSourceIdentity in the trust policy. Limits: STS API reference,
    AssumeRole, November 2026.
    """

    name: str = _SESSION_NAME
    policy: str = field(default="", repr=False)
    policy_arns: tuple[str, ...] = ()
    source_identity: str = ""

    @classmethod
    def read(cls, name: str | None, policies: Sequence[str], source_identity: str | None) -> SessionOptions:
        """The options of a command line; each of `policies` is a file or an ARN. Raises SelectionError."""
        names = {"--session-name": (name or "").replace("{run_id}", "000000"), "--source-identity": source_identity}
        for option, text in names.items():
            if text and allowed_name(text) != text:
                raise SelectionError(
                    f"{text!r} is not a valid name", where=option, hint="use 2 to 64 letters, digits, and _ + = , . @ -"
                )
        arns = tuple(each for each in policies if each.startswith("arn:"))
        files = [each for each in policies if not each.startswith("arn:")]
        wrong = [arn for arn in arns if _POLICY_ARN.fullmatch(arn) is None]
        if wrong or len(files) > 1 or len(arns) > _POLICY_ARNS:
            what = f"{wrong[0]} is not the ARN of a policy" if wrong else "too many session policies"
            raise SelectionError(what, where="--session-policy", hint="use one file, and up to 10 ARNs of managed policies")
        return cls(name or _SESSION_NAME, _read_policy(files[0]) if files else "", arns, source_identity or "")

    def parameters(self, target: Target, run_id: str) -> dict[str, Any]:
        """Parameters of AssumeRole for the target."""
        parameters: dict[str, Any] = {"RoleSessionName": allowed_name(self.name.replace("{run_id}", run_id))}
        if self.policy:
            parameters["Policy"] = self.policy
        if self.policy_arns:
            values = {"{account_id}": target.account_id, "{partition}": target.partition}
            arns = self.policy_arns
            for placeholder, value in values.items():
                arns = tuple(arn.replace(placeholder, value) for arn in arns)
            parameters["PolicyArns"] = [{"arn": arn} for arn in arns]
        if self.source_identity:
            parameters["SourceIdentity"] = self.source_identity
        return parameters


_DEFAULT_OPTIONS = SessionOptions()


def _read_policy(file: str) -> str:
    hint = 'use a policy document in JSON, such as {"Version": "2012-10-17", "Statement": [...]}'
    try:
        document = json.loads(Path(file).read_text("utf-8"))
    except OSError as error:
        raise SelectionError(f"{file}: {error.strerror}", where="--session-policy", hint=hint) from error
    except ValueError as error:
        raise SelectionError(f"{file} is not JSON: {error}", where="--session-policy", hint=hint) from error
    if not isinstance(document, dict) or "Statement" not in document:
        raise SelectionError(f"{file} is not a policy document", where="--session-policy", hint=hint)
    text = json.dumps(document, separators=(",", ":"))
    if len(text) > _POLICY_CHARACTERS:
        raise SelectionError(
            f"{file} has {len(text):,} characters without whitespace; STS accepts {_POLICY_CHARACTERS:,}",
            where="--session-policy",
            hint="use the ARN of a managed policy in the customer's account",
        )
    return text


@dataclass(frozen=True, slots=True)
class Assumer:
    """Assumes roles for one caller in one run.

    `run_id` is part of the session name, which identifies the run in the customer's CloudTrail. `session_seconds` is the
    requested session duration; the limits of the role and of role chaining may shorten it.
    """

    clients: Clients
    caller: CallerIdentity
    run_id: str
    session_seconds: int = SESSION_SECONDS
    options: SessionOptions = field(default_factory=SessionOptions)

    def assume(
        self, target: Target, *, external_id: str | _Own | None = OWN, seconds: int | None = None, name: str | None = None
    ) -> Credentials:
        """Assume the target's role with its external ID. Probes pass another `external_id`, or None to send none.

        During a rotation, a role that refuses the target's external ID is tried again with the previous one. `seconds`
        defaults to 900 for probes, else to `session_seconds`. `name` replaces the session name. Raises botocore's
        ClientError (AccessDenied is a refusal), connection errors, and CallerRejectedError.
        """
        if not isinstance(external_id, _Own):
            return self._assume(target, external_id, seconds or PROBE_SECONDS, name)
        if target.previous_external_id is None:
            return self._assume(target, target.external_id, seconds or self.session_seconds, name)
        return self._assume_in_rotation(target, target.previous_external_id, seconds or self.session_seconds, name)

    def _assume_in_rotation(self, target: Target, previous: str, seconds: int, name: str | None) -> Credentials:
        """Until the customer applies the new module, the role accepts only the previous external ID."""
        try:
            return self._assume(target, target.external_id, seconds, name)
        except Exception as refusal:  # any other error is raised again
            if failure_of(refusal).code != ACCESS_DENIED:
                raise
            try:
                return self._assume(target, previous, seconds, name)
            except Exception as again:
                # If both are refused, the rotation is not the cause: report the refusal of the current external ID.
                raise (refusal if failure_of(again).code == ACCESS_DENIED else again) from None

    def _assume(self, target: Target, sent: str | None, seconds: int, name: str | None) -> Credentials:
        parameters: dict[str, Any] = {
            "RoleArn": target.role_arn,
            "DurationSeconds": self._seconds(target, seconds),
            **self.options.parameters(target, self.run_id),
        }
        if name is not None:
            parameters["RoleSessionName"] = name
        if sent is not None:
            parameters["ExternalId"] = sent
        if target.session_tags:
            parameters["Tags"] = [
                {"Key": "rolecall-run", "Value": self.run_id},
                {"Key": "rolecall-target", "Value": target.name},
            ]
        if target.source_identity and not self.options.source_identity:
            parameters["SourceIdentity"] = allowed_name(self.caller.name)
        try:
            with account(self.caller.credentials):
                reply = self.clients.client("sts", self.caller.region).assume_role(**parameters)
        except Exception as error:
            if failure_of(error).code in _REJECTED_CALLER and all(self._is_rejected() for _ in range(_CONFIRMATIONS)):
                raise CallerRejectedError(str(error)) from error
            raise
        return Credentials.from_reply(reply)

    def _is_rejected(self) -> bool:
        """Whether AWS rejects the caller's credentials in GetCallerIdentity too, which needs no permission."""
        try:
            with account(self.caller.credentials):
                self.clients.client("sts", self.caller.region).get_caller_identity()
        except Exception as error:  # its code decides
            return failure_of(error).code in _REJECTED_CALLER
        return False

    def _seconds(self, target: Target, wanted: int) -> int:
        limit = min(target.max_session_seconds, quotas.CHAINED_SESSION_SECONDS if self.caller.is_assumed_role else wanted)
        return max(PROBE_SECONDS, min(wanted, limit))


def allowed_name(text: str) -> str:
    """Turn a string into a valid session name or source identity: 2 to 64 characters, invalid ones replaced by `-`."""
    return _NOT_IN_NAMES.sub("-", text)[:_NAME_CHARACTERS].ljust(2, "-")


class AccountSession:
    """The credentials of one target: assumed when first needed, and again before they expire. Thread-safe."""

    def __init__(
        self,
        assume: Callable[[], Credentials],
        clock: Callable[[], datetime],
        key: str = "",
        cache: SessionCache | None = None,
    ) -> None:
        self._assume = assume
        self._clock = clock
        self._key = key
        self._cache = cache
        self._lock = threading.Lock()
        self._credentials: Credentials | None = None

    def get_frozen_credentials(self) -> Credentials:
        """Credentials valid for at least five minutes. Raises what `Assumer.assume` raises."""
        found = self._credentials
        if found is not None and found.valid_at(self._clock()):
            return found
        with self._lock:  # a thread that waited here finds the new credentials
            found = self._credentials
            if found is None or not found.valid_at(self._clock()):
                found = self._credentials = self._fresh()
        return found

    def renew(self) -> None:
        """Discard the credentials, in the cache too, because AWS reports them as expired."""
        with self._lock:
            self._credentials = None
            if self._cache is not None:
                self._cache.drop(self._key)

    def _fresh(self) -> Credentials:
        if self._cache is not None:
            kept = self._cache.load(self._key)
            if kept is not None and kept.valid_at(self._clock()):
                return kept
        fresh = self._assume()
        if self._cache is not None:
            self._cache.save(self._key, fresh)
        return fresh


class Sessions:
    """Sessions of many accounts. Unused sessions are released, so that memory does not grow with the number of accounts."""

    def __init__(
        self, assumer: Assumer, *, clock: Callable[[], datetime] = utc_now, cache: SessionCache | None = None
    ) -> None:
        self._assumer = assumer
        self._clock = clock
        self._cache = cache
        self._lock = threading.Lock()
        self._sessions: WeakValueDictionary[tuple[str, str | None], AccountSession] = WeakValueDictionary()

    def session(self, target: Target) -> AccountSession:
        """The target's session, for `with account(...)`; concurrent users of a target share one."""
        identity = (target.role_arn, target.external_id)
        with self._lock:
            session = self._sessions.get(identity)
            if session is None:
                key = cache_key(self._assumer.caller, target, self._assumer.options)
                session = AccountSession(lambda: self._assumer.assume(target), self._clock, key, self._cache)
                self._sessions[identity] = session
        return session


def cache_key(caller: CallerIdentity, target: Target, options: SessionOptions = _DEFAULT_OPTIONS) -> str:
    """The cache key of a session: caller, role, external ID, and options other than the default."""
    key = (caller.arn, target.role_arn, target.external_id or "")
    different = () if options == _DEFAULT_OPTIONS else (json.dumps(options.parameters(target, "")),)
    return "\0".join((*key, *different))


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
        body = {"key": key, **asdict(credentials), "expires": credentials.expires.isoformat()}
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
            # Another process may delete a file at the same time, and a damaged file is replaced when it is needed.
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
                if self._is_expired(path):
                    path.unlink()

    def _is_expired(self, path: Path) -> bool:
        if path.name.endswith(".new"):
            return self._clock().timestamp() - path.lstat().st_mtime > _PARTIAL_FILE_SECONDS
        if not path.name.endswith(_SUFFIX):
            return False
        return datetime.fromisoformat(json.loads(path.read_text("utf-8"))["expires"]) <= self._clock()

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
