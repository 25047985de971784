"""Headers of responses are read as Python reads them; headers of requests are written as it writes them."""

from __future__ import annotations

import http.client
import io
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rolecall_runner.response_headers import QuickResponse, parse_headers
from rolecall_runner.transport import _HTTPOneWrite


def read(parse: Callable[[Any], Any], raw: bytes) -> Any:
    """Name and value of all headers and what is left unread; or how reading fails."""
    file = io.BytesIO(raw)
    try:
        found = parse(file)
    except http.client.HTTPException as error:
        return type(error), str(error)
    return found.items(), file.read(), bool(found.defects), found.get_payload() or None


PARTS = st.sampled_from([b"\r\n", b"\n", b"\r", b":", b" ", b"\t", b"From x", b"\xfc", b"\x00", b"Name: value\r\n"])


@given(st.lists(PARTS | st.binary(max_size=6), max_size=12).map(b"".join))
@example(b"A: 1\r\nA: 2\r\n\r\nrest")
@example(b"A: 1\r\n folded\r\n\r\n")
@example(b"A:\r\n\r\n")
@example(b": no name\r\n\r\n")
@example(b"A: " + b"x" * 70_000 + b"\r\n\r\n")
@example(b"A: 1\r\n" * 101 + b"\r\n")
@example(b"A: 1\r\nB: 2")
def test_headers_are_read_as_python_reads_them(raw: bytes) -> None:
    """Names, values, order, defects and errors, whatever comes over the wire."""
    assert read(http.client.parse_headers, raw) == read(parse_headers, raw)


class Wire:
    """A socket that has already received an answer."""

    def __init__(self, raw: bytes) -> None:
        self._file = io.BytesIO(raw)

    def makefile(self, mode: str) -> io.BytesIO:
        """The received bytes."""
        del mode
        return self._file


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok",
        b"HTTP/1.1 100 Continue\r\nA: 1\r\n\r\nHTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno",
        b"HTTP/1.0 200 OK\r\n\r\nok",
    ],
)
def test_a_response_is_pythons_in_all_else(raw: bytes) -> None:
    """Length, chunks and whether the connection stays are decided by Python's own code."""
    found = []
    for kind in (http.client.HTTPResponse, QuickResponse):
        response: Any = kind(Wire(raw), method="POST")  # type: ignore[arg-type]
        response.begin()
        found.append((response.status, response.version, response.will_close, response.read(), response.getheaders()))

    assert found[0] == found[1]


def sent(headers: dict[str, Any], kind: type[http.client.HTTPConnection]) -> bytes | str:
    """What a connection of this kind puts on the wire for a POST, or why it does not."""
    ours, theirs = socket.socketpair()
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.extend(iter(lambda: theirs.recv(65536), b"")))
    reader.start()
    connection = kind("h", 80)
    connection.sock = ours
    try:
        connection.request("POST", "/", body=b"a=1", headers=headers)
    except (ValueError, UnicodeError) as error:
        return type(error).__name__
    finally:
        ours.close()
        reader.join()
        theirs.close()
    return b"".join(received)


@pytest.mark.parametrize(
    "value", ["plain", "ü", "tab\there", "", "two\r\nlines: 1", "two\nlines", "a\rb", "folded\r\n on", "€", b"bytes", 7]
)
@pytest.mark.parametrize("name", ["X-Own", "x own", "x:own", "X_Own"])
def test_headers_are_written_as_urllib3_writes_them(name: str, value: Any) -> None:
    """The same bytes, and the same refusals: nothing can be smuggled into a request by a header."""
    from urllib3.connection import HTTPConnection  # noqa: PLC0415 - beside ours, in one glance

    assert sent({name: value}, HTTPConnection) == sent({name: value}, _HTTPOneWrite)
