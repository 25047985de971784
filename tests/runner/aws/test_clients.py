"""Shared clients sign each call as the current account, or refuse it outside of an account."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from unittest import mock

import pytest
from botocore.awsrequest import AWSRequest
from botocore.discovery import EndpointDiscoveryRequired
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError

from engine_runs import run
from fast_stub import FastStub, Options, instance_of, key_of, secret_of, token_of
from rolecall_runner.aws import Credentials, utc_now
from rolecall_runner.aws.clients import Clients, ClientSettings, OutsideAccountError, _timestamp, account
from rolecall_runner.aws.failures import Status, failure_of
from rolecall_runner.aws.retry import DeadlineExceededError, RetryPolicy, deadline
from rolecall_runner.execution.interface import EngineSettings
from stub_fleet import AskStub, MakeSessions, stub_targets

SLEEP = "botocore.endpoint.time.sleep"


def keys(account_id: str) -> Credentials:
    """Credentials of an account of the stub."""
    key = key_of(account_id)
    return Credentials(key, secret_of(key), token_of(key), utc_now())


def whose(client: Any) -> str:
    return str(client.get_caller_identity()["Account"])


def test_call_is_signed_as_current_account(clients: Clients) -> None:
    """In nested contexts the innermost account applies, and the outer one afterwards."""
    client = clients.client("sts", "us-east-1")

    with account(keys("222222222222")):
        with account(keys("333333333333")):
            inner = whose(client)
        outer = whose(client)

    assert ("333333333333", "222222222222") == (inner, outer)


def test_call_outside_an_account_is_not_sent(clients: Clients, stub: FastStub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even with credentials in the environment: the vendor's own identity is never used."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAVENDORBACKEND001")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    before = stub.counts()["requests"]

    with pytest.raises(OutsideAccountError, match="outside `account` was not sent"):
        clients.client("sts", "us-east-1").get_caller_identity()

    assert before == stub.counts()["requests"]


def test_new_thread_does_not_inherit_the_account(clients: Clients) -> None:
    """Calls in a thread that a task starts are refused."""
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
def test_presigned_requests_use_current_account(clients: Clients, make: Callable[[Any], str]) -> None:
    """URLs and POST forms have the key of the current account; outside of an account none is created."""
    client = clients.client("s3", "us-east-1")

    with account(keys("222222222222")):
        assert "ASIA222222222222AAAA" in make(client)
    with pytest.raises(OutsideAccountError):
        make(client)


def test_bearer_token_in_environment_is_not_used(stub: FastStub, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS_BEARER_TOKEN_BEDROCK belongs to the vendor: if it is set, the call is not sent."""
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "vendors-own")
    clients = Clients(ClientSettings(stub.url, stub.ca_bundle))

    with account(keys("222222222222")), pytest.raises(OutsideAccountError, match="bearer"):
        clients.client("bedrock", "us-east-1").list_foundation_models()


def test_express_buckets_share_no_session(clients: Clients) -> None:
    """botocore caches S3 Express credentials by bucket for all callers, so these calls are signed like any other."""
    client = clients.client("s3", "us-east-1")
    seen: list[Any] = []
    client.meta.events.register_first("before-send.s3", lambda request, **_: seen.append(request.headers["Authorization"]))

    with account(keys("222222222222")), pytest.raises(ClientError):
        client.list_objects_v2(Bucket="name--use1-az4--x-s3")

    assert [True] == ["ASIA222222222222AAAA" in str(header) for header in seen]


def test_endpoint_discovery_operations_are_refused() -> None:
    """Endpoints of Timestream belong to an account, and botocore caches them by operation."""
    clients = Clients(ClientSettings())

    with account(keys("222222222222")), pytest.raises(EndpointDiscoveryRequired):
        clients.client("timestream-query", "us-east-1").describe_scheduled_query(ScheduledQueryArn="a" * 20)


def test_client_is_created_once_for_all_threads(clients: Clients) -> None:
    gate = threading.Barrier(8)

    def get() -> Any:
        gate.wait(10)
        return clients.client("ec2", "us-east-1")

    with ThreadPoolExecutor(8) as pool:
        found = [each.result() for each in [pool.submit(get) for _ in range(8)]]

    assert 1 == len({id(client) for client in found})
    assert found[0] is not clients.client("ec2", "eu-west-1")


def test_retries_are_signed_as_same_account() -> None:
    """After throttles, server errors and cut connections each attempt has a new signature of the account."""
    with FastStub(options=Options(throttle_every=5, error_every=7, cut_every=11, verify=True)) as stub:
        task = AskStub(MakeSessions(stub.url, stub.ca_bundle, max_attempts=8))
        results = list(run(task, stub_targets(12), settings=EngineSettings(workers=8, retry=RetryPolicy(3, 0.01, 0.01))))
        counts = stub.counts()

    assert {Status.OK} == {result.status for result in results}
    assert 0 == counts["violations"]
    assert counts["requests"] > counts["AssumeRole"] + counts["GetCallerIdentity"] + counts["DescribeInstances"]


@pytest.mark.parametrize("attempts", [1, 3])
def test_throttled_account_costs_the_attempts_and_one_later_call(attempts: int) -> None:
    """The later call has no retries. Other accounts use up no attempts: botocore's quota would allow 100 retries in all."""
    accounts = 70
    with FastStub(options=Options(throttle_every=1)) as stub:
        task = AskStub(MakeSessions(stub.url, stub.ca_bundle, accounts, attempts))
        settings = EngineSettings(workers=accounts, retry=RetryPolicy(2, 0.01, 0.01))
        results = list(run(task, stub_targets(accounts), settings=settings))
        counts = stub.counts()

    assert {Status.INCONCLUSIVE} == {result.status for result in results}
    assert accounts * (attempts + 1) == counts["requests"]


@dataclass
class Renewed:
    """A session that records its renewals."""

    renewals: int = 0

    def get_frozen_credentials(self) -> Credentials:
        return keys("222222222222")

    def renew(self) -> None:
        self.renewals += 1


@pytest.mark.parametrize(("every", "renewals"), [(2, 1), (1, 1)])
def test_expired_session_is_renewed_once_per_call(every: int, renewals: int) -> None:
    """The call with ExpiredToken is repeated with new credentials; if they fail too, AWS's error is raised."""
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
    """64 threads, 3 calls per account on shared clients: keys, tokens, signatures and replies belong to the account."""
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
    client = clients.client("sts", "us-east-1")
    before = stub.counts()["requests"]

    with account(keys("222222222222")), deadline(1.0, lambda: 2.0), pytest.raises(DeadlineExceededError):
        client.get_caller_identity()

    assert before == stub.counts()["requests"]


def test_call_waits_no_longer_than_the_deadline() -> None:
    with FastStub(options=Options(delay_seconds=30)) as stub:
        clients = Clients(ClientSettings(stub.url, stub.ca_bundle, max_attempts=1))
        client = clients.client("sts", "us-east-1")
        times = iter([0.0])  # at signing; at sending little time is left
        with (
            account(keys("222222222222")),
            deadline(60.0, lambda: next(times, 59.9)),
            pytest.raises(BotoCoreError) as caught,
        ):
            client.get_caller_identity()

    assert Status.INCONCLUSIVE == failure_of(caught.value).status


@pytest.mark.parametrize(("port", "said"), [("stub", "CERTIFICATE"), ("none", "COULD NOT CONNECT")])
def test_refused_connection_is_unreachable(stub: FastStub, port: str, said: str) -> None:
    """Without the stub's CA bundle, and without a listener: unreachable, not inconclusive."""
    clients = Clients(ClientSettings(stub.url if port == "stub" else "http://127.0.0.1:1", max_attempts=1))

    with account(keys("222222222222")), pytest.raises(BotoCoreError) as caught:
        clients.client("sts", "us-east-1").get_caller_identity()

    assert (Status.UNREACHABLE, True) == (failure_of(caught.value).status, said in str(caught.value).upper())


@pytest.mark.parametrize(
    "reply", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n<half"], ids=["no reply", "half a reply"]
)
@pytest.mark.parametrize("attempts", [1, 2])
def test_cut_reply_is_connection_error(reply: bytes, attempts: int) -> None:
    """An incomplete reply is never parsed or quoted, since it may contain keys."""

    def serve(server: socket.socket) -> None:
        for _ in range(attempts):
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(reply)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        clients = Clients(ClientSettings(f"http://127.0.0.1:{server.getsockname()[1]}", max_attempts=attempts))
        with account(keys("222222222222")), pytest.raises(ConnectionClosedError) as caught, mock.patch(SLEEP):
            clients.client("sts", "us-east-1").get_caller_identity()
        thread.join()

    assert "half" not in str(caught.value)


def test_log_of_first_attempt_contains_no_secret(clients: Clients, caplog: pytest.LogCaptureFixture) -> None:
    """A request that rolecall signs is not logged, even at the level DEBUG."""
    own = keys("222222222222")
    caplog.set_level(logging.DEBUG)
    with account(own):
        clients.client("sts", "us-east-1").get_caller_identity()

    assert "GetCallerIdentity" in caplog.text
    assert [] == [secret for secret in (own.token, own.secret_key) if secret is None or secret in caplog.text]


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-01T10:00:00.000Z", "2026-11-01T10:00:00+00:00", "Sun, 01 Nov 2026 10:00:00 GMT", 1793527200, "1793527200",
        "20261101T100000Z",
    ],
)  # fmt: skip
def test_timestamps_are_parsed_as_by_botocore(text: str | int) -> None:
    """In every format that services send."""
    assert datetime(2026, 11, 1, 10, tzinfo=UTC) == _timestamp(text)
    assert UTC.utcoffset(None) == _timestamp(text).utcoffset()


def test_credentials_are_not_stored_in_shared_context(clients: Clients) -> None:
    """Each request gets its own signing context, whatever context it had."""
    shared = {"region": "us-east-1"}
    request = AWSRequest("POST", "https://sts.us-east-1.amazonaws.com/")
    request.context["signing"] = shared
    client = clients.client("sts", "us-east-1")
    own = keys("222222222222")

    with account(own):
        client.meta.events.emit("before-sign.sts.X", request=request, signature_version="v4")

    assert {"region": "us-east-1"} == shared
    assert own is request.context["signing"]["request_credentials"]
