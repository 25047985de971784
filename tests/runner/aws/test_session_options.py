"""Names and limits of sessions: --session-name, --session-policy and --source-identity."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command_rig import runner
from rolecall_generator.errors import SelectionError
from rolecall_runner.aws import SessionOptions
from rolecall_runner.aws.credentials import CallerIdentity, cache_key
from stub_fleet import stub_target

MANIFEST = """
version: 1
backend: {account_id: "111111111111", roles: [{name: one}]}
permission_sets:
  read: {statements: [{actions: ["s3:ListAllMyBuckets"], resources: ["*"]}]}
defaults: {permissions: [read]}
customers:
  - {name: first, account_id: "222222222222", external_id: "0123456789abcdef01"}
"""
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:GetCallerIdentity", "Resource": "*"}]}
ARN = "arn:{partition}:iam::{account_id}:policy/read-only"


def test_parameters_of_assume_role(tmp_path: Path) -> None:
    """Placeholders get the run and the account; the file is sent without whitespace."""
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(POLICY, indent=2))
    target = stub_target(3)
    options = SessionOptions.read("audit-{run_id}", [str(file), ARN], "alice")

    assert {
        "RoleSessionName": "audit-0a1b2c",
        "Policy": json.dumps(POLICY, separators=(",", ":")),
        "PolicyArns": [{"arn": f"arn:aws:iam::{target.account_id}:policy/read-only"}],
        "SourceIdentity": "alice",
    } == options.parameters(target, "0a1b2c")
    assert {"RoleSessionName": "rolecall-0a1b2c"} == SessionOptions.read(None, [], None).parameters(target, "0a1b2c")


@pytest.mark.parametrize(
    ("name", "policies", "source_identity", "where"),
    [
        ("a b", [], None, "--session-name"),
        ("x" * 60 + "{run_id}", [], None, "--session-name"),
        (None, [], "x", "--source-identity"),
        (None, [], "ä" * 3, "--source-identity"),
        (None, ["missing.json"], None, "--session-policy"),
        (None, ["text"], None, "--session-policy"),
        (None, ["list"], None, "--session-policy"),
        (None, ["large"], None, "--session-policy"),
        (None, ["good", "good"], None, "--session-policy"),
        (None, ["arn:aws:iam::aws:role/x"], None, "--session-policy"),
        (None, [ARN] * 11, None, "--session-policy"),
    ],
)
def test_what_sts_would_refuse_is_an_error(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str | None,
    policies: list[str],
    source_identity: str | None,
    where: str,
) -> None:
    """Before the first call, with the option."""
    monkeypatch.chdir(tmp_path)
    large = {**POLICY, "Id": "x" * 2048}
    files = {"text": "Allow *", "list": "[]", "large": json.dumps(large), "good": json.dumps(POLICY)}
    for file, text in files.items():
        Path(file).write_text(text)
    with pytest.raises(SelectionError) as raised:
        SessionOptions.read(name, policies, source_identity)

    assert where == raised.value.where


def test_limited_sessions_are_cached_apart() -> None:
    """A session with a session policy is never used for a command without one, and the reverse."""
    caller = CallerIdentity(None, "arn:aws:iam::111111111111:user/me", "111111111111", "us-east-1")  # type: ignore[arg-type]
    target = stub_target(1)
    options = [
        SessionOptions(),
        SessionOptions(policy="{}"),
        SessionOptions(policy_arns=(ARN,)),
        SessionOptions(source_identity="me"),
        SessionOptions("other"),
    ]

    assert len(options) == len({cache_key(caller, target, each) for each in options})


def test_session_policy_limits_a_query(tmp_path: Path) -> None:
    """The role may list buckets, the session may not; the name is in the session's ARN."""
    (tmp_path / "accounts.yaml").write_text(MANIFEST)
    (tmp_path / "policy.json").write_text(json.dumps(POLICY))
    limits = ("--sandbox", "--limit", "first", "--session-policy", "policy.json", "--session-name", "audit-{run_id}")
    denied = runner("query", "s3", "list_buckets", *limits, "--format", "json", cwd=tmp_path)
    allowed = runner("query", "s3", "list_buckets", "--sandbox", "--limit", "first", "--format", "json", cwd=tmp_path)
    who = runner("query", "sts", "get_caller_identity", *limits, "--select", "Arn", "--format", "csv", cwd=tmp_path)

    assert (True, False) == ("denied" in denied.out + denied.err, "denied" in allowed.out + allowed.err)
    assert "/audit-" in who.out
