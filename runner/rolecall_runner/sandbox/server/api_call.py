"""Which botocore service a request belongs to: several share the name that requests are signed with.

moto's own routing and parsing read the request, so that what is authorised is what moto then does. Models are loaded at a
service's first request and kept.

Requests read back as AWS calls: who signed, which operation, which IAM action, on what, under which condition keys.
Nothing is let through unread: what no service model knows, and what IAM has no action for, is refused with a text that
names it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from botocore.exceptions import DataNotFoundError
from moto.core.parse import PROTOCOL_PARSERS, RequestParserError
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.utils import get_service_model
from werkzeug.exceptions import HTTPException

from rolecall_generator.iam.catalog import PREFIXES, action_of, find_action
from rolecall_runner.sandbox.authorization.context_keys import request_context
from rolecall_runner.sandbox.authorization.request_resources import CallSubject, resources_of
from rolecall_runner.sandbox.protocol.error_catalog import (
    CBOR,
    EC2,
    JSON,
    QUERY,
    REST_JSON,
    REST_XML,
    S3,
    ErrorCategory,
    refusal,
    refuse_unread,
)
from rolecall_runner.sandbox.protocol.http_types import ApiCall, CredentialScope, HttpReply, HttpRequest, credential_scope

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
class ServiceOperation:
    """An operation found: botocore's service name, the protocol spoken, what the request says, what it could say."""

    service: str
    name: str
    protocol: str
    parameters: Mapping[str, object]
    members: frozenset[str]


def find_operation(signing_name: str, request: Request) -> ServiceOperation | None:
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


def _match(service: str, request: Request) -> ServiceOperation | None:
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
    return ServiceOperation(
        service, operation.name, protocol, _parameters(operation, protocol, request, uri_parameters), members
    )


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


NO_REQUEST_ID = "00000000-0000-0000-0000-000000000000"
_PRESIGNED = {"s3", "sts"}
_STS_VERSION = "2011-06-15"
_RPC_PATH = re.compile(r"^/service/([^/]+)/operation/([^/]+)$")
_BAD_REQUEST = 400


def read_call(request: HttpRequest, request_id: str = NO_REQUEST_ID) -> ApiCall | HttpReply:
    """The AWS call in a request, or the reply that refuses it, in the protocol that it seems to speak.

    `resources` of the call keep partition and account open (see `resource_arns.filled`); an empty tuple says that they
    cannot be told. `parameters` are named and typed as in botocore's models.
    """
    scope = credential_scope(request) or _unsigned_sts(request)
    if scope is None:
        return refuse_unread(_seeming(request, None), ErrorCategory.UNSIGNED, request_id)
    form = _seeming(request, scope)
    if text := _unoffered(request, scope, form):
        return refuse_unread(form, ErrorCategory.UNSUPPORTED, request_id, text)
    try:
        operation = find_operation(scope.service, _normalised(request))
    except UnreadableError as error:
        return refusal(form, "SerializationException", str(error), _BAD_REQUEST, request_id)
    if operation is None:
        text = f"The sandbox knows no operation of {scope.service} for {_asked_for(request)}."
        return refuse_unread(form, ErrorCategory.UNSUPPORTED, request_id, text)
    action = action_of(operation.service, operation.name)
    if find_action(action) is None:
        text = f"The sandbox knows no IAM action that allows {operation.service} {operation.name}."
        return refuse_unread(form, ErrorCategory.UNSUPPORTED, request_id, text)
    return _call(request, scope, operation, action)


def _unoffered(request: HttpRequest, scope: CredentialScope, form: str) -> str:
    """Why the sandbox does not read requests of this kind, or nothing."""
    if form == CBOR:
        return f"The sandbox does not speak RPC v2 CBOR, in which {scope.service} was asked for {request.path}."
    if scope.presigned and scope.service not in _PRESIGNED:
        return f"The sandbox takes presigned requests of S3 and STS alone, not of {scope.service}."
    if scope.presigned and scope.service == "s3" and ("x-amz-target" in request.headers or b"Action=" in request.body):
        # moto tells the service of a request without an Authorization header by these, whatever its path says.
        return "The sandbox takes no presigned upload that reads like a call to another service."
    return ""


def _call(request: HttpRequest, scope: CredentialScope, operation: ServiceOperation, action: str) -> ApiCall:
    members = frozenset(name.lower() for name in operation.members)
    asked = CallSubject(operation.name, operation.parameters, members, scope.region)
    return ApiCall(
        service=scope.service,
        operation=operation.name,
        action=action,
        resources=resources_of(operation.service, action, asked),
        protocol=operation.protocol,
        region=scope.region,
        access_key=scope.access_key or None,
        session_token=scope.session_token,
        parameters=operation.parameters,
        context=request_context(action, request, scope, operation.parameters),
    )


def _unsigned_sts(request: HttpRequest) -> CredentialScope | None:
    """A scope for STS's operations that are not signed (AssumeRoleWithSAML, AssumeRoleWithWebIdentity)."""
    if "authorization" in request.headers:
        return None
    form = {**_form(request.query), **_form(request.body.decode("utf-8", "replace") if _is_form(request) else "")}
    if form.get("Version") != _STS_VERSION or not form.get("Action", "").startswith("AssumeRoleWith"):
        return None
    return CredentialScope("", "us-east-1", "sts")


def _normalised(request: HttpRequest) -> Request:
    """The request in moto's type, which its routing and parsing take."""
    query = f"?{request.query}" if request.query else ""
    headers: Mapping[str, str] = {**request.headers, "host": request.host}
    return Request.from_primitives(request.method, f"http://{request.host}{request.path}{query}", headers, request.body)


def _seeming(request: HttpRequest, scope: CredentialScope | None) -> str:
    """The dialect that a request seems to speak, good enough to tell its sender why it cannot be read."""
    service = scope.service if scope else ""
    if request.headers.get("smithy-protocol") == "rpc-v2-cbor":
        return CBOR
    if service == "s3":
        return S3
    if "x-amz-target" in request.headers:
        return JSON
    if _is_form(request) or "Action=" in request.query:
        return EC2 if service == "ec2" else QUERY
    if not service and "json" not in request.headers.get("content-type", ""):
        return S3
    return REST_XML if service in {"route53", "cloudfront"} else REST_JSON


def _is_form(request: HttpRequest) -> bool:
    return request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")


def _form(text: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(text).items()}


def _asked_for(request: HttpRequest) -> str:
    """What the request asks for, in the words of its protocol."""
    if target := request.headers.get("x-amz-target"):
        return target
    form = {**_form(request.query), **_form(request.body.decode("utf-8", "replace") if _is_form(request) else "")}
    return form.get("Action") or f"{request.method} {request.path}"
