"""Requests over connections that share one TLS context: certificates are read once, not at every connection.

botocore 1.44.5 hands urllib3 the path of the CA bundle, which is then parsed at every connection (some 20 ms for certifi's,
with the interpreter locked). A handler of `before-send` may answer a request itself: botocore then sends nothing (its own
stubs and moto live on that). What needs more than a plain request is left to botocore's own session: proxies, client
certificates, bodies that are streamed.
"""

from __future__ import annotations

import re
import socket
import ssl
from functools import lru_cache
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
from rolecall_runner.response_headers import QuickResponse

_ONCE = urllib3.Retry(False)  # botocore retries, signed anew each time


_NAME = re.compile(r"[A-Za-z0-9-]+")


@lru_cache(maxsize=256)
def _is_name(header: str) -> bool:
    """Whether a header's name is one that needs no further look; http.client judges all others."""
    return _NAME.fullmatch(header) is not None


class _OneWrite:
    """A connection that sends headers and body together: each write is a system call, a TLS record and a packet."""

    response_class: Any = QuickResponse
    _held: list[bytes] | None = None

    def request(self, *args: Any, **options: Any) -> None:
        self._held = []
        try:
            super().request(*args, **options)  # type: ignore[misc]
            held = b"".join(self._held)
        finally:
            self._held = None
        super().send(held)  # type: ignore[misc]

    def putheader(self, header: Any, *values: Any) -> None:
        value = values[0]
        if len(values) == 1 and isinstance(value, str) and _is_name(header) and "\n" not in value and "\r" not in value:
            self._output(f"{header}: {value}".encode("latin-1"))  # type: ignore[attr-defined]
        else:
            super().putheader(header, *values)  # type: ignore[misc]

    def send(self, data: Any) -> None:
        if self._held is None:
            super().send(data)  # type: ignore[misc]
        else:
            self._held.append(data if isinstance(data, bytes) else bytes(data))


class _HTTPOneWrite(_OneWrite, HTTPConnection):
    pass


class _HTTPSOneWrite(_OneWrite, HTTPSConnection):
    pass


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HTTPOneWrite


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPSOneWrite


class Transport:
    """An HTTP client for AWS; one for all services, threads and accounts of a process.

    `ca_bundle`: path of the trusted certificates. `connections` a host are kept open; seconds to connect and to read.
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
        """Answer botocore's `before-send`: send the request, or None to leave it to botocore.

        Raises botocore's own connection errors, so that its retries know them.
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
                timeout=self._timeout if left is None or left > self._read_seconds else self._hurry(left),
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

    def _hurry(self, left: float) -> urllib3.Timeout:
        return urllib3.Timeout(connect=min(self._connect_seconds, left), read=min(self._read_seconds, left))


def _split(url: str) -> tuple[str, str]:
    """Origin and path with query of an absolute URL."""
    start = url.find("/", url.find("://") + 3)
    if start < 0:
        return url, "/"
    return url[:start], url[start:]


def _as_botocore(error: Exception, request: Any) -> Exception:
    """The error as botocore's own session would raise it (botocore 1.44.5, httpsession.py)."""
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
