"""AWS on this machine: one sandbox, its accounts, its address, and credentials for those who act in it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from rolecall_generator.iam import Arn, Role, root_arn
from rolecall_runner.sandbox.authorization.authorizer import Authorization
from rolecall_runner.sandbox.iam.iam_validation import Limits
from rolecall_runner.sandbox.iam.iam_writes import IamWrites
from rolecall_runner.sandbox.iam.moto_backends import StoredAccess, World, partition_of, restore, save
from rolecall_runner.sandbox.protocol.error_catalog import SandboxError
from rolecall_runner.sandbox.protocol.faults import FaultPlan, Faults
from rolecall_runner.sandbox.protocol.http_types import HttpRequest, SessionInfo, signature_matches
from rolecall_runner.sandbox.server.listener import LOOPBACK, PREFIX, CredentialsEndpoint, Listener, dispatch
from rolecall_runner.sandbox.server.request_pipeline import Gate, PipelineReply
from rolecall_runner.sandbox.server.state_dir import forget_secret, keep_secret
from rolecall_runner.sandbox.sts.assume_role import USER_SESSION_SECONDS, Assumption
from rolecall_runner.sandbox.sts.sandbox_sessions import (
    CallerLookup,
    Clock,
    SandboxCredentials,
    SandboxSessions,
    credentials_of,
    new_secret,
    operator,
)
from rolecall_runner.sandbox.sts.sts import Sts

# What an instance profile's credentials live for, about six hours ("Retrieve security credentials from instance metadata",
# Amazon EC2 User Guide, November 2026).
INSTANCE_SECONDS = 21_600
DEFAULT_LIMITS = Limits()


def utc_now() -> datetime:
    """The machine's time."""
    return datetime.now(UTC)


class Sandbox:
    """A server on loopback that behaves like AWS where trust matters. One at a time in a process.

    `port` 0 takes a free one; `host` may be a loopback name alone; `clock` gives the time that sessions expire by, with a
    time zone; `faults` is a plan or None; `log` takes one line a call, without secrets. Raises SandboxError when it cannot
    start.

        with Sandbox() as sandbox:
            client = boto3.client("sts", endpoint_url=sandbox.url, ...)
    """

    def __init__(
        self,
        *,
        port: int = 0,
        host: str = LOOPBACK,
        region: str = "us-east-1",
        clock: Clock = utc_now,
        faults: FaultPlan | None = None,
        limits: Limits = DEFAULT_LIMITS,
        log: Callable[[str], None] = lambda _line: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if host not in {LOOPBACK, "localhost"}:
            raise SandboxError(
                f"the sandbox listens on {LOOPBACK} alone, not on {host}",
                hint="leave the host out; the sandbox hands out administrators' credentials and is no server for others",
            )
        self._world = World()
        try:
            self.region = region
            self.partition = partition_of(region)
            self._clock = clock
            self.accounts: set[str] = set()
            self._stored = StoredAccess(self._world)
            self._sessions = SandboxSessions(clock)
            self._operator = operator(self.partition, new_secret())
            self._callers = CallerLookup(self._world, self._sessions, signature_matches, self._operator)
            self._sts = Sts(self._world, self._stored, self._sessions, clock, self.accounts.add)
            self._gate = self._make_gate(Faults(faults) if faults else None, limits, log)
            self._endpoint = CredentialsEndpoint(self._credentials_of_role)
            self._listener = Listener(port, self._answer, sleep, log)
        except BaseException:
            self._world.close()
            raise
        self.url = f"http://{LOOPBACK}:{self._listener.port}"
        keep_secret(self.url, self._operator.secret)

    def __enter__(self) -> Self:
        self._listener.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the sandbox and forget its accounts; needed without a `with` block, harmless after one."""
        forget_secret(self.url)
        self._listener.stop()
        self._world.close()

    def _answer(self, request: HttpRequest) -> PipelineReply:
        if request.path.startswith(PREFIX):
            return PipelineReply(self._endpoint.answer(request))
        return self._gate.answer(request)

    def save(self, path: Path) -> None:
        """Write the accounts to a file (see `state`); sessions are not in it. Raises SandboxError."""
        save(self._world, self.accounts, path)

    def restore(self, path: Path) -> None:
        """Put the accounts of a file in the place of all that is here. Raises SandboxError."""
        self.accounts.clear()
        self.accounts |= restore(self._world, path)
        self._stored.forget()

    def _make_gate(self, faults: Faults | None, limits: Limits, log: Callable[[str], None]) -> Gate:
        return Gate(
            callers=self._callers,
            sts=self._sts,
            iam=IamWrites(self._world, self._stored, limits),
            authorize=Authorization(self._stored.everything, self._clock).answer,
            dispatch=lambda request, account_id: dispatch(self._world.app, request, account_id),
            partition_of=partition_of,
            faults=faults,
            clock=self._clock,
            new_request_id=lambda: str(uuid.uuid4()),
            log=log,
        )

    def operator_credentials(self) -> SandboxCredentials:
        """The operator's key, with the secret of this start: it may assume the administrator's role in every account."""
        return credentials_of(self._operator)

    def instance_credentials(self, role_arn: str, *, instance_id: str = "i-0123456789abcdef0") -> SandboxCredentials:
        """Credentials as an EC2 instance has them under a role. Raises SandboxError when there is no such role."""
        return credentials_of(self._instance_session(role_arn, instance_id))

    def container_environment(self, role_arn: str) -> Mapping[str, str]:
        """Variables under which AWS's tools act as the role and renew their credentials by themselves.

        Raises SandboxError when there is no such role.
        """
        self._role(role_arn)
        return self._endpoint.open(role_arn, self.url)

    def _credentials_of_role(self, role_arn: str) -> SandboxCredentials | None:
        try:
            return self.instance_credentials(role_arn)
        except SandboxError:
            return None

    def _role(self, role_arn: str) -> Role:
        parsed = Arn.parse(role_arn)
        role = self._stored.account(parsed.account_id, parsed.partition).roles.get(role_arn) if parsed else None
        if role is None:
            raise SandboxError(f"there is no role {role_arn} in the sandbox", hint="provision its account first")
        return role

    def _instance_session(self, role_arn: str, instance_id: str) -> SessionInfo:
        assumption = Assumption(self._role(role_arn), INSTANCE_SECONDS, {}, frozenset(), None)
        return self._sts.role_session(assumption, instance_id, chained=False)

    def user_credentials(self, user_arn: str, *, mfa: bool = False) -> SandboxCredentials:
        """A user's session, as after signing in to the console; with `mfa` the second factor was given just now.

        Raises SandboxError when there is no such user.
        """
        user = self._world.user(user_arn)
        if user is None:
            raise SandboxError(f"there is no user {user_arn} in the sandbox", hint="provision its account first")
        holder = SessionInfo("", "", None, user.account_id, user.arn, user_id=user.id)
        return credentials_of(self._sts.user_session(holder, seconds=USER_SESSION_SECONDS, mfa=mfa))

    def root_credentials(self, account_id: str) -> SandboxCredentials:
        """A long-term key of an account's root user, which may do nothing that trust policies decide."""
        arn = root_arn(self.partition, account_id)
        key = f"AKIAROOT{account_id}"
        root = SessionInfo(key, new_secret(), None, account_id, arn, user_id=account_id)
        self._callers.add_root(root)
        return credentials_of(root)
