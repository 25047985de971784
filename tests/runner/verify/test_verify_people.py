"""Switch roles: the users' prerequisites are read in both accounts, and missing or extra access is reported; over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from manifests import manifest_of
from rolecall_generator.iam.model import Access
from rolecall_generator.planning.planner import make_plan
from rolecall_runner.aws.credentials import Credentials
from rolecall_runner.inventory.targets import Target, TargetKind
from rolecall_runner.sandbox.protocol.aws_protocol import OPERATOR_ROLE
from rolecall_runner.sandbox.provisioning.provision import AdminClient, provision, split_by_account
from rolecall_runner.verify.drift import check_switch_role
from rolecall_runner.verify.verdict import Check, Mark
from sandbox_rig import OPERATOR, REGION, Rig, allow, running, trust
from verify_rig import Stage, staged

TRUSTING, TRUSTED = "507074252730", "078352025563"
ROLE = f"arn:aws:iam::{TRUSTING}:role/reena-assumedRole"
SWITCH = {
    "name": "reena-in-sumesh",
    "trusting": {"name": "sumesh", "account_id": TRUSTING},
    "trusted": {"name": "reena", "account_id": TRUSTED},
    "role": "reena-assumedRole",
    "permissions": ["read"],
    "group": "reena-switchers",
    "users": [{"name": "reena", "console_password": True}],
    "require_mfa": True,
}


@dataclass
class House:
    """Both accounts, created as in the manifest, with an MFA device for every user."""

    stage: Stage
    access: Access

    def iam(self, account_id: str = TRUSTED) -> Any:
        return self.stage.rig.administrator(account_id)

    def ask(self, *accounts: str, **readers: Credentials) -> dict[str, Check]:
        """The checks by subject: switch, role, group, user."""
        context = self.stage.intending(TARGET, self.access)
        given = {**{account: reader(self.stage.rig, account) for account in accounts}, **readers}
        checks = list(check_switch_role(TARGET, replace(context, readers=given)))
        return dict(zip(("switch", "role", "group", "user"), checks, strict=True))


TARGET = Target(
    "reena-in-sumesh",
    TRUSTING,
    "aws",
    ROLE,
    backend_role_arn=f"arn:aws:iam::{TRUSTED}:root",
    regions=(REGION,),
    kind=TargetKind.SWITCH_ROLE,
    require_mfa=True,
)


def reader(rig: Rig, account_id: str) -> Credentials:
    """Credentials of an account's administrator."""
    got = rig.assume(OPERATOR, f"arn:aws:iam::{account_id}:role/{OPERATOR_ROLE}")
    return Credentials(got.access_key, got.secret, got.session_token, rig.clock.now)


@pytest.fixture
def house() -> Iterator[House]:
    """A sandbox with both accounts of one switch role."""
    plan = make_plan(manifest_of(switch_roles=[SWITCH]))
    access = Access.union(module.build().access for module in plan.modules if "switch-roles" in module.path)
    with running() as rig, staged(rig) as stage:
        provision(split_by_account(access), operator=AdminClient(rig.sandbox.url, partition="aws"))
        made = House(stage, access)
        device = made.iam().create_virtual_mfa_device(VirtualMFADeviceName="reena")["VirtualMFADevice"]["SerialNumber"]
        made.iam().enable_mfa_device(
            UserName="reena", SerialNumber=device, AuthenticationCode1="123456", AuthenticationCode2="654321"
        )
        yield made


def test_switch_role_as_in_manifest_is_ready(house: House) -> None:
    """Role, group and user are ok; the switch itself is reported as not checkable."""
    checks = house.ask(TRUSTING, TRUSTED)

    assert {"switch": Mark.SKIPPED, "role": Mark.OK, "group": Mark.OK, "user": Mark.OK} == {
        name: check.mark for name, check in checks.items()
    }
    assert "only a user can" in checks["switch"].what
    assert "user reena can switch" == checks["user"].what


def test_without_credentials_all_checks_are_skipped(house: House) -> None:
    """Each check names the account that could not be read."""
    checks = house.ask()

    assert {Mark.SKIPPED} == {check.mark for check in checks.values()}
    assert TRUSTING in checks["role"].what
    assert TRUSTED in checks["user"].what


def test_credentials_for_one_account_check_only_that_account(house: House) -> None:
    """Credentials for the users' account do not cover the role."""
    checks = house.ask(TRUSTED)

    assert (Mark.SKIPPED, Mark.OK, Mark.OK) == (checks["role"].mark, checks["group"].mark, checks["user"].mark)


def without_device(iam: Any) -> None:
    serial = iam.list_mfa_devices(UserName="reena")["MFADevices"][0]["SerialNumber"]
    iam.deactivate_mfa_device(UserName="reena", SerialNumber=serial)


def without_statement(iam: Any) -> None:
    arn = f"arn:aws:iam::{TRUSTED}:policy/assume-reena-assumedRole"
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(allow("sts:GetCallerIdentity")), SetAsDefault=True)


def without_policy(iam: Any) -> None:
    iam.detach_group_policy(GroupName="reena-switchers", PolicyArn=f"arn:aws:iam::{TRUSTED}:policy/assume-reena-assumedRole")


@pytest.mark.parametrize(
    ("change", "part", "words"),
    [
        (without_device, "user", "has no MFA device"),
        (lambda iam: iam.delete_login_profile(UserName="reena"), "user", "loses the console password"),
        (lambda iam: iam.remove_user_from_group(UserName="reena", GroupName="reena-switchers"), "user", "leaves group"),
        (without_policy, "group", "loses policy"),
        (without_policy, "user", "user reena may not switch"),
        (without_statement, "group", "no longer allows"),
        (without_statement, "user", "user reena may not switch"),
        (
            lambda iam: iam.put_group_policy(
                GroupName="reena-switchers", PolicyName="more", PolicyDocument=json.dumps(allow("s3:*"))
            ),
            "group",
            "s3:*",
        ),
    ],
)
def test_missing_prerequisite_of_user_fails(house: House, change: Callable[[Any], Any], part: str, words: str) -> None:
    change(house.iam())
    check = house.ask(TRUSTING, TRUSTED)[part]

    assert Mark.FAILED == check.mark
    assert words in check.what


def test_further_group_of_user_is_a_note(house: House) -> None:
    """Other memberships are up to the users' account."""
    house.iam().create_group(GroupName="others")
    house.iam().add_user_to_group(UserName="reena", GroupName="others")
    check = house.ask(TRUSTING, TRUSTED)["user"]

    assert Mark.OK == check.mark
    assert "others" in check.evidence["notes"][0]


def test_trust_without_mfa_condition_fails(house: House) -> None:
    """The role could be assumed with only a long-term key."""
    document = json.dumps(trust(f"arn:aws:iam::{TRUSTED}:root"))
    house.iam(TRUSTING).update_assume_role_policy(RoleName="reena-assumedRole", PolicyDocument=document)
    check = house.ask(TRUSTING, TRUSTED)["role"]

    assert Mark.FAILED == check.mark
    assert "without MFA" in check.what


def test_deleted_user_fails(house: House) -> None:
    """IAM answers NoSuchEntity."""
    iam = house.iam()
    without_device(iam)
    iam.delete_login_profile(UserName="reena")
    iam.remove_user_from_group(UserName="reena", GroupName="reena-switchers")
    iam.delete_user(UserName="reena")
    check = house.ask(TRUSTED)["user"]

    assert (Mark.FAILED, "user reena does not exist") == (check.mark, check.what)


def test_reader_without_permissions_skips_with_reason_of_iam(house: House) -> None:
    """Missing permissions of the reader are not a finding about the users."""
    _, key = house.stage.rig.user(TRUSTED, "asker", "sqs:ListQueues")
    checks = house.ask(**{TRUSTED: Credentials(key.access_key, key.secret, None, house.stage.rig.clock.now)})

    assert (Mark.SKIPPED, "AccessDenied") == (checks["user"].mark, checks["user"].code)
    assert "user reena is not checkable: iam:GetUser" in checks["user"].what
    assert (Mark.SKIPPED, "AccessDenied") == (checks["group"].mark, checks["group"].code)
