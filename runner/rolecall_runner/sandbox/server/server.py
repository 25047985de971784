"""The sandbox: AWS accounts in this process, the path of a request to them, and credentials for them.

A request is parsed into an AWS call (`read_call`), its caller is looked up and its signature checked, a fault may be drawn,
the call is authorized, and STS, IAM or moto answers it.
"""

from __future__ import annotations

import time
import traceback
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote

from rolecall_generator.iam import Arn, Role, root_arn
from rolecall_runner.redact import redact
from rolecall_runner.sandbox.authorization.authorizer import Authorization
from rolecall_runner.sandbox.authorization.companion_actions import unsupported_reason
from rolecall_runner.sandbox.iam.iam_validation import Limits
from rolecall_runner.sandbox.iam.iam_writes import IamWrites
from rolecall_runner.sandbox.iam.moto_backends import (
    MotoBackends,
    ServiceMissingError,
    StoredAccess,
    partition_of,
    raised_in_moto,
    restore,
    save,
)
from rolecall_runner.sandbox.protocol.error_catalog import (
    QUERY,
    AwsRefusalError,
    ErrorCategory,
    SandboxError,
    category_reply,
    error_reply,
)
from rolecall_runner.sandbox.protocol.faults import FaultCall, FaultEffect, FaultInjector, FaultPlan
from rolecall_runner.sandbox.protocol.http_types import ApiCall, HttpReply, HttpRequest, SessionInfo, query_parameters
from rolecall_runner.sandbox.server.api_call import read_call
from rolecall_runner.sandbox.server.listener import LOOPBACK, PREFIX, CredentialsEndpoint, Listener, SentReply, dispatch
from rolecall_runner.sandbox.server.state_dir import forget_secret, keep_secret
from rolecall_runner.sandbox.sts.assume_role import USER_SESSION_SECONDS, Assumption
from rolecall_runner.sandbox.sts.sts import (
    CallerLookup,
    Clock,
    SandboxCredentials,
    SandboxSessions,
    Sts,
    credentials_of,
    new_secret,
    operator_session,
)

# Lifetime of an instance profile's credentials, about six hours ("Retrieve security credentials from instance metadata",
# Amazon EC2 User Guide, November 2026).
INSTANCE_SECONDS = 21_600
DEFAULT_LIMITS = Limits()
# STS operations that the authorizer decides. AssumeRole is decided by the STS service; the others need no permission.
_AUTHORIZED_STS = {"GetAccessKeyInfo"}
_OWN_SERVICES = frozenset({"iam", "sts"})
"""Services that the sandbox implements in part: an exception there is an error of the sandbox, not of moto."""
# Paths that moto serves without accounts and policies.
_MOTO_PATHS = ("/moto-api", "/latest/meta-data/", "/latest/api/")


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
            self._callers = CallerLookup(self._world, self._sessions, self._operator)
            self._sts = Sts(self._world, self._stored, self._sessions, clock, self.accounts.add)
            self._iam = IamWrites(self._world, self._stored, limits)
            self._authorization = Authorization(self._stored.all_accounts, clock)
            self._faults = FaultInjector(faults) if faults else None
            self._log = log
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

    def save(self, path: Path) -> None:
        """Write the accounts, without sessions, to a file. Raises SandboxError."""
        save(self._world, self.accounts, path)

    def restore(self, path: Path) -> None:
        """Replace all accounts by those of a file. Raises SandboxError."""
        self.accounts.clear()
        self.accounts |= restore(self._world, path)
        self._stored.forget()

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

    def _answer(self, request: HttpRequest) -> SentReply:
        """Answer one request. Never raises: an exception becomes an error reply."""
        if request.path.startswith(PREFIX):
            return SentReply(self._endpoint.handle(request))
        request_id = str(uuid.uuid4())
        try:
            call = read_call(request, request_id)
        except Exception as error:
            self._log(f"- {request.method} {request.path} failed to parse: {_describe(error)}")
            return SentReply(category_reply(QUERY, ErrorCategory.INTERNAL, request_id))
        if isinstance(call, HttpReply):
            self._log(f"- {request.method} {request.path} {call.status}")
            return SentReply(call)
        try:
            return self._answer_call(call, request, request_id)
        except Exception as error:
            return SentReply(self._error_reply(call, error, request_id))

    def _error_reply(self, call: ApiCall, error: Exception, request_id: str) -> HttpReply:
        """The reply after an exception."""
        if isinstance(error, AwsRefusalError):
            self._log(f"{call.action} {call.region} {error.status} {error.code}")
            return error_reply(call, error.code, error.message, error.status, request_id)
        if isinstance(error, NotImplementedError):
            self._log(f"{call.action} {call.region} is not supported")
            return _unsupported(call, request_id, whole_service=isinstance(error, ServiceMissingError))
        self._log(f"{call.action} failed inside the sandbox: {_describe(error)}")
        if call.service not in _OWN_SERVICES and raised_in_moto(error):
            # Not an internal error of AWS: SDKs would retry that, and the request fails every time.
            return _unsupported(call, request_id)
        return category_reply(call, ErrorCategory.INTERNAL, request_id)

    def _answer_call(self, call: ApiCall, request: HttpRequest, request_id: str) -> SentReply:
        caller = self._caller(call, request)
        if isinstance(caller, ErrorCategory):
            self._log(f"- {call.action} {call.region} {caller.value}")
            return SentReply(category_reply(call, caller, request_id))
        # No faults for the operator, who seeds the accounts.
        injector = None if caller.operator else self._faults
        hit = injector.draw(caller.account_id, call.action, call.region) if injector else None
        effect = FaultEffect()
        if hit is not None:
            effect = hit.fault.effect(FaultCall(call, request_id, caller.account_id, caller.arn, self._clock(), hit.variant))
        reply = effect.reply
        if reply is None:
            try:
                reply = self._perform(call, request, caller, request_id)
            except AwsRefusalError as error:
                if hit is None:
                    raise
                # A delay or a cut applies to refusals too.
                reply = error_reply(call, error.code, error.message, error.status, request_id)
        suffix = "" if hit is None else f" fault={hit.fault.name}"
        self._log(f"{caller.arn} {call.action} {call.region} {reply.status}{suffix}")
        return SentReply(reply, effect.delay_seconds, effect.cut_after)

    def _caller(self, call: ApiCall, request: HttpRequest) -> SessionInfo | ErrorCategory:
        if call.service == "sts" and call.operation.startswith("AssumeRoleWith"):
            return ErrorCategory.UNSUPPORTED
        caller = self._callers.identify(call, request)
        if isinstance(caller, ErrorCategory):
            return caller
        # Credentials are valid only in their own partition.
        if caller.arn.split(":")[1] != partition_of(call.region):
            return ErrorCategory.UNKNOWN_KEY
        # "You cannot call any IAM API operations unless MFA authentication information is included in the request." (STS
        # API reference, GetSessionToken)
        user_session = caller.session_token is not None and caller.role_arn is None
        if user_session and call.service == "iam" and not caller.mfa:
            return ErrorCategory.UNKNOWN_KEY
        return caller

    def _perform(self, call: ApiCall, request: HttpRequest, caller: SessionInfo, request_id: str) -> HttpReply:
        refused = self._refusal(call, request, caller, request_id)
        if refused is not None:
            return refused
        if call.service == "sts":
            return self._sts.handle(call, query_parameters(request), caller, request_id)
        if call.service == "iam":
            return self._iam.perform(
                call,
                query_parameters(request),
                caller,
                lambda body: dispatch(self._world.app, replace(request, query="", body=body), caller.account_id),
            )
        reply = dispatch(self._world.app, request, caller.account_id)
        if _is_html(reply) or _is_bare_not_found(reply, request):
            # Replies of moto's web framework and routing for operations that moto does not have.
            return _unsupported(call, request_id)
        return reply

    def _refusal(self, call: ApiCall, request: HttpRequest, caller: SessionInfo, request_id: str) -> HttpReply | None:
        """The reply to a call that is not allowed, or None."""
        if call.service == "sts" and call.operation not in _AUTHORIZED_STS:
            return None
        if unquote(request.path).startswith(_MOTO_PATHS):
            return category_reply(
                call, ErrorCategory.UNSUPPORTED, request_id, f"The sandbox does not support {call.action}."
            )
        if not caller.operator:
            return self._authorization.handle(call, caller, request_id)
        # The operator may do everything that the sandbox enforces. The authorizer is not called: the operator writes
        # policies, and each write would make the authorizer compile all of them again.
        why = unsupported_reason(call)
        return category_reply(call, ErrorCategory.UNSUPPORTED, request_id, why) if why else None


def _describe(error: Exception) -> str:
    """An error for the log, with its source line, redacted: the message may quote the request."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return redact(f"{type(error).__name__}: {error}{where}")


def _unsupported(call: ApiCall, request_id: str, *, whole_service: bool = False) -> HttpReply:
    what = call.action.partition(":")[0] + ("" if whole_service else f" {call.operation}")
    return category_reply(call, ErrorCategory.UNSUPPORTED, request_id, f"The sandbox does not support {what}.")


def _is_bare_not_found(reply: HttpReply, request: HttpRequest) -> bool:
    """Whether this is a 404 without a body. Services name what is missing, except in replies to HEAD."""
    return reply.status == HTTPStatus.NOT_FOUND and not reply.body and request.method != "HEAD"


def _is_html(reply: HttpReply) -> bool:
    return reply.status >= HTTPStatus.BAD_REQUEST and reply.body[:15].lower() == b"<!doctype html>"
