"""Switch roles: what people need is read on both sides, and what is missing or too much is said; over HTTP."""

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
from rolecall_runner.sandbox.protocol.http_types import OPERATOR_ROLE
from rolecall_runner.sandbox.provisioning.provision import AdminClient, provision, split_by_account
from rolecall_runner.verify.switch_role_users import check_switch_role
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
    """Both accounts, made as the manifest says, with an MFA device for everybody."""

    stage: Stage
    access: Access

    def iam(self, account_id: str = TRUSTED) -> Any:
        return self.stage.rig.administrator(account_id)

    def ask(self, *accounts: str, **readers: Credentials) -> dict[str, Check]:
        """The checks by what they are about: switch, role, group, user."""
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
    """A sandbox with both sides of one switch role."""
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


def test_a_switch_role_as_agreed_is_ready_for_its_people(house: House) -> None:
    """Role, group and user are good; the switch itself is not checkable, and that is said."""
    checks = house.ask(TRUSTING, TRUSTED)

    assert {"switch": Mark.SKIPPED, "role": Mark.OK, "group": Mark.OK, "user": Mark.OK} == {
        name: check.mark for name, check in checks.items()
    }
    assert "only a user can" in checks["switch"].what
    assert "user reena can switch" == checks["user"].what


def test_without_credentials_nothing_is_claimed(house: House) -> None:
    """Each part is skipped and names the account that no one may read."""
    checks = house.ask()

    assert {Mark.SKIPPED} == {check.mark for check in checks.values()}
    assert TRUSTING in checks["role"].what
    assert TRUSTED in checks["user"].what


def test_one_side_alone_is_checked_as_far_as_it_goes(house: House) -> None:
    """Credentials for the people's account say nothing of the role's."""
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
def test_what_a_person_lacks_is_said(house: House, change: Callable[[Any], Any], part: str, words: str) -> None:
    """Device, password, membership, policy and its text: each missing thing fails its own part."""
    change(house.iam())
    check = house.ask(TRUSTING, TRUSTED)[part]

    assert Mark.FAILED == check.mark
    assert words in check.what


def test_another_group_of_a_person_is_a_note(house: House) -> None:
    """What else people are in their own account is theirs."""
    house.iam().create_group(GroupName="others")
    house.iam().add_user_to_group(UserName="reena", GroupName="others")
    check = house.ask(TRUSTING, TRUSTED)["user"]

    assert Mark.OK == check.mark
    assert "others" in check.evidence["notes"][0]


def test_a_trust_that_no_longer_asks_for_mfa_fails(house: House) -> None:
    """The role would let people in with a long-term key alone."""
    document = json.dumps(trust(f"arn:aws:iam::{TRUSTED}:root"))
    house.iam(TRUSTING).update_assume_role_policy(RoleName="reena-assumedRole", PolicyDocument=document)
    check = house.ask(TRUSTING, TRUSTED)["role"]

    assert Mark.FAILED == check.mark
    assert "without MFA" in check.what


def test_a_user_that_is_gone_fails(house: House) -> None:
    """IAM's NoSuchEntity is said as what it is."""
    iam = house.iam()
    without_device(iam)
    iam.delete_login_profile(UserName="reena")
    iam.remove_user_from_group(UserName="reena", GroupName="reena-switchers")
    iam.delete_user(UserName="reena")
    check = house.ask(TRUSTED)["user"]

    assert (Mark.FAILED, "user reena does not exist") == (check.mark, check.what)


def test_a_reader_that_may_not_read_is_skipped_with_iams_reason(house: House) -> None:
    """Credentials without permissions are no finding about the people."""
    _, key = house.stage.rig.user(TRUSTED, "asker", "sqs:ListQueues")
    checks = house.ask(**{TRUSTED: Credentials(key.access_key, key.secret, None, house.stage.rig.clock.now)})

    assert (Mark.SKIPPED, "AccessDenied") == (checks["user"].mark, checks["user"].code)
    assert "user reena is not checkable: iam:GetUser" in checks["user"].what
    assert (Mark.SKIPPED, "AccessDenied") == (checks["group"].mark, checks["group"].code)
