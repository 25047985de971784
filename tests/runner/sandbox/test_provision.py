"""Provisioning of Access: everything is created, a second run changes nothing, errors are results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from live_iam import read_access
from manifests import manifest_of, notes_manifest
from rolecall_generator.iam.model import Access, ConsolePassword, Group, InstanceProfile, ManagedPolicy, Role, User
from rolecall_generator.iam.policy import PolicyDocument, Principal, Statement
from rolecall_generator.planning.planner import make_plan
from rolecall_runner.aws.clients import OutsideAccountError
from rolecall_runner.sandbox.provisioning.provision import AdminClient, creation_steps, provision, split_by_account
from rolecall_runner.sandbox.server.server import Sandbox

ACCOUNT = "210000000001"
ARN = f"arn:aws:iam::{ACCOUNT}"
READ = PolicyDocument((Statement("Allow", ("s3:GetObject",), ("*",)),))
WRITE = PolicyDocument(
    (Statement("Allow", ("s3:PutObject",), ("*",)), Statement("Deny", ("s3:PutObject",), ("arn:aws:s3:::b",)))
)


def trusting(*arns: str) -> PolicyDocument:
    return PolicyDocument((Statement("Allow", ("sts:AssumeRole",), principals=tuple(Principal("AWS", a) for a in arns)),))


@pytest.fixture
def endpoint() -> Iterator[str]:
    """An empty sandbox: it refuses a trust policy with a missing principal, so the order matters."""
    with Sandbox() as sandbox:
        yield sandbox.url


@pytest.fixture
def operator(endpoint: str) -> AdminClient:
    """The operator of the sandbox."""
    return AdminClient(endpoint)


def everything() -> Access:
    return Access.of(
        ManagedPolicy(f"{ARN}:policy/x/p", READ, "d", {"team": "a b"}),
        Role(f"{ARN}:role/x/r", trusting(f"{ARN}:root"), {"in": WRITE}, frozenset({f"{ARN}:policy/x/p"}), None, 7200, "d"),
        Role(f"{ARN}:role/tagged", trusting(f"{ARN}:root"), boundary=f"{ARN}:policy/x/p", tags={"a": "b"}),
        InstanceProfile(f"{ARN}:instance-profile/y/i", f"{ARN}:role/x/r", {"a": "b"}),
        Group(f"{ARN}:group/g", {"in": READ}, frozenset({f"{ARN}:policy/x/p"})),
        User(
            f"{ARN}:user/z/u",
            frozenset({f"{ARN}:group/g"}),
            {"in": READ},
            frozenset({f"{ARN}:policy/x/p"}),
            ConsolePassword(),
            f"{ARN}:policy/x/p",
            {"a": "b"},
        ),
    )


def test_every_kind_of_resource_is_provisioned(operator: AdminClient, endpoint: str) -> None:
    """Read back from IAM, the account equals the intended access."""
    done = provision({ACCOUNT: everything()}, operator=operator)

    assert () == done.failed
    assert everything().canonical() == read_access(endpoint, ACCOUNT).canonical()


def test_second_run_changes_nothing(operator: AdminClient) -> None:
    """No write call is made, for the example manifest and for an account with every kind of resource."""
    accesses = {**split_by_account(make_plan(notes_manifest()).access()), ACCOUNT: everything()}

    first = provision(accesses, operator=operator)
    second = provision(accesses, operator=operator)

    assert len(accesses) <= first.changes
    assert 0 == second.changes
    assert () == second.failed


@pytest.mark.parametrize("kind", ["roles", "policies", "groups", "users", "instance_profiles"])
def test_changed_parts_are_updated(operator: AdminClient, endpoint: str, kind: str) -> None:
    """Other parts are kept."""
    wanted = everything()
    before = dict(getattr(wanted, kind))
    for arn, part in before.items():
        blank: dict[str, Any] = {"inline": dict.fromkeys(part.inline, WRITE)} if hasattr(part, "inline") else {}
        blank |= {name: frozenset() for name in ("attached", "groups") if hasattr(part, name)}
        blank |= {name: {} for name in ("tags",) if hasattr(part, name)}
        blank |= {"document": WRITE} if kind == "policies" else {}
        if kind == "roles":
            blank |= {"trust": trusting("arn:aws:iam::222222222222:root"), "max_session_seconds": 3600, "boundary": None}
        if kind == "users":
            blank |= {"console_password": ConsolePassword(False)}
        before[arn] = replace(part, **blank)
    provision({ACCOUNT: replace(wanted, **{kind: before})}, operator=operator)

    done = provision({ACCOUNT: wanted}, operator=operator)

    assert () == done.failed
    assert wanted.canonical() == read_access(endpoint, ACCOUNT).canonical()


def test_existing_principals_get_placeholder_and_keep_their_trust(operator: AdminClient, endpoint: str) -> None:
    """A placeholder role trusts EC2, so that instances can use it; policies of the manifest are attached to it."""
    name = f"{ARN}:role/backend_role"
    wanted = Access.of(
        ManagedPolicy(f"{ARN}:policy/p", READ),
        Role(name, None, attached=frozenset({f"{ARN}:policy/p"}), existing=True),
        Group(f"{ARN}:group/g", existing=True),
        User(f"{ARN}:user/u", frozenset({f"{ARN}:group/g"}), existing=True),
    )
    provision({ACCOUNT: wanted}, operator=operator)
    provision({ACCOUNT: wanted}, operator=operator)

    found = read_access(endpoint, ACCOUNT)
    trust = found.roles[name].trust
    assert trust is not None
    assert (Principal("Service", "ec2.amazonaws.com"),) == trust.statements[0].principals
    assert frozenset({f"{ARN}:policy/p"}) == found.roles[name].attached
    assert frozenset({f"{ARN}:group/g"}) == found.users[f"{ARN}:user/u"].groups


def test_principals_are_created_before_trusts_that_name_them(operator: AdminClient) -> None:
    """Accounts are provisioned in waves: a role follows every role and user of another account in its trust policy."""
    roles = [f"arn:aws:iam::22000000000{number}:role/r" for number in range(3)]
    user = "arn:aws:iam::220000000003:user/u"
    chain = Access.of(
        Role(roles[0], trusting(roles[1])), Role(roles[1], trusting(roles[2])), Role(roles[2], trusting(user)), User(user)
    )
    finished: list[str] = []

    done = provision(split_by_account(chain), operator=operator, workers=1, progress=finished.append)

    assert () == done.failed
    # All accounts at once, then the end of the chain first.
    assert ["220000000002", "220000000001", "220000000000"] == finished[4:]


def test_error_of_one_account_is_a_result(operator: AdminClient, endpoint: str) -> None:
    """A policy that IAM rejects is reported with its ARN; the rest of the account and the others are created."""
    bad = ManagedPolicy(f"{ARN}:policy/bad", PolicyDocument((Statement("Maybe", ("s3:GetObject",), ("*",)),)))
    other = Role("arn:aws:iam::210000000002:role/r", trusting(f"{ARN}:root"))
    accesses = split_by_account(Access.of(bad, Role(f"{ARN}:role/r", trusting(f"{ARN}:root")), other))

    done = provision(accesses, operator=operator)

    assert [ACCOUNT] == [account.account_id for account in done.failed]
    (problem,) = done.failed[0].problems
    assert problem.startswith(f"{ARN}:policy/bad: An error occurred (MalformedPolicyDocument)")
    assert [f"{ARN}:role/r"] == list(read_access(endpoint, ACCOUNT).roles)
    assert [other.arn] == list(read_access(endpoint, "210000000002").roles)


def test_unreachable_server_is_an_error_per_account() -> None:
    done = provision({ACCOUNT: everything()}, operator=AdminClient("http://127.0.0.1:1"))

    assert [ACCOUNT] == [account.account_id for account in done.failed]


def test_calls_outside_an_account_are_not_sent(operator: AdminClient) -> None:
    with pytest.raises(OutsideAccountError):
        operator.client("iam").list_roles()


def test_repr_contains_no_password() -> None:
    made = [*creation_steps(Access(), everything(), new_password=lambda: "Very-secret-1")]

    assert any("Very-secret-1" in str(step.arguments) for step in made)
    assert "Very-secret-1" not in repr(made)


def test_access_is_split_by_account() -> None:
    parts = split_by_account(make_plan(manifest_of(3)).access())

    assert ["111111111111", "200000000000", "200000000001", "200000000002"] == sorted(parts)
    assert all(arn.split(":")[4] == account for account, part in parts.items() for arn in part.roles)
