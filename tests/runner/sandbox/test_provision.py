"""Provisioning of Access: everything is created, a second run changes nothing, errors are values."""

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
    """An empty sandbox: it refuses a trust that names a missing principal, so the order matters."""
    with Sandbox() as sandbox:
        yield sandbox.url


@pytest.fixture
def operator(endpoint: str) -> AdminClient:
    """Its operator."""
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


def test_everything_that_access_can_hold_stands_after_provisioning(operator: AdminClient, endpoint: str) -> None:
    """Read back from IAM, the account is what was wanted."""
    done = provision({ACCOUNT: everything()}, operator=operator)

    assert () == done.failed
    assert everything().canonical() == read_access(endpoint, ACCOUNT).canonical()


def test_a_second_run_changes_nothing(operator: AdminClient) -> None:
    """Existing resources cause no changing call, for the example manifest and for an account with every kind."""
    accesses = {**split_by_account(make_plan(notes_manifest()).access()), ACCOUNT: everything()}

    first = provision(accesses, operator=operator)
    second = provision(accesses, operator=operator)

    assert len(accesses) <= first.changes
    assert 0 == second.changes
    assert () == second.failed


@pytest.mark.parametrize("kind", ["roles", "policies", "groups", "users", "instance_profiles"])
def test_changed_parts_come_to_what_is_wanted(operator: AdminClient, endpoint: str, kind: str) -> None:
    """A part that differs is updated, and the rest is kept."""
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


def test_existing_principals_are_made_bare_and_keep_their_trust(operator: AdminClient, endpoint: str) -> None:
    """A role of before trusts EC2, so that instances can run under it; what a manifest attaches to it is attached."""
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


def test_principals_stand_before_the_trusts_that_name_them(operator: AdminClient) -> None:
    """Accounts are filled in waves: a role is made after every role and foreign user that its trust names."""
    roles = [f"arn:aws:iam::22000000000{number}:role/r" for number in range(3)]
    user = "arn:aws:iam::220000000003:user/u"
    chain = Access.of(
        Role(roles[0], trusting(roles[1])), Role(roles[1], trusting(roles[2])), Role(roles[2], trusting(user)), User(user)
    )
    finished: list[str] = []

    done = provision(split_by_account(chain), operator=operator, workers=1, progress=finished.append)

    assert () == done.failed
    # All accounts once, then the last of the chain first.
    assert ["220000000002", "220000000001", "220000000000"] == finished[4:]


def test_what_one_account_refuses_is_a_value_and_the_others_go_on(operator: AdminClient, endpoint: str) -> None:
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


def test_a_server_that_is_gone_is_a_value_for_each_account() -> None:
    """No connection is a problem of every account, not an exception."""
    done = provision({ACCOUNT: everything()}, operator=AdminClient("http://127.0.0.1:1"))

    assert [ACCOUNT] == [account.account_id for account in done.failed]


def test_calls_outside_an_account_never_go_out(operator: AdminClient) -> None:
    """Calls outside of an account are not signed."""
    with pytest.raises(OutsideAccountError):
        operator.client("iam").list_roles()


def test_passwords_are_in_no_representation() -> None:
    """The repr of a step has only operation and subject."""
    made = [*creation_steps(Access(), everything(), new_password=lambda: "Very-secret-1")]

    assert any("Very-secret-1" in str(step.arguments) for step in made)
    assert "Very-secret-1" not in repr(made)


def test_customers_are_parted_by_account() -> None:
    """One Access of a whole manifest is the union of the accounts' own."""
    parts = split_by_account(make_plan(manifest_of(3)).access())

    assert ["111111111111", "200000000000", "200000000001", "200000000002"] == sorted(parts)
    assert all(arn.split(":")[4] == account for account, part in parts.items() for arn in part.roles)
