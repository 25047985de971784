"""The sandbox: AWS accounts in this process, their endpoint, and credentials for them."""

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
from rolecall_runner.sandbox.iam.moto_backends import MotoBackends, StoredAccess, partition_of, restore, save
from rolecall_runner.sandbox.protocol.error_catalog import SandboxError
from rolecall_runner.sandbox.protocol.faults import FaultInjector, FaultPlan
from rolecall_runner.sandbox.protocol.http_types import HttpRequest, SessionInfo, signature_matches
from rolecall_runner.sandbox.server.listener import LOOPBACK, PREFIX, CredentialsEndpoint, Listener, dispatch
from rolecall_runner.sandbox.server.request_pipeline import PipelineReply, RequestPipeline
from rolecall_runner.sandbox.server.state_dir import forget_secret, keep_secret
from rolecall_runner.sandbox.sts.assume_role import USER_SESSION_SECONDS, Assumption
from rolecall_runner.sandbox.sts.sandbox_sessions import (
    CallerLookup,
    Clock,
    SandboxCredentials,
    SandboxSessions,
    credentials_of,
    new_secret,
    operator_session,
)
from rolecall_runner.sandbox.sts.sts import Sts

# Lifetime of an instance profile's credentials, about six hours ("Retrieve security credentials from instance metadata",
# Amazon EC2 User Guide, November 2026).
INSTANCE_SECONDS = 21_600
DEFAULT_LIMITS = Limits()


def utc_now() -> datetime:
    """The current time of the system clock."""
    return datetime.now(UTC)


class Sandbox:
    """An AWS simulator on the loopback interface, with AWS's decisions on access. One per process at a time.

    `port` 0 selects a free port; `host` must be a loopback name; `clock` returns the time for session expiry, with a time
    zone; `log` receives one line per call, without secrets. Raises SandboxError when it cannot start.

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
                f"the sandbox listens only on {LOOPBACK}, not on {host}",
                hint="omit the host: the sandbox provides administrator credentials and must not be reachable by others",
            )
        self._world = MotoBackends()
        try:
            self.region = region
            self.partition = partition_of(region)
            self._clock = clock
            self.accounts: set[str] = set()
            self._stored = StoredAccess(self._world)
            self._sessions = SandboxSessions(clock)
            self._operator = operator_session(self.partition, new_secret())
            self._callers = CallerLookup(self._world, self._sessions, signature_matches, self._operator)
            self._sts = Sts(self._world, self._stored, self._sessions, clock, self.accounts.add)
            self._pipeline = self._make_pipeline(FaultInjector(faults) if faults else None, limits, log)
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
        """Stop the sandbox and discard its accounts. Needed only without a `with` block; idempotent."""
        forget_secret(self.url)
        self._listener.stop()
        self._world.close()

    def _answer(self, request: HttpRequest) -> PipelineReply:
        if request.path.startswith(PREFIX):
            return PipelineReply(self._endpoint.answer(request))
        return self._pipeline.answer(request)

    def save(self, path: Path) -> None:
        """Write the accounts, without sessions, to a file. Raises SandboxError."""
        save(self._world, self.accounts, path)

    def restore(self, path: Path) -> None:
        """Replace all accounts by those of a file. Raises SandboxError."""
        self.accounts.clear()
        self.accounts |= restore(self._world, path)
        self._stored.forget()

    def _make_pipeline(self, faults: FaultInjector | None, limits: Limits, log: Callable[[str], None]) -> RequestPipeline:
        return RequestPipeline(
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
        """The operator's access key, which may assume the administrator role of every account."""
        return credentials_of(self._operator)

    def instance_credentials(self, role_arn: str, *, instance_id: str = "i-0123456789abcdef0") -> SandboxCredentials:
        """Credentials of a role as on an EC2 instance. Raises SandboxError when the role does not exist."""
        return credentials_of(self._instance_session(role_arn, instance_id))

    def container_environment(self, role_arn: str) -> Mapping[str, str]:
        """Environment variables for AWS tools to act as the role; the tools renew the credentials.

        Raises SandboxError when the role does not exist.
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
            raise SandboxError(f"role {role_arn} does not exist in the sandbox", hint="provision its account first")
        return role

    def _instance_session(self, role_arn: str, instance_id: str) -> SessionInfo:
        assumption = Assumption(self._role(role_arn), INSTANCE_SECONDS, {}, frozenset(), None)
        return self._sts.role_session(assumption, instance_id, chained=False)

    def user_credentials(self, user_arn: str, *, mfa: bool = False) -> SandboxCredentials:
        """A user's session, as after signing in to the console; `mfa`: authenticated with MFA now.

        Raises SandboxError when the user does not exist.
        """
        user = self._world.user(user_arn)
        if user is None:
            raise SandboxError(f"user {user_arn} does not exist in the sandbox", hint="provision its account first")
        holder = SessionInfo("", "", None, user.account_id, user.arn, user_id=user.id)
        return credentials_of(self._sts.user_session(holder, seconds=USER_SESSION_SECONDS, mfa=mfa))

    def root_credentials(self, account_id: str) -> SandboxCredentials:
        """A long-term key of an account's root user, which cannot assume roles."""
        arn = root_arn(self.partition, account_id)
        key = f"AKIAROOT{account_id}"
        root = SessionInfo(key, new_secret(), None, account_id, arn, user_id=account_id)
        self._callers.add_root(root)
        return credentials_of(root)
