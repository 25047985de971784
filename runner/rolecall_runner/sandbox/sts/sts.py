"""STS: AssumeRole, GetCallerIdentity, GetSessionToken and GetAccessKeyInfo; sessions and the callers of access keys."""

from __future__ import annotations

import base64
import re
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from rolecall_generator.iam import Arn, PolicyDocument, role_arn
from rolecall_runner.sandbox.iam.moto_backends import MotoBackends, StoredAccess, document_of, serialize_reply
from rolecall_runner.sandbox.protocol.aws_protocol import (
    NOT_OFFERED,
    OPERATOR_KEY,
    OPERATOR_ROLE,
    ApiCall,
    AwsRefusalError,
    ErrorCategory,
    HttpReply,
    HttpRequest,
    QueryParameters,
    SessionInfo,
    access_denied,
    signature_matches,
)
from rolecall_runner.sandbox.sts.assume_role import (
    SESSION_POLICY_CHARACTERS,
    USER_SESSION_MAXIMUM_SECONDS,
    USER_SESSION_SECONDS,
    AssumeRoleRequest,
    Assumption,
    decide_assume,
    read_assume_role,
    read_mfa,
    read_seconds,
)

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


_SIX_DIGITS = re.compile(r"[0-9]{6}", re.ASCII)

Fields = Mapping[str, object]
"""A reply as nested mappings; None omits a field."""


class Sts:
    """STS on the stored IAM; `on_account` is called with the id of each account that the operator enters."""

    def __init__(
        self,
        world: MotoBackends,
        stored: StoredAccess,
        sessions: SandboxSessions,
        clock: Clock,
        on_account: Callable[[str], None],
    ) -> None:
        self._world = world
        self._stored = stored
        self._sessions = sessions
        self._clock = clock
        self._on_account = on_account
        self._operations: dict[str, Callable[[ApiCall, QueryParameters, SessionInfo], Fields]] = {
            "AssumeRole": self._assume_role,
            "GetCallerIdentity": self._get_caller_identity,
            "GetSessionToken": self._get_session_token,
            "GetAccessKeyInfo": self._get_access_key_info,
        }

    def handle(self, call: ApiCall, form: QueryParameters, caller: SessionInfo, request_id: str) -> HttpReply:
        """Answer a call. Raises AwsRefusalError where AWS refuses, and for unsupported operations."""
        operation = self._operations.get(call.operation)
        if operation is None:
            raise AwsRefusalError("SandboxUnsupported", f"The sandbox does not support sts:{call.operation}.", NOT_OFFERED)
        return serialize_reply("sts", call.operation, operation(call, form, caller), request_id)

    def _assume_role(self, call: ApiCall, form: QueryParameters, caller: SessionInfo) -> Fields:
        request = read_assume_role(form)
        if caller.operator and request.role_arn.endswith(f":role/{OPERATOR_ROLE}"):
            return _assumed(self._operate(request), request)
        now = self._clock()
        mfa_age = self._mfa_age(caller, request.serial_number, request.token_code, now)
        assumption = decide_assume(self._stored, call, caller, request, mfa_age=mfa_age, now=now)
        policies = self._session_policies(request)
        session = self.role_session(assumption, request.session_name, chained=caller.role_arn is not None, policies=policies)
        return _assumed(session, request)

    def _operate(self, request: AssumeRoleRequest) -> SessionInfo:
        """Issue an administrator session for the operator, which creates the account."""
        self._on_account(request.account_id)
        now = self._clock()
        arn = f"arn:{request.partition}:sts::{request.account_id}:assumed-role/{OPERATOR_ROLE}/{request.session_name}"
        return self._sessions.issue(
            SessionInfo(
                "",
                "",
                None,
                request.account_id,
                arn,
                user_id=f"AROAROLECALLOPERATOR0:{request.session_name}",
                role_arn=role_arn(request.partition, request.account_id, "/", OPERATOR_ROLE),
                issued=now,
                expires=now + timedelta(seconds=request.seconds or 3_600),
                operator=True,
            )
        )

    def role_session(
        self, assumption: Assumption, name: str, *, chained: bool, policies: tuple[PolicyDocument, ...] = ()
    ) -> SessionInfo:
        """Issue a role session. Raises AwsRefusalError when the role no longer exists."""
        parsed = Arn.parse(assumption.role.arn)
        stored = self._world.role(assumption.role.arn)
        if parsed is None or stored is None:
            raise access_denied(f"{assumption.role.arn} no longer exists")
        now = self._clock()
        return self._sessions.issue(
            SessionInfo(
                "",
                "",
                None,
                parsed.account_id,
                f"arn:{parsed.partition}:sts::{parsed.account_id}:assumed-role/{parsed.name}/{name}",
                user_id=f"{stored.id}:{name}",
                role_arn=assumption.role.arn,
                issued=now,
                expires=now + timedelta(seconds=assumption.seconds),
                tags=assumption.tags,
                transitive=assumption.transitive,
                source_identity=assumption.source_identity,
                session_policies=policies,
                chained=chained,
            )
        )

    def user_session(self, user: SessionInfo, *, seconds: int, mfa: bool) -> SessionInfo:
        """Issue a session of a user or the root user, as for GetSessionToken."""
        now = self._clock()
        expires = now + timedelta(seconds=seconds)
        return self._sessions.issue(replace(user, issued=now, expires=expires, mfa=mfa, mfa_at=now if mfa else None))

    def _mfa_age(self, caller: SessionInfo, serial: str | None, code: str | None, now: datetime) -> int | None:
        """Seconds since the MFA authentication: 0 with MFA in the request, otherwise that of the session; None without MFA.

        Raises AwsRefusalError for an invalid device or code.
        """
        if serial is None and code is None:
            return None if caller.mfa_at is None else int((now - caller.mfa_at).total_seconds())
        if serial is None or code is None:
            raise access_denied(
                "MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code."
            )
        if not self._has_device(caller, serial):
            raise access_denied(
                "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is "
                "valid and associated with this user."
            )
        if not _SIX_DIGITS.fullmatch(code):
            raise access_denied("MultiFactorAuthentication failed with invalid MFA one time pass code. ")
        return 0

    def _has_device(self, caller: SessionInfo, serial: str) -> bool:
        """Whether a device is enabled for the user, or is an unassigned virtual device of the account.

        Terraform can create a virtual device but cannot enable it.
        """
        user = self._world.user(caller.arn)
        parsed = Arn.parse(caller.arn)
        if user is None or parsed is None:
            return False
        device = self._world.iam_backend(parsed).virtual_mfa_devices.get(serial)
        return serial in user.mfa_devices or (device is not None and device.user is None)

    def _session_policies(self, request: AssumeRoleRequest) -> tuple[PolicyDocument, ...]:
        documents = [] if request.policy is None else [request.policy]
        return (*documents, *(self._policy(request, arn) for arn in request.policy_arns))

    def _policy(self, request: AssumeRoleRequest, arn: str) -> PolicyDocument:
        """A managed policy of the role's account or of AWS. Raises AwsRefusalError when it does not exist."""
        if ":iam::aws:policy/" in arn:
            text = self._world.load_aws_policy(request.account_id, request.partition, arn)
            if text is not None:
                return document_of(text)
        policy = self._stored.account(request.account_id, request.partition).policies.get(arn)
        if policy is None:
            raise AwsRefusalError("MalformedPolicyDocument", f"Policy {arn} does not exist or is not attachable.")
        return policy.document

    def _get_caller_identity(self, _call: ApiCall, _form: QueryParameters, caller: SessionInfo) -> Fields:
        return {"Arn": caller.arn, "UserId": caller.user_id, "Account": caller.account_id}

    def _get_session_token(self, _call: ApiCall, form: QueryParameters, caller: SessionInfo) -> Fields:
        seconds = read_seconds(form, USER_SESSION_MAXIMUM_SECONDS)
        serial, code = read_mfa(form)
        if caller.session_token is not None or caller.operator:
            raise access_denied("Cannot call GetSessionToken with session credentials")
        mfa_age = self._mfa_age(caller, serial, code, self._clock())
        session = self.user_session(caller, seconds=seconds or USER_SESSION_SECONDS, mfa=mfa_age is not None)
        return {"Credentials": _credentials(session)}

    def _get_access_key_info(self, _call: ApiCall, form: QueryParameters, _caller: SessionInfo) -> Fields:
        key = form.get("AccessKeyId", "")
        session = self._sessions.find(key)
        if session is not None:
            return {"Account": session.account_id}
        for account_id, _partition, backend in self._world.all_iam_backends():
            if key in backend.access_keys:
                return {"Account": account_id}
        raise AwsRefusalError("InvalidClientTokenId", f"The access key {key} does not exist in the sandbox.", 403)


def _assumed(session: SessionInfo, request: AssumeRoleRequest) -> Fields:
    fields: dict[str, object] = {
        "Credentials": _credentials(session),
        "AssumedRoleUser": {"AssumedRoleId": session.user_id, "Arn": session.arn},
        "SourceIdentity": session.source_identity,
    }
    if request.policy is not None:
        # AWS uses an undocumented packed binary format; this is the percentage for plain text.
        fields["PackedPolicySize"] = -(-100 * request.policy.size // SESSION_POLICY_CHARACTERS)
    return fields


def _credentials(session: SessionInfo) -> Fields:
    return {
        "AccessKeyId": session.access_key,
        "SecretAccessKey": session.secret,
        "SessionToken": session.session_token,
        "Expiration": session.expires.replace(microsecond=0) if session.expires else None,
    }
