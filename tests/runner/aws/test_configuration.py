"""The AWS configuration of a process: the same principal, endpoints and settings as boto3 and the AWS CLI."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import boto3
import pytest

from fast_stub import SOURCE_KEY, FastStub, secret_of
from rolecall_generator.errors import CallerError, ExitCode
from rolecall_generator.records import is_loopback
from rolecall_runner.aws.caller import AwsConfig, find_caller, identify
from rolecall_runner.aws.clients import Clients, ClientSettings
from rolecall_runner.aws.credentials import Credentials
from stub_fleet import stub_target

CONFIG = """
[default]
region = eu-north-1
[profile keys]
region = eu-west-1
aws_access_key_id = AKIAPROFILE000000001
aws_secret_access_key = s
[profile other]
region = eu-west-3
aws_access_key_id = AKIAPROFILE000000002
aws_secret_access_key = s
[profile source]
aws_access_key_id = {source_key}
aws_secret_access_key = {source_secret}
[profile process]
credential_process = {printed}
[profile fips]
region = us-east-1
use_fips_endpoint = true
[profile services]
region = us-east-1
services = local
[services local]
ec2 =
  endpoint_url = http://127.0.0.1:9999
[profile retries]
region = us-east-1
max_attempts = 7
retry_mode = adaptive
[profile sso]
region = us-east-1
sso_session = corp
sso_account_id = 111111111111
sso_role_name = backend
[sso-session corp]
sso_start_url = https://corp.awsapps.com/start
sso_region = us-east-1
[profile mfa]
region = us-east-1
role_arn = {role}
external_id = {external_id}
source_profile = source
mfa_serial = arn:aws:iam::111111111111:mfa/me
[profile chain]
region = us-east-1
role_arn = arn:aws:iam::111111111111:role/backend
source_profile = keys
[profile no-program]
credential_process = /does/not/exist
[profile text]
credential_process = /bin/echo please log in
[profile list]
credential_process = /bin/echo []
[profile loop]
role_arn = arn:aws:iam::111111111111:role/a
source_profile = loop2
[profile loop2]
role_arn = arn:aws:iam::111111111111:role/b
source_profile = loop
[profile login]
login_session = arn:aws:iam::111111111111:user/me
"""
FAR = datetime.max.replace(tzinfo=UTC)
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAENVIRONMENT00001", "AWS_SECRET_ACCESS_KEY": "s"}


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The profiles of CONFIG, and no other AWS setting."""
    printed = tmp_path / "credentials.json"
    printed.write_text(json.dumps({"Version": 1, "AccessKeyId": "AKIAPROCESS000000001", "SecretAccessKey": "s"}))
    values = {
        "printed": f"/bin/cat {printed}",
        "source_key": SOURCE_KEY,
        "source_secret": secret_of(SOURCE_KEY),
        "role": stub_target(0).role_arn,
        "external_id": stub_target(0).external_id,
    }
    (tmp_path / "config").write_text(CONFIG.format(**values))
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", *KEYS):
        monkeypatch.delenv(name, raising=False)
    settings = {
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_LOGIN_CACHE_DIRECTORY": str(tmp_path),
        "HOME": str(tmp_path),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def key_of(caller: Any) -> str:
    return str(caller.credentials.get_frozen_credentials().access_key)


@pytest.mark.parametrize(
    ("environ", "profile", "key"),
    [
        (KEYS, None, "AKIAENVIRONMENT00001"),
        ({**KEYS, "AWS_PROFILE": "keys"}, None, "AKIAENVIRONMENT00001"),
        ({**KEYS, "AWS_DEFAULT_PROFILE": "keys"}, None, "AKIAENVIRONMENT00001"),
        ({**KEYS, "AWS_PROFILE": "keys"}, "other", "AKIAPROFILE000000002"),
        ({"AWS_PROFILE": "keys"}, None, "AKIAPROFILE000000001"),
        ({"AWS_PROFILE": "gone"}, "other", "AKIAPROFILE000000002"),
        ({"AWS_PROFILE": "process"}, None, "AKIAPROCESS000000001"),
    ],
)
def test_the_principal_is_that_of_boto3(
    configuration: pytest.MonkeyPatch, stub: FastStub, environ: Mapping[str, str], profile: str | None, key: str
) -> None:
    """Keys in the environment win over AWS_PROFILE, and only --profile wins over them."""
    for name, value in environ.items():
        configuration.setenv(name, value)
    clients = Clients(ClientSettings(stub.url, stub.ca_bundle, profile=profile))
    configuration.setattr("rolecall_runner.aws.caller.identify", lambda _clients, found, region: (found, region))
    found, region = cast("Any", find_caller(clients, profile=profile))
    expected = boto3.Session(profile_name=profile)

    assert key == found.get_frozen_credentials().access_key == expected.get_credentials().access_key
    assert region == (expected.region_name or "us-east-1")


@pytest.mark.parametrize("name", ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"])
def test_an_empty_profile_is_none(configuration: pytest.MonkeyPatch, name: str) -> None:
    """CI systems set variables to nothing."""
    configuration.setenv(name, "")
    for variable, value in KEYS.items():
        configuration.setenv(variable, value)
    configuration.setattr("rolecall_runner.aws.caller.identify", lambda _clients, found, _region: found)

    assert KEYS["AWS_ACCESS_KEY_ID"] == find_caller(Clients()).get_frozen_credentials().access_key  # type: ignore[attr-defined]


@pytest.mark.parametrize("service", ["sts", "ec2"])
@pytest.mark.parametrize("profile", ["fips", "services", "keys"])
@pytest.mark.parametrize("by_option", [True, False])
def test_a_profile_sets_the_endpoints_as_in_boto3(
    configuration: pytest.MonkeyPatch, profile: str, service: str, *, by_option: bool
) -> None:
    """FIPS endpoints and the endpoints of a `services` section apply, however the profile is selected."""
    if not by_option:
        configuration.setenv("AWS_PROFILE", profile)
    session = boto3.Session(profile_name=profile if by_option else None)
    expected = session.client(service, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    clients = Clients(ClientSettings(profile=profile if by_option else None))

    assert expected.meta.endpoint_url == clients.client(service, "us-east-1").meta.endpoint_url


@pytest.mark.parametrize(
    ("environ", "profile", "mode", "attempts"),
    [
        ({}, None, "standard", 4),
        ({}, "retries", "adaptive", 7),
        ({"AWS_MAX_ATTEMPTS": "2"}, None, "standard", 2),
        ({"AWS_MAX_ATTEMPTS": "2", "AWS_RETRY_MODE": "standard"}, "retries", "standard", 2),
        ({"AWS_RETRY_MODE": "legacy"}, None, "legacy", 4),
    ],
)
def test_configured_retries_apply(
    configuration: pytest.MonkeyPatch, environ: Mapping[str, str], profile: str | None, mode: str, attempts: int
) -> None:
    """AWS_MAX_ATTEMPTS, AWS_RETRY_MODE and the settings of the profile."""
    for name, value in environ.items():
        configuration.setenv(name, value)
    retries = Clients(ClientSettings(profile=profile)).client("sts", "us-east-1").meta.config.retries

    assert (mode, attempts) == (retries["mode"], retries["total_max_attempts"])


@pytest.mark.parametrize("legacy", ["AWS_STS_REGIONAL_ENDPOINTS"])
def test_sts_endpoint_is_always_regional(configuration: pytest.MonkeyPatch, legacy: str) -> None:
    """Sessions of the global endpoint are not valid in Regions that are disabled by default."""
    configuration.setenv(legacy, "legacy")

    assert "https://sts.us-east-1.amazonaws.com" == Clients().client("sts", "us-east-1").meta.endpoint_url


@pytest.mark.parametrize("setting", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "profile"])
def test_ca_bundle_of_each_setting_is_used(
    configuration: pytest.MonkeyPatch, stub: FastStub, tmp_path: Path, setting: str
) -> None:
    """As in boto3, the environment and the profile name the CA bundle; on Python 3.13 too (no VERIFY_X509_STRICT)."""
    if setting == "profile":
        (tmp_path / "config").write_text(f"[profile ca]\nca_bundle = {stub.ca_bundle}\n")
        configuration.setenv("AWS_PROFILE", "ca")
    else:
        configuration.setenv(setting, stub.ca_bundle)
    key = "AKIASOURCE0000000000"
    keys = Credentials(key, "x", None, FAR)
    clients = Clients(ClientSettings(stub.url, max_attempts=1))
    with pytest.raises(CallerError) as raised:  # the stub rejects the key; the connection is trusted
        identify(clients, keys, "us-east-1")

    assert "SSL" not in raised.value.what


@pytest.mark.parametrize(
    ("environ", "profile", "words"),
    [
        ({}, "gone", "gone"),
        ({}, "no-program", "/does/not/exist"),
        ({}, "text", "credential_process"),
        ({}, "list", "credential_process"),
        ({}, "loop", "loop"),
        ({}, "sso", "aws sso login --profile sso"),
        ({"AWS_PROFILE": "sso"}, None, "aws sso login --profile sso"),
        ({}, "login", "aws login --profile login"),
        ({}, "mfa", "mfa/me"),
        ({"AWS_CONFIG_FILE": "/etc/passwd"}, None, "/etc/passwd"),
        ({"AWS_CA_BUNDLE": "/does/not/exist.pem"}, None, "/does/not/exist.pem"),
        ({"REQUESTS_CA_BUNDLE": "/dev/null"}, None, "/dev/null"),
        ({"AWS_MAX_ATTEMPTS": "many"}, None, "many"),
        ({"AWS_ROLE_ARN": "arn:aws:iam::1:role/r", "AWS_WEB_IDENTITY_TOKEN_FILE": "/no/token"}, None, "/no/token"),
        ({}, None, "--sandbox"),
    ],
)
def test_errors_of_the_configuration_name_the_setting(
    configuration: pytest.MonkeyPatch, environ: Mapping[str, str], profile: str | None, words: str
) -> None:
    """Exit code 8, with the setting and what to do, for each way in which a configuration can be wrong."""
    for name, value in environ.items():
        configuration.setenv(name, value)
    configuration.setattr(sys, "stdin", io.StringIO())
    config = AwsConfig(profile)
    with pytest.raises(CallerError) as raised:
        config.find_caller(config.clients())

    assert (ExitCode.CALLER, True) == (raised.value.exit_code, words in str(raised.value))


def test_mfa_code_is_asked_for_once(configuration: pytest.MonkeyPatch, stub: FastStub) -> None:
    """Later callers of the process, such as workers of a run, use the session."""
    asked: list[str] = []

    def prompt(words: str) -> str:
        asked.append(words)
        return "123456"

    configuration.setattr("rolecall_runner.aws.caller._prompt", prompt)
    configuration.setattr("rolecall_runner.aws.caller._assumed", {})
    configuration.setattr("rolecall_runner.aws.caller.identify", lambda _clients, found, _region: found)
    configuration.setenv("AWS_ENDPOINT_URL_STS", stub.url)
    configuration.setenv("AWS_CA_BUNDLE", stub.ca_bundle)
    clients = Clients(ClientSettings(profile="mfa"))
    first, second = (find_caller(clients, profile="mfa") for _ in range(2))

    assert 1 == len(asked)
    assert first.get_frozen_credentials() == second.get_frozen_credentials()  # type: ignore[attr-defined]


def test_refused_hop_of_a_profile_chain_is_named(configuration: pytest.MonkeyPatch, stub: FastStub) -> None:
    """The error has the role of the hop and AWS's message."""
    configuration.setenv("AWS_ENDPOINT_URL_STS", stub.url)
    configuration.setenv("AWS_CA_BUNDLE", stub.ca_bundle)
    with pytest.raises(CallerError) as raised:
        find_caller(Clients(ClientSettings(profile="chain")), profile="chain")

    assert "profile chain" == raised.value.where
    assert all(words in raised.value.what for words in ("arn:aws:iam::111111111111:role/backend", "SignatureDoesNotMatch"))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:4000", True),
        ("http://localhost", True),
        ("http://[::1]:80/", True),
        ("http://127.0.0.1.example.com", False),
        ("https://sts.us-east-1.amazonaws.com", False),
        ("http://[", False),
        ("", False),
    ],
)
def test_loopback_addresses(url: str, *, expected: bool) -> None:
    """Requests to them never go through a proxy."""
    assert expected is is_loopback(url)


@pytest.mark.parametrize("name", ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"])
def test_loopback_endpoint_is_reached_without_the_proxy(
    configuration: pytest.MonkeyPatch, stub: FastStub, name: str
) -> None:
    """A sandbox stays reachable where HTTPS_PROXY is set for AWS."""
    configuration.setenv(name, "http://127.0.0.1:9")
    clients = Clients(ClientSettings(stub.url, stub.ca_bundle, max_attempts=1))
    with pytest.raises(CallerError) as raised:
        identify(clients, Credentials("AKIASOURCE0000000000", "x", None, FAR), "us-east-1")

    assert "proxy" not in raised.value.what.lower()
