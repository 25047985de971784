"""Who calls: from the access key of a request to the session or user behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rolecall_runner.sandbox.backends import World
from rolecall_runner.sandbox.sessions import Sessions
from rolecall_runner.sandbox.troubles import Trouble
from rolecall_runner.sandbox.wire import ApiCall, HttpRequest, SessionInfo

SignatureCheck = Callable[[HttpRequest, str], bool]


class Callers:
    """Finds callers by their access keys: the operator, sessions, and the users' long-term keys in IAM."""

    def __init__(self, world: World, sessions: Sessions, check: SignatureCheck, operator: SessionInfo) -> None:
        self._world = world
        self._sessions = sessions
        self._check = check
        self._operator = operator
        self._places: dict[str, tuple[str, str]] = {}
        self._roots: dict[str, SessionInfo] = {}

    def add_root(self, root: SessionInfo) -> None:
        """Know the access key of an account's root user."""
        self._roots[root.access_key] = root

    def who(self, call: ApiCall, request: HttpRequest) -> SessionInfo | Trouble:
        """The caller, or what is wrong with its credentials."""
        if call.access_key is None:
            return Trouble.UNSIGNED
        session: SessionInfo | None
        if call.access_key == self._operator.access_key:
            session = self._operator if call.session_token is None else None
            return self._signed(request, session)
        session = self._sessions.find(call.access_key) or self._roots.get(call.access_key)
        if session is not None:
            if session.session_token != call.session_token:
                return Trouble.UNKNOWN_KEY
            if self._sessions.expired(session):
                return Trouble.EXPIRED_TOKEN
            session = self._living(session)
        elif call.session_token is None:
            session = self._user(call.access_key)
        return self._signed(request, session)

    def _signed(self, request: HttpRequest, session: SessionInfo | None) -> SessionInfo | Trouble:
        if session is None:
            return Trouble.UNKNOWN_KEY
        return session if self._check(request, session.secret) else Trouble.BAD_SIGNATURE

    def _living(self, session: SessionInfo) -> SessionInfo | None:
        """None when the role or user behind the session is gone, also when another one has its name by now."""
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
        # By the key, not by the name on it: moto keeps the keys of deleted users, and a renamed user's old name on its keys.
        user = next((user for user in list(backend.users.values()) if key in user.access_keys), None)
        if user is None or key.status != "Active":
            return None
        return SessionInfo(access_key, key.secret_access_key, None, account_id, user.arn, user_id=user.id)

    def _key(self, access_key: str) -> tuple[str, Any, Any] | None:
        """The stored key and its account; its place is remembered, since looking through all accounts takes long."""
        place = self._places.get(access_key)
        if place is not None:
            backend = self._world.iam(*place)
            key = backend.access_keys.get(access_key)
            return None if key is None else (place[0], backend, key)
        for account_id, partition, backend in self._world.iam_everywhere():
            key = backend.access_keys.get(access_key)
            if key is not None and key.user_name is not None:
                self._places[access_key] = account_id, partition
                return account_id, backend, key
        return None
