"""The sandbox server: address, shutdown, HTTP behavior, state file, documentation."""

from __future__ import annotations

import contextlib
import http.client
import json
import pickle
import socket
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from botocore.exceptions import EndpointConnectionError

from rolecall_generator.errors import RolecallError
from rolecall_runner.sandbox.authorization.authorizer import UNSUPPORTED_ACTIONS
from rolecall_runner.sandbox.protocol.aws_protocol import HttpReply, HttpRequest, SandboxError
from rolecall_runner.sandbox.protocol.faults import FaultPlan, SlowReply
from rolecall_runner.sandbox.server.server import Sandbox
from rolecall_runner.sandbox.sts.sts import new_secret
from sandbox_rig import (
    BACKEND,
    CUSTOMER,
    OPERATOR,
    TARGET,
    VENDOR,
    HandClock,
    Rig,
    allow,
    running,
    service_trust,
    status_of,
    trust,
)


def accepts(address: str, port: int) -> bool:
    """Whether a server listens at the address."""
    with socket.socket() as caller:
        caller.settimeout(5)
        return caller.connect_ex((address, port)) == 0


def other_addresses() -> list[str]:
    """This machine's addresses except 127.0.0.1, at which a server on all interfaces can be reached."""
    found = {"127.0.0.2"}
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.connect(("192.0.2.1", 9))  # sends nothing: it only selects the local address
        found.add(out.getsockname()[0])
    with socket.create_server(("0.0.0.0", 0)) as everywhere:  # noqa: S104 - the counter-example
        return sorted(address for address in found if accepts(address, everywhere.getsockname()[1]))


def test_server_listens_only_on_loopback() -> None:
    """Other addresses of this machine reach a server on all interfaces, but not the sandbox."""
    addresses = other_addresses()
    if not addresses:
        pytest.skip("this machine has no second address to try")
    with Sandbox() as sandbox:
        port = int(sandbox.url.rpartition(":")[2])

        assert accepts("127.0.0.1", port)
        assert [] == [address for address in addresses if accepts(address, port)]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])  # noqa: S104 - must be refused
def test_other_listen_address_is_refused(host: str) -> None:
    with pytest.raises(SandboxError, match=r"listens only on 127\.0\.0\.1"):
        Sandbox(host=host)


def test_port_in_use_is_error_with_port() -> None:
    """The sandbox can be started again afterwards."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(RolecallError, match=f"127.0.0.1, port {port}"):
            Sandbox(port=port)

    with Sandbox(port=0) as sandbox:
        assert sandbox.url.startswith("http://127.0.0.1:")


def test_second_sandbox_in_process_is_refused() -> None:
    """With a hint; it can start once the first has ended."""
    with Sandbox(), pytest.raises(SandboxError, match="already running in this process"):
        Sandbox()
    Sandbox().close()

    with Sandbox() as after:
        assert after.accounts == set()


def test_each_start_has_a_new_secret() -> None:
    """It is in no repr."""
    secrets = set()
    for _ in range(2):
        with Sandbox() as sandbox:
            found = sandbox.operator_credentials()
            secrets.add(found.secret)
            assert found.secret not in repr(found)

    assert 2 == len(secrets)
    assert {40} == {len(each) for each in secrets}


def test_new_sandbox_is_empty() -> None:
    with running() as first:
        first.role(VENDOR, "left-over", service_trust())
    with running() as second:
        assert [] == second.administrator(VENDOR).list_roles()["Roles"]


def test_unsigned_requests_are_refused(rig: Rig) -> None:
    """Both for operations of AWS and for internal pages of the simulation."""
    paths = ("/", "/?Action=GetCallerIdentity&Version=2011-06-15", "/moto-api/data.json", "/latest/meta-data/")
    codes = [status_of(rig.sandbox.url + path) for path in paths]

    assert [403, 403, 403, 403] == codes


@pytest.mark.parametrize("path", ["/moto-api/reset?uploads", "/%6doto-api/reset?uploads"])
def test_signed_request_does_not_reach_internal_pages(rig: Rig, path: str) -> None:
    """Even the operator cannot reset the state through a bucket with that name, in any spelling."""
    request = AWSRequest("POST", rig.sandbox.url + path, data=b"")
    operator = rig.sandbox.operator_credentials()
    S3SigV4Auth(BotoCredentials(operator.access_key, operator.secret), "s3", "us-east-1").add_auth(request)
    sent = request.prepare()
    with contextlib.closing(http.client.HTTPConnection(urlsplit(sent.url).netloc, timeout=10)) as connection:
        connection.request("POST", path, headers=dict(sent.headers.items()))
        status = connection.getresponse().status

    assert status >= 400
    assert rig.administrator(VENDOR).list_roles()["Roles"]


@pytest.mark.parametrize("key", ["plain", "a b+c/ü"])
def test_presigned_url_signature_is_checked(rig: Rig, key: str) -> None:
    """A link works without credentials, but only unchanged."""
    rig.role(VENDOR, "reader", service_trust(), main=allow("s3:*"))
    reader = rig.sandbox.instance_credentials(f"arn:aws:iam::{VENDOR}:role/reader")
    s3 = rig.client("s3", reader, signature_version="s3v4")
    s3.create_bucket(Bucket="of-the-vendor")
    s3.put_object(Bucket="of-the-vendor", Key=key, Body=b"hello")

    link = s3.generate_presigned_url("get_object", Params={"Bucket": "of-the-vendor", "Key": key}, ExpiresIn=3_600)

    assert [200, 403] == [status_of(link), status_of(link.replace("Expires=3600", "Expires=3601"))]


@pytest.mark.parametrize(
    "raw",
    [
        b"GET http://[::1/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n\xff%zz",
        b"\x00\x01\x02\r\n\r\n",
    ],
)
def test_malformed_request_closes_only_its_connection(rig: Rig, raw: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing is printed, and the next request succeeds."""
    with socket.create_connection(("127.0.0.1", int(rig.sandbox.url.rpartition(":")[2])), timeout=10) as caller:
        caller.sendall(raw)
        caller.shutdown(socket.SHUT_WR)
        while caller.recv(4_096):
            pass

    assert rig.administrator(VENDOR).list_roles()["Roles"]
    assert ("", "") == tuple(capfd.readouterr())


@pytest.mark.parametrize(
    ("method", "body", "headers"),
    [
        ("GET", b"", {}),
        ("HEAD", b"", {}),
        ("POST", b"Action=GetCallerIdentity&Version=2011-06-15", {}),
        ("PUT", b"4\r\nabcd\r\n0\r\n\r\n", {"Transfer-Encoding": "chunked"}),
        ("POST", b"Action=GetCallerIdentity", {"Expect": "100-continue"}),
    ],
)
def test_connection_is_kept_open(rig: Rig, method: str, body: bytes, headers: dict[str, str]) -> None:
    """The next request on a connection is answered whole, whatever the one before contained."""
    connection = http.client.HTTPConnection(urlsplit(rig.sandbox.url).netloc)
    with contextlib.closing(connection):
        connection.request(method, "/", body, headers)
        first = connection.getresponse()
        first.read()
        open_socket = connection.sock
        connection.request("GET", "/moto-api/data.json")
        second = connection.getresponse()
        second.read()

        assert open_socket is connection.sock is not None
        assert 403 == second.status
        assert not first.will_close


def test_connection_is_closed_after_a_malformed_body(rig: Rig) -> None:
    """Where the next request starts is unknown."""
    address = urlsplit(rig.sandbox.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as client:
        head = f"POST / HTTP/1.1\r\nHost: {address.netloc}\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.sendall(head.encode() + b"zz\r\nGET / HTTP/1.1\r\n\r\n")
        received = b"".join(iter(lambda: client.recv(4096), b""))

    assert received.startswith(b"HTTP/1.1 400 ")
    assert 1 == received.count(b"HTTP/1.1 ")


def test_log_and_repr_contain_no_secret(rig: Rig) -> None:
    _, key = rig.user(VENDOR, "reena", "sts:*")
    session = rig.assume(rig.sandbox.instance_credentials(BACKEND), TARGET)
    rig.client("sts", session).get_caller_identity()
    told = "\n".join(rig.lines) + repr(session) + repr(key)

    assert f"{CUSTOMER}:assumed-role/target/probe sts:GetCallerIdentity us-east-1 200" in told
    assert [] == [secret for secret in (key.secret, session.secret, session.session_token or "") if secret in told]


def test_concurrent_callers_are_isolated(rig: Rig) -> None:
    backend = rig.sandbox.instance_credentials(BACKEND)
    sts = rig.client("sts", backend)
    customers = [f"{300_000_000_000 + number}" for number in range(12)]
    found: dict[str, str] = {}

    def join(account_id: str) -> None:
        arn = rig.role(account_id, "target", trust(BACKEND))
        found[account_id] = sts.assume_role(RoleArn=arn, RoleSessionName="probe")["AssumedRoleUser"]["Arn"]

    threads = [threading.Thread(target=join, args=(customer,)) for customer in customers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {customer: f"arn:aws:sts::{customer}:assumed-role/target/probe" for customer in customers} == found


def test_shutdown_closes_open_connections() -> None:
    with running() as rig:
        client = rig.client("sts", OPERATOR)
        client.get_caller_identity()
        rig.sandbox.close()

        with pytest.raises(EndpointConnectionError), contextlib.closing(client):
            client.get_caller_identity()


def test_documentation_lists_all_unsupported_calls() -> None:
    page = (Path(__file__).parents[3] / "docs" / "sandbox.md").read_text("utf-8")

    assert [] == [action for action in UNSUPPORTED_ACTIONS if f"`{action}`" not in page]


def test_internal_exception_is_service_error_without_secrets(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller gets an internal error; the log has the exception without secrets."""
    secret = new_secret()

    def broken(_app: object, _request: HttpRequest, _account_id: str) -> HttpReply:
        raise RuntimeError(f"secret_access_key={secret}")

    monkeypatch.setattr("rolecall_runner.sandbox.server.server.dispatch", broken)
    signed = AWSRequest("GET", rig.sandbox.url + "/", data=b"")
    session = rig.sandbox.root_credentials(VENDOR)
    S3SigV4Auth(BotoCredentials(session.access_key, session.secret), "s3", "us-east-1").add_auth(signed)
    headers = {name.lower(): value for name, value in signed.prepare().headers.items()}
    host = urlsplit(rig.sandbox.url).netloc

    reply = rig.sandbox._answer(HttpRequest("GET", "/", "", {**headers, "host": host}, b"", host)).reply

    assert (500, True) == (reply.status, b"<Code>InternalError</Code>" in reply.body)
    assert "RuntimeError" in rig.lines[-1]
    assert secret not in rig.lines[-1]


def test_slow_fault_delays_the_reply() -> None:
    waited: list[float] = []
    plan = FaultPlan(1, (SlowReply(seconds=2.5),))
    with Sandbox(faults=plan, sleep=waited.append) as sandbox:
        client = Rig(sandbox, HandClock()).client("sts", sandbox.root_credentials(VENDOR))
        arn = client.get_caller_identity()["Arn"]
        client.close()

    assert f"arn:aws:iam::{VENDOR}:root" == arn
    assert [2.5] == waited


def test_accounts_are_restored_from_state_file(tmp_path: Path) -> None:
    """IAM, buckets with objects, and trust between accounts are restored, and can be used."""
    file = tmp_path / "state" / "accounts.bin"
    with running() as rig:
        rig.role(VENDOR, "backend_role", service_trust(), main=allow("sts:AssumeRole"))
        rig.role(CUSTOMER, "target", trust(BACKEND), main=allow("s3:*"))
        rig.administrator(CUSTOMER).attach_role_policy(
            RoleName="target", PolicyArn="arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess"
        )
        s3 = rig.administrator(CUSTOMER, "s3")
        s3.create_bucket(Bucket="kept")
        s3.put_object(Bucket="kept", Key="greeting", Body=b"hello")
        vpcs = rig.administrator(CUSTOMER, "ec2").describe_vpcs()["Vpcs"]
        rig.sandbox.save(file)

    with running() as again:
        again.sandbox.restore(file)
        session = again.assume(again.sandbox.instance_credentials(BACKEND), TARGET)
        body = again.client("s3", session).get_object(Bucket="kept", Key="greeting")["Body"].read()

        assert b"hello" == body
        assert vpcs == again.client("ec2", session).describe_vpcs()["Vpcs"]
        assert {VENDOR, CUSTOMER} == again.sandbox.accounts
        assert 0o600 == file.stat().st_mode & 0o777


class Trap:
    """A pickle that runs code when it is loaded."""

    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit('the file ran code')",)


def foreign_files() -> dict[str, bytes]:
    from importlib.metadata import version  # noqa: PLC0415 - only used here

    def head(**changes: Any) -> bytes:
        usual = {"mark": "rolecall sandbox state", "form": 1, "moto": version("moto"), "accounts": []}
        return json.dumps(usual | changes).encode() + b"\n"

    return {
        "empty": b"",
        "something else": b"\x7fELF",
        "another moto": head(moto="1.0") + pickle.dumps({}),
        "cut off": head() + pickle.dumps({"iam": {}})[:-3],
        "hostile": head() + pickle.dumps({"iam": Trap()}),
    }


@pytest.mark.parametrize("content", foreign_files().values(), ids=foreign_files())
def test_other_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """No code in it is run."""
    file = tmp_path / "state"
    file.write_bytes(content)

    with Sandbox() as sandbox, pytest.raises(SandboxError, match="cannot restore the sandbox state"):
        sandbox.restore(file)
