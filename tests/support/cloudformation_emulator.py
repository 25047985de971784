"""CloudFormation for tests: ministack in its own process, deployed to with boto3 and read by the runner's reader.

ministack 1.5.33 has no AWS::IAM::Group and no AWS::IAM::UserToGroupAddition, does not return permissions boundaries, and
does not escape descriptions and carriage returns in its replies. Templates with these are checked by cfn-lint and read
back by `cloudformation_reader`.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from rolecall_generator.iam.model import Access, Role, User
from rolecall_runner.live import read_account

PASSWORD = "First-password-1"  # noqa: S105 - test data
STACK = "stack"
_UNSUPPORTED = {"AWS::IAM::Group", "AWS::IAM::UserToGroupAddition"}
_REGION = "us-east-1"
_START_SECONDS = 60
_STACK_SECONDS = 30
_POLL_SECONDS = 0.05

Tagged = TypeVar("Tagged", Role, User)


@dataclass
class Emulator:
    """A running ministack. Clients act as administrator of an account: its ID is the access key."""

    url: str
    log: Path
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)

    def client(self, account_id: str, service: str = "iam") -> Any:
        """A boto3 client of a service in an account."""
        key = account_id, service
        if key not in self._clients:
            self._clients[key] = boto3.client(
                service,
                endpoint_url=self.url,
                region_name=_REGION,
                aws_access_key_id=account_id,
                aws_secret_access_key="test",
                config=Config(retries={"total_max_attempts": 1}),
            )
        return self._clients[key]

    def deploy(self, account_id: str, template: str) -> Any:
        """Create the stack and describe it when it is complete; every parameter is PASSWORD. Raises ClientError."""
        parameters = [
            {"ParameterKey": key, "ParameterValue": PASSWORD} for key in json.loads(template).get("Parameters", {})
        ]
        self.client(account_id, "cloudformation").create_stack(**_stack(template), Parameters=parameters)
        return self.stack(account_id)

    def update(self, account_id: str, template: str) -> Any:
        """Update the stack, keep its passwords, and describe it when it is complete. Raises ClientError."""
        parameters = [{"ParameterKey": key, "UsePreviousValue": True} for key in json.loads(template).get("Parameters", {})]
        self.client(account_id, "cloudformation").update_stack(**_stack(template), Parameters=parameters)
        return self.stack(account_id)

    def delete(self, account_id: str) -> None:
        """Delete the stack and wait for the end."""
        cloudformation = self.client(account_id, "cloudformation")
        cloudformation.delete_stack(StackName=STACK)
        cloudformation.get_waiter("stack_delete_complete").wait(
            StackName=STACK, WaiterConfig={"Delay": _POLL_SECONDS, "MaxAttempts": int(_STACK_SECONDS / _POLL_SECONDS)}
        )

    def stack(self, account_id: str) -> Any:
        """The stack from DescribeStacks, once nothing is in progress."""
        end = time.monotonic() + _STACK_SECONDS
        while True:
            (found,) = self.client(account_id, "cloudformation").describe_stacks(StackName=STACK)["Stacks"]
            if not found["StackStatus"].endswith("IN_PROGRESS"):
                return found
            assert time.monotonic() < end, found
            time.sleep(_POLL_SECONDS)

    def access(self, account_id: str) -> Access:
        """All IAM access of an account, without the tags that CloudFormation sets."""
        found = read_account(self.client(account_id))
        return replace(
            found,
            roles={arn: _without_stack_tags(role) for arn, role in found.roles.items()},
            users={arn: _without_stack_tags(user) for arn, user in found.users.items()},
        )

    def reset(self) -> None:
        """Empty all accounts."""
        urllib.request.urlopen(f"{self.url}/_ministack/reset", data=b"", timeout=_START_SECONDS).close()  # noqa: S310 - loopback

    def cli_environment(self, account_id: str) -> Mapping[str, str]:
        """Environment variables with which the AWS CLI acts as the administrator of an account."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": account_id,
            "AWS_SECRET_ACCESS_KEY": "test",
        }


def supported(template: str) -> bool:
    """Whether the emulator has all resource types of a template and returns all their properties unchanged."""
    resources = json.loads(template)["Resources"].values()
    return "\\r" not in template and not any(
        resource["Type"] in _UNSUPPORTED
        or "PermissionsBoundary" in resource["Properties"]
        or set("<&") & set(resource["Properties"].get("Description", ""))
        for resource in resources
    )


def outputs(stack: Any) -> dict[str, str]:
    """A described stack's outputs by name."""
    return {item["OutputKey"]: item["OutputValue"] for item in stack["Outputs"]}


@contextmanager
def running(folder: Path) -> Iterator[Emulator]:
    """Start ministack on a free loopback port for one block; its log is in `folder`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "SERVICES": "cloudformation,iam,sts",
        # Otherwise it would also listen on fixed ports.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }
    log = folder / "ministack.log"
    with (
        log.open("wb") as lines,
        subprocess.Popen(
            [sys.executable, "-m", "ministack.app"], cwd=folder, env=environment, stdout=lines, stderr=lines
        ) as server,
    ):
        try:
            emulator = Emulator(f"http://127.0.0.1:{port}", log)
            _wait_until_ready(emulator, server)
            yield emulator
        finally:
            for client in emulator._clients.values():
                client.close()
            server.terminate()


def _wait_until_ready(emulator: Emulator, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _START_SECONDS
    while True:
        try:
            emulator.client("0" * 12).list_roles()
        except BotoCoreError:
            assert server.poll() is None, emulator.log.read_text()
            assert time.monotonic() < end, emulator.log.read_text()
            time.sleep(_POLL_SECONDS)
        else:
            return


def _stack(template: str) -> dict[str, Any]:
    return {"StackName": STACK, "TemplateBody": template, "Capabilities": ["CAPABILITY_NAMED_IAM"]}


def _without_stack_tags(holder: Tagged) -> Tagged:
    tags = {key: value for key, value in holder.tags.items() if not key.startswith("aws:cloudformation:")}
    return replace(holder, tags=tags)
