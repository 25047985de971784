"""Requests read back as AWS calls: who signed, which operation, which IAM action, on what, under which condition keys.

Nothing is let through unread: what no service model knows, and what IAM has no action for, is refused with a text that
names it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qs

from moto.core.request import Request

from rolecall_generator.iam.actions import action_of, find_action
from rolecall_runner.sandbox.credential_scope import CredentialScope, credential_scope
from rolecall_runner.sandbox.replies import CBOR, EC2, JSON, QUERY, REST_JSON, REST_XML, S3, refusal
from rolecall_runner.sandbox.request_context import request_context
from rolecall_runner.sandbox.resource_arns import resources_of
from rolecall_runner.sandbox.resource_rules import Asked
from rolecall_runner.sandbox.service_models import Operation, UnreadableError, find_operation
from rolecall_runner.sandbox.troubles import Trouble, refuse_unread
from rolecall_runner.sandbox.wire import ApiCall, HttpReply, HttpRequest

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
        return refuse_unread(_seeming(request, None), Trouble.UNSIGNED, request_id)
    form = _seeming(request, scope)
    if text := _unoffered(request, scope, form):
        return refuse_unread(form, Trouble.UNSUPPORTED, request_id, text)
    try:
        operation = find_operation(scope.service, _normalised(request))
    except UnreadableError as error:
        return refusal(form, "SerializationException", str(error), _BAD_REQUEST, request_id)
    if operation is None:
        text = f"The sandbox knows no operation of {scope.service} for {_asked_for(request)}."
        return refuse_unread(form, Trouble.UNSUPPORTED, request_id, text)
    action = action_of(operation.service, operation.name)
    if find_action(action) is None:
        text = f"The sandbox knows no IAM action that allows {operation.service} {operation.name}."
        return refuse_unread(form, Trouble.UNSUPPORTED, request_id, text)
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


def _call(request: HttpRequest, scope: CredentialScope, operation: Operation, action: str) -> ApiCall:
    members = frozenset(name.lower() for name in operation.members)
    asked = Asked(operation.name, operation.parameters, members, scope.region)
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
