"""Notifications: which verdicts are changes, the body and its signature, and failures of the receiver."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from command_rig import Ended, runner
from manifests import NOTES
from rolecall_generator.errors import SelectionError
from rolecall_runner.notification import (
    KEY_VARIABLE,
    MAXIMUM_CHANGES,
    SIGNATURE_HEADER,
    Webhook,
    body_of,
    verdict_changes,
)
from rolecall_runner.sandbox.provisioning.provision import AdminClient
from rolecall_runner.sandbox.provisioning.seed import InProcessSandbox, actor_environment, in_process_sandbox
from rolecall_runner.verify.verdict import Verdict
from verdict_worlds import INFO, verdict, without_external_id
from webhook_receiver import receiving

USER_INFO = "user:hidden-token"


def webhook(url: str, key: bytes | None = None, timeout: tuple[float, float] = (5, 5)) -> Webhook:
    return Webhook(url, key, timeout, sleep=lambda _seconds: None)


def key_of(found: Verdict) -> tuple[str, str]:
    return found.kind, found.name


def test_changes_are_compared_with_the_last_verification() -> None:
    """A first verdict and another mark are changes; an equal one and a skipped target are not."""
    ok, failed = verdict("one"), without_external_id("two")
    skipped = replace(verdict("three"), checks=(verdict("three").checks[-1],))
    everything = [ok, failed, skipped]

    assert ["one", "two"] == [each.name for each in verdict_changes({}, everything)]
    assert [] == list(verdict_changes({key_of(ok): "ok", key_of(failed): "failed", key_of(skipped): "ok"}, everything))
    (change,) = verdict_changes({key_of(ok): "ok", key_of(failed): "ok"}, everything)
    assert ("two", "ok", "failed") == (change.name, change.previous, change.verdict)
    assert ("no-external-id",) == change.failed_checks
    assert tuple(diagnosis.cause for diagnosis in failed.diagnoses) == change.causes
    assert [] == list(verdict_changes({("switch-role", "one"): "failed", key_of(ok): "ok"}, [ok]))


def test_body_has_a_documented_structure_and_a_limit() -> None:
    """No free text; more changes than the limit are counted."""
    changes = verdict_changes({}, [verdict(f"n{number}") for number in range(MAXIMUM_CHANGES + 3)])
    body = json.loads(body_of(changes, INFO))

    assert {"version", "event", "run", "changes", "omitted"} == set(body)
    assert (1, "verdict-changed", 3, MAXIMUM_CHANGES) == (
        body["version"], body["event"], body["omitted"], len(body["changes"]),
    )  # fmt: skip
    assert {"run_id", "started", "ended", "rolecall", "rehearsal"} == set(body["run"])
    assert {"kind", "name", "account_id", "role_arn", "previous", "verdict", "failed_checks", "causes"} == set(
        body["changes"][0]
    )


def test_signature_is_hmac_sha256_of_the_body() -> None:
    """A receiver recomputes it from the bytes; without a key there is no signature."""
    with receiving() as receiver:
        assert webhook(receiver.url, b"key").send(b'{"a": 1}') is None
        assert webhook(receiver.url).send(b'{"a": 1}') is None

    (method, path, signed, body), (_, _, unsigned, _) = receiver.requests
    assert ("POST", "/hook?token=hidden-token", b'{"a": 1}') == (method, path, body)
    assert f"sha256={hmac.new(b'key', body, hashlib.sha256).hexdigest()}" == signed[SIGNATURE_HEADER]
    assert "application/json" == signed["Content-Type"]
    assert SIGNATURE_HEADER not in unsigned


@pytest.mark.parametrize(
    ("statuses", "requests", "accepted"),
    [((204,), 1, True), ((503, 200), 2, True), ((429, 503), 2, False), ((400,), 1, False), ((302,), 1, False),
     ((0, 204), 2, True)],
)  # fmt: skip
def test_temporary_failures_are_retried_once(statuses: tuple[int, ...], requests: int, accepted: bool) -> None:
    """Also a time-out; redirects are not followed, and other errors are not repeated."""
    with receiving(*statuses) as receiver:
        problem = webhook(receiver.url, timeout=(5, 0.5)).send(b"{}")

    assert accepted == (problem is None)
    assert requests == len(receiver.requests)
    assert {"/hook?token=hidden-token"} == {path for _, path, _, _ in receiver.requests}


def test_refused_connection_is_described_without_the_url() -> None:
    """The URL of a webhook is often its secret."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    problem = webhook(f"http://127.0.0.1:{port}/hidden-token").send(b"{}")

    assert problem
    assert "hidden-token" not in problem
    assert "hidden-token" not in repr(webhook("https://example.com/hidden-token", b"hidden-token"))


def test_proxy_of_the_environment_is_used_except_for_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTPS goes through CONNECT; NO_PROXY is respected."""
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with receiving(502) as proxy, receiving() as receiver:
        address = f"http://127.0.0.1:{proxy.port}"
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, address)
        assert webhook(receiver.url).send(b"{}") is None
        assert [] == proxy.requests
        assert webhook("https://hooks.example.invalid/x").send(b"{}") is not None
        assert {("CONNECT", "hooks.example.invalid:443")} == {(method, path) for method, path, _, _ in proxy.requests}
        seen = len(proxy.requests)
        monkeypatch.setenv("no_proxy", "hooks.example.invalid")
        assert webhook("https://hooks.example.invalid/x").send(b"{}") is not None
        assert seen == len(proxy.requests)


@pytest.mark.parametrize(
    "url",
    ["http://hooks.example.com/x", "ftp://127.0.0.1/x", "https://", "https:///path", "hooks.example.com", "https://a b/",
     f"https://{USER_INFO}@example.com/", "http://127.0.0.1.example.com/", "https://[::1", "https://a:99999/", "-",
     "https://example.com/\x1b[31m", "http://10.0.0.1/", "http://localhost.example.com/"],
)  # fmt: skip
def test_unsafe_url_is_usage_error(url: str) -> None:
    """https only, except for loopback; no credentials in the URL, and none in the message."""
    with pytest.raises(SelectionError) as error:
        Webhook.create(url, {})
    assert "hidden-token" not in str(error.value)


@pytest.mark.parametrize("url", ["https://example.com/x", "http://localhost:1/", "http://127.0.0.2:1/", "http://[::1]:1/"])
def test_https_and_loopback_are_accepted(url: str) -> None:
    """With the key of the environment; an empty key is an error, not a missing signature."""
    assert b"key" == Webhook.create(url, {KEY_VARIABLE: "key"}).key
    assert Webhook.create(url, {}).key is None
    with pytest.raises(SelectionError):
        Webhook.create(url, {KEY_VARIABLE: ""})


def verify(world: InProcessSandbox, folder: Path, *arguments: str, **environ: str) -> Ended:
    options = ("--actions", "none", "--no-drift", "--limit", "kind=customer", *arguments)
    return runner("verify", *options, cwd=folder, environ=actor_environment(world.sandbox, world.backend) | environ)


def open_role(world: InProcessSandbox, account_id: str, role: str) -> None:
    """Let the whole vendor account assume the role, without an external ID."""
    statement = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111111111111:root"}, "Action": "sts:AssumeRole"}
    operator = AdminClient(world.sandbox.url)
    with operator.acting_in(account_id):
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        operator.client("iam").update_assume_role_policy(RoleName=role, PolicyDocument=document)


def test_verify_notifies_of_changed_verdicts_only(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """First verdicts, nothing for the same ones, then the one that changed; the exit code is that of the run."""
    monkeypatch.setenv(KEY_VARIABLE, "key")
    external_ids = [line.split(":")[1].strip() for line in NOTES.read_text("utf-8").splitlines() if "external_id:" in line]
    with in_process_sandbox(NOTES, Path("nowhere")) as world, receiving() as receiver:
        first = verify(world, notes, "--notify", receiver.url)
        again = verify(world, notes, ROLECALL_NOTIFY_URL=receiver.url)
        open_role(world, "222222222222", "role1")
        changed = verify(world, notes, "--notify", receiver.url)

    assert [0, 0, 1] == [first.code, again.code, changed.code]
    one, two = (json.loads(body) for _, _, _, body in receiver.requests)
    assert [("account1", None, "ok"), ("account2", None, "ok"), ("account3", None, "ok")] == [
        (each["name"], each["previous"], each["verdict"]) for each in one["changes"]
    ]
    assert [("account1", "ok", "failed")] == [(each["name"], each["previous"], each["verdict"]) for each in two["changes"]]
    assert two["run"]["rehearsal"] is True
    for _, _, headers, body in receiver.requests:
        assert f"sha256={hmac.new(b'key', body, hashlib.sha256).hexdigest()}" == headers[SIGNATURE_HEADER]
        assert external_ids
        assert [] == [each for each in external_ids if each.encode() in body]
    assert "hidden-token" not in "".join(each.out + each.err for each in (first, again, changed))


def test_failed_notification_is_a_warning(notes: Path) -> None:
    """The exit code and the report do not change; the status is recorded. Standard output has only the report."""
    with in_process_sandbox(NOTES, Path("nowhere")) as world, receiving(400) as receiver:
        done = verify(world, notes, "--notify", receiver.url, "--format", "json")
        states = runner("status", "--format", "json", cwd=notes, environ=actor_environment(world.sandbox, world.backend))

    assert 0 == done.code
    assert "warning: 127.0.0.1" in done.err
    assert 3 == len(json.loads(done.out)["verdicts"])
    assert "verified" in states.out
    assert "hidden-token" not in done.err


def test_damaged_status_file_is_a_warning(notes: Path) -> None:
    """Without it, nothing can be compared, so nothing is sent."""
    with in_process_sandbox(NOTES, Path("nowhere")) as world, receiving() as receiver:
        assert 0 == verify(world, notes).code
        (path,) = (notes / "output").glob("*status*.json")
        path.write_text("[", "utf-8")
        done = verify(world, notes, "--notify", receiver.url)

    assert 0 == done.code
    assert "no notification was sent" in done.err
    assert [] == receiver.requests


def test_unsafe_url_is_reported_before_the_run(notes: Path) -> None:
    """No account is assumed."""
    done = runner("verify", "--notify", "http://hooks.example.com/x", cwd=notes)

    assert 2 == done.code
    assert not (notes / ".rolecall").exists()
