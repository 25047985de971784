"""Boto clients shared by all accounts: one per service and Region; each call is signed for the account it is made in.

A client per account would cost 0.5 s and megabytes each (service model, certificates, connections). Clients are therefore
made once, with credentials that refuse to sign. The account's credentials come with each call: a handler of `before-sign`
takes them from the context that `account` sets and passes them on as `request_credentials`, as AWS's S3 Access Grants
plugin does. A call outside `account` raises an error and is never sent under the caller's own identity. The same handler
signs retries. First attempts of form-encoded calls are made by `first_attempt`, for the same account. botocore signs with
awscrt (`botocore[crt]`) where it is installed, else in Python; both use the account's credentials. awscrt only signs: its
event loops do not survive a fork, and it sends without TCP_NODELAY.

Other state of a client in botocore 1.44.5, and how accounts are kept apart:

- S3 Express session credentials, per bucket: switched off.
- Discovered endpoints (Timestream), per operation: switched off; operations that require them raise an error.
- Bearer tokens from the environment (AWS_BEARER_TOKEN_...), which would replace the signature: refused.
- Account-based endpoints, from the client's own credentials: switched off.
- Presigned URLs and POST forms: signed through the same event, so with the account's credentials.
- Regions of buckets (redirects): names only, the same for every account; kept.
- Adaptive retries slow down all accounts when one is throttled: standard retries are used.

The HTTP connections share one TLS context. botocore passes the path of the CA bundle to urllib3, which parses it for every
connection (20 ms for certifi's, with the interpreter locked). `Transport` sends from a handler of `before-send`, as
botocore's stubs and moto do; proxies and streamed bodies are left to botocore's own session. The pools are urllib3's own:
`botocore.httpsession.URLLib3Session` made directly passes an empty list of socket options, which turns off TCP_NODELAY.
"""

from __future__ import annotations

import os
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from typing import Any, NoReturn, Protocol

import botocore.loaders
import botocore.session
import urllib3
from botocore import httpsession
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
    SSLError,
)
from botocore.retries import standard
from botocore.utils import get_environ_proxies, parse_timestamp
from urllib3 import exceptions as wire
from urllib3.connection import HTTPConnection, HTTPSConnection

from rolecall_generator._version import __version__
from rolecall_generator.errors import CallerError, ExitCode, RolecallError
from rolecall_generator.records import is_aws_address, is_loopback
from rolecall_generator.workers import collection_paused
from rolecall_runner.aws.configuration import configuration_errors, new_session
from rolecall_runner.aws.failures import EXPIRED_CODES
from rolecall_runner.aws.first_attempt import FirstAttempt, FrozenCredentials, ReplyParserFactory
from rolecall_runner.aws.retry import DeadlineExceededError, makes_single_attempts, note_success, seconds_left

_NO_RETRIES = urllib3.Retry(False)  # botocore retries, with a new signature each time


class _OneWrite:
    """Sends headers and body together: each write is a system call, a TLS record and a packet."""

    _parts: list[bytes] | None = None

    def request(self, *args: Any, **options: Any) -> None:
        self._parts = []
        try:
            super().request(*args, **options)  # type: ignore[misc]
            message = b"".join(self._parts)
        finally:
            self._parts = None
        super().send(message)  # type: ignore[misc]

    def send(self, data: Any) -> None:
        if self._parts is None:
            super().send(data)  # type: ignore[misc]
        else:
            self._parts.append(data if isinstance(data, bytes) else bytes(data))


class _HTTPConnection(_OneWrite, HTTPConnection):
    pass


class _HTTPSConnection(_OneWrite, HTTPSConnection):
    pass


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


class Transport:
    """An HTTP client for AWS; one for all services, threads and accounts of a process.

    `ca_bundle` is the path of the trusted certificates. Up to `connections` connections per host are kept open.
    `connect_seconds` and `read_seconds` are time-outs; a `deadline` shortens them.
    """

    def __init__(self, ca_bundle: str, *, connections: int, connect_seconds: float, read_seconds: float) -> None:
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        self._timeout = urllib3.Timeout(connect=connect_seconds, read=read_seconds)
        # botocore's context, because Python 3.13's default rejects CA certificates that boto3 accepts (VERIFY_X509_STRICT).
        context = httpsession.create_urllib3_context()
        context.load_verify_locations(cafile=ca_bundle)
        context.check_hostname = True
        self._pools = urllib3.PoolManager(num_pools=200, maxsize=connections, ssl_context=context, retries=_NO_RETRIES)
        self._pools.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
        self._by_origin: dict[str, tuple[Any, bool]] = {}

    def send(self, request: Any, **_event: object) -> AWSResponse | None:
        """Handle botocore's `before-send`: send the request, or return None to leave it to botocore.

        Raises DeadlineExceededError and botocore's own connection errors, which its retries recognize.
        """
        origin, path = _split(request.url)
        pool, proxied = self._by_origin.get(origin) or self._pool(origin)
        if proxied or not isinstance(request.body, bytes | str | None):
            return None
        try:
            left = seconds_left()
            response = pool.urlopen(
                request.method,
                path,
                body=request.body,
                headers=request.headers,
                retries=_NO_RETRIES,
                redirect=False,
                assert_same_host=False,
                timeout=self._timeout if left is None or left > self._read_seconds else self._shortened(left),
                preload_content=False,
                decode_content=False,
            )
            answer = AWSResponse(request.url, response.status, response.headers, response)
            if not request.stream_output:
                _ = answer.content  # read now, so that the connection returns to its pool
        except DeadlineExceededError:
            raise
        except Exception as error:
            raise _as_botocore(error, request) from error
        return answer

    def close(self) -> None:
        """Close all connections."""
        self._pools.clear()
        self._by_origin.clear()

    def _pool(self, origin: str) -> tuple[Any, bool]:
        proxied = not is_loopback(origin) and bool(get_environ_proxies(origin))
        found = self._by_origin[origin] = (self._pools.connection_from_url(origin), proxied)
        return found

    def _shortened(self, left: float) -> urllib3.Timeout:
        return urllib3.Timeout(connect=min(self._connect_seconds, left), read=min(self._read_seconds, left))


def _split(url: str) -> tuple[str, str]:
    """Origin and path with query of an absolute URL."""
    start = url.find("/", url.find("://") + 3)
    if start < 0:
        return url, "/"
    return url[:start], url[start:]


def _as_botocore(error: Exception, request: Any) -> Exception:
    """The error that botocore's own session raises for it (botocore 1.44.5, httpsession.py)."""
    url = request.url
    if isinstance(error, wire.SSLError):
        return SSLError(endpoint_url=url, error=error)  # type: ignore[no-any-return]
    if isinstance(error, wire.NewConnectionError | socket.gaierror):
        return EndpointConnectionError(endpoint_url=url, error=error)  # type: ignore[no-any-return]
    if isinstance(error, wire.ConnectTimeoutError):
        return ConnectTimeoutError(endpoint_url=url, error=error)  # type: ignore[no-any-return]
    if isinstance(error, wire.ReadTimeoutError):
        return ReadTimeoutError(endpoint_url=url, error=error)  # type: ignore[no-any-return]
    if isinstance(error, wire.ProtocolError):
        return ConnectionClosedError(error=error, request=request, endpoint_url=url)  # type: ignore[no-any-return]
    return HTTPClientError(error=error)  # type: ignore[no-any-return]


DEFAULT_CONNECTIONS = 16


class OutsideAccountError(RolecallError):
    """A call would have been signed with no credentials, or with others than those of the account it belongs to."""

    exit_code = ExitCode.INTERNAL


class SigningCredentials(Protocol):
    """Credentials for signing, read at every call, so that they may be refreshed in between.

    If they have a method `renew`, it is called when AWS reports them as expired, and the call is repeated once.
    """

    def get_frozen_credentials(self) -> FrozenCredentials:
        """The current credentials."""


_account: ContextVar[SigningCredentials | None] = ContextVar("rolecall_account", default=None)


@contextmanager
def account(credentials: SigningCredentials) -> Iterator[None]:
    """Sign calls of shared clients with these credentials, in this thread only. The innermost `account` applies."""
    token = _account.set(credentials)
    try:
        yield
    finally:
        _account.reset(token)


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Connection settings of clients.

    `endpoint_url`: of all services, as for the sandbox. `ca_bundle`: a path; None: as configured for botocore.
    `connections`: kept open per host, one per worker. `max_attempts` includes the first one; None: as configured, by
    default 4. `profile`: its settings apply (FIPS, endpoints, CA bundle, retries), not its credentials; None: those of
    AWS_PROFILE.
    """

    endpoint_url: str | None = None
    ca_bundle: str | None = None
    connections: int = DEFAULT_CONNECTIONS
    connect_seconds: float = 5.0
    read_seconds: float = 30.0
    max_attempts: int | None = None
    profile: str | None = None


class Clients:
    """Shared clients by service and Region. Made once per process, used by all its threads.

    Raises CallerError if the AWS configuration is not valid.
    """

    def __init__(self, settings: ClientSettings | None = None) -> None:
        self.settings = settings or ClientSettings()
        with configuration_errors(self.settings.profile):
            self._session = _session(self.settings.profile)
            self._retry_mode, self._max_attempts = _retries(self._session, self.settings.max_attempts)
            self._ca_bundle = self.settings.ca_bundle or _ca_bundle(self._session)
        self._transport = _transport(self._ca_bundle, self.settings)
        self._first = FirstAttempt(
            self._transport.send,
            lambda: _signing_now().get_frozen_credentials(),
            self._session.get_component("response_parser_factory"),
            max_attempts=self._max_attempts if self._retry_mode == _RETRY_MODE else 1,
        )
        events = self._session.get_component("event_emitter")
        events.register("before-sign", _sign_as_account)
        events.register_last("before-call", self._first.call)  # after every handler that changes the request
        events.register("before-send", self._first.send)
        events.register("needs-retry", _renew_when_expired)
        events.register("after-call", note_success)
        self._user_agent = f"rolecall/{__version__} {self._session.user_agent()}"
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str, int], Any] = {}
        self._rehearsal = False

    @property
    def rehearsal(self) -> bool:
        """Whether any client made so far uses an endpoint outside AWS, wherever that was configured."""
        return self._rehearsal

    @property
    def botocore_session(self) -> Any:
        """The session that makes the clients. Its credentials refuse to sign."""
        return self._session

    def client(self, service: str, region: str) -> Any:
        """The client of a service (boto3's name) in a Region. Make calls inside `with account(...)`.

        Raises botocore's UnknownServiceError.
        """
        attempts = 1 if makes_single_attempts() else self._max_attempts
        key = service, region, attempts
        found = self._clients.get(key)
        if found is None:
            with self._lock:  # load each service model only once
                found = self._clients.get(key)
                if found is None:
                    with collection_paused():  # it frees nothing while a service model loads, and doubles the time
                        found = self._clients[key] = self.make_client(service, region, attempts)
        return found

    def close(self) -> None:
        """Close all connections. The clients cannot be used afterwards."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        self._transport.close()

    def make_client(self, service: str, region: str, attempts: int | None = None) -> Any:
        """A new client, in addition to the shared one: for other event handlers or methods."""
        s3: dict[str, Any] = {"use_arn_region": True, "disable_s3_express_session_auth": True}
        if self.settings.endpoint_url:
            s3["addressing_style"] = "path"  # bucket names do not resolve on loopback
        config = Config(
            connect_timeout=self.settings.connect_seconds,
            read_timeout=self.settings.read_seconds,
            max_pool_connections=self.settings.connections,
            retries={"mode": self._retry_mode, "total_max_attempts": attempts or self._max_attempts},
            proxies={} if is_loopback(self.settings.endpoint_url or "") else None,
            account_id_endpoint_mode="disabled",
            # botocore would build its own user agent twice for every request.
            user_agent=self._user_agent,
            endpoint_discovery_enabled=False,
            s3=s3,
        )
        with _own_retry_quota():
            client = self._session.create_client(
                service, region, endpoint_url=self.settings.endpoint_url, verify=self._ca_bundle, config=config
            )
        # The endpoint actually used: an environment variable of one service or a profile may have set it.
        if not is_aws_address(client.meta.endpoint_url):
            self._rehearsal = True
        return client


_retry_quota_lock = threading.Lock()


@contextmanager
def _own_retry_quota() -> Iterator[None]:
    """Create a client without botocore's limit on the retries of all its calls together (500 tokens, 5 per retry).

    The limit is meant for one account. Here, a hundred retries for throttled accounts would leave all others without any.
    """
    with _retry_quota_lock:
        limited = standard.quota.RetryQuota
        standard.quota.RetryQuota = partial(limited, initial_capacity=sys.maxsize)
        try:
            yield
        finally:
            standard.quota.RetryQuota = limited


class _RefusingCredentials(botocore.credentials.Credentials):  # type: ignore[misc]
    """The credentials of every shared client: they refuse to sign."""

    def __init__(self) -> None:
        super().__init__("none", "none")

    def get_frozen_credentials(self) -> NoReturn:
        raise _outside()


class _RefusingProvider(botocore.credentials.CredentialProvider):  # type: ignore[misc]
    METHOD = "rolecall"

    def load(self) -> _RefusingCredentials:
        return _RefusingCredentials()


def _outside() -> OutsideAccountError:
    return OutsideAccountError(
        "a call to AWS outside `account` was not sent",
        hint="make the call inside `with account(credentials)`, in the same thread",
    )


@lru_cache(maxsize=1)
def model_loader() -> Any:
    """botocore's loader of service models and endpoint data, one per process. It caches what it loads.

    EC2's model takes 35 MiB of resident memory (botocore 1.44.5).
    """
    return botocore.loaders.create_loader()


_RETRY_MODE = "standard"
_MAX_ATTEMPTS = 4


def _session(profile: str | None) -> Any:
    session = new_session(profile)
    session.register_component("data_loader", model_loader())
    # Never look up the environment's or a profile's credentials: only those of `account` sign.
    session.register_component("credential_provider", botocore.credentials.CredentialResolver([_RefusingProvider()]))
    # Sessions of the global endpoint are not valid in Regions that are disabled by default.
    session.set_config_variable("sts_regional_endpoints", "regional")
    parsers = ReplyParserFactory()
    parsers.set_parser_defaults(timestamp_parser=_timestamp)  # botocore's own uses dateutil, which takes ten times as long
    session.register_component("response_parser_factory", parsers)
    return session


def _retries(session: Any, max_attempts: int | None) -> tuple[str, int]:
    """Retry mode and number of attempts: as configured for botocore, else standard retries."""
    profile = session.get_scoped_config()
    is_set = {
        name: bool(os.environ.get(variable) or profile.get(name))
        for name, variable in (("retry_mode", "AWS_RETRY_MODE"), ("max_attempts", "AWS_MAX_ATTEMPTS"))
    }
    mode = session.get_config_variable("retry_mode") if is_set["retry_mode"] else _RETRY_MODE
    configured = session.get_config_variable("max_attempts") if is_set["max_attempts"] else _MAX_ATTEMPTS
    return mode, max_attempts or configured


def _ca_bundle(session: Any) -> str:
    configured = session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")
    return configured or httpsession.get_cert_path(True)


def _transport(ca_bundle: str, settings: ClientSettings) -> Transport:
    try:
        return Transport(
            ca_bundle,
            connections=settings.connections,
            connect_seconds=settings.connect_seconds,
            read_seconds=settings.read_seconds,
        )
    except OSError as error:  # ssl.SSLError is one
        reason = "it contains no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise CallerError(
            f"the CA bundle cannot be used: {reason}",
            where=ca_bundle,
            hint="check AWS_CA_BUNDLE, ca_bundle in the AWS configuration, and REQUESTS_CA_BUNDLE",
        ) from error


def _timestamp(value: Any) -> datetime:
    """A timestamp of a reply: ISO 8601 with a time zone, else any other format that botocore knows."""
    if isinstance(value, str):
        try:
            parsed = datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            if parsed.tzinfo is not None:
                return parsed
    return parse_timestamp(value)  # type: ignore[no-any-return]


def _renew_when_expired(response: Any, request_dict: Any, **_event: object) -> float | None:
    """Handle botocore's `needs-retry`: if AWS reports expired credentials, renew them and repeat the call once.

    The expiry time is not enough: a customer may have revoked the role's sessions.
    """
    code = response[1].get("Error", {}).get("Code") if response is not None else None
    renew = getattr(_account.get(), "renew", None)
    if code not in EXPIRED_CODES or renew is None or "rolecall_renewed" in request_dict["context"]:
        return None
    request_dict["context"]["rolecall_renewed"] = True
    renew()
    return 0.0


def _signing_now() -> SigningCredentials:
    """The credentials for the current call. Raises OutsideAccountError and DeadlineExceededError."""
    credentials = _account.get()
    if credentials is None:
        raise _outside()
    seconds_left()
    return credentials


def _sign_as_account(request: Any, signature_version: Any, **_event: object) -> None:
    credentials = _signing_now()
    signing = request.context.get("signing") or {}
    if signature_version == "bearer" or "identity_cache" in signing:
        raise OutsideAccountError(
            f"a call that would be signed with the client's own {signature_version} credentials was not sent",
            hint="unset AWS_BEARER_TOKEN_... in the environment, or omit this operation",
        )
    # A copy: an account's credentials must not get into a mapping that another call might share.
    request.context["signing"] = {**signing, "request_credentials": credentials}
