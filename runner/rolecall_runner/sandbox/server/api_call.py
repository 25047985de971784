"""Parses HTTP requests into AWS calls: service, operation, IAM action, resources and condition keys."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import DataNotFoundError
from moto.core.parse import PROTOCOL_PARSERS, RequestParserError
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.utils import get_service_model
from werkzeug.exceptions import HTTPException

from rolecall_generator.iam.catalog import SERVICE_PREFIXES, action_of, find_action
from rolecall_runner.sandbox.authorization.context_keys import request_context
from rolecall_runner.sandbox.authorization.request_resources import ServiceCall, resources_of
from rolecall_runner.sandbox.protocol.error_catalog import (
    CBOR,
    EC2,
    JSON,
    QUERY,
    REST_JSON,
    REST_XML,
    S3,
    AwsRefusalError,
    ErrorCategory,
    category_reply,
    error_reply,
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
"""botocore services by signing name, where the name and the IAM prefix do not lead to them, or in a better order."""


def _unreadable(operation: str, why: str) -> AwsRefusalError:
    """SerializationException, HTTP 400: the parameters cannot be parsed."""
    return AwsRefusalError("SerializationException", f"{operation}: {why}")


def find_operation(scope: CredentialScope, request: Request) -> ServiceCall | None:
    """The call of a request, by the service that it is signed for; None when no service model has the operation.

    moto's own routing and parsing are used, so that the authorized call is the one that moto runs. Raises AwsRefusalError
    when the parameters do not match the model.
    """
    matches = (_match(service, scope.region, request) for service in _candidates(scope.service, request))
    return next((found for found in matches if found is not None), None)


def _candidates(signing_name: str, request: Request) -> Iterator[str]:
    """Services with this signing name. botocore has no index of signing names, and loading all models takes seconds."""
    if signing_name == "s3":
        # Same distinction as in moto: paths of S3 Control are also valid bucket names and keys.
        control = request.raw_path.startswith("/v20180820/") or "s3-control" in request.host
        yield "s3control" if control else "s3"
        return
    own = _SHARED.get(signing_name, (signing_name,))
    yield from own
    yield from (service for service, prefix in SERVICE_PREFIXES.items() if prefix == signing_name and service not in own)


def _match(service: str, region: str, request: Request) -> ServiceCall | None:
    try:
        model = get_service_model(service)
        version = request.values.get("Version")
        protocol = determine_request_protocol(model, request.content_type)
        if protocol in {"query", "ec2"} and version is not None and version != model.api_version:
            return None
        operation, uri_parameters = get_service_router(service).match(request)
    except (DataNotFoundError, HTTPException, NotImplementedError):
        return None
    _check_ambiguity(operation.name, protocol, request)
    shape = operation.input_shape
    if protocol in {"json", "rest-json"} and (shape is None or "payload" not in shape.serialization):
        _check_json(operation.name, request.data)
    members = frozenset(name.lower() for name in shape.members) if shape is not None else frozenset()
    parameters = _parameters(operation, protocol, request, uri_parameters)
    return ServiceCall(service, operation.name, protocol, parameters, members, region)


def _check_ambiguity(name: str, protocol: str, request: Request) -> None:
    """Reject requests that moto would read differently: it routes by `Action` and `X-Amz-Target` in every protocol.

    Raises AwsRefusalError.
    """
    if protocol in {"query", "ec2"}:
        if any(len(texts) > 1 for _, texts in request.values.lists()):
            raise _unreadable(name, "duplicate parameter")
    elif "Action" in request.values:
        raise _unreadable(name, "Action is not allowed in this protocol")
    if protocol.startswith("rest-") and "X-Amz-Target" in request.headers:
        raise _unreadable(name, "X-Amz-Target is not allowed in this protocol")


def _check_json(name: str, body: bytes) -> None:
    """Reject a body that is not a JSON object, which moto treats as empty. Raises AwsRefusalError."""
    try:
        is_object = not body or isinstance(json.loads(body.decode("utf-8")), dict)
    except ValueError:
        is_object = False
    if not is_object:
        raise _unreadable(name, "the body is not a JSON object")


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
        # moto's parsers raise any of these for a body that does not match the model.
        raise _unreadable(operation.name, f"the parameters cannot be parsed ({type(error).__name__})") from error
    return {name: value for name, value in parsed.items() if value is not None}


NO_REQUEST_ID = "00000000-0000-0000-0000-000000000000"
_PRESIGNED = {"s3", "sts"}
_STS_VERSION = "2011-06-15"


def read_call(request: HttpRequest, request_id: str = NO_REQUEST_ID) -> ApiCall | HttpReply:
    """The AWS call of a request, or the error reply, in the probable protocol of the request.

    Operations that no service model has, or without an IAM action, are rejected. `resources` of the call contain the
    placeholders `${Partition}` and `${Account}` (see `fill_placeholders`); an empty tuple means that they are unknown.
    """
    moto_request = to_moto(request)
    scope = credential_scope(request) or _unsigned_sts(moto_request)
    form = _probable_dialect(request, scope)
    if scope is None:
        return category_reply(form, ErrorCategory.UNSIGNED, request_id)
    if text := _unsupported(request, scope, form):
        return category_reply(form, ErrorCategory.UNSUPPORTED, request_id, text)
    try:
        found = find_operation(scope, moto_request)
    except AwsRefusalError as error:
        return error_reply(form, error.code, error.message, error.status, request_id)
    if found is None:
        named = moto_request.headers.get("X-Amz-Target") or moto_request.values.get("Action")
        target = named or f"{request.method} {request.path}"
        text = f"The sandbox does not recognize an operation of {scope.service} for {target}."
        return category_reply(form, ErrorCategory.UNSUPPORTED, request_id, text)
    action = action_of(found.service, found.operation)
    if find_action(action) is None:
        text = f"The sandbox has no IAM action for {found.service} {found.operation}."
        return category_reply(form, ErrorCategory.UNSUPPORTED, request_id, text)
    return ApiCall(
        service=scope.service,
        operation=found.operation,
        action=action,
        resources=resources_of(action, found),
        protocol=found.protocol,
        region=scope.region,
        access_key=scope.access_key or None,
        session_token=scope.session_token,
        parameters=found.parameters,
        context=request_context(action, request, scope, found.parameters),
    )


def _unsupported(request: HttpRequest, scope: CredentialScope, form: str) -> str:
    """Why the sandbox does not support the request, or an empty string."""
    if form == CBOR:
        return f"The sandbox does not support RPC v2 CBOR, the protocol of the {scope.service} request to {request.path}."
    if scope.presigned and scope.service not in _PRESIGNED:
        return f"The sandbox supports presigned requests only for S3 and STS, not for {scope.service}."
    if scope.presigned and scope.service == "s3" and ("x-amz-target" in request.headers or b"Action=" in request.body):
        # Without an Authorization header moto selects the service by these, whatever the path.
        return "The sandbox does not support presigned uploads that contain a call to another service."
    return ""


def _unsigned_sts(request: Request) -> CredentialScope | None:
    """A scope for the unsigned operations of STS: AssumeRoleWithSAML, AssumeRoleWithWebIdentity."""
    if "Authorization" in request.headers or request.values.get("Version") != _STS_VERSION:
        return None
    unsigned = request.values.get("Action", "").startswith("AssumeRoleWith")
    return CredentialScope("", "us-east-1", "sts") if unsigned else None


def to_moto(request: HttpRequest) -> Request:
    """The request as moto's type."""
    query = f"?{request.query}" if request.query else ""
    headers: Mapping[str, str] = {**request.headers, "host": request.host}
    return Request.from_primitives(request.method, f"http://{request.host}{request.path}{query}", headers, request.body)


def _probable_dialect(request: HttpRequest, scope: CredentialScope | None) -> str:
    """The dialect for an error reply to a request that is not yet parsed."""
    service = scope.service if scope else ""
    if request.headers.get("smithy-protocol") == "rpc-v2-cbor":
        return CBOR
    if service == "s3":
        return S3
    if "x-amz-target" in request.headers:
        return JSON
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded") or "Action=" in request.query:
        return EC2 if service == "ec2" else QUERY
    if not service and "json" not in request.headers.get("content-type", ""):
        return S3
    return REST_XML if service in {"route53", "cloudfront"} else REST_JSON
