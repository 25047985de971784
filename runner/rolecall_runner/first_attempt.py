"""The first attempt of a call, made in a third of botocore's time; all that goes wrong with it is botocore's to judge.

Between serializing a request and parsing its answer botocore 1.44.5 spends more time on events, header objects and a second
preparation than on sending. Its event `before-call` lets a handler answer instead: it gets the finished request (endpoint,
body, user agent and checks of parameters are botocore's own), signs it (`signing`) and reads the answer (`xml_replies`). An
answer that is final, success or refusal, is given back. Anything else (throttles, faults, expired
credentials, broken connections, bodies that cannot be read) is handed to botocore as the outcome of its own first attempt:
`send`, on `before-send`, finds it by the invocation id that both carry. So retries, backoff, quota, renewal and exceptions
are botocore's, and no request is sent twice.

Only form-encoded requests with signature version 4 go this way (STS, EC2, IAM and other services of the `query` and `ec2`
protocols); all others, and those behind a proxy, take botocore's. Handlers of `request-created`, `before-sign`,
`before-parse`, `response-received` and `needs-retry` are not asked about a first attempt whose answer is final; botocore
itself has none that such requests need.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode
from weakref import WeakValueDictionary

from botocore.awsrequest import AWSResponse
from botocore.parsers import ResponseParserError

from rolecall_runner.deadline import TimeIsUpError
from rolecall_runner.signing import FrozenCredentials, sign_post, signing_key
from rolecall_runner.xml_replies import quick_parser

REFUSALS = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "DryRunOperation"})
"""Codes that are final and carry no fields of their own; others may be retried or modelled, and go to botocore."""

_FINAL_STATUS = frozenset({HTTPStatus.OK, HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.PRECONDITION_FAILED})
_FORMS = frozenset({"query", "ec2"})
_SIGNING_KEYS = 64

Send = Callable[[Any], AWSResponse | None]
"""Sends a signed request; None leaves it to botocore. Raises botocore's connection errors and TimeIsUpError."""


class _Request:
    """What the transport and botocore's errors ask of a request; plain headers are much cheaper than botocore's."""

    __slots__ = ("body", "context", "headers", "method", "params", "stream_output", "url")

    def __init__(self, url: str, headers: dict[str, str], body: bytes) -> None:
        self.method = "POST"
        self.url = url
        self.headers = headers
        self.body = body
        self.params: dict[str, str] = {}
        self.context: dict[str, Any] = {}
        self.stream_output = False


@dataclass(frozen=True, slots=True, repr=False)
class _Reading:
    """How answers of an operation are read."""

    parser: Any
    shape: Any
    modelled_error: Callable[[str], Any]


@dataclass(frozen=True, slots=True, weakref_slot=True, repr=False)
class _Outcome:
    """What became of a first attempt that botocore shall judge; its repr shows no header and no body."""

    answer: AWSResponse | None = None
    error: Exception | None = None


class FirstAttempt:
    """Makes first attempts for the clients of a session. Thread-safe.

    `credentials` gives those of the account that the call is made in, or raises. `parsers`: botocore's
    `response_parser_factory`. `max_attempts` counts the first one; with 1 all is left to botocore.
    """

    def __init__(self, send: Send, credentials: Callable[[], FrozenCredentials], parsers: Any, *, max_attempts: int) -> None:
        self._send = send
        self._credentials = credentials
        self._parsers = parsers
        self._max_attempts = max_attempts
        self._signing_key = lru_cache(maxsize=_SIGNING_KEYS)(signing_key)
        self._readings: dict[tuple[str, str], _Reading | None] = {}
        self._outcomes: WeakValueDictionary[str, _Outcome] = WeakValueDictionary()

    def call(
        self, model: Any, params: dict[str, Any], request_signer: Any, context: dict[str, Any], **_event: object
    ) -> tuple[AWSResponse, dict[str, Any]] | None:
        """Answer botocore's `before-call`: response and parsed reply when they are final, else None.

        Raises TimeIsUpError, and what finding the credentials raises.
        """
        reading = self._reading(model)
        scope = _scope(params, request_signer, context)
        if reading is None or scope is None or self._max_attempts == 1:
            return None
        request = _form(params)
        sign_post(request.url, request.headers, request.body, self._credentials(), scope, self._signing_key)
        invocation = str(uuid.uuid4())
        request.headers["Content-Length"] = str(len(request.body))  # unsigned, as the next two
        request.headers["amz-sdk-invocation-id"] = invocation
        request.headers["amz-sdk-request"] = f"attempt=1; max={self._max_attempts}"
        try:
            answer = self._send(request)
        except TimeIsUpError:
            raise
        except Exception as error:  # whatever it is, botocore raises or retries it
            self._hand_over(invocation, _Outcome(error=error), context)
            return None
        if answer is None:
            return None
        reply = _final(answer, reading, model.name)
        if reply is None:
            self._hand_over(invocation, _Outcome(answer), context)
            return None
        return answer, reply

    def send(self, request: Any, **_event: object) -> AWSResponse | None:
        """Answer botocore's `before-send`: with the outcome of the call's first attempt if it has one, else by sending.

        Raises botocore's connection errors and TimeIsUpError.
        """
        outcome = self._outcome_of(request) if self._outcomes else None
        if outcome is None:
            return self._send(request)
        if outcome.error is not None:
            raise outcome.error
        return outcome.answer

    def forget(self) -> None:
        """Forget the signing keys."""
        self._signing_key.cache_clear()

    def _outcome_of(self, request: Any) -> _Outcome | None:
        invocation = request.headers.get("amz-sdk-invocation-id", b"")
        return self._outcomes.pop(invocation.decode() if isinstance(invocation, bytes) else invocation, None)

    def _hand_over(self, invocation: str, outcome: _Outcome, context: dict[str, Any]) -> None:
        context["retries"] = {"invocation-id": invocation}
        context["rolecall_first_attempt"] = outcome  # lives as long as the call
        self._outcomes[invocation] = outcome

    def _reading(self, model: Any) -> _Reading | None:
        service = model.service_model
        key = (service.service_name, model.name)
        if key not in self._readings:
            plain = not (model.request_compression or model.has_streaming_input or model.has_streaming_output)
            found = None
            if service.resolved_protocol in _FORMS and plain:
                parser = quick_parser(self._parsers.create_parser(service.resolved_protocol))
                found = _Reading(parser, model.output_shape, service.shape_for_error_code)
            self._readings[key] = found
        return self._readings[key]


def _scope(params: dict[str, Any], request_signer: Any, context: dict[str, Any]) -> tuple[str, str] | None:
    """Signing name and Region; None where the request is none of the plain ones."""
    signing = context.get("signing") or {}
    if (
        request_signer.signature_version != "v4"
        or context.get("auth_type") not in (None, "v4")
        or context.get("checksum")
        or not signing.keys() <= {"region", "signing_name"}
        or params["method"] != "POST"
        or params["query_string"]
        or not isinstance(params["body"], dict)
    ):
        return None
    return signing.get("signing_name") or request_signer.signing_name, signing.get("region") or request_signer.region_name


def _form(params: dict[str, Any]) -> _Request:
    body = urlencode(params["body"], doseq=True).encode()
    return _Request(params["url"], dict(params["headers"]), body)


def _final(answer: AWSResponse, reading: _Reading, operation: str) -> dict[str, Any] | None:
    """The parsed reply, if there is nothing left to decide about it."""
    if answer.status_code not in _FINAL_STATUS:
        return None
    response = {
        "headers": answer.headers,
        "status_code": answer.status_code,
        "body": answer.content,
        "context": {"operation_name": operation},
    }
    try:
        reply: dict[str, Any] = reading.parser.parse(response, reading.shape)
    except (ResponseParserError, LookupError):
        return None
    if answer.status_code != HTTPStatus.OK:
        code = reply.get("Error", {}).get("Code")
        if code not in REFUSALS or reading.modelled_error(code) is not None:
            return None
    reply.setdefault("ResponseMetadata", {})["RetryAttempts"] = 0
    return reply
