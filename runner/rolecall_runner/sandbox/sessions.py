"""Who holds which access key: role sessions, sessions of users, and the operator. Long-term keys live in IAM."""

from __future__ import annotations

import base64
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from rolecall_runner.sandbox.wire import SessionInfo

Clock = Callable[[], datetime]
"""The sandbox's time, with a time zone."""

OPERATOR_KEY = "AKIAROLECALLOPERATOR"
OPERATOR_ACCOUNT = "000000000000"
OPERATOR_ROLE = "OrganizationAccountAccessRole"

_KEY_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_KEY_CHARACTERS = 16
_SECRET_BYTES, _TOKEN_BYTES = 30, 180


@dataclass(frozen=True, slots=True)
class Credentials:
    """Credentials as a person or program uses them, secret and token not printed; `expires` is None for long-term keys."""

    access_key: str
    secret: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    expires: datetime | None = None


def credentials_of(session: SessionInfo) -> Credentials:
    """The part of a session that its holder is given."""
    return Credentials(session.access_key, session.secret, session.session_token, session.expires)


def operator(partition: str, secret: str) -> SessionInfo:
    """The provisioner's identity, with the secret of this start."""
    arn = f"arn:{partition}:iam::{OPERATOR_ACCOUNT}:user/operator"
    return SessionInfo(OPERATOR_KEY, secret, None, OPERATOR_ACCOUNT, arn, user_id="AIDAROLECALLOPERATOR", operator=True)


def new_secret() -> str:
    """A secret access key in AWS's form, 40 characters of base64, so that what hides secrets knows it."""
    return _base64(_SECRET_BYTES)


def _base64(count: int) -> str:
    return base64.b64encode(secrets.token_bytes(count)).decode()


class Sessions:
    """Temporary credentials by access key. Safe to share between threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._by_key: dict[str, SessionInfo] = {}
        self._lock = threading.Lock()
        self._next_sweep = 1_024

    def issue(self, session: SessionInfo) -> SessionInfo:
        """Give a session its access key, secret and token, and keep it."""
        key = "ASIA" + "".join(secrets.choice(_KEY_ALPHABET) for _ in range(_KEY_CHARACTERS))
        made = replace(session, access_key=key, secret=new_secret(), session_token=_base64(_TOKEN_BYTES))
        with self._lock:
            self._by_key[key] = made
            if len(self._by_key) > self._next_sweep:
                self._sweep()
        return made

    def find(self, access_key: str) -> SessionInfo | None:
        """The session of an access key, expired or not."""
        return self._by_key.get(access_key)

    def expired(self, session: SessionInfo) -> bool:
        """Whether the session's time is over."""
        return session.expires is not None and session.expires <= self._clock()

    def _sweep(self) -> None:
        """Forget what expired more than an hour ago, so that a long-lived sandbox does not grow: until then the holder is
        told that the session has expired, afterwards that the key is not known, as AWS does in the end.
        """
        now = self._clock()
        old = [key for key, s in self._by_key.items() if s.expires and (now - s.expires).total_seconds() > 3_600]  # noqa: PLR2004
        for key in old:
            del self._by_key[key]
        self._next_sweep = 2 * len(self._by_key) + 1_024
