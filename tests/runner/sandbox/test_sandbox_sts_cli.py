"""The AWS CLI with the sandbox: container credentials, sessions, refusals."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox_rig import BACKEND, CUSTOMER, TARGET, VENDOR, allow, running, service_trust, trust

pytestmark = pytest.mark.skipif(importlib.util.find_spec("awscli") is None, reason="the AWS CLI is not installed")

# One process for all commands, since starting the CLI is slow.
SCRIPT = f"""
from awscli.clidriver import create_clidriver
assume = ["sts", "assume-role", "--role-arn", "{TARGET}", "--role-session-name", "cli", "--query", "AssumedRoleUser.Arn"]
for command in (["sts", "get-caller-identity", "--query", "Arn"], [*assume, "--external-id", "Customer-1"], assume):
    print(create_clidriver().main(command), flush=True)
"""


def test_cli_acts_with_container_credentials(tmp_path: Path) -> None:
    """It has the identity of the instance's role, assumes with the external ID, and prints AWS's refusal without it."""
    with running() as rig:
        rig.clock.now = rig.clock.now.replace(year=2035)  # the CLI compares the expiration with its own clock
        rig.role(VENDOR, "backend_role", service_trust(), main=allow("sts:AssumeRole"))
        rig.role(CUSTOMER, "target", trust(BACKEND, StringEquals={"sts:ExternalId": "Customer-1"}))
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(tmp_path),
            "AWS_ENDPOINT_URL": rig.sandbox.url,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
            **rig.sandbox.container_environment(BACKEND),
        }
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True, timeout=120
        )
    *printed, refused = done.stdout.split()

    assert [
        f'"arn:aws:sts::{VENDOR}:assumed-role/backend_role/i-0123456789abcdef0"',
        "0",
        f'"arn:aws:sts::{CUSTOMER}:assumed-role/target/cli"',
        "0",
    ] == printed
    assert refused != "0"
    assert "(AccessDenied) when calling the AssumeRole operation: User: arn:aws:sts::" in done.stderr
