"""Which botocore service a request belongs to: several share the name that requests are signed with.

moto's own routing and parsing read the request, so that what is authorised is what moto then does. Models are loaded at a
service's first request and kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import DataNotFoundError
from moto.core.parse import PROTOCOL_PARSERS, RequestParserError
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.utils import get_service_model
from werkzeug.exceptions import HTTPException

from rolecall_generator.iam.actions import PREFIXES

_SHARED: Mapping[str, tuple[str, ...]] = {
    "apigateway": ("apigateway", "apigatewayv2"),
    "dynamodb": ("dynamodb", "dynamodbstreams"),
    "elasticfilesystem": ("efs",),
    "elasticloadbalancing": ("elbv2", "elb"),
    "elasticmapreduce": ("emr",),
    "es": ("opensearch", "es"),
    "iotdata": ("iot-data",),
    "monitoring": ("cloudwatch",),
    "rds": ("rds", "neptune", "docdb"),
    "ses": ("sesv2", "ses"),
    "states": ("stepfunctions",),
    "tagging": ("resourcegroupstaggingapi",),
}
"""Botocore's services by signing name where neither the name itself nor IAM's prefix leads there, or in a better order."""


class UnreadableError(ValueError):
    """The request names an operation, but its parameters cannot be read."""


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation found: botocore's service name, the protocol spoken, what the request says, what it could say."""

    service: str
    name: str
    protocol: str
    parameters: Mapping[str, object]
    members: frozenset[str]


def find_operation(signing_name: str, request: Request) -> Operation | None:
    """The operation of a request that is signed for `signing_name`; None when no model knows it.

    Raises UnreadableError when the parameters do not fit the operation's model.
    """
    for service in _candidates(signing_name, request):
        found = _match(service, request)
        if found is not None:
            return found
    return None


def _candidates(signing_name: str, request: Request) -> Iterator[str]:
    """Services that may sign with the name; botocore has no index of it, and reading all its models takes seconds."""
    if signing_name == "s3":
        # As moto tells them apart; the paths of S3 Control would also do as bucket and key.
        control = request.raw_path.startswith("/v20180820/") or "s3-control" in request.host
        yield "s3control" if control else "s3"
        return
    own = _SHARED.get(signing_name, (signing_name,))
    yield from own
    yield from (service for service, prefix in PREFIXES.items() if prefix == signing_name and service not in own)


def _match(service: str, request: Request) -> Operation | None:
    try:
        model = get_service_model(service)
        version = request.values.get("Version")
        protocol = determine_request_protocol(model, request.content_type)
        if protocol in {"query", "ec2"} and version is not None and version != model.api_version:
            return None
        operation, uri_parameters = get_service_router(service).match(request)
    except (DataNotFoundError, HTTPException, NotImplementedError):
        return None
    _check_form(operation.name, protocol, request)
    shape = operation.input_shape
    if protocol in {"json", "rest-json"} and (shape is None or "payload" not in shape.serialization):
        _check_json(operation.name, request.data)
    members = frozenset(shape.members) if shape is not None else frozenset()
    return Operation(service, operation.name, protocol, _parameters(operation, protocol, request, uri_parameters), members)


def _check_form(name: str, protocol: str, request: Request) -> None:
    """Nothing may be one thing to who checks and another to who acts: moto looks at `Action` and `X-Amz-Target` first,
    whatever the protocol.
    """
    if protocol in {"query", "ec2"}:
        if any(len(texts) > 1 for _, texts in request.values.lists()):
            raise UnreadableError(f"{name}: a parameter is said twice")
    elif "Action" in request.values:
        raise UnreadableError(f"{name}: an Action has no place in this protocol")
    if protocol.startswith("rest-") and "X-Amz-Target" in request.headers:
        raise UnreadableError(f"{name}: a target has no place in this protocol")


def _check_json(name: str, body: bytes) -> None:
    """moto takes a body that is no JSON for an empty one; AWS refuses it, and nothing is let through half read."""
    try:
        if body and not isinstance(json.loads(body.decode("utf-8")), dict):
            raise UnreadableError(f"{name}: its body is no JSON object")
    except ValueError as error:
        raise UnreadableError(f"{name}: its body is no JSON object") from error


def _parameters(operation: Any, protocol: str, request: Request, uri_parameters: dict[str, Any]) -> Mapping[str, object]:
    try:
        parsed: Mapping[str, object] = PROTOCOL_PARSERS[protocol](operation).parse(
            {
                "method": request.method,
                "values": request.values,
                "headers": request.headers,
                "body": request.data,
                "url_path": request.path,
                "url_params": uri_parameters,
            }
        )
    except (RequestParserError, ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        # moto's parsers raise all of these for a body that is not what the model says.
        raise UnreadableError(f"{operation.name}: its parameters cannot be read ({type(error).__name__})") from error
    return {name: value for name, value in parsed.items() if value is not None}
