"""The AWS CLI with the sandbox: container credentials, sessions, refusals."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox_rig import Rig, allow, running, service_trust, trust

pytestmark = pytest.mark.skipif(importlib.util.find_spec("awscli") is None, reason="the AWS CLI is not installed")

VENDOR, CUSTOMER = "111111111111", "222222222222"
BACKEND = f"arn:aws:iam::{VENDOR}:role/backend_role"
TARGET = f"arn:aws:iam::{CUSTOMER}:role/target"
# One process for all commands, since starting the CLI is slow.
SCRIPT = """
import contextlib, io, json, sys
from awscli.clidriver import create_clidriver
ended = []
for command in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = create_clidriver().main(command)
    ended.append([code, out.getvalue(), err.getvalue()])
print(json.dumps(ended))
"""
ASSUME = ["sts", "assume-role", "--role-arn", TARGET, "--role-session-name", "cli"]
COMMANDS: dict[str, list[str]] = {
    "identity": ["sts", "get-caller-identity"],
    "right id": [*ASSUME, "--external-id", "Customer-1", "--duration-seconds", "900"],
    "wrong id": [*ASSUME, "--external-id", "Customer-2"],
    "no id": ASSUME,
    "too long": [*ASSUME, "--external-id", "Customer-1", "--duration-seconds", "3601"],
    "no such role": ["sts", "assume-role", "--role-arn", f"{TARGET}-2", "--role-session-name", "cli"],
    "no permission": ["iam", "list-roles"],
    "no permission in EC2": ["ec2", "describe-instances"],
    "no permission in S3": ["s3api", "list-buckets"],
}


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with running() as rig:
        rig.clock.now = rig.clock.now.replace(year=2035)  # the CLI compares the expiration with its own clock
        rig.role(VENDOR, "backend_role", service_trust(), main=allow("sts:AssumeRole"))
        rig.role(CUSTOMER, "target", trust(BACKEND, StringEquals={"sts:ExternalId": "Customer-1"}))
        yield rig


@pytest.fixture(scope="module")
def ended(rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Exit code, output and error output of every command, with the credentials of an instance."""
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(tmp_path_factory.mktemp("home")),
        "AWS_ENDPOINT_URL": rig.sandbox.url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
        **rig.sandbox.container_environment(BACKEND),
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(list(COMMANDS.values()))],
        cwd=Path(environment["HOME"]),
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return dict(zip(COMMANDS, json.loads(done.stdout), strict=True))


def test_cli_has_identity_of_instance_role(ended: dict[str, Any]) -> None:
    """The AWS CLI loads credentials from the container endpoint."""
    code, out, _ = ended["identity"]

    assert 0 == code
    assert f"arn:aws:sts::{VENDOR}:assumed-role/backend_role/i-0123456789abcdef0" == json.loads(out)["Arn"]


def test_cli_assumes_role_with_external_id(ended: dict[str, Any]) -> None:
    """The session is the customer's role, with the requested session name."""
    code, out, _ = ended["right id"]

    assert 0 == code
    assert f"arn:aws:sts::{CUSTOMER}:assumed-role/target/cli" == json.loads(out)["AssumedRoleUser"]["Arn"]


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("wrong id", "(AccessDenied) when calling the AssumeRole operation: User: arn:aws:sts::111111111111:assumed-role/"),
        ("no id", f"is not authorized to perform: sts:AssumeRole on resource: {TARGET}"),
        ("no such role", f"is not authorized to perform: sts:AssumeRole on resource: {TARGET}-2"),
        ("too long", "(ValidationError) when calling the AssumeRole operation: The requested DurationSeconds exceeds the 1"),
        ("no permission", "(AccessDenied) when calling the ListRoles operation"),
        ("no permission in EC2", "(UnauthorizedOperation) when calling the DescribeInstances operation"),
        ("no permission in S3", "(AccessDenied) when calling the ListBuckets operation"),
    ],
)
def test_cli_prints_refusals_of_aws(ended: dict[str, Any], command: str, text: str) -> None:
    code, out, error = ended[command]

    assert code != 0
    assert "" == out
    assert text in error
