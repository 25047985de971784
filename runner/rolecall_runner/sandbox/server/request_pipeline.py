"""The way of a request through the sandbox: read, caller, faults, STS, the checks of IAM, authorization, the service."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from rolecall_runner.redact import redact
from rolecall_runner.sandbox.authorization.companion_actions import unenforced
from rolecall_runner.sandbox.iam.iam_writes import IamWrites
from rolecall_runner.sandbox.iam.moto_backends import ServiceMissingError, raised_in_moto
from rolecall_runner.sandbox.protocol.error_catalog import (
    QUERY,
    AwsRefusalError,
    ErrorCategory,
    refusal,
    refuse,
    refuse_unread,
)
from rolecall_runner.sandbox.protocol.faults import Fault, FaultKind, Faults, fault_reply
from rolecall_runner.sandbox.protocol.http_types import ApiCall, HttpReply, HttpRequest, SessionInfo
from rolecall_runner.sandbox.server.api_call import read_call
from rolecall_runner.sandbox.sts.sandbox_sessions import CallerLookup
from rolecall_runner.sandbox.sts.sts import Sts

Form = dict[str, str]
# Of STS's operations those that ask a permission of the caller alone; AssumeRole asks both sides and the rest no one.
_PERMITTED_STS = {"GetAccessKeyInfo"}
_OWN_SERVICES = frozenset({"iam", "sts"})
"""Services of which the sandbox does a part by itself: what breaks there is a fault of its own."""
Authorize = Callable[[ApiCall, SessionInfo, str], HttpReply | None]
"""Decides everything after the assume: a refusal, or None to let the call through; the text is the request id."""
Dispatch = Callable[[HttpRequest, str], HttpReply]
"""Hands a request to the simulated service in an account."""

# Paths by which moto would answer for itself, past accounts and policies.
_SIDE_DOORS = ("/moto-api", "/latest/meta-data/", "/latest/api/")


@dataclass(frozen=True, slots=True)
class PipelineReply:
    """A reply and what is to happen to the connection that carries it."""

    reply: HttpReply
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Gate:
    """Everything that stands between the socket and the simulated services."""

    callers: CallerLookup
    sts: Sts
    iam: IamWrites
    authorize: Authorize
    dispatch: Dispatch
    partition_of: Callable[[str], str]
    faults: Faults | None
    clock: Callable[[], datetime]
    new_request_id: Callable[[], str]
    log: Callable[[str], None]

    def answer(self, request: HttpRequest) -> PipelineReply:
        """Answer one request; never raises: one broken call must not end the sandbox."""
        request_id = self.new_request_id()
        try:
            call = read_call(request, request_id)
        except Exception as error:
            self.log(f"- {request.method} {request.path} cannot be read: {_named(error)}")
            return PipelineReply(refuse_unread(QUERY, ErrorCategory.INTERNAL, request_id))
        if isinstance(call, HttpReply):
            self.log(f"- {request.method} {request.path} {call.status}")
            return PipelineReply(call)
        try:
            return self._answer(call, request, request_id)
        except AwsRefusalError as error:
            self.log(f"{call.action} {call.region} {error.status} {error.code}")
            return PipelineReply(refusal(call, error.code, error.message, error.status, request_id))
        except NotImplementedError as error:
            self.log(f"{call.action} {call.region} is not simulated")
            return PipelineReply(_not_offered(call, request_id, whole_service=isinstance(error, ServiceMissingError)))
        except Exception as error:
            return PipelineReply(self._broken(call, error, request_id))

    def _broken(self, call: ApiCall, error: Exception, request_id: str) -> HttpReply:
        """The reply where something below the gate broke."""
        self.log(f"{call.action} failed inside the sandbox: {_named(error)}")
        if call.service not in _OWN_SERVICES and raised_in_moto(error):
            # The same request fails however often it is made: nothing that AWS would do.
            text = f"The sandbox cannot answer {_service(call)} {call.operation}."
            return refuse(call, ErrorCategory.UNSUPPORTED, request_id, text)
        return refuse(call, ErrorCategory.INTERNAL, request_id)

    def _answer(self, call: ApiCall, request: HttpRequest, request_id: str) -> PipelineReply:
        caller = self._caller(call, request)
        if isinstance(caller, ErrorCategory):
            self.log(f"- {call.action} {call.region} {caller.value}")
            return PipelineReply(refuse(call, caller, request_id))
        # The operator seeds accounts before anybody rehearses: faults are for those who do.
        struck_at = self.faults if self.faults and not caller.operator else None
        fault = struck_at.draw(caller.account_id, call.action, call.region) if struck_at else None
        reply: HttpReply | None = None
        if fault is not None:
            reply = fault_reply(call, fault, request_id, account_id=caller.account_id, arn=caller.arn, now=self.clock())
        struck = "" if fault is None else f" fault={fault.kind}"
        if reply is None:
            try:
                reply = self._perform(call, request, caller, request_id)
            except AwsRefusalError as error:
                if fault is None:
                    raise
                # A refusal too comes late or is cut off, as any other answer.
                reply = refusal(call, error.code, error.message, error.status, request_id)
        self.log(f"{caller.arn} {call.action} {call.region} {reply.status}{struck}")
        return PipelineReply(reply, fault if fault and fault.kind in {FaultKind.SLOW, FaultKind.CUT} else None)

    def _caller(self, call: ApiCall, request: HttpRequest) -> SessionInfo | ErrorCategory:
        if call.service == "sts" and call.operation.startswith("AssumeRoleWith"):
            return ErrorCategory.UNSUPPORTED
        caller = self.callers.who(call, request)
        if isinstance(caller, ErrorCategory):
            return caller
        # Credentials of one partition are not known in another.
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
            return self.sts.answer(call, form_of(request), caller, request_id)
        if call.service == "iam":
            return self.iam.perform(
                call,
                form_of(request),
                caller,
                lambda body: self.dispatch(replace(request, query="", body=body), caller.account_id),
            )
        reply = self.dispatch(request, caller.account_id)
        if _is_a_web_page(reply) or _is_bare_not_found(reply, request):
            # What moto's web framework, and moto's own routing, say where moto has no such operation.
            return _not_offered(call, request_id)
        return reply

    def _refusal(self, call: ApiCall, request: HttpRequest, caller: SessionInfo, request_id: str) -> HttpReply | None:
        """Why the call may not be made, or None."""
        if call.service == "sts" and call.operation not in _PERMITTED_STS:
            return None
        # A path may hide letters behind percent signs.
        if unquote(request.path).startswith(_SIDE_DOORS):
            return refuse(call, ErrorCategory.UNSUPPORTED, request_id, f"The sandbox does not offer {call.action}.")
        if not caller.operator:
            return self.authorize(call, caller, request_id)
        # The operator may all that the sandbox enforces. It is not put to the policies: it writes them, and each write would
        # have all of them prepared anew.
        why = unenforced(call)
        return refuse(call, ErrorCategory.UNSUPPORTED, request_id, why) if why else None


def _named(error: Exception) -> str:
    """An error for the log, with the line that raised it; its text may quote the request."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return redact(f"{type(error).__name__}: {error}{where}")


def form_of(request: HttpRequest) -> Form:
    """The parameters of a request in the query protocol, from query and body."""
    pairs = parse_qsl(request.query, keep_blank_values=True)
    return dict(pairs + parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))


def _not_offered(call: ApiCall, request_id: str, *, whole_service: bool = False) -> HttpReply:
    operation = "" if whole_service else f" {call.operation}"
    return refuse(call, ErrorCategory.UNSUPPORTED, request_id, f"The sandbox has no {_service(call)}{operation}.")


def _service(call: ApiCall) -> str:
    """The service as IAM calls it: the name that the manifest's actions start with."""
    return call.action.partition(":")[0]


def _is_bare_not_found(reply: HttpReply, request: HttpRequest) -> bool:
    """Not found without a word: services say what they did not find, but in replies to HEAD, which have no body."""
    return reply.status == HTTPStatus.NOT_FOUND and not reply.body and request.method != "HEAD"


def _is_a_web_page(reply: HttpReply) -> bool:
    return reply.status >= HTTPStatus.BAD_REQUEST and reply.body[:15].lower() == b"<!doctype html>"
