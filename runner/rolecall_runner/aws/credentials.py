"""Credentials of assumed roles, refreshed before they expire. Nothing else in the project calls AssumeRole.

Credentials are refreshed five minutes before they expire, with one refresh at a time per account. If the caller is an
assumed role, its sessions last at most one hour (role chaining; IAM User Guide, November 2026). No repr, error, or log line
of this module contains a secret.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Protocol
from weakref import WeakValueDictionary

from rolecall_generator.iam import quotas
from rolecall_runner.aws.aws_errors import ACCESS_DENIED, failure_of
from rolecall_runner.aws.clients import Clients, SigningCredentials, account
from rolecall_runner.inventory import Target

PROBE_SECONDS = 900
SESSION_SECONDS = 3600
REFRESH_AHEAD = timedelta(minutes=5)

_NOT_IN_NAMES = re.compile(r"[^\w+=,.@-]", re.ASCII)
_NAME_CHARACTERS = 64


def utc_now() -> datetime:
    """The current time."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Credentials of an assumed role, with the field names that botocore's signers read. The repr shows no secret.

    `expires` has a time zone. `arn` is the ARN of the session, as in GetCallerIdentity and the customer's CloudTrail.
    """

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str | None = field(repr=False)
    expires: datetime
    arn: str = ""

    @classmethod
    def from_reply(cls, reply: Mapping[str, Any]) -> Credentials:
        """The credentials in a reply of AssumeRole, as boto3 returns it."""
        found = reply["Credentials"]
        return cls(
            found["AccessKeyId"],
            found["SecretAccessKey"],
            found["SessionToken"],
            found["Expiration"],
            reply.get("AssumedRoleUser", {}).get("Arn", ""),
        )

    def get_frozen_credentials(self) -> Credentials:
        """These credentials; botocore calls this to sign."""
        return self

    def valid_at(self, moment: datetime) -> bool:
        """Whether no refresh is due at this time."""
        return moment < self.expires - REFRESH_AHEAD


@dataclass(frozen=True, slots=True)
class CallerIdentity:
    """The principal that assumes the roles: a session of the backend role, or a person.

    `region` is the Region of the STS endpoint. `rehearsal`: the identity comes from a sandbox, not from AWS.
    """

    credentials: SigningCredentials = field(repr=False)
    arn: str
    account_id: str
    region: str
    rehearsal: bool = False

    @property
    def is_assumed_role(self) -> bool:
        """Whether its sessions are chained, and so last at most one hour."""
        return ":assumed-role/" in self.arn

    @property
    def name(self) -> str:
        """Session or user name, the last part of the ARN."""
        return self.arn.rpartition("/")[2]


class _Own(Enum):
    OWN = "the target's own"


OWN = _Own.OWN
"""The target's own external ID."""


class SessionCache(Protocol):
    """Storage for credentials outside of an `AccountSession`."""

    def load(self, key: str) -> Credentials | None:
        """The unexpired credentials stored under the key, or None."""

    def save(self, key: str, credentials: Credentials) -> None:
        """Store credentials under the key."""

    def drop(self, key: str) -> None:
        """Delete the credentials stored under the key, if any."""


@dataclass(frozen=True, slots=True)
class Assumer:
    """Assumes roles for one caller in one run.

    `run_id` is part of the session name, `rolecall-RUNID`, which identifies the run in the customer's CloudTrail.
    `session_seconds` is the requested session duration; the limits of the role and of role chaining may shorten it.
    """

    clients: Clients
    caller: CallerIdentity
    run_id: str
    session_seconds: int = SESSION_SECONDS

    def assume(
        self, target: Target, *, external_id: str | _Own | None = OWN, seconds: int | None = None, name: str | None = None
    ) -> Credentials:
        """Assume the target's role with its external ID. Probes pass another `external_id`, or None to send none.

        During a rotation, a role that refuses the target's external ID is tried again with the previous one. `seconds`
        defaults to 900 for probes, else to `session_seconds`. `name` replaces the session name. Raises botocore's
        ClientError (AccessDenied is a refusal) and connection errors.
        """
        if not isinstance(external_id, _Own):
            return self._assume(target, external_id, seconds or PROBE_SECONDS, name)
        if target.previous_external_id is None:
            return self._assume(target, target.external_id, seconds or self.session_seconds, name)
        return self._assume_in_rotation(target, target.previous_external_id, seconds or self.session_seconds, name)

    def _assume_in_rotation(self, target: Target, previous: str, seconds: int, name: str | None) -> Credentials:
        """Until the customer applies the new module, the role accepts only the previous external ID."""
        try:
            return self._assume(target, target.external_id, seconds, name)
        except Exception as refusal:  # any other error is raised again
            if failure_of(refusal).code != ACCESS_DENIED:
                raise
            try:
                return self._assume(target, previous, seconds, name)
            except Exception as again:
                # If both are refused, the rotation is not the cause: report the refusal of the current external ID.
                raise (refusal if failure_of(again).code == ACCESS_DENIED else again) from None

    def _assume(self, target: Target, sent: str | None, seconds: int, name: str | None) -> Credentials:
        parameters: dict[str, Any] = {
            "RoleArn": target.role_arn,
            "RoleSessionName": name or session_name(self.run_id),
            "DurationSeconds": self._seconds(target, seconds),
        }
        if sent is not None:
            parameters["ExternalId"] = sent
        if target.session_tags:
            parameters["Tags"] = [
                {"Key": "rolecall-run", "Value": self.run_id},
                {"Key": "rolecall-target", "Value": target.name},
            ]
        if target.source_identity:
            parameters["SourceIdentity"] = allowed_name(self.caller.name)
        with account(self.caller.credentials):
            reply = self.clients.client("sts", self.caller.region).assume_role(**parameters)
        return Credentials.from_reply(reply)

    def _seconds(self, target: Target, wanted: int) -> int:
        limit = min(target.max_session_seconds, quotas.CHAINED_SESSION_SECONDS if self.caller.is_assumed_role else wanted)
        return max(PROBE_SECONDS, min(wanted, limit))


def session_name(run_id: str, prefix: str = "rolecall") -> str:
    """The session name `rolecall-RUNID`, or with another prefix, limited to 64 allowed characters."""
    return allowed_name(f"{prefix}-{run_id}")


def allowed_name(text: str) -> str:
    """Turn a string into a valid session name or source identity: 2 to 64 characters, invalid ones replaced by `-`."""
    return _NOT_IN_NAMES.sub("-", text)[:_NAME_CHARACTERS].ljust(2, "-")


class AccountSession:
    """The credentials of one target: assumed when first needed, and again before they expire. Thread-safe."""

    def __init__(
        self,
        assume: Callable[[], Credentials],
        clock: Callable[[], datetime],
        key: str = "",
        cache: SessionCache | None = None,
    ) -> None:
        self._assume = assume
        self._clock = clock
        self._key = key
        self._cache = cache
        self._lock = threading.Lock()
        self._credentials: Credentials | None = None

    def get_frozen_credentials(self) -> Credentials:
        """Credentials valid for at least five minutes. Raises what `Assumer.assume` raises."""
        found = self._credentials
        if found is not None and found.valid_at(self._clock()):
            return found
        with self._lock:  # a thread that waited here finds the new credentials
            found = self._credentials
            if found is None or not found.valid_at(self._clock()):
                found = self._credentials = self._fresh()
        return found

    def renew(self) -> None:
        """Discard the credentials, in the cache too, because AWS reports them as expired."""
        with self._lock:
            self._credentials = None
            if self._cache is not None:
                self._cache.drop(self._key)

    def _fresh(self) -> Credentials:
        if self._cache is not None:
            kept = self._cache.load(self._key)
            if kept is not None and kept.valid_at(self._clock()):
                return kept
        fresh = self._assume()
        if self._cache is not None:
            self._cache.save(self._key, fresh)
        return fresh


class Sessions:
    """Sessions of many accounts. Unused sessions are released, so that memory does not grow with the number of accounts."""

    def __init__(
        self, assumer: Assumer, *, clock: Callable[[], datetime] = utc_now, cache: SessionCache | None = None
    ) -> None:
        self._assumer = assumer
        self._clock = clock
        self._cache = cache
        self._lock = threading.Lock()
        self._sessions: WeakValueDictionary[tuple[str, str | None], AccountSession] = WeakValueDictionary()

    def session(self, target: Target) -> AccountSession:
        """The target's session, for `with account(...)`; concurrent users of a target share one."""
        identity = (target.role_arn, target.external_id)
        with self._lock:
            session = self._sessions.get(identity)
            if session is None:
                session = AccountSession(
                    lambda: self._assumer.assume(target), self._clock, cache_key(self._assumer.caller, target), self._cache
                )
                self._sessions[identity] = session
        return session


def cache_key(caller: CallerIdentity, target: Target) -> str:
    """The cache key of a session: caller, role, and external ID."""
    return "\0".join((caller.arn, target.role_arn, target.external_id or ""))
