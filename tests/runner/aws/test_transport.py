"""Transport of shared clients: TCP_NODELAY, one request per attempt, both signers, processes."""

from __future__ import annotations

import socket
import ssl
from io import BytesIO
from multiprocessing.context import SpawnProcess
from types import SimpleNamespace
from typing import Any
from unittest import mock

import botocore.auth
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError, SSLError
from urllib3 import HTTPResponse
from urllib3.connection import HTTPSConnection

from engine_runs import run
from fast_stub import FastStub, Options, key_of, secret_of, token_of
from rolecall_runner.aws.clients import Clients, ClientSettings, OutsideAccountError, Transport, account
from rolecall_runner.aws.credentials import Credentials, utc_now
from rolecall_runner.aws.failures import Status
from rolecall_runner.execution.interface import EngineSettings
from rolecall_runner.execution.processes import ProcessEngine
from stub_fleet import REGION, AskStub, MakeSessions, stub_targets

ACCOUNT = "222222222222"
KEY = key_of(ACCOUNT)
KEYS = Credentials(KEY, secret_of(KEY), token_of(KEY), utc_now())
MULTI_REGION_ACCESS_POINT = f"arn:aws:s3::{ACCOUNT}:accesspoint/mfzwi23gnjvgw.mrap"


@pytest.fixture(params=["default", "python"])
def signer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """botocore's signers: with awscrt if it is installed, and the Python implementation."""
    if request.param == "python":
        monkeypatch.setitem(botocore.auth.AUTH_TYPE_MAPS, "v4", botocore.auth.SigV4Auth)
        monkeypatch.setitem(botocore.auth.AUTH_TYPE_MAPS, "s3v4", botocore.auth.S3SigV4Auth)
    return str(request.param)


def test_connections_have_tcp_nodelay(clients: Clients) -> None:
    """Without it a request may wait 40 ms for the acknowledgment of the previous packet."""
    found: list[int] = []
    connect = HTTPSConnection.connect

    def record(self: HTTPSConnection) -> None:
        connect(self)
        assert self.sock is not None
        found.append(self.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    with mock.patch.object(HTTPSConnection, "connect", record), account(KEYS):
        clients.client("sts", REGION).get_caller_identity()

    assert [True] == [bool(each) for each in found]


def test_request_is_one_write(clients: Clients) -> None:
    """Headers and body are sent together."""
    writes: list[bytes] = []
    sendall = ssl.SSLSocket.sendall

    def record(self: ssl.SSLSocket, data: Any, flags: int = 0) -> None:
        writes.append(bytes(data))
        sendall(self, data, flags)

    with mock.patch.object(ssl.SSLSocket, "sendall", record), account(KEYS):
        clients.client("sts", REGION).get_caller_identity()

    assert 1 == len(writes)
    assert b"\r\n\r\nAction=GetCallerIdentity" in writes[0]


def test_each_call_is_sent_once(clients: Clients, stub: FastStub) -> None:
    """botocore calls every handler of `before-send`, so two sending handlers would send a request twice."""
    before = stub.counts()["requests"]
    with account(KEYS):
        clients.client("sts", REGION).get_caller_identity()  # query protocol
        with pytest.raises(ClientError):
            clients.client("s3", REGION).list_buckets()  # another protocol: botocore makes the first attempt
        with pytest.raises(ClientError):
            clients.client("dynamodb", REGION).list_tables()

    assert 3 == stub.counts()["requests"] - before


@pytest.mark.parametrize("service", ["sts", "dynamodb"])
def test_each_attempt_is_sent_once(service: str) -> None:
    """Including the second and third attempt, whoever made the first."""
    with FastStub(options=Options(error_every=1)) as stub:
        client = Clients(ClientSettings(stub.url, stub.ca_bundle, max_attempts=3)).client(service, REGION)
        with account(KEYS), pytest.raises(ClientError), mock.patch("botocore.endpoint.time.sleep"):
            client.get_caller_identity() if service == "sts" else client.list_tables()

        assert 3 == stub.counts()["requests"]


def test_prepared_requests_need_no_context(stub: FastStub) -> None:
    """`AWSPreparedRequest.context` does not exist in botocore 1.41, the oldest supported version."""
    transport = Transport(stub.ca_bundle, connections=1, connect_seconds=5, read_seconds=5)
    request = SimpleNamespace(method="POST", url=f"{stub.url}/", headers={}, body=b"", stream_output=False)
    answer = transport.send(request)
    transport.close()

    assert answer is not None
    assert 403 == answer.status_code


@pytest.mark.usefixtures("signer")
def test_every_signer_signs_as_the_account(clients: Clients, stub: FastStub) -> None:
    """The stub accepts first attempts of rolecall and of botocore, and counts no violation."""
    before = stub.counts()["violations"]
    single = Clients(ClientSettings(stub.url, stub.ca_bundle, max_attempts=1))  # botocore makes the only attempt
    with account(KEYS):
        found = [each.client("sts", REGION).get_caller_identity()["Account"] for each in (clients, single)]
    single.close()

    assert [ACCOUNT] * 2 == found
    assert before == stub.counts()["violations"]


@pytest.mark.usefixtures("signer")
def test_s3_is_signed_as_the_account() -> None:
    assert [f"AWS4-HMAC-SHA256 Credential={KEY}/"] == [each[: 28 + len(KEY) + 1] for each in s3_authorizations("bucket")]


@pytest.mark.skipif("v4a" not in botocore.auth.AUTH_TYPE_MAPS, reason="botocore signs with SigV4A only through awscrt")
def test_sigv4a_is_signed_as_the_account() -> None:
    """Multi-Region access points need asymmetric signatures, which only awscrt supports."""
    assert [f"AWS4-ECDSA-P256-SHA256 Credential={KEY}/"] == [
        each[: 34 + len(KEY) + 1] for each in s3_authorizations(MULTI_REGION_ACCESS_POINT)
    ]


def s3_authorizations(bucket: str) -> list[str]:
    """The `Authorization` headers of a listing as the account; outside of an account the same listing is not sent."""
    sent: list[str] = []

    def record(_self: Transport, request: Any, **_event: object) -> AWSResponse:
        header = request.headers["Authorization"]
        sent.append(header.decode() if isinstance(header, bytes) else header)
        raw = HTTPResponse(BytesIO(b"<ListBucketResult/>"), preload_content=False)
        return AWSResponse(request.url, 200, {"Content-Type": "text/xml"}, raw)

    with mock.patch.object(Transport, "send", record):
        client = Clients().client("s3", REGION)
        with pytest.raises(OutsideAccountError):
            client.list_objects_v2(Bucket=bucket)
        with account(KEYS):
            client.list_objects_v2(Bucket=bucket)
    return sent


def test_processes_are_spawned_and_sign(clients: Clients, stub: FastStub) -> None:
    """awscrt does not survive a fork, so processes are spawned although this one has signed before."""
    before = stub.counts()["violations"]
    with account(KEYS):
        clients.client("sts", REGION).get_caller_identity()
    engine = ProcessEngine(processes=2)
    kinds: set[type] = set()
    statuses: list[Status] = []
    for result in run(
        AskStub(MakeSessions(stub.url, stub.ca_bundle)), stub_targets(12), engine=engine, settings=EngineSettings(4)
    ):
        kinds |= {type(member.process) for member in engine._members}
        statuses.append(result.status)

    assert {SpawnProcess} == kinds
    assert [Status.OK] * 12 == statuses
    assert before == stub.counts()["violations"]


def test_certificate_of_another_host_is_refused(stub: FastStub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate is trusted, but is not of the host of the URL."""
    found = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _host, *rest, **more: found("127.0.0.1", *rest, **more))
    url = f"https://other.example:{stub.url.rpartition(':')[2]}"
    with pytest.raises(SSLError), account(KEYS):
        Clients(ClientSettings(url, stub.ca_bundle, max_attempts=1)).client("sts", REGION).get_caller_identity()
