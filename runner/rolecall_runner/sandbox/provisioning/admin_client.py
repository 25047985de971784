"""The sandbox's operator: administrator of every account, through the shared clients, signed per call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from rolecall_generator.iam import PARTITIONS, role_arn
from rolecall_runner.aws import AccountSession, Clients, ClientSettings, Credentials, account
from rolecall_runner.sandbox.server.state_dir import operator_secret

OPERATOR_ACCESS_KEY = "AKIAROLECALLOPERATOR"
OPERATOR_ROLE = "OrganizationAccountAccessRole"
"""A role that the sandbox has in every account, without listing it: the name that AWS Organizations gives such a role."""

_FOR_EVER = datetime.max.replace(tzinfo=UTC)


class AdminClient:
    """Hands out IAM (and other) clients that act in whichever account `acting_in` names. Safe to share among threads."""

    def __init__(
        self,
        url: str,
        *,
        partition: str = "aws",
        workers: int = 8,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._url = url
        self._own = Credentials(OPERATOR_ACCESS_KEY, operator_secret(url), None, _FOR_EVER)
        self._partition = partition
        self._region = PARTITIONS[partition].default_region
        self._clients = Clients(ClientSettings(endpoint_url=url, connections=workers, max_attempts=3))
        self._clock = clock
        self._sessions: dict[str, AccountSession] = {}

    @property
    def url(self) -> str:
        """The sandbox's address."""
        return self._url

    @property
    def partition(self) -> str:
        """The partition whose accounts are meant."""
        return self._partition

    def client(self, service: str) -> Any:
        """The shared client of a service; use it inside `acting_in` alone. Calls outside raise OutsideAccountError."""
        return self._clients.client(service, self._region)

    @contextmanager
    def acting_in(self, account_id: str) -> Iterator[None]:
        """Calls inside the block (of this thread) act as administrator of the account. Raises botocore's errors."""
        with account(self.session(account_id).get_frozen_credentials()):
            yield

    def session(self, account_id: str) -> AccountSession:
        """The operator's session in an account, renewed by itself."""
        # setdefault is one step: two threads that come together share what the first one made.
        return self._sessions.setdefault(account_id, AccountSession(lambda: self._assume(account_id), self._clock))

    def _assume(self, account_id: str) -> Credentials:
        arn = role_arn(self._partition, account_id, "/", OPERATOR_ROLE)
        with account(self._own):
            reply = self._clients.client("sts", self._region).assume_role(RoleArn=arn, RoleSessionName="rolecall-sandbox")
        return Credentials.from_reply(reply)
