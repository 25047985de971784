"""Credentials over HTTP, as a container's agent gives them: SDKs, the AWS CLI and Terraform refresh by themselves.

Protocol: "Container credential provider" (AWS SDKs and Tools Reference Guide), November 2026: GET on
AWS_CONTAINER_CREDENTIALS_FULL_URI with AWS_CONTAINER_AUTHORIZATION_TOKEN in the Authorization header.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Callable, Mapping

from rolecall_runner.sandbox.sessions import Credentials
from rolecall_runner.sandbox.wire import HttpReply, HttpRequest

# No bucket can have this name: it would begin with an underscore.
PREFIX = "/_sandbox/credentials/"


class CredentialsEndpoint:
    """Hands out sessions of the roles that were opened, to whoever has the token; `issue` gives None for one that is gone"""

    def __init__(self, issue: Callable[[str], Credentials | None]) -> None:
        self._issue = issue
        self._tokens: dict[str, tuple[str, str]] = {}

    def open(self, role_arn: str, url: str) -> Mapping[str, str]:
        """The environment in which AWS's tools act as the role; `url` is the sandbox's address."""
        name = secrets.token_hex(8)
        token = secrets.token_urlsafe(32)
        self._tokens[name] = role_arn, token
        return {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{url}{PREFIX}{name}",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": token,
        }

    def answer(self, request: HttpRequest) -> HttpReply:
        """Answer a request below PREFIX."""
        role_arn, token = self._tokens.get(request.path.removeprefix(PREFIX), ("", ""))
        said = request.headers.get("authorization", "")
        if not token or not hmac.compare_digest(token.encode(), said.encode()):
            return _reply(403, {"code": "AccessDenied", "message": "The authorization token is not the right one."})
        found = self._issue(role_arn)
        if found is None or found.expires is None:
            return _reply(404, {"code": "NoSuchRole", "message": f"There is no role {role_arn}."})
        return _reply(
            200,
            {
                "AccessKeyId": found.access_key,
                "SecretAccessKey": found.secret,
                "Token": found.session_token or "",
                "Expiration": found.expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "RoleArn": role_arn,
            },
        )


def _reply(status: int, body: Mapping[str, str]) -> HttpReply:
    return HttpReply(status, (("Content-Type", "application/json"),), json.dumps(body).encode())
