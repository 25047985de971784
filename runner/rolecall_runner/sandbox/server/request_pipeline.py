"""The path of a request through the sandbox: parsing, caller, faults, authorization, STS and IAM, simulated service."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote

from rolecall_runner.redact import redact
from rolecall_runner.sandbox.authorization.companion_actions import unsupported_reason
from rolecall_runner.sandbox.iam.iam_writes import IamWrites
from rolecall_runner.sandbox.iam.moto_backends import ServiceMissingError, raised_in_moto
from rolecall_runner.sandbox.protocol.error_catalog import (
    QUERY,
    AwsRefusalError,
    ErrorCategory,
    category_reply,
    error_reply,
    unparsed_reply,
)
from rolecall_runner.sandbox.protocol.faults import FaultCall, FaultEffect, FaultInjector
from rolecall_runner.sandbox.protocol.http_types import ApiCall, HttpReply, HttpRequest, SessionInfo, query_parameters
from rolecall_runner.sandbox.server.api_call import read_call
from rolecall_runner.sandbox.sts.sandbox_sessions import CallerLookup
from rolecall_runner.sandbox.sts.sts import Sts

# STS operations that the authorizer decides. AssumeRole is decided by the STS service; the others need no permission.
_AUTHORIZED_STS = {"GetAccessKeyInfo"}
_OWN_SERVICES = frozenset({"iam", "sts"})
"""Services that the sandbox implements in part: an exception there is an error of the sandbox, not of moto."""
Authorize = Callable[[ApiCall, SessionInfo, str], HttpReply | None]
"""Authorizes a call of a session: the refusal, or None to allow it. The string is the request id."""
Dispatch = Callable[[HttpRequest, str], HttpReply]
"""Sends a request to the simulated service in an account."""

# Paths that moto serves without accounts and policies.
_MOTO_PATHS = ("/moto-api", "/latest/meta-data/", "/latest/api/")


@dataclass(frozen=True, slots=True)
class PipelineReply:
    """A reply, and what a fault does to its connection: see `FaultEffect`."""

    reply: HttpReply
    delay_seconds: float = 0.0
    cut_after: float | None = None


@dataclass(frozen=True, slots=True)
class RequestPipeline:
    """All steps between the HTTP server and the simulated services."""

    callers: CallerLookup
    sts: Sts
    iam: IamWrites
    authorize: Authorize
    dispatch: Dispatch
    partition_of: Callable[[str], str]
    faults: FaultInjector | None
    clock: Callable[[], datetime]
    new_request_id: Callable[[], str]
    log: Callable[[str], None]

    def answer(self, request: HttpRequest) -> PipelineReply:
        """Answer one request. Never raises: an exception becomes an error reply."""
        request_id = self.new_request_id()
        try:
            call = read_call(request, request_id)
        except Exception as error:
            self.log(f"- {request.method} {request.path} failed to parse: {_describe(error)}")
            return PipelineReply(unparsed_reply(QUERY, ErrorCategory.INTERNAL, request_id))
        if isinstance(call, HttpReply):
            self.log(f"- {request.method} {request.path} {call.status}")
            return PipelineReply(call)
        try:
            return self._answer(call, request, request_id)
        except AwsRefusalError as error:
            self.log(f"{call.action} {call.region} {error.status} {error.code}")
            return PipelineReply(error_reply(call, error.code, error.message, error.status, request_id))
        except NotImplementedError as error:
            self.log(f"{call.action} {call.region} is not supported")
            return PipelineReply(_unsupported(call, request_id, whole_service=isinstance(error, ServiceMissingError)))
        except Exception as error:
            return PipelineReply(self._internal_error(call, error, request_id))

    def _internal_error(self, call: ApiCall, error: Exception, request_id: str) -> HttpReply:
        """The reply after an exception."""
        self.log(f"{call.action} failed inside the sandbox: {_describe(error)}")
        if call.service not in _OWN_SERVICES and raised_in_moto(error):
            # Not an internal error of AWS: SDKs would retry that, and the request fails every time.
            text = f"The sandbox does not support {_service(call)} {call.operation}."
            return category_reply(call, ErrorCategory.UNSUPPORTED, request_id, text)
        return category_reply(call, ErrorCategory.INTERNAL, request_id)

    def _answer(self, call: ApiCall, request: HttpRequest, request_id: str) -> PipelineReply:
        caller = self._caller(call, request)
        if isinstance(caller, ErrorCategory):
            self.log(f"- {call.action} {call.region} {caller.value}")
            return PipelineReply(category_reply(call, caller, request_id))
        # No faults for the operator, who seeds the accounts.
        injector = None if caller.operator else self.faults
        hit = injector.draw(caller.account_id, call.action, call.region) if injector else None
        effect = FaultEffect()
        if hit is not None:
            effect = hit.fault.effect(FaultCall(call, request_id, caller.account_id, caller.arn, self.clock(), hit.variant))
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
        self.log(f"{caller.arn} {call.action} {call.region} {reply.status}{suffix}")
        return PipelineReply(reply, effect.delay_seconds, effect.cut_after)

    def _caller(self, call: ApiCall, request: HttpRequest) -> SessionInfo | ErrorCategory:
        if call.service == "sts" and call.operation.startswith("AssumeRoleWith"):
            return ErrorCategory.UNSUPPORTED
        caller = self.callers.who(call, request)
        if isinstance(caller, ErrorCategory):
            return caller
        # Credentials are valid only in their own partition.
        if caller.arn.split(":")[1] != self.partition_of(call.region):
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
            return self.sts.answer(call, query_parameters(request), caller, request_id)
        if call.service == "iam":
            return self.iam.perform(
                call,
                query_parameters(request),
                caller,
                lambda body: self.dispatch(replace(request, query="", body=body), caller.account_id),
            )
        reply = self.dispatch(request, caller.account_id)
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
            return self.authorize(call, caller, request_id)
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
    operation = "" if whole_service else f" {call.operation}"
    return category_reply(
        call, ErrorCategory.UNSUPPORTED, request_id, f"The sandbox does not support {_service(call)}{operation}."
    )


def _service(call: ApiCall) -> str:
    """The service's prefix in IAM actions."""
    return call.action.partition(":")[0]


def _is_bare_not_found(reply: HttpReply, request: HttpRequest) -> bool:
    """Whether this is a 404 without a body. Services name what is missing, except in replies to HEAD."""
    return reply.status == HTTPStatus.NOT_FOUND and not reply.body and request.method != "HEAD"


def _is_html(reply: HttpReply) -> bool:
    return reply.status >= HTTPStatus.BAD_REQUEST and reply.body[:15].lower() == b"<!doctype html>"
