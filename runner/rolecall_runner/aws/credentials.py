"""AssumeRole, and what comes of it. Nothing else in the project calls AssumeRole.

Credentials are refreshed five minutes ahead of their end, one refresh at a time for each account. Sessions of a caller that
is itself an assumed role end after an hour at most (role chaining; IAM user guide, November 2026). No secret is in a
repr, an error or a log line of this module.
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
from rolecall_runner.aws.aws_errors import failure_of
from rolecall_runner.aws.clients import Clients, SigningCredentials, account
from rolecall_runner.inventory import Target

PROBE_SECONDS = 900
SESSION_SECONDS = 3600
REFUSAL = "AccessDenied"
"""The code by which STS refuses (STS API reference, "Common errors", November 2026); no other is a refusal."""
REFRESH_AHEAD = timedelta(minutes=5)

Clock = Callable[[], datetime]
"""The time of day, with a time zone."""

_NOT_IN_NAMES = re.compile(r"[^\w+=,.@-]", re.ASCII)
_NAME_CHARACTERS = 64


def utc_now() -> datetime:
    """The machine's time."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Credentials of an assumed role. Field names are those that botocore's signers read; a repr shows no secret.

    `expires` has a time zone; `arn` is the session's, as GetCallerIdentity and the customer's CloudTrail show it.
    """

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str | None = field(repr=False)
    expires: datetime
    arn: str = ""

    def get_frozen_credentials(self) -> Credentials:
        """What botocore signs with: these."""
        return self

    def valid_at(self, moment: datetime) -> bool:
        """Whether they need no refresh yet."""
        return moment < self.expires - REFRESH_AHEAD


@dataclass(frozen=True, slots=True)
class CallerIdentity:
    """Who assumes the roles: the backend role's session, or a person. `region` is where STS is asked.

    `rehearsal`: a sandbox said who it is, and not AWS.
    """

    credentials: SigningCredentials = field(repr=False)
    arn: str
    account_id: str
    region: str
    rehearsal: bool = False

    @property
    def is_assumed_role(self) -> bool:
        """Whether sessions are chained, and so end after an hour at most."""
        return ":assumed-role/" in self.arn

    @property
    def name(self) -> str:
        """Session or user name: the last part of the ARN."""
        return self.arn.rpartition("/")[2]


class _Own(Enum):
    OWN = "the target's own"


OWN = _Own.OWN
"""The target's own external id."""


class SessionCache(Protocol):
    """Where credentials outlive a run; see `session_cache`."""

    def load(self, key: str) -> Credentials | None:
        """Credentials kept under the key, None when there are none that still hold."""

    def save(self, key: str, credentials: Credentials) -> None:
        """Keep credentials under the key."""

    def drop(self, key: str) -> None:
        """Forget what is kept under the key."""


@dataclass(frozen=True, slots=True)
class Assumer:
    """Assumes roles for one caller in one run.

    `run_id` becomes part of the session name, `rolecall-RUNID`, by which a customer finds the run in CloudTrail.
    `session_seconds` is asked for where the role and the caller's kind allow as much.
    """

    clients: Clients
    caller: CallerIdentity
    run_id: str
    session_seconds: int = SESSION_SECONDS

    def assume(
        self, target: Target, *, external_id: str | _Own | None = OWN, seconds: int | None = None, name: str | None = None
    ) -> Credentials:
        """Assume the target's role. `external_id` None sends none; a string sends that one: for probes.

        With its own id, a target amid a rotation whose role refuses the new one is asked once more with the previous one.
        `seconds` defaults to a probe's 900 where another external id than the target's own is sent. Raises botocore's
        ClientError (AccessDenied is a refusal) and connection errors.
        """
        if not isinstance(external_id, _Own):
            return self._assume(target, external_id, seconds or PROBE_SECONDS, name)
        if target.previous_external_id is None:
            return self._assume(target, target.external_id, seconds or self.session_seconds, name)
        return self._assume_amid_rotation(target, target.previous_external_id, seconds or self.session_seconds, name)

    def _assume_amid_rotation(self, target: Target, previous: str, seconds: int, name: str | None) -> Credentials:
        """Until the customer applies the new module its role knows the previous external id alone."""
        try:
            return self._assume(target, target.external_id, seconds, name)
        except Exception as refusal:  # any but a refusal goes on as it came
            if failure_of(refusal).code != REFUSAL:
                raise
            try:
                return self._assume(target, previous, seconds, name)
            except Exception as again:
                # Both refused: what is wrong is not the rotation, so the answer to the current id is the one to hear.
                raise (refusal if failure_of(again).code == REFUSAL else again) from None

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
        return credentials_of(reply)

    def _seconds(self, target: Target, wanted: int) -> int:
        limit = min(target.max_session_seconds, quotas.CHAINED_SESSION_SECONDS if self.caller.is_assumed_role else wanted)
        return max(PROBE_SECONDS, min(wanted, limit))


def credentials_of(reply: Mapping[str, Any]) -> Credentials:
    """The credentials in a reply of AssumeRole (boto3's form)."""
    found = reply["Credentials"]
    return Credentials(
        found["AccessKeyId"],
        found["SecretAccessKey"],
        found["SessionToken"],
        found["Expiration"],
        reply.get("AssumedRoleUser", {}).get("Arn", ""),
    )


def session_name(run_id: str, what: str = "rolecall") -> str:
    """A session name that the customer's CloudTrail explains: `rolecall-RUNID`; 64 allowed characters at most."""
    return allowed_name(f"{what}-{run_id}")


def allowed_name(text: str) -> str:
    """Text as a session name or source identity: other characters become `-`; 2 to 64 of them (botocore's model of STS)."""
    return _NOT_IN_NAMES.sub("-", text)[:_NAME_CHARACTERS].ljust(2, "-")


class AccountSession:
    """A target's credentials over time: assumed when first needed, and again before they end. Thread-safe."""

    def __init__(
        self, assume: Callable[[], Credentials], clock: Clock, key: str = "", cache: SessionCache | None = None
    ) -> None:
        self._assume = assume
        self._clock = clock
        self._key = key
        self._cache = cache
        self._lock = threading.Lock()
        self._credentials: Credentials | None = None

    def get_frozen_credentials(self) -> Credentials:
        """Credentials that hold for five minutes at least. Raises what `Assumer.assume` raises."""
        found = self._credentials
        if found is not None and found.valid_at(self._clock()):
            return found
        with self._lock:  # whoever waited here finds the fresh ones
            found = self._credentials
            if found is None or not found.valid_at(self._clock()):
                found = self._credentials = self._fresh()
        return found

    def renew(self) -> None:
        """Forget the credentials, the kept ones too: AWS has called them expired."""
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
    """Sessions of many accounts. One that no one uses any more is forgotten, so that memory does not grow with accounts."""

    def __init__(self, assumer: Assumer, *, clock: Clock = utc_now, cache: SessionCache | None = None) -> None:
        self._assumer = assumer
        self._clock = clock
        self._cache = cache
        self._lock = threading.Lock()
        self._sessions: WeakValueDictionary[tuple[str, str | None], AccountSession] = WeakValueDictionary()

    def of(self, target: Target) -> AccountSession:
        """The target's session, shared by all who hold it at the time; for `with account(...)`."""
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
    """What tells kept credentials apart: who assumed which role with which external id, in plain text."""
    return "\0".join((caller.arn, target.role_arn, target.external_id or ""))
