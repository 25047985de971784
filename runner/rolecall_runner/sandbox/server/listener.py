"""The HTTP server of the sandbox, which accepts only local requests, and its endpoint for container credentials."""

from __future__ import annotations

import contextlib
import hmac
import json
import secrets
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.exceptions import NotFound
from werkzeug.serving import ThreadedWSGIServer
from werkzeug.wsgi import get_input_stream

from rolecall_runner.sandbox.protocol.aws_protocol import HttpReply, HttpRequest, SandboxError
from rolecall_runner.sandbox.sts.sts import SandboxCredentials


@dataclass(frozen=True, slots=True)
class SentReply:
    """A reply, and what a fault does to its connection: see `FaultEffect`."""

    reply: HttpReply
    delay_seconds: float = 0.0
    cut_after: float | None = None


NAMES = ("127.0.0.1", "localhost")
"""Host names of the sandbox."""


def refusal_reason(target: str, headers: Message, port: int) -> str | None:
    """Why a request is rejected before its body is read, or None to accept it.

    A page in a browser can send requests to 127.0.0.1, and through DNS rebinding it can read the replies. Such a request has
    the page's host name in `Host`, and browsers add `Origin` and `Sec-Fetch-Site` (Fetch Metadata Request Headers, W3C); AWS
    SDKs, the AWS CLI and Terraform send neither.

    `target` is the request target as sent, `headers` all headers in order, `port` the port of the sandbox. Exactly one
    `Host` header is required, in HTTP/1.0 too; an absolute target (`GET http://host/ HTTP/1.1`) must name the sandbox as
    well. Proxy headers such as `X-Forwarded-Host` are ignored.
    """
    allowed = {f"{name}:{port}" for name in NAMES} | (set(NAMES) if port == 80 else set())  # noqa: PLR2004 - HTTP's default port
    hosts: Sequence[str] = headers.get_all("Host", [])
    if len(hosts) != 1:
        return f"{len(hosts)} Host headers"
    if hosts[0].strip().lower() not in allowed:
        return "Host header of another host"
    if not target.startswith("/") and target != "*":
        try:
            named = urlsplit(target)
        except ValueError:
            return "invalid request target"
        if named.scheme.lower() != "http" or named.netloc.lower() not in allowed:
            return "request target on another host"
    if "Origin" in headers or headers.get("Sec-Fetch-Site", "none").strip().lower() != "none":
        return "request from a web page"
    return None


LOOPBACK = "127.0.0.1"
_REJECTION = b"This server accepts only requests to 127.0.0.1 that do not come from a web page.\n"


class _Handler(MotoRequestHandler):
    disable_nagle_algorithm = True
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one segment
    server: Listener

    def run_wsgi(self) -> None:
        """Answer a request, and keep the connection open for the next.

        werkzeug closes the connection after each reply. Under load Go's HTTP client (1.23) then loses a reply now and then,
        the AWS SDK repeats the request, and CreateRole ends with EntityAlreadyExists.
        """
        try:
            request = read_environ(self.make_environ())
        except (OSError, ValueError):
            # The body is truncated or not valid chunked encoding: where the next request starts is unknown.
            self.close_connection = True
            self._send(HttpReply(HTTPStatus.BAD_REQUEST, (), b""), None)
            return
        answer = self.server.answer(request)
        if answer.delay_seconds:
            self.server.sleep(answer.delay_seconds)
        self._send(answer.reply, answer.cut_after)

    def _send(self, reply: HttpReply, cut_after: float | None) -> None:
        if cut_after is None or (cut_after and reply.body):
            self.send_response(reply.status, _phrase(reply.status))
            for name, value in _headers(reply):
                self.send_header(name, value)
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(reply.body if cut_after is None else reply.body[: int(len(reply.body) * cut_after)])
            self.wfile.flush()
        if cut_after is not None:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

    def parse_request(self) -> bool:
        """Parse the request line and the headers; False when the request is rejected."""
        return super().parse_request() and self._is_local()

    def handle_expect_100(self) -> bool:
        """Ask for the body only of an accepted request."""
        return self._is_local() and super().handle_expect_100()

    def _is_local(self) -> bool:
        reason = refusal_reason(self.path, self.headers, self.server.port)
        if reason is None:
            return True
        self.server.write_line(f"- {self.command} rejected: {reason}")
        self.close_connection = True
        self.send_response_only(HTTPStatus.FORBIDDEN)
        for name, value in (("Content-Type", "text/plain"), ("Content-Length", str(len(_REJECTION)))):
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(_REJECTION)
        return False

    def log(self, kind: str, message: str, *args: Any) -> None:
        """Print nothing: the sandbox writes the log."""


class Listener(ThreadedWSGIServer):
    """Serves a callable over HTTP on the loopback interface. `port` 0 selects a free port.

    Connections are kept open between requests. Requests with another `Host` and requests of web pages are rejected with 403
    before their body is read; `write_line` receives a line for each. Raises SandboxError when the port is in use.
    """

    def __init__(
        self,
        port: int,
        answer: Callable[[HttpRequest], SentReply],
        sleep: Callable[[float], None],
        write_line: Callable[[str], None],
    ) -> None:
        self.answer = answer
        self.sleep = sleep
        self.write_line = write_line
        self._open: set[socket.socket] = set()
        listening = _bind(port)
        try:
            super().__init__(LOOPBACK, listening.getsockname()[1], NotFound(), _Handler, fd=listening.fileno())
        finally:
            listening.close()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="sandbox", daemon=True)

    def start(self) -> None:
        """Serve in a background thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and close all connections, which clients keep alive."""
        if self._thread.is_alive():
            self.shutdown()
            self._thread.join()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Handle a connection in a thread, and remember it until it is closed."""
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing for malformed requests and closed connections."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name for it
        """Print nothing: the sandbox writes the log."""


def _bind(port: int) -> socket.socket:
    """A listening socket on loopback. werkzeug would exit the process when the port is in use."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((LOOPBACK, port))
        listening.listen(128)
    except (OSError, OverflowError) as error:
        listening.close()
        raise SandboxError(
            f"cannot listen on {LOOPBACK}, port {port}: {error}", hint="choose another port, or 0 for any free port"
        ) from error
    return listening


def _headers(reply: HttpReply) -> list[tuple[str, str]]:
    kept = [pair for pair in reply.headers if pair[0].lower() not in {"content-length", "transfer-encoding", "connection"}]
    declared = next((value for name, value in reply.headers if name.lower() == "content-length"), None)
    # A reply to HEAD declares the length of a body that it does not have.
    return [*kept, ("Content-Length", declared if declared is not None and not reply.body else str(len(reply.body)))]


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def read_environ(environ: dict[str, Any]) -> HttpRequest:
    """The request of a WSGI environment. Raises OSError or ValueError when its body is incomplete."""
    target = urlsplit(environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ.get("PATH_INFO", "/"))
    headers = {name[5:].replace("_", "-").lower(): str(value) for name, value in environ.items() if name.startswith("HTTP_")}
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.replace("_", "-").lower()] = environ[name]
    body = get_input_stream(environ).read()
    return HttpRequest(
        environ["REQUEST_METHOD"], target.path or "/", target.query, headers, body, headers.get("host", LOOPBACK)
    )


# Not the name of a bucket, which cannot start with an underscore.
PREFIX = "/_sandbox/credentials/"


class CredentialsEndpoint:
    """Container credential provider: SDKs, the AWS CLI and Terraform fetch and renew a role's credentials here.

    Protocol: "Container credential provider" (AWS SDKs and Tools Reference Guide), November 2026. `issue` returns None for a
    role that does not exist.
    """

    def __init__(self, issue: Callable[[str], SandboxCredentials | None]) -> None:
        self._issue = issue
        self._tokens: dict[str, tuple[str, str]] = {}

    def open(self, role_arn: str, url: str) -> Mapping[str, str]:
        """Environment variables for AWS tools to act as the role; `url` is the address of the sandbox."""
        name = secrets.token_hex(8)
        token = secrets.token_urlsafe(32)
        self._tokens[name] = role_arn, token
        return {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{url}{PREFIX}{name}",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": token,
        }

    def handle(self, request: HttpRequest) -> HttpReply:
        """Answer a request below PREFIX."""
        role_arn, token = self._tokens.get(request.path.removeprefix(PREFIX), ("", ""))
        given = request.headers.get("authorization", "")
        if not token or not hmac.compare_digest(token.encode(), given.encode()):
            return _reply(403, {"code": "AccessDenied", "message": "The authorization token is invalid."})
        found = self._issue(role_arn)
        if found is None or found.expires is None:
            return _reply(404, {"code": "NoSuchRole", "message": f"Role {role_arn} does not exist."})
        return _reply(
            200,
            {
                "AccessKeyId": found.access_key,
                "SecretAccessKey": found.secret,
                "Token": found.session_token or "",
                "Expiration": found.expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "RoleArn": role_arn,
            },
        )


def _reply(status: int, body: Mapping[str, str]) -> HttpReply:
    return HttpReply(status, (("Content-Type", "application/json"),), json.dumps(body).encode())
