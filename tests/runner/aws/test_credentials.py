"""AssumeRole is called as in the manifest, sessions are refreshed in time, and no secret is exposed."""

from __future__ import annotations

import copy
import os
import re
import threading
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import botocore.credentials
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from fast_stub import SOURCE_ACCOUNT, SOURCE_ARN, SOURCE_KEY, FastStub, key_of, secret_of, token_of
from rolecall_runner.aws.clients import Clients, ClientSettings
from rolecall_runner.aws.credentials import (
    AccountSession,
    Assumer,
    CallerIdentity,
    Credentials,
    DiskSessionCache,
    SessionCacheError,
    Sessions,
    allowed_name,
    cache_key,
)
from rolecall_runner.aws.failures import Status, failure_of
from rolecall_runner.inventory import Target
from stub_fleet import REGION, stub_target

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HIDDEN_KEY, HIDDEN_TOKEN = "secret-key-" + "s" * 29, "token-" + "t" * 200


class Clock:
    """A clock that the test advances."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


class FakeClients:
    """Replaces the shared clients and records the parameters of AssumeRole. `codes`: an error code by external ID."""

    def __init__(self, codes: Mapping[str, str]) -> None:
        self.codes = codes
        self.calls: list[dict[str, Any]] = []
        self.region = ""

    def client(self, service: str, region: str) -> FakeClients:
        assert "sts" == service
        self.region = region
        return self

    def assume_role(self, **parameters: Any) -> dict[str, Any]:
        self.calls.append(parameters)
        if code := self.codes.get(parameters.get("ExternalId", "")):
            raise ClientError({"Error": {"Code": code, "Message": parameters["ExternalId"]}}, "AssumeRole")
        keys = {"AccessKeyId": "ASIA1", "SecretAccessKey": HIDDEN_KEY, "SessionToken": HIDDEN_TOKEN}
        return {"Credentials": {**keys, "Expiration": NOW + timedelta(hours=1)}, "AssumedRoleUser": {"Arn": "arn:x"}}


ROLE = CallerIdentity(botocore.credentials.Credentials("a", "b"), SOURCE_ARN, SOURCE_ACCOUNT, "eu-west-1")
PERSON = replace(ROLE, arn=f"arn:aws:iam::{SOURCE_ACCOUNT}:user/reena")


def assumer(
    caller: CallerIdentity = ROLE, codes: Mapping[str, str] | None = None, **changes: Any
) -> tuple[Assumer, FakeClients]:
    fake = FakeClients(codes or {})
    return Assumer(cast("Clients", fake), caller, "0a1b2c", **changes), fake


def credentials(expires: datetime = NOW + timedelta(hours=1)) -> Credentials:
    return Credentials("ASIA1", HIDDEN_KEY, HIDDEN_TOKEN, expires, "arn:aws:sts::2:assumed-role/r/s")


@pytest.mark.parametrize("allowed", [False, True])
def test_assume_role_parameters_come_from_the_manifest(allowed: bool) -> None:
    """Role, external ID, a session name with the run ID; tags and source identity only if the trust policy allows them."""
    assume, fake = assumer()
    target = replace(stub_target(1), session_tags=allowed, source_identity=allowed)

    assume.assume(target)

    tags = [{"Key": "rolecall-run", "Value": "0a1b2c"}, {"Key": "rolecall-target", "Value": "customer1"}]
    optional = {"Tags": tags, "SourceIdentity": "i-0123456789abcdef0"}
    required = {
        "RoleArn": target.role_arn,
        "RoleSessionName": "rolecall-0a1b2c",
        "DurationSeconds": 3600,
        "ExternalId": target.external_id,
    }
    assert [required | (optional if allowed else {})] == fake.calls
    assert "eu-west-1" == fake.region


@pytest.mark.parametrize("sent", [None, "made-up"])
def test_probe_sends_given_external_id_with_shortest_duration(sent: str | None) -> None:
    """None sends no external ID, which the role must refuse."""
    assume, fake = assumer()

    assume.assume(stub_target(1), external_id=sent)

    assert (sent, 900) == (fake.calls[0].get("ExternalId"), fake.calls[0]["DurationSeconds"])


@pytest.mark.parametrize(
    ("caller", "wanted", "maximum", "asked"),
    [
        (ROLE, 3600, 3600, 3600),
        (ROLE, 43200, 43200, 3600),
        (PERSON, 43200, 43200, 43200),
        (PERSON, 43200, 7200, 7200),
        (PERSON, 3600, 43200, 3600),
        (ROLE, 60, 3600, 900),
    ],
)
def test_session_duration_is_within_limits_of_aws(caller: CallerIdentity, wanted: int, maximum: int, asked: int) -> None:
    """At most an hour for role chaining; never above the role's maximum or below 900 s."""
    assume, fake = assumer(caller, session_seconds=wanted)

    assume.assume(replace(stub_target(1), max_session_seconds=maximum))

    assert asked == fake.calls[0]["DurationSeconds"]


@given(st.text(max_size=100))
def test_any_string_becomes_valid_session_name(text: str) -> None:
    """2 to 64 of the characters that STS accepts."""
    assert re.fullmatch(r"[A-Za-z0-9_+=,.@-]{2,64}", allowed_name(text))


ROTATING = replace(stub_target(1), external_id="new", previous_external_id="old")


@pytest.mark.parametrize(
    ("codes", "sent", "error"),
    [
        ({}, ["new"], None),
        ({"new": "AccessDenied"}, ["new", "old"], None),
        ({"new": "Throttling"}, ["new"], ("Throttling", "new")),
        ({"new": "AccessDenied", "old": "AccessDenied"}, ["new", "old"], ("AccessDenied", "new")),
        ({"new": "AccessDenied", "old": "Throttling"}, ["new", "old"], ("Throttling", "old")),
    ],
)
def test_previous_id_is_tried_only_after_refusal(
    codes: dict[str, str], sent: list[str], error: tuple[str, str] | None
) -> None:
    """A throttle is not a refusal and is raised; of two refusals that of the current ID is raised."""
    assume, fake = assumer(codes=codes)
    if error is None:
        assume.assume(ROTATING)
    else:
        with pytest.raises(ClientError) as caught:
            assume.assume(ROTATING)
        assert error == (caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"])

    assert sent == [call["ExternalId"] for call in fake.calls]


@pytest.mark.parametrize(
    ("target", "parameters"),
    [(replace(ROTATING, previous_external_id=None), {}), (ROTATING, {"external_id": "new"})],
    ids=["no rotation", "a probe"],
)
def test_refusal_is_final_without_rotation_or_for_probe(target: Target, parameters: dict[str, Any]) -> None:
    """Without a previous ID there is no second call, and a probe of one ID never sends another."""
    assume, fake = assumer(codes={"new": "AccessDenied"})
    with pytest.raises(ClientError):
        assume.assume(target, **parameters)

    assert ["new"] == [call["ExternalId"] for call in fake.calls]


def test_wrong_external_id_is_refused_with_aws_code(stub: FastStub) -> None:
    """The error is AccessDenied; the right ID is accepted, over HTTPS with boto3."""
    clients = Clients(ClientSettings(stub.url, stub.ca_bundle))
    source = botocore.credentials.Credentials(SOURCE_KEY, secret_of(SOURCE_KEY))
    assume = Assumer(clients, CallerIdentity(source, SOURCE_ARN, SOURCE_ACCOUNT, REGION), "0a1b2c")
    target = stub_target(1)

    with pytest.raises(ClientError) as caught:
        assume.assume(target, external_id="made-up")

    assert (Status.REFUSED, "AccessDenied") == (failure_of(caught.value).status, failure_of(caught.value).code)
    found = assume.assume(target)
    own = key_of(target.account_id)
    assert (own, secret_of(own), token_of(own)) == (found.access_key, found.secret_key, found.token)


def session(clock: Clock, cache: DiskSessionCache | None = None) -> tuple[AccountSession, list[datetime]]:
    """A session, and the times at which its role is assumed."""
    assumed: list[datetime] = []

    def assume() -> Credentials:
        assumed.append(clock.now)
        return credentials(clock.now + timedelta(hours=1))

    return AccountSession(assume, clock, "key", cache), assumed


def test_credentials_are_refreshed_five_minutes_before_expiry() -> None:
    clock = Clock()
    own, assumed = session(clock)

    for minute in (0, 30, 54, 56, 90, 112):
        clock.now = NOW + timedelta(minutes=minute)
        own.get_frozen_credentials()

    assert [0, 56, 112] == [(moment - NOW) / timedelta(minutes=1) for moment in assumed]


def test_concurrent_refreshes_make_one_call() -> None:
    gate = threading.Barrier(8)
    own, assumed = session(Clock())

    def get() -> Credentials:
        gate.wait(10)
        return own.get_frozen_credentials()

    with ThreadPoolExecutor(8) as pool:
        found = [each.result() for each in [pool.submit(get) for _ in range(8)]]

    assert 1 == len(assumed) == len({id(each) for each in found})


def test_failed_refresh_is_retried() -> None:
    """The lock is released after an error, and no partial state is stored."""
    answers: list[Credentials | Exception] = [OSError("no"), credentials()]

    def assume() -> Credentials:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    own = AccountSession(assume, Clock())
    with pytest.raises(OSError, match="no"):
        own.get_frozen_credentials()

    assert credentials() == own.get_frozen_credentials()


def test_credentials_rejected_as_expired_are_replaced() -> None:
    """A customer may revoke sessions before they expire."""
    own, assumed = session(Clock())
    own.get_frozen_credentials()

    own.renew()
    own.get_frozen_credentials()

    assert 2 == len(assumed)


def test_cached_credentials_rejected_as_expired_are_not_reused(tmp_path: Path) -> None:
    """Neither by this run nor by the next one."""
    cache = DiskSessionCache(tmp_path / "sessions", Clock())
    cache.save("key", replace(credentials(), arn="revoked"))
    own = AccountSession(credentials, Clock(), "key", cache)
    first = own.get_frozen_credentials()

    own.renew()

    assert ("revoked", credentials()) == (first.arn, own.get_frozen_credentials())
    assert credentials() == cache.load("key")


def test_session_is_shared_while_referenced() -> None:
    """Two tasks on one account assume once; a session without references is freed."""
    assume, _ = assumer()
    sessions = Sessions(assume, clock=Clock())

    held = sessions.session(stub_target(1))

    assert held is sessions.session(stub_target(1))
    assert held is not sessions.session(replace(stub_target(1), external_id="another"))
    assert held is not sessions.session(stub_target(2))
    assert 1 == len(sessions._sessions)


def test_repr_and_traceback_contain_no_secret() -> None:
    """Printed, formatted, copied, inside other objects, or in an error's traceback."""
    assume, _ = assumer(replace(ROLE, credentials=credentials()))
    own, _ = session(Clock())
    own.get_frozen_credentials()
    found = credentials()
    texts = [repr(found), str(found), f"{found}", repr([found]), repr(assume), str(own), repr(copy.copy(found))]
    try:
        raise ValueError(found)
    except ValueError:
        texts.append(traceback.format_exc())

    assert [] == [text for text in texts if HIDDEN_KEY in text or HIDDEN_TOKEN in text]


def test_cached_sessions_are_keyed_by_caller_and_target(tmp_path: Path) -> None:
    """The key is caller, role and external ID; a change in any of them is a cache miss."""
    clock = Clock()
    cache = DiskSessionCache(tmp_path / "sessions", clock)
    target = stub_target(1)
    cache.save(cache_key(ROLE, target), credentials())

    others = [cache_key(PERSON, target), cache_key(ROLE, stub_target(2)), cache_key(ROLE, replace(target, external_id=None))]
    assert credentials() == DiskSessionCache(tmp_path / "sessions", clock).load(cache_key(ROLE, target))
    assert [None, None, None] == [cache.load(key) for key in others]


def test_session_reads_and_writes_the_cache(tmp_path: Path) -> None:
    """A second run makes no call; credentials close to expiration are replaced."""
    clock = Clock()
    cache = DiskSessionCache(tmp_path / "sessions", clock)
    calls = 0
    for minutes in (0, 10, 56):
        clock.now = NOW + timedelta(minutes=minutes)
        own, assumed = session(clock, cache)
        own.get_frozen_credentials()
        calls += len(assumed)

    assert 2 == calls


def test_expired_sessions_are_deleted(tmp_path: Path) -> None:
    """And temporary files of killed processes; files in use by another process and files not created by rolecall stay."""
    clock = Clock()
    folder = tmp_path / "sessions"
    cache = DiskSessionCache(folder, clock)
    cache.save("ended", credentials(NOW + timedelta(minutes=30)))
    cache.save("holds", credentials(NOW + timedelta(minutes=90)))
    (folder / ".0a.new").write_text("{")
    os.utime(folder / ".0a.new", times=(NOW.timestamp() - 3601,) * 2)
    (folder / ".0b.new").write_text("{")
    os.utime(folder / ".0b.new", times=(clock.now.timestamp(),) * 2)
    (folder / "notes.txt").write_text("mine")
    clock.now = NOW + timedelta(hours=1)

    assert cache.load("ended") is None
    kept = DiskSessionCache(folder, clock)

    assert [".0b.new", "notes.txt"] == sorted(path.name for path in folder.iterdir() if path.suffix != ".json")
    assert 1 == len(list(folder.glob("*.session.json")))
    assert kept.load("holds") is not None


def test_cached_sessions_are_owner_only(tmp_path: Path) -> None:
    """Folder 0700, files 0600, with any umask; file names do not reveal the account."""
    before = os.umask(0)
    try:
        cache = DiskSessionCache(tmp_path / "sessions", Clock())
        cache.save("arn:aws:iam::222222222222:role/r", credentials())
    finally:
        os.umask(before)
    file = next((tmp_path / "sessions").iterdir())

    assert (0o700, 0o600) == ((tmp_path / "sessions").stat().st_mode & 0o777, file.stat().st_mode & 0o777)
    assert "222222222222" not in file.name


@pytest.mark.parametrize("mode", [0o755, 0o710, 0o701, 0o770])
def test_folder_accessible_by_others_is_refused(tmp_path: Path, mode: int) -> None:
    """Its sessions may have been read: the message recommends revoking them."""
    folder = tmp_path / "sessions"
    folder.mkdir()
    folder.chmod(mode)

    with pytest.raises(SessionCacheError, match=r"other users can access it .*\n  hint: delete it; .*revoke"):
        DiskSessionCache(folder, Clock())


def readable_by_others(file: Path) -> None:
    file.chmod(0o640)


def symlink(file: Path) -> None:
    file.rename(file.parent.parent / "elsewhere")
    file.symlink_to(file.parent.parent / "elsewhere")


@pytest.mark.parametrize(
    ("change", "said"), [(readable_by_others, "mode 0640"), (symlink, "the session cache cannot be used")]
)
def test_unsafe_file_is_refused(tmp_path: Path, change: Callable[[Path], None], said: str) -> None:
    cache = DiskSessionCache(tmp_path / "sessions", Clock())
    cache.save("key", credentials())
    change(next((tmp_path / "sessions").iterdir()))

    with pytest.raises(SessionCacheError, match=said):
        cache.load("key")


def test_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    """The owner of the folder can add files to it."""
    with pytest.raises(SessionCacheError, match="belongs to another user"):
        DiskSessionCache(tmp_path / "sessions", Clock(), user_id=lambda: os.getuid() + 1)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"key": "key", "expires": "2099-01-01T00:00:00"}'])
def test_damaged_file_is_a_cache_miss(tmp_path: Path, content: str) -> None:
    """The role is assumed again, and the file rewritten."""
    cache = DiskSessionCache(tmp_path / "sessions", Clock())
    cache.save("key", credentials())
    next((tmp_path / "sessions").iterdir()).write_text(content)

    assert cache.load("key") is None
    cache.save("key", credentials())
    assert credentials() == cache.load("key")
