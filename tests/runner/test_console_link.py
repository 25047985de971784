"""Console links: built as AWS documents it, without a secret in what a person sees but the sign-in token."""

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


def test_the_link_signs_in_with_the_token_that_the_session_was_given() -> None:
    """The session goes to the federation page alone; the link holds the token and where to go."""
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
def test_each_partition_has_its_own_pages(partition: str, host: str, home: str) -> None:
    """GovCloud and China sign in on hosts of their own."""
    link = urlsplit(console_url(SESSION, partition=partition, fetch=answering(200, b'{"SigninToken": "t"}', [])))

    assert (host, [home]) == (link.netloc, parse_qs(link.query)["Destination"])


@pytest.mark.parametrize(
    ("status", "body"), [(400, b"<html>"), (200, b"<html>"), (200, b"[]"), (200, b'{"Other": 1}'), (200, b"\xff")]
)
def test_a_refusal_is_an_error_without_secrets(status: int, body: bytes) -> None:
    """Whatever the page answers, the error says so and holds nothing of the session."""
    with pytest.raises(CallerError) as refused:
        console_url(SESSION, partition="aws", fetch=answering(status, body, []))

    assert "very-secret" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_partition_without_a_page_and_a_dead_network_are_errors() -> None:
    """Where there is no federation page, nothing is sent; a failing network is said by its kind alone."""

    def dead(_address: str) -> tuple[int, bytes]:
        raise OSError("cannot reach https://host/?Session=very-secret")

    with pytest.raises(CallerError, match="has no sign-in page"):
        console_url(SESSION, partition="aws-iso", fetch=dead)
    with pytest.raises(CallerError) as failed:
        console_url(SESSION, partition="aws", fetch=dead)

    assert "very-secret" not in str(failed.value)
