"""The sandbox as a server: where it listens, whose credentials it takes, what it keeps, what it says of itself."""

from __future__ import annotations

import contextlib
import http.client
import json
import pickle
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.credentials import ContainerMetadataFetcher, ContainerProvider
from botocore.exceptions import ClientError, EndpointConnectionError, HTTPClientError
from botocore.parsers import ResponseParserError

from rolecall_generator.errors import RolecallError
from rolecall_runner.sandbox.backends import SandboxError
from rolecall_runner.sandbox.faults import FaultKind, FaultPlan, FaultRule
from rolecall_runner.sandbox.iam_limits import Limits
from rolecall_runner.sandbox.server import Sandbox
from rolecall_runner.sandbox.sessions import Credentials
from rolecall_runner.sandbox.unenforced import UNENFORCED
from sandbox_rig import OPERATOR, HandClock, Rig, allow, refusal_of, running, service_trust, trust

VENDOR, CUSTOMER = "111111111111", "222222222222"
BACKEND = f"arn:aws:iam::{VENDOR}:role/backend_role"
TARGET = f"arn:aws:iam::{CUSTOMER}:role/target"


@pytest.fixture
def rig() -> Iterator[Rig]:
    with running() as rig:
        rig.role(VENDOR, "backend_role", service_trust(), main=allow("sts:AssumeRole"))
        rig.role(CUSTOMER, "target", trust(BACKEND), main=allow("s3:*", "iam:ListRoles", "sts:*"))
        yield rig


def refused(rig: Rig, credentials: Credentials, service: str = "sts", operation: str = "get_caller_identity") -> Any:
    """Code and HTTP status of a call that must be refused."""
    with pytest.raises(ClientError) as caught:
        getattr(rig.client(service, credentials), operation)()
    return refusal_of(caught.value)


def get(url: str, **headers: str) -> int:
    """The HTTP status of a plain GET."""
    parts = urlsplit(url)
    with contextlib.closing(http.client.HTTPConnection(parts.netloc, timeout=10)) as connection:
        connection.request("GET", f"{parts.path}?{parts.query}", headers=headers)
        return connection.getresponse().status


def accepts(address: str, port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as caller:
        caller.settimeout(5)
        return caller.connect_ex((address, port)) == 0


def other_addresses() -> list[str]:
    """This machine's addresses but 127.0.0.1, by which a server that listens everywhere is reached."""
    found = {"127.0.0.2"}
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.connect(("192.0.2.1", 9))  # sends nothing: it asks which address would be used
        found.add(out.getsockname()[0])
    with socket.create_server(("0.0.0.0", 0)) as everywhere:  # noqa: S104 - the counter-example
        return sorted(address for address in found if accepts(address, everywhere.getsockname()[1]))


def test_it_listens_on_loopback_alone() -> None:
    """No other address of this machine reaches it, though each reaches a server that listens everywhere."""
    addresses = other_addresses()
    if not addresses:
        pytest.skip("this machine has no second address to try")
    with Sandbox() as sandbox:
        port = int(sandbox.url.rpartition(":")[2])

        assert accepts("127.0.0.1", port)
        assert [] == [address for address in addresses if accepts(address, port)]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])  # noqa: S104 - what must be refused
def test_another_host_is_refused(host: str) -> None:
    """Nobody can open the sandbox to a network, not even on purpose."""
    with pytest.raises(SandboxError, match=r"listens on 127\.0\.0\.1 alone"):
        Sandbox(host=host)


def test_a_port_that_is_taken_is_an_error_that_says_so() -> None:
    """The error names the port, and the sandbox can be started again afterwards."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(RolecallError, match=f"port {port} on 127"):
            Sandbox(port=port)

    with Sandbox(port=0) as sandbox:
        assert sandbox.url.startswith("http://127.0.0.1:")


def test_one_sandbox_at_a_time_in_a_process() -> None:
    """A second one is refused with the mend, and may start once the first has ended."""
    with Sandbox(), pytest.raises(SandboxError, match="running in this process already"):
        Sandbox()
    Sandbox().close()

    with Sandbox() as after:
        assert after.accounts == set()


def test_a_new_sandbox_is_empty() -> None:
    """Nothing of one sandbox is left in the next."""
    with running() as first:
        first.role(VENDOR, "left-over", service_trust())
    with running() as second:
        assert [] == second.administrator(VENDOR).list_roles()["Roles"]


def test_the_operator_is_administrator_of_every_account_it_enters(rig: Rig) -> None:
    """Its role is in every account and never listed, and accounts exist from then on."""
    identity = rig.administrator("333333333333", "sts").get_caller_identity()

    assert "arn:aws:sts::333333333333:assumed-role/OrganizationAccountAccessRole/rehearsal" == identity["Arn"]
    assert {VENDOR, CUSTOMER, "333333333333"} == rig.sandbox.accounts
    assert ["target"] == [role["RoleName"] for role in rig.administrator(CUSTOMER).list_roles()["Roles"]]


def test_not_even_the_operator_stores_what_is_not_enforced(rig: Rig) -> None:
    """A bucket policy would be kept and never asked, so it is refused."""
    s3 = rig.administrator(CUSTOMER, "s3")
    s3.create_bucket(Bucket="of-the-customer")
    with pytest.raises(ClientError) as caught:
        s3.put_bucket_policy(Bucket="of-the-customer", Policy=json.dumps(allow("s3:GetObject")))

    assert ("SandboxUnsupported", 501) == refusal_of(caught.value)


def test_nobody_else_may_use_the_operators_role(rig: Rig) -> None:
    """To all others it is a role that does not exist."""
    with pytest.raises(ClientError) as caught:
        rig.assume(rig.sandbox.instance_credentials(BACKEND), f"arn:aws:iam::{CUSTOMER}:role/OrganizationAccountAccessRole")

    assert ("AccessDenied", 403) == refusal_of(caught.value)


def test_a_session_acts_in_its_own_account(rig: Rig) -> None:
    """What a role of one account makes is there and not in the caller's account."""
    session = rig.assume(rig.sandbox.instance_credentials(BACKEND), TARGET)

    rig.client("s3", session).create_bucket(Bucket="of-the-customer")

    assert ["of-the-customer"] == [b["Name"] for b in rig.administrator(CUSTOMER, "s3").list_buckets()["Buckets"]]
    assert [] == rig.administrator(VENDOR, "s3").list_buckets()["Buckets"]


def test_a_session_policy_narrows_the_session_and_its_next_assume(rig: Rig) -> None:
    """What the role allows and the session policy does not is refused, also the next hop."""
    backend = rig.sandbox.instance_credentials(BACKEND)
    rig.role(CUSTOMER, "next", trust(TARGET, f"arn:aws:iam::{CUSTOMER}:root"))
    narrow = rig.assume(backend, TARGET, Policy=json.dumps(allow("s3:*")))

    assert [] == rig.client("s3", narrow).list_buckets()["Buckets"]
    assert ("AccessDenied", 403) == refused(rig, narrow, "iam", "list_roles")
    with pytest.raises(ClientError) as caught:
        rig.assume(narrow, f"arn:aws:iam::{CUSTOMER}:role/next")
    assert ("AccessDenied", 403) == refusal_of(caught.value)
    assert rig.assume(rig.assume(backend, TARGET), f"arn:aws:iam::{CUSTOMER}:role/next").session_token


def test_sessions_expire_by_the_clock(rig: Rig) -> None:
    """A session works to its last second and is refused as expired from then on."""
    session = rig.assume(rig.sandbox.instance_credentials(BACKEND), TARGET, DurationSeconds=900)

    rig.clock.forward(899)
    rig.client("sts", session).get_caller_identity()
    rig.clock.forward(1)

    assert ("ExpiredToken", 403) == refused(rig, session)
    assert ("ExpiredToken", 400) == refused(rig, session, "s3", "list_buckets")


def test_sessions_end_with_their_role(rig: Rig) -> None:
    """Credentials of a deleted role are not known any more, also when another role takes its name."""
    session = rig.assume(rig.sandbox.instance_credentials(BACKEND), TARGET)
    iam = rig.administrator(CUSTOMER)
    iam.delete_role_policy(RoleName="target", PolicyName="main")
    iam.delete_role(RoleName="target")
    rig.role(CUSTOMER, "target", trust(BACKEND))

    assert ("InvalidClientTokenId", 403) == refused(rig, session)


def bad_credentials(rig: Rig) -> dict[str, tuple[Credentials, tuple[str, int]]]:
    """Credentials that must not work, with what AWS answers."""
    good = rig.sandbox.instance_credentials(BACKEND)
    _, key = rig.user(VENDOR, "reena", "sts:*")
    unknown, mismatch = ("InvalidClientTokenId", 403), ("SignatureDoesNotMatch", 403)
    return {
        "a key that nobody has": (Credentials("AKIAIOSFODNN7EXAMPLE", "x"), unknown),
        "another secret": (Credentials(key.access_key, "x" * 40), mismatch),
        "a session with another secret": (Credentials(good.access_key, "x", good.session_token), mismatch),
        "a session without its token": (Credentials(good.access_key, good.secret), unknown),
        "a session with another token": (Credentials(good.access_key, good.secret, "x"), unknown),
        "a long-term key with a token": (Credentials(key.access_key, key.secret, "x"), unknown),
    }


def test_credentials_are_checked_as_aws_does(rig: Rig) -> None:
    """Unknown keys, wrong secrets and wrong tokens are refused, each with AWS's code."""
    cases = bad_credentials(rig)

    assert {name: answer for name, (_, answer) in cases.items()} == {
        name: refused(rig, credentials) for name, (credentials, _) in cases.items()
    }


def test_a_key_that_was_switched_off_is_refused(rig: Rig) -> None:
    """An inactive key is as good as none."""
    _, key = rig.user(VENDOR, "reena", "sts:*")

    rig.client("sts", key).get_caller_identity()
    rig.administrator(VENDOR).update_access_key(UserName="reena", AccessKeyId=key.access_key, Status="Inactive")

    assert ("InvalidClientTokenId", 403) == refused(rig, key)


def test_unsigned_requests_are_refused(rig: Rig) -> None:
    """Neither AWS's operations nor the simulation's own pages answer without a signature."""
    paths = ("/", "/?Action=GetCallerIdentity&Version=2011-06-15", "/moto-api/data.json", "/latest/meta-data/")
    codes = [get(rig.sandbox.url + path) for path in paths]

    assert [403, 403, 403, 403] == codes


def test_a_signed_request_does_not_reach_the_simulations_own_pages(rig: Rig) -> None:
    """Even the operator cannot reset the world through a bucket of that name."""
    with pytest.raises(ClientError) as caught:
        rig.administrator(CUSTOMER, "s3").get_object(Bucket="moto-api", Key="reset")

    assert ("SandboxUnsupported", 501) == refusal_of(caught.value)


@pytest.mark.parametrize("key", ["plain", "a b+c/ü"])
def test_presigned_links_are_checked(rig: Rig, key: str) -> None:
    """A link works for whoever has it, as it was signed and not otherwise."""
    rig.role(VENDOR, "reader", service_trust(), main=allow("s3:*"))
    reader = rig.sandbox.instance_credentials(f"arn:aws:iam::{VENDOR}:role/reader")
    s3 = rig.client("s3", reader, signature_version="s3v4")
    s3.create_bucket(Bucket="of-the-vendor")
    s3.put_object(Bucket="of-the-vendor", Key=key, Body=b"hello")

    link = s3.generate_presigned_url("get_object", Params={"Bucket": "of-the-vendor", "Key": key}, ExpiresIn=3_600)

    assert [200, 403] == [get(link), get(link.replace("Expires=3600", "Expires=3601"))]


@pytest.mark.parametrize(
    "raw",
    [
        b"GET http://[::1/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n\xff%zz",
        b"\x00\x01\x02\r\n\r\n",
    ],
)
def test_broken_requests_end_their_connection_alone(rig: Rig, raw: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing is printed, and the next caller is answered as ever."""
    with socket.create_connection(("127.0.0.1", int(rig.sandbox.url.rpartition(":")[2])), timeout=10) as caller:
        caller.sendall(raw)
        caller.shutdown(socket.SHUT_WR)
        while caller.recv(4_096):
            pass

    assert rig.administrator(VENDOR).list_roles()["Roles"]
    assert ("", "") == tuple(capfd.readouterr())


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("assume_role_with_saml", {"RoleArn": TARGET, "PrincipalArn": TARGET, "SAMLAssertion": "x" * 10}),
        ("assume_role_with_web_identity", {"RoleArn": TARGET, "RoleSessionName": "probe", "WebIdentityToken": "xxxx"}),
        ("get_federation_token", {"Name": "probe"}),
        ("decode_authorization_message", {"EncodedMessage": "x"}),
    ],
)
def test_what_is_not_offered_is_refused_by_name(rig: Rig, operation: str, parameters: dict[str, str]) -> None:
    """Federation and encoded messages are said to be unsupported, not simulated by half."""
    _, key = rig.user(VENDOR, "reena", "sts:*")
    with pytest.raises(ClientError) as caught:
        getattr(rig.client("sts", key), operation)(**parameters)

    assert ("SandboxUnsupported", 501) == refusal_of(caught.value)


def test_a_users_session_reaches_iam_with_mfa_alone(rig: Rig) -> None:
    """GetSessionToken without MFA gives credentials that IAM does not know; with MFA it does."""
    arn, key = rig.user(VENDOR, "reena", "iam:ListRoles")
    without = rig.client("sts", key).get_session_token()["Credentials"]
    plain = Credentials(without["AccessKeyId"], without["SecretAccessKey"], without["SessionToken"])

    assert arn == rig.client("sts", plain).get_caller_identity()["Arn"]
    assert ("InvalidClientTokenId", 403) == refused(rig, plain, "iam", "list_roles")
    assert rig.client("iam", rig.sandbox.user_credentials(arn, mfa=True)).list_roles()["Roles"]
    assert ("AccessDenied", 403) == refused(rig, plain, "sts", "get_session_token")


def test_users_speak_of_themselves_without_a_name(rig: Rig) -> None:
    """IAM takes the caller's own name, by key and by session; a role has none."""
    arn, key = rig.user(VENDOR, "reena", "iam:*")

    for credentials in (key, rig.sandbox.user_credentials(arn, mfa=True)):
        iam = rig.client("iam", credentials)
        assert arn == iam.get_user()["User"]["Arn"]
        assert [key.access_key] == [one["AccessKeyId"] for one in iam.list_access_keys()["AccessKeyMetadata"]]
    with pytest.raises(ClientError, match="Must specify userName when calling with non-User credentials"):
        rig.administrator(VENDOR).get_user()


def test_another_partition_does_not_know_the_credentials(rig: Rig) -> None:
    """Keys of the commercial partition are unknown in China's Regions."""
    client = rig.client("sts", rig.sandbox.instance_credentials(BACKEND), "cn-north-1")
    with pytest.raises(ClientError) as caught:
        client.get_caller_identity()

    assert ("InvalidClientTokenId", 403) == refusal_of(caught.value)


def test_another_partition_has_its_own_arns() -> None:
    """In GovCloud the whole chain speaks of aws-us-gov."""
    with running(region="us-gov-west-1") as rig:
        rig.role(VENDOR, "backend_role", service_trust(), main=allow("sts:AssumeRole"))
        arn = rig.role(CUSTOMER, "target", trust(BACKEND.replace("arn:aws:", "arn:aws-us-gov:")))
        backend = rig.sandbox.instance_credentials(BACKEND.replace("arn:aws:", "arn:aws-us-gov:"))
        sts = rig.client("sts", backend, "us-gov-west-1")

        answer = sts.assume_role(RoleArn=arn, RoleSessionName="probe")

    assert f"arn:aws-us-gov:sts::{CUSTOMER}:assumed-role/target/probe" == answer["AssumedRoleUser"]["Arn"]


def test_the_sdk_renews_container_credentials_by_itself(rig: Rig) -> None:
    """botocore's own provider reads the endpoint, and a wrong token gets nothing."""
    rig.clock.now = datetime.now(UTC)  # the SDK holds expiry against its own clock
    environment = dict(rig.sandbox.container_environment(BACKEND))
    found = ContainerProvider(environment, ContainerMetadataFetcher()).load().get_frozen_credentials()
    credentials = Credentials(found.access_key, found.secret_key, found.token)

    identity = rig.client("sts", credentials).get_caller_identity()
    stranger = get(environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"], Authorization="x")

    assert f"arn:aws:sts::{VENDOR}:assumed-role/backend_role/i-0123456789abcdef0" == identity["Arn"]
    assert 403 == stranger


def test_credentials_of_what_does_not_exist_are_refused(rig: Rig) -> None:
    """Asking for a role's or user's credentials that is not there is an error with its mend."""
    for ask in (rig.sandbox.instance_credentials, rig.sandbox.container_environment, rig.sandbox.user_credentials):
        with pytest.raises(SandboxError, match="provision its account first"):
            ask(f"arn:aws:iam::{VENDOR}:role/nobody")


def test_limits_that_aws_raised_are_held_as_raised() -> None:
    """A vendor whose account may attach 12 policies can rehearse that."""
    with running(limits=Limits(role_managed_policies=12)) as rig:
        rig.role(VENDOR, "holder", service_trust())
        iam = rig.administrator(VENDOR)
        names = ["ReadOnlyAccess", "SecurityAudit", *(f"AWSLambda_{kind}" for kind in ("FullAccess", "ReadOnlyAccess"))]
        for number in range(12 - len(names)):
            made = iam.create_policy(PolicyName=f"p{number}", PolicyDocument=json.dumps(allow("s3:GetObject")))
            iam.attach_role_policy(RoleName="holder", PolicyArn=made["Policy"]["Arn"])
        for name in names:
            iam.attach_role_policy(RoleName="holder", PolicyArn=f"arn:aws:iam::aws:policy/{name}")

        with pytest.raises(ClientError, match="PoliciesPerRole: 12"):
            iam.attach_role_policy(RoleName="holder", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")


@pytest.mark.parametrize("seed", range(4))
def test_a_cut_connection_is_cut(seed: int) -> None:
    """The client sees its connection end, before the answer or in the middle of it; the operator is spared."""
    with running(FaultPlan(seed, (FaultRule(FaultKind.CUT),))) as rig:
        rig.role(VENDOR, "backend_role", service_trust())
        client = rig.client("sts", rig.sandbox.instance_credentials(BACKEND))

        with pytest.raises((HTTPClientError, ResponseParserError)):
            client.get_caller_identity()

        assert rig.lines[-1].endswith("fault=cut")


def test_a_slow_answer_waits_by_the_given_sleep() -> None:
    """The delay is the plan's, and the answer comes all the same."""
    waited: list[float] = []
    plan = FaultPlan(1, (FaultRule(FaultKind.SLOW, seconds=2.5),))
    with Sandbox(faults=plan, sleep=waited.append) as sandbox:
        client = Rig(sandbox, HandClock()).client("sts", sandbox.root_credentials(VENDOR))
        arn = client.get_caller_identity()["Arn"]
        client.close()

    assert f"arn:aws:iam::{VENDOR}:root" == arn
    assert [2.5] == waited


def test_accounts_outlive_the_sandbox_in_a_file(tmp_path: Path) -> None:
    """IAM, buckets and their objects, and trusts between accounts come back; the next sandbox goes on from there."""
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
    """What a hostile file would run while it is read."""

    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit('the file ran code')",)


def foreign_files() -> dict[str, bytes]:
    """Files that are no state of a sandbox."""
    from importlib.metadata import version  # noqa: PLC0415 - beside its use

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
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """Whatever else is in a file, it is not taken up and nothing of it runs."""
    file = tmp_path / "state"
    file.write_bytes(content)

    with Sandbox() as sandbox, pytest.raises(SandboxError, match="cannot be taken up"):
        sandbox.restore(file)


def test_no_secret_is_in_the_log_or_in_a_repr(rig: Rig) -> None:
    """Secrets and tokens go to their holder alone."""
    _, key = rig.user(VENDOR, "reena", "sts:*")
    session = rig.assume(rig.sandbox.instance_credentials(BACKEND), TARGET)
    rig.client("sts", session).get_caller_identity()
    told = "\n".join(rig.lines) + repr(session) + repr(key)

    assert f"{CUSTOMER}:assumed-role/target/probe sts:GetCallerIdentity us-east-1 200" in told
    assert [] == [secret for secret in (key.secret, session.secret, session.session_token or "") if secret in told]


def test_many_callers_at_once_each_get_their_own(rig: Rig) -> None:
    """Threads that write IAM and assume roles at the same time do not disturb one another."""
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


def test_leaving_ends_open_connections() -> None:
    """A client with a kept connection gets no answer from a sandbox that has ended."""
    with running() as rig:
        client = rig.client("sts", OPERATOR)
        client.get_caller_identity()
        rig.sandbox.close()

        with pytest.raises(EndpointConnectionError), contextlib.closing(client):
            client.get_caller_identity()


def test_the_page_names_all_that_is_refused_as_not_enforced() -> None:
    """Whoever reads the documentation knows before the first call."""
    page = (Path(__file__).parents[3] / "docs" / "sandbox.md").read_text("utf-8")

    assert [] == [action for action in UNENFORCED if f"`{action}`" not in page]
