"""Trust policies are bound to principals, not to names: effects of deleting and recreating a trusted principal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox_rig import BACKEND, CUSTOMER, TARGET, VENDOR, Rig, allow, outcome, running, service_trust, trust

ASSUMED, DENIED = ("", 200), ("AccessDenied", 403)


@pytest.fixture
def rig() -> Iterator[Rig]:
    with running() as rig:
        make_backend(rig)
        yield rig


def make_backend(rig: Rig) -> None:
    rig.role(VENDOR, "backend_role", service_trust(), main=allow("sts:AssumeRole"))


def delete_backend(rig: Rig) -> None:
    iam = rig.administrator(VENDOR)
    iam.delete_role_policy(RoleName="backend_role", PolicyName="main")
    iam.delete_role(RoleName="backend_role")


def try_target(rig: Rig) -> Any:
    """The result of the backend role's attempt: code and status."""
    return outcome(rig.assume, credentials=rig.sandbox.instance_credentials(BACKEND), role_arn=TARGET)


def stored_principal(rig: Rig) -> Any:
    role = rig.administrator(CUSTOMER).get_role(RoleName="target")["Role"]
    return role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["AWS"]


def test_recreated_role_is_not_trusted(rig: Rig) -> None:
    """The trust policy has the ID of the deleted role; it works again once it is saved again."""
    rig.role(CUSTOMER, "target", trust(BACKEND))
    before = try_target(rig)
    unique_id = rig.administrator(VENDOR).get_role(RoleName="backend_role")["Role"]["RoleId"]

    delete_backend(rig)
    make_backend(rig)

    assert ASSUMED == before
    assert [unique_id] == stored_principal(rig)
    assert DENIED == try_target(rig)
    rig.administrator(CUSTOMER).update_assume_role_policy(RoleName="target", PolicyDocument=json.dumps(trust(BACKEND)))
    assert ASSUMED == try_target(rig)
    assert [BACKEND] == stored_principal(rig)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(trust(f"arn:aws:iam::{VENDOR}:root"), id="account root"),
        pytest.param(trust(VENDOR, ArnEquals={"aws:PrincipalArn": BACKEND}), id="aws:PrincipalArn"),
    ],
)
def test_trusted_account_survives_recreated_role(rig: Rig, document: dict[str, Any]) -> None:
    """The trust policy names the account, so any of its roles is accepted."""
    rig.role(CUSTOMER, "target", document)

    delete_backend(rig)
    make_backend(rig)

    assert ASSUMED == try_target(rig)


def test_recreated_user_is_not_trusted(rig: Rig) -> None:
    """The old access keys do not work for the new user."""
    arn, key = rig.user(VENDOR, "reena", "sts:AssumeRole")
    rig.role(CUSTOMER, "target", trust(arn))
    iam = rig.administrator(VENDOR)
    iam.delete_access_key(UserName="reena", AccessKeyId=key.access_key)
    iam.delete_user_policy(UserName="reena", PolicyName="main")
    unique_id = iam.get_user(UserName="reena")["User"]["UserId"]
    iam.delete_user(UserName="reena")

    _, fresh = rig.user(VENDOR, "reena", "sts:AssumeRole")

    assert [unique_id] == stored_principal(rig)
    assert DENIED == outcome(rig.assume, credentials=fresh, role_arn=TARGET)
    assert ("InvalidClientTokenId", 403) == outcome(rig.assume, credentials=key, role_arn=TARGET)


def test_renamed_user_stays_trusted(rig: Rig) -> None:
    """The trust policy follows the unique ID to the new name."""
    arn, key = rig.user(VENDOR, "reena", "sts:AssumeRole")
    rig.role(CUSTOMER, "target", trust(arn))

    rig.administrator(VENDOR).update_user(UserName="reena", NewUserName="meena")

    assert [f"arn:aws:iam::{VENDOR}:user/meena"] == stored_principal(rig)
    assert rig.assume(key, TARGET).session_token


def test_unique_id_of_existing_principal_becomes_its_arn(rig: Rig) -> None:
    unique_id = rig.administrator(VENDOR).get_role(RoleName="backend_role")["Role"]["RoleId"]

    rig.role(CUSTOMER, "target", trust(unique_id))

    assert [BACKEND] == stored_principal(rig)


def test_identity_policy_change_applies_at_once(rig: Rig) -> None:
    """Without the backend role's permission the next assume is refused, and with it allowed again."""
    rig.role(CUSTOMER, "target", trust(BACKEND))
    iam = rig.administrator(VENDOR)

    iam.delete_role_policy(RoleName="backend_role", PolicyName="main")
    without = try_target(rig)
    iam.put_role_policy(RoleName="backend_role", PolicyName="main", PolicyDocument=json.dumps(allow("sts:*")))

    assert DENIED == without
    assert ASSUMED == try_target(rig)


def test_permissions_boundary_of_user_restricts_assume(rig: Rig) -> None:
    """Moto does not store the boundary; the sandbox stores, returns and enforces it until it is deleted."""
    arn, key = rig.user(VENDOR, "reena", "sts:AssumeRole")
    rig.role(CUSTOMER, "target", trust(arn))
    iam = rig.administrator(VENDOR)
    policy = iam.create_policy(PolicyName="only-s3", PolicyDocument=json.dumps(allow("s3:*")))["Policy"]["Arn"]

    iam.put_user_permissions_boundary(UserName="reena", PermissionsBoundary=policy)

    assert policy == iam.get_user(UserName="reena")["User"]["PermissionsBoundary"]["PermissionsBoundaryArn"]
    assert DENIED == outcome(rig.assume, credentials=key, role_arn=TARGET)
    iam.delete_user_permissions_boundary(UserName="reena")
    assert rig.assume(key, TARGET).session_token
