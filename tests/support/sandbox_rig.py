"""A sandbox for tests: started, with clients, a manual clock, and short ways to write policies."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from rolecall_runner.sandbox.iam.iam_writes import Limits
from rolecall_runner.sandbox.protocol.aws_protocol import OPERATOR_KEY, OPERATOR_ROLE
from rolecall_runner.sandbox.protocol.faults import FaultPlan
from rolecall_runner.sandbox.server.server import Sandbox
from rolecall_runner.sandbox.sts.sts import SandboxCredentials

REGION = "us-east-1"
VENDOR, CUSTOMER = "111111111111", "222222222222"
BACKEND = f"arn:aws:iam::{VENDOR}:role/backend_role"
TARGET = f"arn:aws:iam::{CUSTOMER}:role/target"
OPERATOR = SandboxCredentials(OPERATOR_KEY, "")
"""Placeholder for the operator credentials of the rig that creates a client: each sandbox has a random secret."""
_SESSION = botocore.session.Session()
# One attempt, so that a test sees the first reply; no validation, so that the sandbox's own is tested.
_CONFIG = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, parameter_validation=False)


@dataclass
class HandClock:
    """A clock that a test sets manually."""

    now: datetime = field(default_factory=lambda: datetime(2026, 11, 24, 12, 0, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Rig:
    """A running sandbox and its helpers for tests."""

    sandbox: Sandbox
    clock: HandClock
    lines: list[str] = field(default_factory=list)
    _clients: dict[tuple[Any, ...], Any] = field(default_factory=dict)

    def client(self, service: str, credentials: SandboxCredentials, region: str = REGION, **config: Any) -> Any:
        """A client of the real SDK with these credentials, cached; `config` overrides the rig's own."""
        if credentials == OPERATOR:
            credentials = self.sandbox.operator_credentials()
        holder = (credentials.access_key, credentials.secret, credentials.session_token)
        key = (service, region, holder, tuple(config.items()))
        if key not in self._clients:
            self._clients[key] = _SESSION.create_client(
                service,
                region,
                endpoint_url=self.sandbox.url,
                aws_access_key_id=credentials.access_key,
                aws_secret_access_key=credentials.secret,
                aws_session_token=credentials.session_token,
                config=_CONFIG.merge(Config(**config)),
            )
        return self._clients[key]

    def assume(
        self, credentials: SandboxCredentials, role_arn: str, name: str = "probe", **parameters: Any
    ) -> SandboxCredentials:
        """Assume a role; raises the SDK's ClientError if denied."""
        sts = self.client("sts", credentials)
        return taken(sts.assume_role(RoleArn=role_arn, RoleSessionName=name, **parameters))

    def administrator(self, account_id: str, service: str = "iam") -> Any:
        """A client of an account's administrator."""
        key = ("administrator", service, account_id)
        if key not in self._clients:
            role = f"arn:{self.sandbox.partition}:iam::{account_id}:role/{OPERATOR_ROLE}"
            region = self.sandbox.region
            sts = self.client("sts", OPERATOR, region)
            answer = sts.assume_role(RoleArn=role, RoleSessionName="rehearsal", DurationSeconds=43_200)
            self._clients[key] = self.client(service, taken(answer), region)
        return self._clients[key]

    def cli_environment(self, account_id: str) -> Mapping[str, str]:
        """Environment variables with which the AWS CLI acts as an account's administrator."""
        role = f"arn:{self.sandbox.partition}:iam::{account_id}:role/{OPERATOR_ROLE}"
        key = taken(self.client("sts", OPERATOR, self.sandbox.region).assume_role(RoleArn=role, RoleSessionName="cli"))
        return {
            "AWS_ENDPOINT_URL": self.sandbox.url,
            "AWS_ACCESS_KEY_ID": key.access_key,
            "AWS_SECRET_ACCESS_KEY": key.secret,
            "AWS_SESSION_TOKEN": key.session_token or "",
        }

    def role(self, account_id: str, name: str, trust: dict[str, Any], **policies: Any) -> str:
        """Create a role with inline policies, each a list of actions on all resources or a document; returns its ARN."""
        iam = self.administrator(account_id)
        arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        for policy, body in policies.items():
            document = body if isinstance(body, dict) else allow(*body)
            iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(document))
        return arn

    def user(self, account_id: str, name: str, *actions: str) -> tuple[str, SandboxCredentials]:
        """Create a user with an access key who may perform the actions on all resources; returns ARN and key."""
        iam = self.administrator(account_id)
        arn: str = iam.create_user(UserName=name)["User"]["Arn"]
        if actions:
            iam.put_user_policy(UserName=name, PolicyName="main", PolicyDocument=json.dumps(allow(*actions)))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return arn, SandboxCredentials(key["AccessKeyId"], key["SecretAccessKey"])


@contextmanager
def running(faults: FaultPlan | None = None, limits: Limits | None = None, region: str = REGION) -> Iterator[Rig]:
    """A sandbox with its own clock for one block."""
    clock = HandClock()
    lines: list[str] = []
    with Sandbox(clock=clock, faults=faults, limits=limits or Limits(), region=region, log=lines.append) as sandbox:
        rig = Rig(sandbox, clock, lines)
        try:
            yield rig
        finally:
            for client in rig._clients.values():
                client.close()


def taken(answer: Any) -> SandboxCredentials:
    """The credentials in the reply of STS."""
    body = answer["Credentials"]
    return SandboxCredentials(body["AccessKeyId"], body["SecretAccessKey"], body["SessionToken"], body["Expiration"])


def refusal_of(error: ClientError) -> tuple[str, int]:
    """Code and HTTP status of an error."""
    return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]


def outcome(call: Callable[..., Any], **parameters: Any) -> tuple[str, int]:
    """Code and HTTP status of a refused call; `("", 200)` if it succeeds."""
    try:
        call(**parameters)
    except ClientError as error:
        return refusal_of(error)
    return "", 200


@dataclass(frozen=True)
class Refused:
    """A call that must fail with AWS's code, HTTP status and message, which contains `text`."""

    attempt: Callable[[Any], Any]
    text: str
    code: str = "AccessDenied"
    status: int = 403

    def check(self, world: Any) -> None:
        """Run it in the world of a test."""
        with pytest.raises(ClientError) as caught:
            self.attempt(world)
        assert (self.code, self.status) == refusal_of(caught.value)
        assert re.search(self.text, caught.value.response["Error"]["Message"])


def status_of(url: str, **headers: str) -> int:
    """The HTTP status of a plain GET."""
    parts = urlsplit(url)
    with contextlib.closing(http.client.HTTPConnection(parts.netloc, timeout=10)) as connection:
        connection.request("GET", f"{parts.path}?{parts.query}", headers=headers)
        return connection.getresponse().status


def trust(*principals: str, action: Any = "sts:AssumeRole", **conditions: Any) -> dict[str, Any]:
    """A trust policy for AWS principals, with conditions by operator."""
    who: Any = "*" if principals == ("*",) else {"AWS": list(principals)}
    return statement_of(Effect="Allow", Action=action, Principal=who, **({"Condition": conditions} if conditions else {}))


def service_trust(service: str = "ec2.amazonaws.com") -> dict[str, Any]:
    """A trust policy for an AWS service."""
    return statement_of(Effect="Allow", Action="sts:AssumeRole", Principal={"Service": service})


def allow(*actions: str, resource: Any = "*") -> dict[str, Any]:
    """A permissions policy that allows actions."""
    return statement_of(Effect="Allow", Action=list(actions), Resource=resource)


def statement_of(**statement: Any) -> dict[str, Any]:
    """A policy of one statement."""
    return {"Version": "2012-10-17", "Statement": [statement]}
