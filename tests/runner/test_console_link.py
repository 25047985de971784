"""Console links: built as documented by AWS, with the sign-in token as the only secret."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from rolecall_generator.errors import CallerError
from rolecall_runner.account_session import console_url
from rolecall_runner.aws.credentials import Credentials

SESSION = Credentials("ASIAEXAMPLE", "very-secret", "the-token", datetime(2026, 11, 24, tzinfo=UTC))


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
