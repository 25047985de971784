"""HTTP connections that share one TLS context, so that the certificates are read once and not for every connection.

botocore 1.44.5 passes the path of the CA bundle to urllib3, which parses it for every connection (20 ms for certifi's, with
the interpreter locked). A handler of `before-send` may answer a request itself, and botocore then sends nothing; its stubs
and moto work the same way. Proxies and streamed bodies are left to botocore's own session.

The pools are urllib3's own and not a `botocore.httpsession.URLLib3Session`: made by hand, that passes an empty list of
socket options and so turns off TCP_NODELAY.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any

import urllib3
from botocore.awsrequest import AWSResponse
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
    SSLError,
)
from botocore.utils import get_environ_proxies
from urllib3 import exceptions as wire
from urllib3.connection import HTTPConnection, HTTPSConnection

from rolecall_runner.deadline import TimeIsUpError, seconds_left

_ONCE = urllib3.Retry(False)  # botocore retries, with a new signature each time


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
    `connect_seconds` and `read_seconds` are time-outs; a deadline (see `deadline`) shortens them.
    """

    def __init__(self, ca_bundle: str, *, connections: int, connect_seconds: float, read_seconds: float) -> None:
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        self._timeout = urllib3.Timeout(connect=connect_seconds, read=read_seconds)
        context = ssl.create_default_context(cafile=ca_bundle)
        self._pools = urllib3.PoolManager(num_pools=200, maxsize=connections, ssl_context=context, retries=_ONCE)
        self._pools.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
        self._by_origin: dict[str, tuple[Any, bool]] = {}

    def send(self, request: Any, **_event: object) -> AWSResponse | None:
        """Handle botocore's `before-send`: send the request, or return None to leave it to botocore.

        Raises TimeIsUpError and botocore's own connection errors, which its retries recognize.
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
                retries=_ONCE,
                redirect=False,
                assert_same_host=False,
                timeout=self._timeout if left is None or left > self._read_seconds else self._shortened(left),
                preload_content=False,
                decode_content=False,
            )
            answer = AWSResponse(request.url, response.status, response.headers, response)
            if not request.stream_output:
                _ = answer.content  # read now, so that the connection returns to its pool
        except TimeIsUpError:
            raise
        except Exception as error:
            raise _as_botocore(error, request) from error
        return answer

    def close(self) -> None:
        """Close all connections."""
        self._pools.clear()
        self._by_origin.clear()

    def _pool(self, origin: str) -> tuple[Any, bool]:
        proxied = bool(get_environ_proxies(origin))
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
