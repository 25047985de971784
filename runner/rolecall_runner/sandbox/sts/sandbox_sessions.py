"""Sessions of the sandbox, and the lookup of the caller behind an access key."""

from __future__ import annotations

import base64
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from rolecall_runner.sandbox.iam.moto_backends import MotoBackends
from rolecall_runner.sandbox.protocol.error_catalog import ErrorCategory
from rolecall_runner.sandbox.protocol.http_types import OPERATOR_KEY, ApiCall, HttpRequest, SessionInfo, signature_matches

Clock = Callable[[], datetime]
"""Returns the sandbox's current time, with a time zone."""

OPERATOR_ACCOUNT = "000000000000"

_KEY_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_KEY_CHARACTERS = 16
_SECRET_BYTES, _TOKEN_BYTES = 30, 180


@dataclass(frozen=True, slots=True)
class SandboxCredentials:
    """Credentials; secret and token are left out of the repr, `expires` is None for long-term keys."""

    access_key: str
    secret: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    expires: datetime | None = None


def credentials_of(session: SessionInfo) -> SandboxCredentials:
    """The credentials of a session."""
    return SandboxCredentials(session.access_key, session.secret, session.session_token, session.expires)


def operator_session(partition: str, secret: str) -> SessionInfo:
    """The identity that provisions accounts, with its secret access key."""
    arn = f"arn:{partition}:iam::{OPERATOR_ACCOUNT}:user/operator"
    return SessionInfo(OPERATOR_KEY, secret, None, OPERATOR_ACCOUNT, arn, user_id="AIDAROLECALLOPERATOR", operator=True)


def new_secret() -> str:
    """A random secret access key in AWS's format, 40 characters of base64, which secret scanners and redaction recognize."""
    return _base64(_SECRET_BYTES)


def _base64(count: int) -> str:
    return base64.b64encode(secrets.token_bytes(count)).decode()


class SandboxSessions:
    """Sessions by access key. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._by_key: dict[str, SessionInfo] = {}
        self._lock = threading.Lock()
        self._next_sweep = 1_024

    def issue(self, session: SessionInfo) -> SessionInfo:
        """Store a session with a new access key, secret and token, and return it."""
        key = "ASIA" + "".join(secrets.choice(_KEY_ALPHABET) for _ in range(_KEY_CHARACTERS))
        made = replace(session, access_key=key, secret=new_secret(), session_token=_base64(_TOKEN_BYTES))
        with self._lock:
            self._by_key[key] = made
            if len(self._by_key) > self._next_sweep:
                self._sweep()
        return made

    def find(self, access_key: str) -> SessionInfo | None:
        """The session of an access key, which may have expired; None for an unknown key."""
        return self._by_key.get(access_key)

    def expired(self, session: SessionInfo) -> bool:
        """Whether the session has expired."""
        return session.expires is not None and session.expires <= self._clock()

    def _sweep(self) -> None:
        """Delete sessions that expired more than an hour ago, to limit memory.

        Their keys then count as unknown instead of expired, as in AWS after some time.
        """
        now = self._clock()
        old = [key for key, s in self._by_key.items() if s.expires and (now - s.expires).total_seconds() > 3_600]  # noqa: PLR2004
        for key in old:
            del self._by_key[key]
        self._next_sweep = 2 * len(self._by_key) + 1_024


class CallerLookup:
    """Finds the caller of an access key: the operator, a session, a root user, or a user with a long-term key in IAM."""

    def __init__(self, world: MotoBackends, sessions: SandboxSessions, operator: SessionInfo) -> None:
        self._world = world
        self._sessions = sessions
        self._operator = operator
        self._accounts_of_keys: dict[str, tuple[str, str]] = {}
        self._roots: dict[str, SessionInfo] = {}

    def add_root(self, root: SessionInfo) -> None:
        """Add the access key of an account's root user."""
        self._roots[root.access_key] = root

    def identify(self, call: ApiCall, request: HttpRequest) -> SessionInfo | ErrorCategory:
        """The caller of a request, or the error of its credentials."""
        if call.access_key is None:
            return ErrorCategory.UNSIGNED
        session: SessionInfo | None
        if call.access_key == self._operator.access_key:
            session = self._operator if call.session_token is None else None
            return self._signed(request, session)
        session = self._sessions.find(call.access_key) or self._roots.get(call.access_key)
        if session is not None:
            if session.session_token != call.session_token:
                return ErrorCategory.UNKNOWN_KEY
            if self._sessions.expired(session):
                return ErrorCategory.EXPIRED_TOKEN
            session = self._existing(session)
        elif call.session_token is None:
            session = self._user(call.access_key)
        return self._signed(request, session)

    def _signed(self, request: HttpRequest, session: SessionInfo | None) -> SessionInfo | ErrorCategory:
        if session is None:
            return ErrorCategory.UNKNOWN_KEY
        return session if signature_matches(request, session.secret) else ErrorCategory.BAD_SIGNATURE

    def _existing(self, session: SessionInfo) -> SessionInfo | None:
        """None when the role or user of the session was deleted, even if another one has its name."""
        if session.operator:
            return session
        principal_id = session.user_id.partition(":")[0]
        if session.role_arn is not None:
            holder = self._world.role(session.role_arn)
        elif session.arn.endswith(":root"):
            return session
        else:
            holder = self._world.user(session.arn)
        return session if holder is not None and holder.id == principal_id else None

    def _user(self, access_key: str) -> SessionInfo | None:
        found = self._key(access_key)
        if found is None:
            return None
        account_id, backend, key = found
        # Not by `key.user_name`: moto keeps the keys of deleted users, and the old name on the keys of renamed users.
        user = next((user for user in list(backend.users.values()) if key in user.access_keys), None)
        if user is None or key.status != "Active":
            return None
        return SessionInfo(access_key, key.secret_access_key, None, account_id, user.arn, user_id=user.id)

    def _key(self, access_key: str) -> tuple[str, Any, Any] | None:
        """Account id, IAM backend and key; the account is cached, because the search visits all accounts."""
        account = self._accounts_of_keys.get(access_key)
        if account is not None:
            backend = self._world.iam(*account)
            key = backend.access_keys.get(access_key)
            return None if key is None else (account[0], backend, key)
        for account_id, partition, backend in self._world.all_iam_backends():
            key = backend.access_keys.get(access_key)
            if key is not None and key.user_name is not None:
                self._accounts_of_keys[access_key] = account_id, partition
                return account_id, backend, key
        return None
