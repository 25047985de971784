from __future__ import annotations

from typing import Any

import pytest

from manifests import manifest_of
from rolecall_generator.iam.model import Access
from rolecall_generator.planning.planner import make_plan


def sides(**changes: Any) -> tuple[Access, Access]:
    """The access of the trusting and the trusted module of one switch role."""
    entry = {
        "name": "r-in-s",
        "trusting": {"name": "sumesh", "account_id": "507074252730"},
        "trusted": {"name": "reena", "account_id": "078352025563"},
        "role": "reena-assumedRole",
        "group": "switchers",
        "users": [{"name": "reena", "console_password": True}],
    } | changes
    plan = make_plan(manifest_of(0, switch_roles=[entry]))
    trusting, trusted = (module.build().access for module in plan.modules if module.subject == "r-in-s")
    return trusting, trusted


def principals(access: Access) -> set[str]:
    (role,) = access.roles.values()
    assert role.trust is not None
    return {principal.identifier for s in role.trust.statements for principal in s.principals}


def test_users_are_in_the_trusted_account_by_default() -> None:
    """Group, users and STS policy are in the trusted account; the role trusts only that account."""
    trusting, trusted = sides()

    assert {"arn:aws:iam::078352025563:root"} == principals(trusting)
    assert ["arn:aws:iam::078352025563:group/switchers"] == list(trusted.groups)
    assert not trusting.groups


def test_group_in_trusting_makes_the_role_trust_both_accounts() -> None:
    """As in the example accounts: the role also trusts its own account, so that members of the group can switch."""
    trusting, trusted = sides(group_in="trusting")

    assert {"arn:aws:iam::078352025563:root", "arn:aws:iam::507074252730:root"} == principals(trusting)
    assert ["arn:aws:iam::507074252730:group/switchers"] == list(trusting.groups)
    assert trusted == Access()


@pytest.mark.parametrize(("wanted", "operators"), [(True, ["Bool"]), (False, [])])
def test_mfa_condition_uses_bool(wanted: bool, operators: list[str]) -> None:
    """The operator is Bool, never BoolIfExists; the condition is absent only if the manifest disables MFA."""
    trusting, _ = sides(require_mfa=wanted)

    (role,) = trusting.roles.values()
    assert role.trust is not None
    assert operators == [c.operator for s in role.trust.statements for c in s.conditions]


def test_trust_users_trusts_only_the_named_users() -> None:
    trusting, _ = sides(trust="users")

    (role,) = trusting.roles.values()
    assert role.trust is not None
    values = [c.values for s in role.trust.statements for c in s.conditions if c.key == "aws:PrincipalArn"]
    assert [("arn:aws:iam::078352025563:user/reena",)] == values


def test_new_group_can_change_passwords_and_register_mfa() -> None:
    """Without these permissions a new user can neither complete the first sign-in nor satisfy the MFA condition."""
    _, trusted = sides()

    policy = trusted.policies["arn:aws:iam::078352025563:policy/switchers-self-service"]
    actions = {action for s in policy.document.statements for action in s.actions}
    assert actions >= {"iam:ChangePassword", "iam:CreateVirtualMFADevice", "iam:EnableMFADevice"}
    assert policy.arn in trusted.groups["arn:aws:iam::078352025563:group/switchers"].attached


def test_existing_group_gets_only_the_policy() -> None:
    """It is looked up, not created, and its own permissions are unchanged."""
    _, trusted = sides(group={"name": "switchers", "existing": True})

    (group,) = trusted.groups.values()
    assert group.existing
    assert frozenset({"arn:aws:iam::078352025563:policy/assume-reena-assumedRole"}) == group.attached
