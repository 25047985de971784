"""Shared clients with rolecall's first attempts handle the sandbox's faults like plain botocore clients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import botocore.credentials
import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from rolecall_runner.aws.clients import Clients, ClientSettings, account
from rolecall_runner.sandbox.protocol.faults import FAULTS, CutConnection, Fault, FaultPlan, ServiceDenied, SlowReply
from rolecall_runner.sandbox.sts.sts import SandboxCredentials
from sandbox_rig import REGION, running, trust

CALLER, CUSTOMER = "111111111111", "222222222222"
TROUBLED: dict[type[Fault], str] = {
    kind: f"{300_000_000_000 + number}" for number, kind in enumerate(FAULTS.values()) if kind is not SlowReply
}
"""The account from which a call meets only this trouble."""

CASES = [(CALLER, "right-id"), (CALLER, "wrong-id"), *((caller, "right-id") for caller in TROUBLED.values())]
ATTEMPTS = 2

Outcomes = dict[tuple[str, str], tuple[Any, ...]]


@contextmanager
def plain(url: str, key: SandboxCredentials) -> Iterator[Any]:
    """A plain botocore client."""
    client = botocore.session.Session().create_client(
        "sts",
        REGION,
        endpoint_url=url,
        aws_access_key_id=key.access_key,
        aws_secret_access_key=key.secret,
        config=Config(retries={"mode": "standard", "total_max_attempts": ATTEMPTS}),
    )
    yield client
    client.close()


@contextmanager
def shared(url: str, key: SandboxCredentials) -> Iterator[Any]:
    """A client shared by accounts."""
    clients = Clients(ClientSettings(url, max_attempts=ATTEMPTS))
    with account(botocore.credentials.Credentials(key.access_key, key.secret)):
        yield clients.client("sts", REGION)
    clients.close()


def outcomes(way: Callable[[str, SandboxCredentials], Any]) -> Outcomes:
    """The result of AssumeRole for each case in a new sandbox: both clients get the same faults in the same order."""
    rules = (kind(1.0, caller, "sts:AssumeRole") for kind, caller in TROUBLED.items())
    found: Outcomes = {}
    with running(FaultPlan(0, tuple(rules))) as rig:
        for caller, external_id in CASES:
            arn, key = rig.user(caller, f"caller-{external_id}", "sts:AssumeRole")
            condition = {"StringEquals": {"sts:ExternalId": "right-id"}}
            role = rig.role(CUSTOMER, f"access-{caller}-{external_id}", trust(arn, **condition))
            with way(rig.sandbox.url, key) as client:
                found[caller, external_id] = asked(client, role, external_id)
    return found


def asked(client: Any, role: str, external_id: str) -> tuple[Any, ...]:
    """The reply or the error, without values that differ per session."""
    try:
        assumed = client.assume_role(RoleArn=role, RoleSessionName="rolecall", ExternalId=external_id)
    except ClientError as error:
        metadata = error.response["ResponseMetadata"]
        status, retries = metadata["HTTPStatusCode"], metadata["RetryAttempts"]
        return type(error).__name__, error.response["Error"], status, retries, metadata.get("MaxAttemptsReached")
    except (BotoCoreError, ResponseParserError) as error:
        return (type(error).__name__,)
    return sorted(assumed), sorted(assumed["Credentials"]), assumed["AssumedRoleUser"]["Arn"]


@pytest.fixture(scope="module")
def both() -> tuple[Outcomes, Outcomes]:
    """Results of the plain clients and of the shared ones."""
    return outcomes(plain), outcomes(shared)


@pytest.mark.parametrize("external_id", ["right-id", "wrong-id"])
def test_assume_has_same_result(both: tuple[Outcomes, Outcomes], external_id: str) -> None:
    """The same reply, and the same refusal."""
    botocores, ours = both

    assert botocores[CALLER, external_id] == ours[CALLER, external_id]
    assert (external_id == "wrong-id") == ("AccessDenied" in str(ours[CALLER, external_id]))


@pytest.mark.parametrize("kind", [kind for kind in TROUBLED if kind is not CutConnection])
def test_faults_give_same_error(both: tuple[Outcomes, Outcomes], kind: type[Fault]) -> None:
    """Throttled, failed, expired, clock skew: the same error after the same number of attempts."""
    botocores, ours = (each[TROUBLED[kind], "right-id"] for each in both)

    assert botocores == ours
    assert (kind is ServiceDenied) == ("AccessDenied" in str(ours))


def test_truncated_reply_is_connection_error(both: tuple[Outcomes, Outcomes]) -> None:
    """botocore reports invalid XML and quotes it with the session keys; rolecall never shows it."""
    assert ("ConnectionClosedError",) == both[1][TROUBLED[CutConnection], "right-id"]
