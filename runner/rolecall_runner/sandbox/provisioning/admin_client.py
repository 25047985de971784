"""The sandbox's administrator (operator): clients that act in any account."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from rolecall_generator.iam import PARTITIONS, role_arn
from rolecall_runner.aws import AccountSession, Clients, ClientSettings, Credentials, account
from rolecall_runner.sandbox.server.state_dir import operator_secret
from rolecall_runner.sandbox.sts.sandbox_sessions import OPERATOR_KEY, OPERATOR_ROLE

_NEVER = datetime.max.replace(tzinfo=UTC)


class AdminClient:
    """boto3 clients that act as administrator of the account selected with `acting_in`. Thread-safe."""

    def __init__(
        self,
        url: str,
        *,
        partition: str = "aws",
        workers: int = 8,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._url = url
        self._own = Credentials(OPERATOR_KEY, operator_secret(url), None, _NEVER)
        self._partition = partition
        self._region = PARTITIONS[partition].default_region
        self._clients = Clients(ClientSettings(endpoint_url=url, connections=workers, max_attempts=3))
        self._clock = clock
        self._sessions: dict[str, AccountSession] = {}

    @property
    def url(self) -> str:
        """The URL of the sandbox."""
        return self._url

    @property
    def partition(self) -> str:
        """The partition of the accounts."""
        return self._partition

    def client(self, service: str) -> Any:
        """The shared client of a service, for use inside `acting_in`. Calls outside of it raise OutsideAccountError."""
        return self._clients.client(service, self._region)

    @contextmanager
    def acting_in(self, account_id: str) -> Iterator[None]:
        """Act as administrator of the account in this block and thread. Raises botocore's errors."""
        with account(self.session(account_id).get_frozen_credentials()):
            yield

    def session(self, account_id: str) -> AccountSession:
        """The operator's session in an account, renewed automatically."""
        # setdefault is atomic: concurrent threads share one session.
        return self._sessions.setdefault(account_id, AccountSession(lambda: self._assume(account_id), self._clock))

    def _assume(self, account_id: str) -> Credentials:
        arn = role_arn(self._partition, account_id, "/", OPERATOR_ROLE)
        with account(self._own):
            reply = self._clients.client("sts", self._region).assume_role(RoleArn=arn, RoleSessionName="rolecall-sandbox")
        return Credentials.from_reply(reply)
