"""Shared clients sign each call as the account that it is made in, or not at all."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.awsrequest import AWSRequest
from botocore.discovery import EndpointDiscoveryRequired
from botocore.exceptions import BotoCoreError, ClientError

from fast_stub import FastStub, Options, instance_of, key_of, secret_of, token_of
from rolecall_runner.aws.aws_errors import Status, failure_of
from rolecall_runner.aws.clients import Clients, ClientSettings, OutsideAccountError, _timestamp, account
from rolecall_runner.aws.retry import DeadlineExceededError, RetryPolicy, deadline
from rolecall_runner.execution.execution_options import run
from rolecall_runner.execution.interface import EngineSettings
from stub_fleet import AskStub, MakeSessions, stub_targets


@dataclass(frozen=True)
class Keys:
    """Credentials of an account of the stub."""

    access_key: str
    secret_key: str
    token: str | None

    def get_frozen_credentials(self) -> Keys:
        return self


def keys(account_id: str) -> Keys:
    key = key_of(account_id)
    return Keys(key, secret_of(key), token_of(key))


def whose(client: Any) -> str:
    return str(client.get_caller_identity()["Account"])


def test_a_call_is_signed_as_the_account_around_it(clients: Clients) -> None:
    """The innermost account counts, and the one around it comes back."""
    client = clients.client("sts", "us-east-1")

    with account(keys("222222222222")):
        with account(keys("333333333333")):
            inner = whose(client)
        outer = whose(client)

    assert ("333333333333", "222222222222") == (inner, outer)


def test_a_call_outside_an_account_is_never_sent(clients: Clients, stub: FastStub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even under credentials that the environment offers: the vendor's own identity stays at home."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAVENDORBACKEND001")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    before = stub.counts()["requests"]

    with pytest.raises(OutsideAccountError, match="outside `account` was not sent"):
        clients.client("sts", "us-east-1").get_caller_identity()

    assert before == stub.counts()["requests"]


def test_another_thread_does_not_inherit_the_account(clients: Clients) -> None:
    """A thread that a task starts by itself fails closed."""
    client = clients.client("sts", "us-east-1")
    with account(keys("222222222222")), ThreadPoolExecutor(1) as pool:
        found = pool.submit(client.get_caller_identity)

        assert isinstance(found.exception(), OutsideAccountError)


@pytest.mark.parametrize(
    "make",
    [
        lambda client: client.generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "k"}),
        lambda client: str(client.generate_presigned_post("b", "k")["fields"]),
    ],
    ids=["URL", "POST"],
)
def test_presigned_requests_are_the_accounts(clients: Clients, make: Callable[[Any], str]) -> None:
    """A link and an upload form carry the key of the account around them; outside one, none is made."""
    client = clients.client("s3", "us-east-1")

    with account(keys("222222222222")):
        assert "ASIA222222222222AAAA" in make(client)
    with pytest.raises(OutsideAccountError):
        make(client)


def test_a_bearer_token_in_the_environment_replaces_no_signature(stub: FastStub, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS_BEARER_TOKEN_BEDROCK is the vendor's: with it set, the call is not sent."""
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "vendors-own")
    clients = Clients(ClientSettings(stub.url, stub.ca_bundle))

    with account(keys("222222222222")), pytest.raises(OutsideAccountError, match="bearer"):
        clients.client("bedrock", "us-east-1").list_foundation_models()


def test_express_buckets_share_no_session(clients: Clients) -> None:
    """S3 Express keeps session credentials by bucket, whoever asks: such calls are signed as any other."""
    client = clients.client("s3", "us-east-1")
    seen: list[Any] = []
    client.meta.events.register_first("before-send.s3", lambda request, **_: seen.append(request.headers["Authorization"]))

    with account(keys("222222222222")), pytest.raises(ClientError):
        client.list_objects_v2(Bucket="name--use1-az4--x-s3")

    assert [True] == ["ASIA222222222222AAAA" in str(header) for header in seen]


def test_operations_that_discover_endpoints_are_refused() -> None:
    """Timestream's endpoints belong to an account, and botocore keeps them by operation."""
    clients = Clients(ClientSettings())

    with account(keys("222222222222")), pytest.raises(EndpointDiscoveryRequired):
        clients.client("timestream-query", "us-east-1").describe_scheduled_query(ScheduledQueryArn="a" * 20)


def test_one_client_serves_all_threads(clients: Clients) -> None:
    """Asked for at once by many threads, it is made once."""
    gate = threading.Barrier(8)

    def get() -> Any:
        gate.wait(10)
        return clients.client("ec2", "us-east-1")

    with ThreadPoolExecutor(8) as pool:
        found = [each.result() for each in [pool.submit(get) for _ in range(8)]]

    assert 1 == len({id(client) for client in found})
    assert found[0] is not clients.client("ec2", "eu-west-1")


def test_retries_are_signed_as_the_same_account() -> None:
    """Throttles, faults and cut connections: each further attempt carries the account's own signature again."""
    with FastStub(options=Options(throttle_every=5, error_every=7, cut_every=11, verify=True)) as stub:
        task = AskStub(MakeSessions(stub.url, stub.ca_bundle, max_attempts=8))
        results = list(run(task, stub_targets(12), settings=EngineSettings(workers=8, retry=RetryPolicy(3, 0.01, 0.01))))
        counts = stub.counts()

    assert {Status.OK} == {result.status for result in results}
    assert 0 == counts["violations"]
    assert counts["requests"] > counts["AssumeRole"] + counts["GetCallerIdentity"] + counts["DescribeInstances"]


@dataclass
class Renewed:
    """A session that notes when it is renewed."""

    renewals: int = 0

    def get_frozen_credentials(self) -> Keys:
        return keys("222222222222")

    def renew(self) -> None:
        self.renewals += 1


@pytest.mark.parametrize(("every", "renewals"), [(2, 1), (1, 1)])
def test_a_session_that_ends_in_mid_run_is_renewed_once_a_call(every: int, renewals: int) -> None:
    """The call that met ExpiredToken is repeated with new credentials; if they are no better, it fails as AWS says."""
    own = Renewed()
    with FastStub(options=Options(expire_every=every)) as stub:
        client = Clients(ClientSettings(stub.url, stub.ca_bundle)).client("sts", "us-east-1")
        with account(own):
            if every == 1:
                with pytest.raises(ClientError, match="ExpiredToken"):
                    client.get_caller_identity()
            else:
                assert ["222222222222"] * 2 == [whose(client), whose(client)]

    assert renewals == own.renewals


@pytest.mark.parametrize("accounts", [300, pytest.param(3_334, marks=pytest.mark.slow)])
def test_no_call_is_signed_as_another_account(accounts: int) -> None:
    """64 threads, 3 calls per account on shared clients: keys, tokens, signatures and answers belong to the account."""
    with FastStub(options=Options(verify=True)) as stub:
        task = AskStub(MakeSessions(stub.url, stub.ca_bundle, connections=64))
        results = list(run(task, stub_targets(accounts), settings=EngineSettings(workers=64)))
        counts = stub.counts()

    own = {result.target: [instance_of(f"{200_000_000_000 + number}")] for number, result in enumerate(results)}
    assert accounts == len(own)
    assert {Status.OK} == {result.status for result in results}
    assert 0 == counts["violations"]
    assert 3 * accounts == counts["requests"]


def test_no_call_is_sent_after_the_deadline(clients: Clients, stub: FastStub) -> None:
    """A task that its engine has given up asks nothing more."""
    client = clients.client("sts", "us-east-1")
    before = stub.counts()["requests"]

    with account(keys("222222222222")), deadline(1.0, lambda: 2.0), pytest.raises(DeadlineExceededError):
        client.get_caller_identity()

    assert before == stub.counts()["requests"]


def test_a_call_waits_no_longer_than_the_deadline() -> None:
    """An answer that would come after the target's time is not waited for."""
    with FastStub(options=Options(delay_seconds=30)) as stub:
        clients = Clients(ClientSettings(stub.url, stub.ca_bundle, max_attempts=1))
        client = clients.client("sts", "us-east-1")
        times = iter([0.0])  # when it is signed; when it is sent, little is left
        with (
            account(keys("222222222222")),
            deadline(60.0, lambda: next(times, 59.9)),
            pytest.raises(BotoCoreError) as caught,
        ):
            client.get_caller_identity()

    assert Status.INCONCLUSIVE == failure_of(caught.value).status


def test_an_unknown_certificate_is_not_trusted(stub: FastStub) -> None:
    """Without the stub's own CA bundle the connection is refused: unreachable, not inconclusive."""
    clients = Clients(ClientSettings(stub.url, max_attempts=1))

    with account(keys("222222222222")), pytest.raises(BotoCoreError) as caught:
        clients.client("sts", "us-east-1").get_caller_identity()

    assert (Status.UNREACHABLE, True) == (failure_of(caught.value).status, "CERTIFICATE" in str(caught.value).upper())


def test_nobody_there_is_unreachable() -> None:
    """A port without a listener."""
    clients = Clients(ClientSettings("http://127.0.0.1:1", max_attempts=1))

    with account(keys("222222222222")), pytest.raises(BotoCoreError) as caught:
        clients.client("sts", "us-east-1").get_caller_identity()

    assert Status.UNREACHABLE == failure_of(caught.value).status


def logged(clients: Clients, caplog: pytest.LogCaptureFixture) -> str:
    """All that one call as an account writes to the log, at its most talkative."""
    caplog.set_level(logging.DEBUG)
    with account(keys("222222222222")):
        clients.client("sts", "us-east-1").get_caller_identity()
    return caplog.text


def test_the_log_shows_no_secret_through_the_filter(stub: FastStub, caplog: pytest.LogCaptureFixture) -> None:
    """botocore's debug log writes signed headers in full: with the project's filter nothing of them is left."""
    from rolecall_runner.redact import RedactingFilter  # noqa: PLC0415

    own = keys("222222222222")
    caplog.handler.addFilter(RedactingFilter())
    # With one attempt all is left to botocore: its signer is the one that talks.
    text = logged(Clients(ClientSettings(stub.url, stub.ca_bundle, max_attempts=1)), caplog)

    assert "x-amz-security-token" in text.lower()
    assert own.token is not None
    assert own.token not in text
    assert own.secret_key not in text


def test_the_log_of_a_first_attempt_shows_no_secret_by_itself(clients: Clients, caplog: pytest.LogCaptureFixture) -> None:
    """A request that is signed here is not written to any log."""
    own = keys("222222222222")
    text = logged(clients, caplog)

    assert "GetCallerIdentity" in text
    assert own.token is not None
    assert own.token not in text
    assert own.secret_key not in text


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-01T10:00:00.000Z", datetime(2026, 11, 1, 10, tzinfo=UTC)),
        ("2026-11-01T10:00:00+00:00", datetime(2026, 11, 1, 10, tzinfo=UTC)),
        ("Sun, 01 Nov 2026 10:00:00 GMT", datetime(2026, 11, 1, 10, tzinfo=UTC)),
        (1793527200, datetime(2026, 11, 1, 10, tzinfo=UTC)),
        ("1793527200", datetime(2026, 11, 1, 10, tzinfo=UTC)),
        ("20261101T100000Z", datetime(2026, 11, 1, 10, tzinfo=UTC)),
    ],
)
def test_times_of_replies_are_read_as_botocore_reads_them(text: str, moment: datetime) -> None:
    """In every form that services send."""
    assert moment == _timestamp(text)
    assert UTC.utcoffset(None) == _timestamp(text).utcoffset()


def test_credentials_are_never_put_into_a_shared_mapping(clients: Clients) -> None:
    """Each request gets a signing context of its own, whatever it came with."""
    shared = {"region": "us-east-1"}
    request = AWSRequest("POST", "https://sts.us-east-1.amazonaws.com/")
    request.context["signing"] = shared
    client = clients.client("sts", "us-east-1")

    with account(keys("222222222222")):
        client.meta.events.emit("before-sign.sts.X", request=request, signature_version="v4")

    assert {"region": "us-east-1"} == shared
    assert keys("222222222222") == request.context["signing"]["request_credentials"]
