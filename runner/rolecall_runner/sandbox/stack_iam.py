"""IAM calls that a stack makes: they go the way of every other call, with the rights of whoever made the stack.

"CloudFormation calls the other services with your permissions" (CloudFormation user guide, "Controlling access",
November 2026): so each call is authorized for the caller and held against IAM's rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from moto.core.utils import get_service_model

from rolecall_runner.sandbox.wire import HttpReply, HttpRequest, SessionInfo

Send = Callable[[HttpRequest, SessionInfo], HttpReply]
"""Takes a request without a valid signature, as the caller's own."""

_QUERY = "query"
_FIRST_ERROR = 300


class StackCallError(Exception):
    """A service refused a call of a stack; the code and message are its own."""

    def __init__(self, operation: str, code: str, message: str) -> None:
        self.code = code
        super().__init__(f"iam:{operation}: {message} ({code})")


@dataclass(frozen=True, slots=True)
class StackIam:
    """IAM in the account and Region of a stack, as its maker."""

    send: Send
    caller: SessionInfo
    region: str

    def call(self, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """One IAM operation with boto3's parameters; IAM's answer. Raises StackCallError."""
        model = get_service_model("iam").operation_model(operation)
        written = create_serializer(_QUERY, include_validation=False).serialize_to_request(dict(parameters), model)
        reply = self.send(self._request(urlencode(written["body"]).encode()), self.caller)
        answer = {"body": reply.body, "headers": dict(reply.headers), "status_code": reply.status}
        parsed: Mapping[str, Any] = create_parser(_QUERY).parse(answer, model.output_shape)
        if reply.status >= _FIRST_ERROR:
            error = parsed.get("Error", {})
            raise StackCallError(operation, str(error.get("Code", "")), str(error.get("Message", "")))
        return parsed

    def _request(self, body: bytes) -> HttpRequest:
        scope = f"{self.caller.access_key}/20260101/{self.region}/iam/aws4_request"
        headers = {
            "authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
            "content-type": "application/x-www-form-urlencoded",
        }
        if self.caller.session_token:
            headers["x-amz-security-token"] = self.caller.session_token
        return HttpRequest("POST", "/", "", headers, body, "iam.amazonaws.com")
