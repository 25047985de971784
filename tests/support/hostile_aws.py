"""A hostile AWS account: names and messages that try to control the terminal of the reader."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from hostile_text import HOSTILE

BACKEND = "arn:aws:sts::111111111111:assumed-role/backend_role/i-0"
_NOT_XML = frozenset(map(chr, range(32))) - set("\t\n\r") | {"\ufffe", "\uffff"}
_IN_XML = [each for each in HOSTILE if not _NOT_XML & set(each) and not any("\ud800" <= char <= "\udfff" for char in each)]
MESSAGE = "denied " + "\n".join(_IN_XML)


def _xml(text: str) -> str:
    return escape(text, {"\r": "&#13;", "\n": "&#10;", "\x85": "&#133;", "\u2028": "&#8232;"})


def _sts(action: str) -> str:
    body = f"<Arn>{BACKEND}</Arn><UserId>x</UserId><Account>111111111111</Account>"
    if action == "AssumeRole":
        body = (
            "<Credentials><AccessKeyId>ASIAAAAAAAAAAAAAAAAA</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
            "<SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
            f"<AssumedRoleUser><Arn>{BACKEND}</Arn><AssumedRoleId>AROA:x</AssumedRoleId></AssumedRoleUser>"
        )
    return f"<{action}Response><{action}Result>{body}</{action}Result></{action}Response>"


class _Handler(BaseHTTPRequestHandler):
    refuses: Any = frozenset()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode("utf-8", "replace")
        action = parse_qs(body).get("Action", [""])[0]
        if self.path.startswith("/2015-03-31/functions"):
            status, kind = 200, "application/json"
            text = json.dumps({"Functions": [{"FunctionName": each, "Description": each} for each in HOSTILE]})
        elif action in {"GetCallerIdentity", "AssumeRole"} and action not in self.refuses:
            status, kind, text = 200, "text/xml", _sts(action)
        else:
            status, kind = 403, "text/xml"
            text = f"<Code>AccessDenied</Code><Message>{_xml(MESSAGE)}</Message>"
            text = f"<ErrorResponse><Error><Type>Sender</Type>{text}</Error></ErrorResponse>"
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = _answer  # noqa: N815 - the base class's names

    def log_message(self, *arguments: Any) -> None:
        """Do not log."""


@contextmanager
def hostile_aws(*refuses: str) -> Iterator[dict[str, str]]:
    """The environment of a caller with a hostile AWS; STS denies these actions, also with a hostile message."""
    handler = type("Handler", (_Handler,), {"refuses": frozenset(refuses)})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_address[1]}",
            "AWS_ACCESS_KEY_ID": "AKIAAAAAAAAAAAAAAAAA",
            "AWS_SECRET_ACCESS_KEY": "s",
            "AWS_REGION": "us-east-1",
            "AWS_MAX_ATTEMPTS": "1",
        }
        server.shutdown()
        thread.join()
