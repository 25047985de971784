"""Programs run as an account: their environment has the session and nothing of the caller."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime

import pytest

from rolecall_generator.errors import ToolError
from rolecall_runner.account_session import environment_for, login_shell, run_as
from rolecall_runner.aws.credentials import Credentials

SESSION = Credentials("ASIAEXAMPLE", "secret", "token", datetime(2026, 11, 24, 12, tzinfo=UTC))
CALLERS = {
    "PATH": "/usr/bin",
    "AWS_PROFILE": "vendor",
    "AWS_ROLE_ARN": "arn:aws:iam::111111111111:role/x",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/token",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1/",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN": "t",
    "AWS_CA_BUNDLE": "/ca.pem",
}


def test_program_has_only_credentials_of_the_account() -> None:
    """The caller's profile, role and container credentials are removed, network settings are kept, and IMDS is disabled."""
    made = environment_for(SESSION, "eu-west-1", name="account1", environ=CALLERS)

    assert {
        "PATH": "/usr/bin",
        "AWS_CA_BUNDLE": "/ca.pem",
        "AWS_ACCESS_KEY_ID": "ASIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
        "AWS_CREDENTIAL_EXPIRATION": "2026-11-24T12:00:00Z",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "ROLECALL_ACCOUNT": "account1",
    } == made


def test_program_gets_environment_and_exit_code_is_returned(capfd: pytest.CaptureFixture[str]) -> None:
    """A signal becomes 128 plus its number."""
    made = environment_for(SESSION, "eu-west-1", name="a", endpoint_url="http://127.0.0.1:1", environ=CALLERS)
    show = "import json, os; print(json.dumps(os.environ.get('AWS_ENDPOINT_URL'))); raise SystemExit(3)"

    assert 3 == run_as([sys.executable, "-c", show], made)
    assert "http://127.0.0.1:1" == json.loads(capfd.readouterr().out)
    assert 137 == run_as([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], made)


def test_missing_program_is_error() -> None:
    """The error names the program and contains no secret."""
    with pytest.raises(ToolError, match="no-such-program cannot be started"):
        run_as(["no-such-program"], {"PATH": "/nonexistent"})


def test_shell_is_that_of_the_user() -> None:
    """From SHELL, or the default one."""
    assert ("/bin/zsh", "/bin/sh") == (login_shell({"SHELL": "/bin/zsh"}), login_shell({}))
