"""Form-encoded calls (protocols `query` and `ec2`) for less CPU time than botocore's own: first attempts and reply parsers.

Between serializing a request and parsing the reply, botocore 1.44.5 spends more time on events, header objects and a second
preparation of the request than on sending it. With 64 workers at 50 ms latency first attempts save 21 to 46 % of the CPU
time of a call (`benchmarks/bench_runner.py`, against "plain"; remove them if that falls below 20 %).

botocore's event `before-call` lets a handler answer the call. The handler receives the finished request (endpoint, body,
user agent and parameter validation are botocore's), signs it with botocore's signer, sends it and parses the reply with the
session's parser. A final reply, success or refusal, is returned. Any other outcome (throttles, server errors, expired
credentials, broken connections, unreadable bodies) becomes the outcome of botocore's own first attempt: `send`, on
`before-send`, finds it by the invocation ID that both carry. Retries, backoff, quota, renewal and exceptions are therefore
botocore's, and no request is sent twice.

Only requests with Signature Version 4 are handled (STS, EC2, IAM and other services). All others, and those that need a
proxy, are botocore's from the start. Handlers of `request-created`, `before-sign`, `before-parse`, `response-received` and
`needs-retry` do not see a first attempt whose reply is final; botocore has none of its own that these requests need.

The parsers take a third to half of the time of botocore's. For every member that a shape may have, botocore searches the
reply (an EC2 instance has 70 members, most of them absent) and computes the member's name on the wire each time. Here the
names are computed once per shape, and only elements of the reply are looked up. Rare features of shapes (unions, attributes,
headers, modeled errors) are left to botocore.
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
from botocore.parsers import EC2QueryParser, QueryParser, ResponseParserError, ResponseParserFactory

from rolecall_runner.aws.retry import DeadlineExceededError, makes_single_attempts

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
        if scope is None or self._max_attempts == 1 or makes_single_attempts() or not _is_plain_form(model):
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


@dataclass(frozen=True, slots=True)
class _Member:
    """A member of a structure: its name in parsed replies, its shape, and the method that reads its element."""

    name: str
    shape: Any
    read: Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class _Structure:
    """Members in the order of the model, and the index of each by the name of its element."""

    members: tuple[_Member, ...]
    places: dict[str, int]


class _ByElement:
    """Mixin for botocore's parsers that reads structures and lists; they read everything else."""

    KNOWN_LOCATIONS: tuple[str, ...]
    _parse_shape: Callable[[Any, Any], Any]
    _default_handle: Callable[[Any, Any], Any]
    _member_key_name: Callable[[Any, str], str]

    def __init__(self, timestamp_parser: Any = None, blob_parser: Any = None) -> None:
        super().__init__(timestamp_parser, blob_parser)  # type: ignore[call-arg]
        self._structures: dict[Any, _Structure | None] = {}

    def _handle_structure(self, shape: Any, node: Any) -> Any:
        try:
            structure = self._structures[shape]
        except KeyError:
            structure = self._structures[shape] = self._structure(shape)
        if structure is None:
            return super()._handle_structure(shape, node)  # type: ignore[misc]
        found: dict[int, Any] = {}
        places = structure.places
        for element in node[0] if isinstance(node, list) else node:
            place = places.get(element.tag.rpartition("}")[2])
            if place is None:
                continue
            if place not in found:
                found[place] = element
            elif isinstance(found[place], list):
                found[place].append(element)
            else:
                found[place] = [found[place], element]
        members = structure.members
        # In the order of the model, as botocore returns them; it becomes the order of columns.
        return {members[place].name: members[place].read(members[place].shape, found[place]) for place in sorted(found)}

    def _handle_list(self, shape: Any, node: Any) -> list[Any]:
        if shape.serialization.get("flattened") and not isinstance(node, list):
            node = [node]
        member = shape.member
        read = self._reader(member)
        return [read(member, element) for element in node]

    def _reader(self, shape: Any) -> Callable[[Any, Any], Any]:
        return getattr(self, f"_handle_{shape.type_name}", self._default_handle)

    def _structure(self, shape: Any) -> _Structure | None:
        """The members of a structure; None if botocore has to read it."""
        if shape.metadata.get("exception") or shape.is_tagged_union:
            return None
        members: list[_Member] = []
        places: dict[str, int] = {}
        for name, member in shape.members.items():
            how = member.serialization
            element = self._member_key_name(member, name)
            special = how.get("location") in self.KNOWN_LOCATIONS or how.get("eventheader") or how.get("xmlAttribute")
            if special or element in places:
                return None
            places[element] = len(members)
            members.append(_Member(name, member, self._reader(member)))
        return _Structure(tuple(members), places)


class _QueryReplies(_ByElement, QueryParser):  # type: ignore[misc]
    pass


class _EC2Replies(_ByElement, EC2QueryParser):  # type: ignore[misc]
    pass


_PARSERS: dict[str, type] = {"query": _QueryReplies, "ec2": _EC2Replies}


class ReplyParserFactory(ResponseParserFactory):  # type: ignore[misc]
    """A session's `response_parser_factory` with the parsers of this module, and botocore's for all other protocols.

    botocore requests a parser for every attempt. Those of this module are made once, because they cache shapes; they are
    thread-safe.
    """

    def __init__(self) -> None:
        super().__init__()
        self._made: dict[str, Any] = {}

    def set_parser_defaults(self, **defaults: Any) -> None:
        """As in botocore, but also for parsers that exist already."""
        super().set_parser_defaults(**defaults)
        self._made.clear()

    def create_parser(self, protocol_name: str) -> Any:
        """The parser of a protocol."""
        if protocol_name not in _PARSERS:
            return super().create_parser(protocol_name)
        parser = self._made.get(protocol_name)
        if parser is None:
            parser = self._made[protocol_name] = _PARSERS[protocol_name](**self._defaults)
        return parser
