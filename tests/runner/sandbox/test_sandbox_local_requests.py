"""Only requests to the sandbox's own addresses, not from a web page, and with secrets of this sandbox are accepted."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from sandbox_rig import Rig, running

IDENTITY = b"Action=GetCallerIdentity&Version=2011-06-15"
REFUSAL = b"This server accepts only requests to 127.0.0.1 that do not come from a web page.\n"
FORM = "application/x-www-form-urlencoded"
PATHS = ("/", "/moto-api/data.json", "/moto-api/reset", "/latest/meta-data/", "/a-bucket/a-key", "/_sandbox/credentials/x")


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with running() as rig:
        yield rig


def port_of(rig: Rig) -> int:
    return int(rig.sandbox.url.rpartition(":")[2])


def raw(port: int, request: bytes) -> tuple[int, bytes]:
    """Status and complete reply to bytes sent unchanged."""
    with contextlib.closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        reply = b""
        while part := connection.recv(65536):
            reply += part
    return int(reply.split(b" ", 2)[1]), reply


def signed(rig: Rig, host: str, key: str = "", secret: str = "") -> dict[str, str]:
    """The headers of GetCallerIdentity, signed for a host by the operator or with another key."""
    operator = rig.sandbox.operator_credentials()
    request = AWSRequest("POST", f"http://{host}/", data=IDENTITY, headers={"Host": host, "Content-Type": FORM})
    credentials = BotoCredentials(key or operator.access_key, secret or operator.secret)
    SigV4Auth(credentials, "sts", "us-east-1").add_auth(request)
    return {name: value for name, value in request.headers.items() if name != "Host"}


def post(rig: Rig, hosts: list[str], *, signed_for: str, target: str = "/", version: str = "1.1", **more: str) -> int:
    """The status of a signed GetCallerIdentity with these Host headers."""
    lines = [f"POST {target} HTTP/{version}", *(f"Host: {host}" for host in hosts)]
    headers = {**signed(rig, signed_for), "Content-Length": str(len(IDENTITY)), "Connection": "close", **more}
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return raw(port_of(rig), "\r\n".join([*lines, "", ""]).encode() + IDENTITY)[0]


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "LocalHost:{port}"])
def test_own_addresses_are_accepted(rig: Rig, host: str) -> None:
    name = host.format(port=port_of(rig))

    assert 200 == post(rig, [name], signed_for=name)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1.evil.example:{port}",
        "127.0.0.1.nip.io:{port}",
        "localhost.evil.example:{port}",
        "evil.localhost:{port}",
        "127.0.0.1",
        "localhost",
        "127.0.0.1:1",
        "127.0.0.1.:{port}",
        "localhost.:{port}",
        "127.1:{port}",
        "2130706433:{port}",
        "0x7f.0.0.1:{port}",
        "0.0.0.0:{port}",
        "[::1]:{port}",
        "[::ffff:127.0.0.1]:{port}",
        "127.0.0.1:{port}@evil.example",
        "user@127.0.0.1:{port}",
        "127.0.0.1:{port}, evil.example",
        "127.0.0.1:{port}/x",
        "",
    ],
)
def test_other_host_is_refused(rig: Rig, host: str) -> None:
    name = host.format(port=port_of(rig))

    assert 403 == post(rig, [name], signed_for=name or "evil.example")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"])
def test_host_is_checked_first(rig: Rig, method: str, path: str) -> None:
    """For every path and method, and no reply allows a page to read it."""
    lines = len(rig.lines)
    status, reply = raw(port_of(rig), f"{method} {path} HTTP/1.1\r\nHost: evil.example\r\n\r\n".encode())

    assert 403 == status
    assert b"access-control" not in reply.lower()
    assert ["- " + method + " rejected: Host header of another host"] == rig.lines[lines:]


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_request_without_host_is_refused(rig: Rig, version: str) -> None:
    """HTTP/1.0 may omit it."""
    assert 403 == post(rig, [], signed_for=f"127.0.0.1:{port_of(rig)}", version=version)


def test_http_0_9_is_refused(rig: Rig) -> None:
    """A request line without a version has no Host either."""
    with contextlib.closing(socket.create_connection(("127.0.0.1", port_of(rig)), timeout=10)) as connection:
        connection.sendall(b"GET /moto-api/data.json\r\n\r\n")
        reply = connection.recv(65536)

    assert b"" == reply.removeprefix(REFUSAL)


def test_multiple_hosts_are_refused(rig: Rig) -> None:
    """In either order, since parsers may disagree on which one counts."""
    own = f"127.0.0.1:{port_of(rig)}"

    assert [403, 403, 403] == [
        post(rig, hosts, signed_for=own) for hosts in ([own, "evil.example"], ["evil.example", own], [own, own])
    ]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("http://127.0.0.1:{port}/", 200),
        ("http://evil.example/", 403),
        ("http://evil.example:{port}/", 403),
        ("http://user@127.0.0.1:{port}/", 403),
        ("https://127.0.0.1:{port}/", 403),
        ("evil.example:80", 403),
    ],
)
def test_host_in_absolute_target_is_checked(rig: Rig, target: str, expected: int) -> None:
    """`POST http://host/ HTTP/1.1` has a host in the request target too."""
    own = f"127.0.0.1:{port_of(rig)}"

    assert expected == post(rig, [own], signed_for=own, target=target.format(port=port_of(rig)))


def test_proxy_headers_are_ignored(rig: Rig) -> None:
    """They neither allow another host name nor block the sandbox's own."""
    own = f"127.0.0.1:{port_of(rig)}"
    forwarded = {"X_Forwarded_Host": "evil.example", "Forwarded": "host=evil.example"}

    assert 200 == post(rig, [own], signed_for=own, **forwarded)
    assert 403 == post(rig, ["evil.example"], signed_for="evil.example", X_Forwarded_Host=own)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Sec_Fetch_Site": "same-origin"}, 403),
        ({"Sec_Fetch_Site": "none"}, 200),
    ],
)
def test_browser_request_is_refused_with_right_host(rig: Rig, headers: dict[str, str], expected: int) -> None:
    """A link opened by the user (`none`) is accepted; a request from a web page is not, even if it is signed."""
    own = f"127.0.0.1:{port_of(rig)}"

    assert expected == post(rig, [own], signed_for=own, **headers)


def test_expect_continue_is_refused_with_wrong_host(rig: Rig) -> None:
    """`Expect: 100-continue` gets the refusal and no interim reply."""
    head = b"POST / HTTP/1.1\r\nHost: evil.example\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"

    assert 403 == raw(port_of(rig), head)[0]


def test_every_request_on_a_connection_is_checked(rig: Rig) -> None:
    own = f"127.0.0.1:{port_of(rig)}"
    with contextlib.closing(http.client.HTTPConnection(own, timeout=10)) as connection:
        statuses = []
        for host in (own, "evil.example"):
            headers = {**signed(rig, host), "Content-Type": FORM, "Host": host}
            connection.request("POST", "/", body=IDENTITY, headers=headers)
            reply = connection.getresponse()
            reply.read()
            statuses.append(reply.status)

    assert [200, 403] == statuses


@pytest.mark.parametrize("secret", ["", "whatever", "rolecall-sandbox", "any-secret", "x"])
def test_operator_key_requires_secret_of_this_start(rig: Rig, secret: str) -> None:
    """The key ID is public and constant; a wrong secret is refused as by AWS."""
    own = f"127.0.0.1:{port_of(rig)}"
    headers = signed(rig, own, "AKIAROLECALLOPERATOR", secret or "\x00")
    lines = [f"POST / HTTP/1.1\r\nHost: {own}\r\nContent-Length: {len(IDENTITY)}\r\nConnection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    status, reply = raw(port_of(rig), "\r\n".join([*lines, "", ""]).encode() + IDENTITY)

    assert 403 == status
    assert b"<Code>SignatureDoesNotMatch</Code>" in reply


def test_refusal_log_contains_nothing_of_the_request(rig: Rig) -> None:
    """A name in Host or a path could contain control sequences for the reader's terminal."""
    lines = len(rig.lines)
    raw(port_of(rig), b"GET /\x1b[2J HTTP/1.1\r\nHost: \x1b[31m::error::x\r\n\r\n")

    assert "\x1b" not in json.dumps(rig.lines[lines:], ensure_ascii=False)
