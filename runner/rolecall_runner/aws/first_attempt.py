"""The first attempt of a call, for less CPU time than botocore's own; botocore handles every attempt that is not final.

Between serializing a request and parsing the reply, botocore 1.44.5 spends more time on events, header objects and a second
preparation of the request than on sending it. With 64 workers at 50 ms latency this module saves 21 to 46 % of the CPU time
of a call (`benchmarks/bench_runner.py`, against "plain"; remove it if that falls below 20 %).

botocore's event `before-call` lets a handler answer the call. The handler receives the finished request (endpoint, body,
user agent and parameter validation are botocore's), signs it with botocore's signer, sends it and parses the reply with the
session's parser. A final reply, success or refusal, is returned. Any other outcome (throttles, server errors, expired
credentials, broken connections, unreadable bodies) becomes the outcome of botocore's own first attempt: `send`, on
`before-send`, finds it by the invocation ID that both carry. Retries, backoff, quota, renewal and exceptions are therefore
botocore's, and no request is sent twice.

Only form-encoded requests with Signature Version 4 are handled (STS, EC2, IAM and other services with the protocols `query`
and `ec2`). All others, and those that need a proxy, are botocore's from the start. Handlers of `request-created`,
`before-sign`, `before-parse`, `response-received` and `needs-retry` do not see a first attempt whose reply is final;
botocore has none of its own that these requests need.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import urlencode
from weakref import WeakValueDictionary

from botocore.auth import AUTH_TYPE_MAPS
from botocore.awsrequest import AWSResponse
from botocore.parsers import ResponseParserError, ResponseParserFactory

from rolecall_runner.aws.retry import DeadlineExceededError

# Errors without fields of their own that are never retried. All others go to botocore.
_FINAL_CODES = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "DryRunOperation"})

_FINAL_STATUS = frozenset({HTTPStatus.OK, HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.PRECONDITION_FAILED})
_FORM_PROTOCOLS = frozenset({"query", "ec2"})


class FrozenCredentials(Protocol):
    """The attributes that botocore's signers read."""

    @property
    def access_key(self) -> str: ...  # noqa: D102 - as in botocore
    @property
    def secret_key(self) -> str: ...  # noqa: D102
    @property
    def token(self) -> str | None: ...  # noqa: D102


Send = Callable[[Any], AWSResponse | None]
"""Sends a signed request; None leaves it to botocore. Raises botocore's connection errors and DeadlineExceededError."""


class _Request:
    """The attributes that signers, the transport and botocore's errors read; plain headers cost far less than botocore's."""

    __slots__ = ("body", "context", "headers", "method", "params", "stream_output", "url")

    def __init__(self, url: str, headers: dict[str, str], body: bytes) -> None:
        self.method = "POST"
        self.url = url
        self.headers = headers
        self.body = body
        self.params: dict[str, str] = {}
        self.context: dict[str, Any] = {}
        self.stream_output = False

    def sign(self, credentials: FrozenCredentials, service: str, region: str) -> None:
        """Add the headers of Signature Version 4; `service` is the signing name.

        The signer is botocore's choice: awscrt's where it is installed and BOTO_DISABLE_CRT is not set, else its own.
        """
        AUTH_TYPE_MAPS["v4"](credentials, service, region).add_auth(self)
        # awscrt's signer leaves botocore's header objects, whose `items` checks each value for surrogates again.
        self.headers = dict(getattr(self.headers, "raw_items", self.headers.items)())


@dataclass(frozen=True, slots=True, weakref_slot=True, repr=False)
class _Outcome:
    """The outcome of a first attempt that botocore handles. The repr shows no headers and no body."""

    answer: AWSResponse | None = None
    error: Exception | None = None


class FirstAttempt:
    """Makes the first attempts of a session's clients. Thread-safe.

    `credentials` returns those of the account that the call is made in, or raises. `max_attempts` includes the first one;
    with 1, botocore makes it.
    """

    def __init__(
        self,
        send: Send,
        credentials: Callable[[], FrozenCredentials],
        parsers: ResponseParserFactory,
        *,
        max_attempts: int,
    ) -> None:
        self._send = send
        self._credentials = credentials
        self._parsers = parsers
        self._max_attempts = max_attempts
        self._outcomes: WeakValueDictionary[str, _Outcome] = WeakValueDictionary()

    def call(
        self, model: Any, params: dict[str, Any], request_signer: Any, context: dict[str, Any], **_event: object
    ) -> tuple[AWSResponse, dict[str, Any]] | None:
        """Handle botocore's `before-call`: return response and parsed reply when they are final, else None.

        Raises DeadlineExceededError, and what `credentials` raises.
        """
        scope = _signing_scope(params, request_signer, context)
        if scope is None or self._max_attempts == 1 or not _is_plain_form(model):
            return None
        request = _Request(params["url"], dict(params["headers"]), urlencode(params["body"], doseq=True).encode())
        request.sign(self._credentials(), *scope)
        invocation = str(uuid.uuid4())
        request.headers["Content-Length"] = str(len(request.body))  # not signed, like the next two
        request.headers["amz-sdk-invocation-id"] = invocation
        request.headers["amz-sdk-request"] = f"attempt=1; max={self._max_attempts}"
        try:
            answer = self._send(request)
        except DeadlineExceededError:
            raise
        except Exception as error:  # botocore decides whether to raise or to retry
            self._hand_over(invocation, _Outcome(error=error), context)
            return None
        if answer is None:
            return None
        reply = self._final_reply(answer, model)
        if reply is None:
            self._hand_over(invocation, _Outcome(answer), context)
            return None
        return answer, reply

    def send(self, request: Any, **_event: object) -> AWSResponse | None:
        """Handle botocore's `before-send`: return the outcome of the call's first attempt if there is one, else send.

        botocore calls every handler of this event, so no other may send. Raises botocore's connection errors and
        DeadlineExceededError.
        """
        outcome = self._pop_outcome(request) if self._outcomes else None
        if outcome is None:
            return self._send(request)
        if outcome.error is not None:
            raise outcome.error
        return outcome.answer

    def _pop_outcome(self, request: Any) -> _Outcome | None:
        invocation = request.headers.get("amz-sdk-invocation-id", b"")
        return self._outcomes.pop(invocation.decode() if isinstance(invocation, bytes) else invocation, None)

    def _hand_over(self, invocation: str, outcome: _Outcome, context: dict[str, Any]) -> None:
        context["retries"] = {"invocation-id": invocation}
        context["rolecall_first_attempt"] = outcome  # lives as long as the call
        self._outcomes[invocation] = outcome

    def _final_reply(self, answer: AWSResponse, model: Any) -> dict[str, Any] | None:
        """The parsed reply; None when botocore must decide what it means."""
        if answer.status_code not in _FINAL_STATUS:
            return None
        response = {
            "headers": answer.headers,
            "status_code": answer.status_code,
            "body": answer.content,
            "context": {"operation_name": model.name},
        }
        service = model.service_model
        try:
            parser = self._parsers.create_parser(service.resolved_protocol)
            reply: dict[str, Any] = parser.parse(response, model.output_shape)
        except (ResponseParserError, LookupError):
            return None
        if answer.status_code != HTTPStatus.OK:
            code = reply.get("Error", {}).get("Code")
            if code not in _FINAL_CODES or service.shape_for_error_code(code) is not None:
                return None
        reply.setdefault("ResponseMetadata", {})["RetryAttempts"] = 0
        return reply


def _is_plain_form(model: Any) -> bool:
    return model.service_model.resolved_protocol in _FORM_PROTOCOLS and not (
        model.request_compression or model.has_streaming_input or model.has_streaming_output
    )


def _signing_scope(params: dict[str, Any], request_signer: Any, context: dict[str, Any]) -> tuple[str, str] | None:
    """Signing name and Region; None where the request needs more than Signature Version 4 of a form."""
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
