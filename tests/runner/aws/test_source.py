"""The caller identity: STS errors are classified, and never block a command."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from command_rig import runner
from fast_stub import SOURCE_KEY, FastStub, Options, secret_of
from rolecall_generator.errors import CallerError
from rolecall_runner.aws.clients import Clients, ClientSettings
from rolecall_runner.aws.credentials import Credentials, find_caller, identify
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
