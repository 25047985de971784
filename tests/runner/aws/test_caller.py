"""The caller identity: errors of STS are classified, and CI jobs need no access keys (docs/how-to/ci.md)."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from command_rig import runner
from fast_stub import SOURCE_KEY, FastStub, Options, secret_of
from rolecall_generator.errors import CallerError
from rolecall_runner.aws.caller import find_caller, identify
from rolecall_runner.aws.clients import Clients, ClientSettings
from rolecall_runner.aws.credentials import Credentials
from rolecall_runner.sandbox.protocol.faults import ExpiredToken, Fault, FaultPlan, Throttle
from sandbox_rig import REGION, running, service_trust

MANIFEST = """
version: 1
backend: {account_id: "111111111111", roles: [{name: one}, {name: two}]}
permission_sets:
  read: {statements: [{actions: ["s3:ListAllMyBuckets"], resources: ["*"]}]}
defaults: {permissions: [read]}
customers:
  - {name: first, account_id: "222222222222", external_id: "0123456789abcdef01", backend_role: one}
  - {name: second, account_id: "333333333333", external_id: "0123456789abcdef02", backend_role: two}
"""


def test_unresponsive_endpoint_times_out() -> None:
    """The server accepts the connection and sends nothing: the caller is unknown, and the command reports it."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        clients = Clients(ClientSettings(endpoint_url=f"http://127.0.0.1:{silent.getsockname()[1]}"))
        keys = Credentials("AKIAIOSFODNN7EXAMPLE", "x", None, datetime.max.replace(tzinfo=UTC))
        with pytest.raises(CallerError, match="GetCallerIdentity failed"):
            identify(clients, keys, REGION, seconds=0.5)


@pytest.mark.parametrize(
    ("kind", "words"),
    [(Throttle, "GetCallerIdentity failed: Throttling"), (ExpiredToken, "credentials have expired")],
)
def test_sts_error_is_not_reported_as_bad_credentials(kind: type[Fault], words: str) -> None:
    """A throttle is reported with its code, an expired session as expired."""
    plan = FaultPlan(0, (kind(1.0, "*", "sts:GetCallerIdentity"),))
    with running(plan) as rig:
        own = rig.sandbox.instance_credentials(rig.role("111111111111", "backend", service_trust()))
        keys = Credentials(own.access_key, own.secret, own.session_token, datetime.max.replace(tzinfo=UTC))
        with pytest.raises(CallerError, match=words):
            identify(Clients(ClientSettings(endpoint_url=rig.sandbox.url, max_attempts=1)), keys, REGION)


def test_invalid_endpoint_url_is_environment_error(tmp_path: Path) -> None:
    """The error names AWS_ENDPOINT_URL."""
    (tmp_path / "accounts.yaml").write_text(MANIFEST)
    done = runner("verify", cwd=tmp_path, environ={"AWS_ENDPOINT_URL": "nonsense", "AWS_ACCESS_KEY_ID": "x"})

    assert (2, True) == (done.code, "AWS_ENDPOINT_URL: nonsense" in done.err)


def test_profile_of_aws_login_is_supported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore can read a session of `aws login` only if awscrt is installed."""
    session = "arn:aws:iam::111111111111:user/someone"
    with FastStub(options=Options(verify=True)) as stub:
        token = {
            "accessToken": {
                "accessKeyId": SOURCE_KEY,
                "secretAccessKey": secret_of(SOURCE_KEY),
                "sessionToken": "t",
                "accountId": "111111111111",
                "expiresAt": "2099-01-01T00:00:00Z",
            },
            "refreshToken": "r",
            "dpopKey": "k",
            "clientId": "c",
        }
        cache = tmp_path / "cache"
        cache.mkdir()
        (cache / f"{sha256(session.encode()).hexdigest()}.json").write_text(json.dumps(token))
        (tmp_path / "config").write_text(f"[profile me]\nlogin_session = {session}\nregion = eu-west-1\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        monkeypatch.setenv("AWS_LOGIN_CACHE_DIRECTORY", str(cache))
        caller = find_caller(Clients(ClientSettings(stub.url, stub.ca_bundle)), profile="me", environ={})

    assert ("111111111111", "eu-west-1") == (caller.account_id, caller.region)


def test_backend_role_verifies_only_its_own_customers(tmp_path: Path) -> None:
    """With several backend roles other customers are skipped with a reason, and --as selects the role."""
    (tmp_path / "accounts.yaml").write_text(MANIFEST)
    quick = ("verify", "--sandbox", "--actions", "none", "--no-drift")
    first = runner(*quick, cwd=tmp_path)
    second = runner(*quick, "--as", "two", "--limit", "second", cwd=tmp_path)
    nobody = runner(*quick, "--as", "three", cwd=tmp_path)

    assert (0, 0) == (first.code, second.code), first.out + second.out
    assert "1 of 1 account passed" in second.out
    assert "1 skipped" in first.out
    assert (2, True) == (nobody.code, "no backend role is named three" in nobody.err)


PAGE = (Path(__file__).resolve().parents[3] / "docs" / "how-to" / "ci.md").read_text("utf-8")
ROLE = "arn:aws:iam::111111111111:role/backend_role"
SESSION = "arn:aws:sts::111111111111:assumed-role/backend_role/job"
GIVEN = """<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
<Credentials><AccessKeyId>ASIAOFTHEJOB00000000</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>
<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""
REFUSED = """<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>AccessDenied</Code>
<Message>Not authorized to perform sts:AssumeRoleWithWebIdentity</Message></Error></ErrorResponse>"""
KNOWN = f"""<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>{SESSION}</Arn>
<UserId>A:job</UserId><Account>111111111111</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"""


@dataclass
class Sts:
    """An STS stub that accepts or refuses the token, and records requests with their access keys."""

    url: str = ""
    vouches: bool = True
    asked: list[tuple[dict[str, str], str]] = field(default_factory=list)


@contextmanager
def sts(*, vouches: bool) -> Iterator[Sts]:
    """A running stub."""
    state = Sts(vouches=vouches)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {key: values[0] for key, values in parse_qs(body).items()}
            signer = re.search(r"Credential=([A-Z0-9]+)/", self.headers.get("Authorization", ""))
            state.asked.append((form, signer[1] if signer else ""))
            wanted = form["Action"] == "AssumeRoleWithWebIdentity"
            answer = (GIVEN if state.vouches else REFUSED) if wanted else KNOWN
            self.send_response(403 if answer is REFUSED else 200)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(answer.encode())))
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment of the documented workflow, and the file with the OIDC token of the job."""
    token = tmp_path / "vouched"
    token.write_text("a.signed.token")
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    given = dict(re.findall(r"^      (AWS_[A-Z_]+): (\S+)$", PAGE, re.MULTILINE))
    for name, value in {**given, "AWS_WEB_IDENTITY_TOKEN_FILE": str(token), "HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    return token


def test_job_with_accepted_token_is_backend_role(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The three documented variables suffice: the token is sent to STS, and the returned key signs the first call."""
    with sts(vouches=True) as service:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", service.url)
        caller = find_caller(Clients(ClientSettings(endpoint_url=service.url)))

    assert (SESSION, "111111111111", "us-east-1") == (caller.arn, caller.account_id, caller.region)
    (vouching, unsigned), (_, signer) = service.asked
    assert (ROLE, job.read_text(), "") == (vouching["RoleArn"], vouching["WebIdentityToken"], unsigned)
    assert "ASIAOFTHEJOB00000000" == signer


@pytest.mark.usefixtures("job")
def test_job_of_another_repository_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error message has AWS's refusal without the token, and no traceback."""
    with sts(vouches=False) as service:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", service.url)
        with pytest.raises(CallerError) as refused:
            find_caller(Clients(ClientSettings(endpoint_url=service.url)))

    assert "AccessDenied" in str(refused.value)
    assert "a.signed.token" not in str(refused.value)
