"""Error replies as the services send them, so that botocore and the AWS CLI parse code and message.

Forms: Smithy's AWS protocol pages (awsQuery, ec2Query, awsJson1_0, restJson1, restXml, rpcv2Cbor) and the S3 API reference
("REST error responses"), November 2026.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from xml.sax.saxutils import escape

from rolecall_runner.sandbox.wire import ApiCall, HttpReply

QUERY, EC2, JSON, REST_JSON, REST_XML, CBOR, S3 = "query", "ec2", "json", "rest-json", "rest-xml", "cbor", "s3"

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SERVER_SIDE = 500
_SHORT, _BYTE, _TWO_BYTES = 24, 1 << 8, 1 << 16
# These speak JSON since 2023 but promise the codes of their query days (the model's `awsQueryCompatible`).
_QUERY_COMPATIBLE = {"sqs", "monitoring"}


def dialect(call: ApiCall) -> str:
    """How the service writes errors: the call's protocol, and `s3`, which differs from all other rest-xml services."""
    return S3 if call.service == "s3" and call.protocol == REST_XML else call.protocol


def refusal(call: ApiCall | str, code: str, message: str, status: int, request_id: str) -> HttpReply:
    """An error reply; `call` may be a dialect alone (query, ec2, json, rest-json, rest-xml, cbor, s3).

    `status` is the HTTP status. Raises ValueError for an unknown dialect.
    """
    form = call if isinstance(call, str) else dialect(call)
    writer = _WRITERS.get(form)
    if writer is None:
        raise ValueError(f"no error form for {form!r}")
    headers, body = writer(code, message, status, request_id)
    if not isinstance(call, str):
        if form == S3 and call.operation.startswith("Head"):
            body = b""  # a reply to HEAD has no body; clients then show the status alone
        if call.service in _QUERY_COMPATIBLE and form in {JSON, CBOR}:
            plain = code.removesuffix("Exception") if code.startswith("AccessDenied") else code
            headers = (*headers, ("x-amzn-query-error", f"{plain};{_fault(status)}"))
    return HttpReply(status, (*headers, ("Content-Length", str(len(body)))), body)


_Written = tuple[tuple[tuple[str, str], ...], bytes]


def _query(code: str, message: str, status: int, request_id: str) -> _Written:
    body = (
        f"<ErrorResponse><Error><Type>{_fault(status)}</Type><Code>{_text(code)}</Code>"
        f"<Message>{_text(message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    return (("Content-Type", "text/xml"), ("x-amzn-RequestId", request_id)), body.encode()


def _ec2(code: str, message: str, _status: int, request_id: str) -> _Written:
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Response><Errors><Error><Code>{_text(code)}</Code><Message>{_text(message)}</Message></Error></Errors>"
        f"<RequestID>{request_id}</RequestID></Response>"
    )
    return (("Content-Type", "text/xml;charset=UTF-8"), ("x-amzn-RequestId", request_id)), body.encode()


def _s3(code: str, message: str, _status: int, request_id: str) -> _Written:
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{_text(code)}</Code><Message>{_text(message)}</Message><RequestId>{request_id}</RequestId></Error>"
    )
    return (("Content-Type", "application/xml"), ("x-amz-request-id", request_id)), body.encode()


def _json(code: str, message: str, _status: int, request_id: str) -> _Written:
    return (
        ("Content-Type", "application/x-amz-json-1.0"),
        ("x-amzn-RequestId", request_id),
        ("x-amzn-ErrorType", code),
    ), json.dumps({"__type": code, "message": message}).encode()


def _rest_json(code: str, message: str, _status: int, request_id: str) -> _Written:
    return (
        ("Content-Type", "application/json"),
        ("x-amzn-RequestId", request_id),
        ("x-amzn-ErrorType", code),
    ), json.dumps({"message": message}).encode()


def _cbor(code: str, message: str, _status: int, request_id: str) -> _Written:
    body = bytes([0xA2]) + b"".join(map(_cbor_text, ("__type", code, "message", message)))
    return (
        ("Content-Type", "application/cbor"),
        ("smithy-protocol", "rpc-v2-cbor"),
        ("x-amzn-RequestId", request_id),
    ), body


def _cbor_text(text: str) -> bytes:
    """A text string of RFC 8949, section 3: major type 3 with its length; a whole library for this would be one more."""
    raw = text.encode()[: _TWO_BYTES - 1]
    if len(raw) < _SHORT:
        return bytes([0x60 | len(raw)]) + raw
    if len(raw) < _BYTE:
        return bytes([0x78, len(raw)]) + raw
    return bytes([0x79]) + len(raw).to_bytes(2, "big") + raw


_WRITERS: dict[str, Callable[[str, str, int, str], _Written]] = {
    QUERY: _query,
    EC2: _ec2,
    JSON: _json,
    REST_JSON: _rest_json,
    REST_XML: _query,
    CBOR: _cbor,
    S3: _s3,
}


def _fault(status: int) -> str:
    return "Receiver" if status >= _SERVER_SIDE else "Sender"


def _text(text: str) -> str:
    """Text for XML: characters that XML 1.0 cannot carry would make the whole reply unreadable."""
    return escape(_NOT_XML.sub("\ufffd", text))
