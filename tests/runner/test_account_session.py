"""Programs and console links of an account: they have its session and nothing of the caller."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from rolecall_generator.errors import CallerError, ToolError
from rolecall_runner.account_session import console_url, environment_for, login_shell, run_as
from rolecall_runner.aws import Credentials

SESSION = Credentials("ASIAEXAMPLE", "very-secret", "the-token", datetime(2026, 11, 24, 12, tzinfo=UTC))
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
        "AWS_SECRET_ACCESS_KEY": "very-secret",
        "AWS_SESSION_TOKEN": "the-token",
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


def answering(status: int, body: bytes, asked: list[str]) -> Callable[[str], tuple[int, bytes]]:
    def fetch(address: str) -> tuple[int, bytes]:
        asked.append(address)
        return status, body

    return fetch


def test_link_has_sign_in_token_of_the_session() -> None:
    """The session is sent only to the federation endpoint; the link has the token and the destination."""
    asked: list[str] = []
    link = console_url(SESSION, partition="aws", fetch=answering(200, b'{"SigninToken": "tok&en"}', asked))
    sent = parse_qs(urlsplit(asked[0]).query)
    said = parse_qs(urlsplit(link).query)

    assert ["getSigninToken"] == sent["Action"]
    assert {"sessionId": "ASIAEXAMPLE", "sessionKey": "very-secret", "sessionToken": "the-token"} == json.loads(
        sent["Session"][0]
    )
    assert {
        "Action": ["login"],
        "Issuer": ["rolecall"],
        "Destination": ["https://console.aws.amazon.com/"],
        "SigninToken": ["tok&en"],
    } == said
    assert "very-secret" not in link


@pytest.mark.parametrize(
    ("partition", "host", "home"),
    [
        ("aws-us-gov", "signin.amazonaws-us-gov.com", "https://console.amazonaws-us-gov.com/"),
        ("aws-cn", "signin.amazonaws.cn", "https://console.amazonaws.cn/"),
    ],
)
def test_each_partition_has_its_own_endpoints(partition: str, host: str, home: str) -> None:
    """GovCloud and China have separate hosts."""
    link = urlsplit(console_url(SESSION, partition=partition, fetch=answering(200, b'{"SigninToken": "t"}', [])))

    assert (host, [home]) == (link.netloc, parse_qs(link.query)["Destination"])


@pytest.mark.parametrize(
    ("status", "body"), [(400, b"<html>"), (200, b"<html>"), (200, b"[]"), (200, b'{"Other": 1}'), (200, b"\xff")]
)
def test_refusal_is_error_without_secrets(status: int, body: bytes) -> None:
    """For any reply of the endpoint."""
    with pytest.raises(CallerError) as refused:
        console_url(SESSION, partition="aws", fetch=answering(status, body, []))

    assert "very-secret" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_missing_endpoint_and_network_failure_are_errors() -> None:
    """Without a federation endpoint nothing is sent; a network error is reported only by its type."""

    def dead(_address: str) -> tuple[int, bytes]:
        raise OSError("cannot reach https://host/?Session=very-secret")

    with pytest.raises(CallerError, match="has no sign-in page"):
        console_url(SESSION, partition="aws-iso", fetch=dead)
    with pytest.raises(CallerError) as failed:
        console_url(SESSION, partition="aws", fetch=dead)

    assert "very-secret" not in str(failed.value)
