"""The sandbox's operator: administrator of every account, through one shared client a service, signed per call.

The clients hold credentials that sign nothing that a server would take; an account's own are put in just before signing,
from a context variable. So a call outside `acting_in` can never reach an account by accident.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from rolecall_generator.errors import RolecallError
from rolecall_generator.iam.arn import PARTITIONS, role_arn
from rolecall_runner.sandbox.sessions import OPERATOR_KEY, OPERATOR_ROLE

_EARLY = timedelta(minutes=5)


class OutsideAccountError(RolecallError):
    """A call was about to go out that no account was chosen for: a fault in the program, stopped before the network."""


@dataclass(frozen=True, slots=True)
class _Lease:
    """An account's credentials (botocore's form, which has no telling repr) and when they end."""

    credentials: Any = field(repr=False)
    expires: datetime


class Operator:
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
        self._partition = partition
        self._workers = workers
        self._clock = clock
        self._leases: dict[str, _Lease] = {}
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._current: contextvars.ContextVar[Any] = contextvars.ContextVar("sandbox_account", default=None)
        self._sts = self._make("sts", OPERATOR_KEY)

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
        with self._lock:
            if service not in self._clients:
                made = self._make(service, "AKIANOACCOUNTCHOSEN0")
                made.meta.events.register_first("before-sign.*", self._put_credentials)
                self._clients[service] = made
            return self._clients[service]

    @contextmanager
    def acting_in(self, account_id: str) -> Iterator[None]:
        """Calls inside the block (of this thread) act as administrator of the account. Raises botocore's errors."""
        token = self._current.set(self._credentials(account_id))
        try:
            yield
        finally:
            self._current.reset(token)

    def _make(self, service: str, access_key: str) -> Any:
        import botocore.session  # noqa: PLC0415 - `runner --help` must not pay for botocore
        from botocore.config import Config  # noqa: PLC0415 - as above

        config = Config(
            max_pool_connections=self._workers,
            account_id_endpoint_mode="disabled",
            retries={"mode": "standard", "max_attempts": 3},
        )
        return botocore.session.get_session().create_client(
            service,
            PARTITIONS[self._partition].default_region,
            endpoint_url=self._url,
            aws_access_key_id=access_key,
            aws_secret_access_key="rolecall-sandbox",  # noqa: S106 - the sandbox takes any
            config=config,
        )

    def _put_credentials(self, request: Any, **_named: Any) -> None:
        credentials = self._current.get()
        if credentials is None:
            raise OutsideAccountError("a call was made outside of every account", mend="report this as a bug")
        request.context.setdefault("signing", {})["request_credentials"] = credentials

    def _credentials(self, account_id: str) -> Any:
        known = self._leases.get(account_id)
        if known is not None and self._clock() < known.expires - _EARLY:
            return known.credentials
        from botocore.credentials import Credentials  # noqa: PLC0415 - as above

        arn = role_arn(self._partition, account_id, "/", OPERATOR_ROLE)
        answer = self._sts.assume_role(RoleArn=arn, RoleSessionName="rolecall-sandbox")["Credentials"]
        credentials = Credentials(answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"])
        self._leases[account_id] = _Lease(credentials, answer["Expiration"])
        return credentials
