"""Requests of real boto3 clients, captured before they are sent: no network, no server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HeadersDict
from botocore.config import Config
from botocore.exceptions import ClientError

from rolecall_runner.sandbox.protocol.aws_protocol import HttpReply, HttpRequest

ACCESS_KEY = "AKIAROLECALLTESTCASE"


@lru_cache(maxsize=64)
def client(service: str, region: str, endpoint: str | None) -> Any:
    session = boto3.Session(ACCESS_KEY, "not-a-secret", "a-token", region_name=region)
    return session.client(service, endpoint_url=endpoint, config=Config(retries={"total_max_attempts": 1}))


def caught(
    service: str,
    method: str,
    parameters: dict[str, Any],
    *,
    region: str = "eu-west-1",
    endpoint: str | None = "http://127.0.0.1:5000",
) -> HttpRequest:
    """The request that `boto3.client(service).method(**parameters)` sends; `endpoint` None is AWS's host."""

    def hold(request: AWSPreparedRequest, **_: Any) -> None:
        raise _CaughtError(request)

    who = client(service, region, endpoint)
    who.meta.events.register_first("before-send", hold, "catch")
    try:
        getattr(who, method)(**parameters)
    except _CaughtError as caught_error:
        return as_request(caught_error.request)
    finally:
        who.meta.events.unregister("before-send", hold, "catch")
    raise AssertionError(f"{service} {method} sent nothing")


def error_of(
    service: str, method: str, parameters: dict[str, Any], reply: Callable[[HttpRequest], HttpReply]
) -> tuple[str, str, int]:
    """botocore's result for an error reply to a call: code, message, HTTP status."""

    def answer(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        made = reply(as_request(request))
        return AWSResponse(request.url, made.status, HeadersDict(made.headers), _Body(made.body))

    who = client(service, "eu-west-1", "http://127.0.0.1:5000")
    who.meta.events.register_first("before-send", answer, "answer")
    try:
        getattr(who, method)(**parameters)
    except ClientError as error:
        return (
            error.response["Error"]["Code"],
            error.response["Error"]["Message"],
            error.response["ResponseMetadata"]["HTTPStatusCode"],
        )
    finally:
        who.meta.events.unregister("before-send", answer, "answer")
    raise AssertionError(f"{service} {method} took the reply for a success")


class _Body:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> Iterator[bytes]:
        return iter((self._body,))


class _CaughtError(Exception):
    def __init__(self, request: AWSPreparedRequest) -> None:
        super().__init__("caught")
        self.request = request


def as_request(prepared: AWSPreparedRequest) -> HttpRequest:
    """A prepared request as the sandbox's request type."""
    parts = urlsplit(prepared.url)
    headers = {name.lower(): _text(value) for name, value in prepared.headers.items()}
    body = prepared.body
    if hasattr(body, "read"):
        body = body.read()
    raw = body.encode() if isinstance(body, str) else body or b""
    return HttpRequest(prepared.method, parts.path, parts.query, headers, raw, headers.get("host", parts.netloc))


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
