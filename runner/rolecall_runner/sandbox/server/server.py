"""The sandbox: AWS accounts in this process, the path of a request to them, and credentials for them.

A request is parsed into an AWS call (`read_call`): service, operation, IAM action, resources, condition keys. Its caller is
looked up and its signature checked, a fault may be drawn, the call is authorized, and STS, IAM or moto answers it.
"""

from __future__ import annotations

import json
import time
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

from botocore.exceptions import DataNotFoundError
from moto.core.parse import PROTOCOL_PARSERS, RequestParserError
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.utils import get_service_model
from werkzeug.exceptions import HTTPException
from werkzeug.test import run_wsgi_app

from rolecall_generator.iam import Arn, Role, root_arn
from rolecall_generator.iam.catalog import SERVICE_PREFIXES, action_of, find_action
from rolecall_runner.aws import utc_now
from rolecall_runner.redact import redact
from rolecall_runner.sandbox.authorization.authorizer import Authorization, unsupported_reason
from rolecall_runner.sandbox.authorization.service_reference import SERVICE_FACTS, ServiceCall, request_context, resources_of
from rolecall_runner.sandbox.iam.iam_writes import IamWrites, Limits
from rolecall_runner.sandbox.iam.moto_backends import (
    MotoBackends,
    ServiceMissingError,
    StoredAccess,
    WsgiApp,
    partition_of,
    raised_in_moto,
    restore,
    save,
)
from rolecall_runner.sandbox.protocol.aws_protocol import (
    CBOR,
    EC2,
    JSON,
    QUERY,
    REST_JSON,
    REST_XML,
    S3,
    ApiCall,
    AwsRefusalError,
    CredentialScope,
    ErrorCategory,
    HttpReply,
    HttpRequest,
    SandboxError,
    SessionInfo,
    category_reply,
    credential_scope,
    error_reply,
    query_parameters,
)
from rolecall_runner.sandbox.protocol.faults import FaultCall, FaultEffect, FaultInjector, FaultPlan
from rolecall_runner.sandbox.server.listener import LOOPBACK, PREFIX, CredentialsEndpoint, Listener, SentReply
from rolecall_runner.sandbox.server.state_dir import forget_secret, keep_secret
from rolecall_runner.sandbox.sts.assume_role import USER_SESSION_SECONDS, Assumption
from rolecall_runner.sandbox.sts.sts import (
    CallerLookup,
    Clock,
    SandboxCredentials,
    SandboxSessions,
    Sts,
    credentials_of,
    new_secret,
    operator_session,
)


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
    own: Sequence[str] = SERVICE_FACTS["signing_names"].get(signing_name, (signing_name,))
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
    if text := _request_problem(request, scope, form):
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


def _request_problem(request: HttpRequest, scope: CredentialScope, form: str) -> str:
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


_ACCOUNT_HEADER = "HTTP_X_MOTO_ACCOUNT_ID"


def dispatch(app: WsgiApp, request: HttpRequest, account_id: str) -> HttpReply:
    """Send a request to moto's WSGI application, in one account."""
    environ = to_moto(request).environ
    environ[_ACCOUNT_HEADER] = account_id  # replaces that of the request
    body, status, reply_headers = run_wsgi_app(app, environ, buffered=True)
    return HttpReply(int(status.split()[0]), tuple(reply_headers.items()), b"".join(body))


# Lifetime of an instance profile's credentials, about six hours ("Retrieve security credentials from instance metadata",
# Amazon EC2 User Guide, November 2026).
INSTANCE_SECONDS = 21_600
DEFAULT_LIMITS = Limits()
# STS operations that the authorizer decides. AssumeRole is decided by the STS service; the others need no permission.
_AUTHORIZED_STS = {"GetAccessKeyInfo"}
_OWN_SERVICES = frozenset({"iam", "sts"})
"""Services that the sandbox implements in part: an exception there is an error of the sandbox, not of moto."""
# Paths that moto serves without accounts and policies.
_MOTO_PATHS = ("/moto-api", "/latest/meta-data/", "/latest/api/")


class Sandbox:
    """An AWS simulator on the loopback interface, with AWS's decisions on access. One per process at a time.

    `port` 0 selects a free port; `host` must be a loopback name; `clock` returns the time for session expiry, with a time
    zone; `log` receives one line per call, without secrets. Raises SandboxError when it cannot start.

        with Sandbox() as sandbox:
            client = boto3.client("sts", endpoint_url=sandbox.url, ...)
    """

    def __init__(
        self,
        *,
        port: int = 0,
        host: str = LOOPBACK,
        region: str = "us-east-1",
        clock: Clock = utc_now,
        faults: FaultPlan | None = None,
        limits: Limits = DEFAULT_LIMITS,
        log: Callable[[str], None] = lambda _line: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if host not in {LOOPBACK, "localhost"}:
            raise SandboxError(
                f"the sandbox listens only on {LOOPBACK}, not on {host}",
                hint="omit the host: the sandbox provides administrator credentials and must not be reachable by others",
            )
        self._world = MotoBackends()
        try:
            self.region = region
            self.partition = partition_of(region)
            self._clock = clock
            self.accounts: set[str] = set()
            self._stored = StoredAccess(self._world)
            self._sessions = SandboxSessions(clock)
            self._operator = operator_session(self.partition, new_secret())
            self._callers = CallerLookup(self._world, self._sessions, self._operator)
            self._sts = Sts(self._world, self._stored, self._sessions, clock, self.accounts.add)
            self._iam = IamWrites(self._world, self._stored, limits)
            self._authorization = Authorization(self._stored.all_accounts, clock)
            self._faults = FaultInjector(faults) if faults else None
            self._log = log
            self._endpoint = CredentialsEndpoint(self._credentials_of_role)
            self._listener = Listener(port, self._answer, sleep, log)
        except BaseException:
            self._world.close()
            raise
        self.url = f"http://{LOOPBACK}:{self._listener.port}"
        keep_secret(self.url, self._operator.secret)

    def __enter__(self) -> Self:
        self._listener.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stop the sandbox and discard its accounts. Needed only without a `with` block; idempotent."""
        forget_secret(self.url)
        self._listener.stop()
        self._world.close()

    def save(self, path: Path) -> None:
        """Write the accounts, without sessions, to a file. Raises SandboxError."""
        save(self._world, self.accounts, path)

    def restore(self, path: Path) -> None:
        """Replace all accounts by those of a file. Raises SandboxError."""
        self.accounts.clear()
        self.accounts |= restore(self._world, path)
        self._stored.forget()

    def operator_credentials(self) -> SandboxCredentials:
        """The operator's access key, which may assume the administrator role of every account."""
        return credentials_of(self._operator)

    def instance_credentials(self, role_arn: str, *, instance_id: str = "i-0123456789abcdef0") -> SandboxCredentials:
        """Credentials of a role as on an EC2 instance. Raises SandboxError when the role does not exist."""
        return credentials_of(self._instance_session(role_arn, instance_id))

    def container_environment(self, role_arn: str) -> Mapping[str, str]:
        """Environment variables for AWS tools to act as the role; the tools renew the credentials.

        Raises SandboxError when the role does not exist.
        """
        self._role(role_arn)
        return self._endpoint.open(role_arn, self.url)

    def _credentials_of_role(self, role_arn: str) -> SandboxCredentials | None:
        try:
            return self.instance_credentials(role_arn)
        except SandboxError:
            return None

    def _role(self, role_arn: str) -> Role:
        parsed = Arn.parse(role_arn)
        role = self._stored.account(parsed.account_id, parsed.partition).roles.get(role_arn) if parsed else None
        if role is None:
            raise SandboxError(f"role {role_arn} does not exist in the sandbox", hint="provision its account first")
        return role

    def _instance_session(self, role_arn: str, instance_id: str) -> SessionInfo:
        assumption = Assumption(self._role(role_arn), INSTANCE_SECONDS, {}, frozenset(), None)
        return self._sts.role_session(assumption, instance_id, chained=False)

    def user_credentials(self, user_arn: str, *, mfa: bool = False) -> SandboxCredentials:
        """A user's session, as after signing in to the console; `mfa`: authenticated with MFA now.

        Raises SandboxError when the user does not exist.
        """
        user = self._world.user(user_arn)
        if user is None:
            raise SandboxError(f"user {user_arn} does not exist in the sandbox", hint="provision its account first")
        holder = SessionInfo("", "", None, user.account_id, user.arn, user_id=user.id)
        return credentials_of(self._sts.user_session(holder, seconds=USER_SESSION_SECONDS, mfa=mfa))

    def root_credentials(self, account_id: str) -> SandboxCredentials:
        """A long-term key of an account's root user, which cannot assume roles."""
        arn = root_arn(self.partition, account_id)
        key = f"AKIAROOT{account_id}"
        root = SessionInfo(key, new_secret(), None, account_id, arn, user_id=account_id)
        self._callers.add_root(root)
        return credentials_of(root)

    def _answer(self, request: HttpRequest) -> SentReply:
        """Answer one request. Never raises: an exception becomes an error reply."""
        if request.path.startswith(PREFIX):
            return SentReply(self._endpoint.handle(request))
        request_id = str(uuid.uuid4())
        try:
            call = read_call(request, request_id)
        except Exception as error:
            self._log(f"- {request.method} {request.path} failed to parse: {_describe(error)}")
            return SentReply(category_reply(QUERY, ErrorCategory.INTERNAL, request_id))
        if isinstance(call, HttpReply):
            self._log(f"- {request.method} {request.path} {call.status}")
            return SentReply(call)
        try:
            return self._answer_call(call, request, request_id)
        except Exception as error:
            return SentReply(self._error_reply(call, error, request_id))

    def _error_reply(self, call: ApiCall, error: Exception, request_id: str) -> HttpReply:
        """The reply after an exception."""
        if isinstance(error, AwsRefusalError):
            self._log(f"{call.action} {call.region} {error.status} {error.code}")
            return error_reply(call, error.code, error.message, error.status, request_id)
        if isinstance(error, NotImplementedError):
            self._log(f"{call.action} {call.region} is not supported")
            return _unsupported(call, request_id, whole_service=isinstance(error, ServiceMissingError))
        self._log(f"{call.action} failed inside the sandbox: {_describe(error)}")
        if call.service not in _OWN_SERVICES and raised_in_moto(error):
            # Not an internal error of AWS: SDKs would retry that, and the request fails every time.
            return _unsupported(call, request_id)
        return category_reply(call, ErrorCategory.INTERNAL, request_id)

    def _answer_call(self, call: ApiCall, request: HttpRequest, request_id: str) -> SentReply:
        caller = self._caller(call, request)
        if isinstance(caller, ErrorCategory):
            self._log(f"- {call.action} {call.region} {caller.value}")
            return SentReply(category_reply(call, caller, request_id))
        # No faults for the operator, who seeds the accounts.
        injector = None if caller.operator else self._faults
        hit = injector.draw(caller.account_id, call.action, call.region) if injector else None
        effect = FaultEffect()
        if hit is not None:
            effect = hit.fault.effect(FaultCall(call, request_id, caller.account_id, caller.arn, self._clock(), hit.variant))
        reply = effect.reply
        if reply is None:
            try:
                reply = self._perform(call, request, caller, request_id)
            except AwsRefusalError as error:
                if hit is None:
                    raise
                # A delay or a cut applies to refusals too.
                reply = error_reply(call, error.code, error.message, error.status, request_id)
        suffix = "" if hit is None else f" fault={hit.fault.name}"
        self._log(f"{caller.arn} {call.action} {call.region} {reply.status}{suffix}")
        return SentReply(reply, effect.delay_seconds, effect.cut_after)

    def _caller(self, call: ApiCall, request: HttpRequest) -> SessionInfo | ErrorCategory:
        if call.service == "sts" and call.operation.startswith("AssumeRoleWith"):
            return ErrorCategory.UNSUPPORTED
        caller = self._callers.identify(call, request)
        if isinstance(caller, ErrorCategory):
            return caller
        # Credentials are valid only in their own partition.
        if caller.arn.split(":")[1] != partition_of(call.region):
            return ErrorCategory.UNKNOWN_KEY
        # "You cannot call any IAM API operations unless MFA authentication information is included in the request." (STS
        # API reference, GetSessionToken)
        user_session = caller.session_token is not None and caller.role_arn is None
        if user_session and call.service == "iam" and not caller.mfa:
            return ErrorCategory.UNKNOWN_KEY
        return caller

    def _perform(self, call: ApiCall, request: HttpRequest, caller: SessionInfo, request_id: str) -> HttpReply:
        refused = self._refusal(call, request, caller, request_id)
        if refused is not None:
            return refused
        if call.service == "sts":
            return self._sts.handle(call, query_parameters(request), caller, request_id)
        if call.service == "iam":
            return self._iam.perform(
                call,
                query_parameters(request),
                caller,
                lambda body: dispatch(self._world.app, replace(request, query="", body=body), caller.account_id),
            )
        reply = dispatch(self._world.app, request, caller.account_id)
        if _is_html(reply) or _is_bare_not_found(reply, request):
            # Replies of moto's web framework and routing for operations that moto does not have.
            return _unsupported(call, request_id)
        return reply

    def _refusal(self, call: ApiCall, request: HttpRequest, caller: SessionInfo, request_id: str) -> HttpReply | None:
        """The reply to a call that is not allowed, or None."""
        if call.service == "sts" and call.operation not in _AUTHORIZED_STS:
            return None
        if unquote(request.path).startswith(_MOTO_PATHS):
            return category_reply(
                call, ErrorCategory.UNSUPPORTED, request_id, f"The sandbox does not support {call.action}."
            )
        if not caller.operator:
            return self._authorization.handle(call, caller, request_id)
        # The operator may do everything that the sandbox enforces. The authorizer is not called: the operator writes
        # policies, and each write would make the authorizer compile all of them again.
        why = unsupported_reason(call)
        return category_reply(call, ErrorCategory.UNSUPPORTED, request_id, why) if why else None


def _describe(error: Exception) -> str:
    """An error for the log, with its source line, redacted: the message may quote the request."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return redact(f"{type(error).__name__}: {error}{where}")


def _unsupported(call: ApiCall, request_id: str, *, whole_service: bool = False) -> HttpReply:
    what = call.action.partition(":")[0] + ("" if whole_service else f" {call.operation}")
    return category_reply(call, ErrorCategory.UNSUPPORTED, request_id, f"The sandbox does not support {what}.")


def _is_bare_not_found(reply: HttpReply, request: HttpRequest) -> bool:
    """Whether this is a 404 without a body. Services name what is missing, except in replies to HEAD."""
    return reply.status == HTTPStatus.NOT_FOUND and not reply.body and request.method != "HEAD"


def _is_html(reply: HttpReply) -> bool:
    return reply.status >= HTTPStatus.BAD_REQUEST and reply.body[:15].lower() == b"<!doctype html>"
