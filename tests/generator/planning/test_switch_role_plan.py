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


def test_people_live_in_the_trusted_account_by_default() -> None:
    """Group, user and STS policy are where the people are; the role trusts that account alone."""
    trusting, trusted = sides()

    assert {"arn:aws:iam::078352025563:root"} == principals(trusting)
    assert ["arn:aws:iam::078352025563:group/switchers"] == list(trusted.groups)
    assert not trusting.groups


def test_group_in_trusting_makes_the_role_trust_both_accounts() -> None:
    """As in the notes: the group lives in the trusting account, so that its members can switch the role trusts it too."""
    trusting, trusted = sides(group_in="trusting")

    assert {"arn:aws:iam::078352025563:root", "arn:aws:iam::507074252730:root"} == principals(trusting)
    assert ["arn:aws:iam::507074252730:group/switchers"] == list(trusting.groups)
    assert trusted == Access()


@pytest.mark.parametrize(("wanted", "operators"), [(True, ["Bool"]), (False, [])])
def test_mfa_is_asked_for_with_bool(wanted: bool, operators: list[str]) -> None:
    """MFA is a Bool condition, never BoolIfExists, and is absent only when the manifest says so."""
    trusting, _ = sides(require_mfa=wanted)

    (role,) = trusting.roles.values()
    assert role.trust is not None
    assert operators == [c.operator for s in role.trust.statements for c in s.conditions]


def test_trust_users_names_the_users() -> None:
    """With trust: users the trust lets in the named users alone."""
    trusting, _ = sides(trust="users")

    (role,) = trusting.roles.values()
    assert role.trust is not None
    values = [c.values for s in role.trust.statements for c in s.conditions if c.key == "aws:PrincipalArn"]
    assert [("arn:aws:iam::078352025563:user/reena",)] == values


def test_a_new_group_lets_people_change_their_password_and_register_mfa() -> None:
    """Without these a new user can neither finish the first sign-in nor fulfil the MFA condition."""
    _, trusted = sides()

    policy = trusted.policies["arn:aws:iam::078352025563:policy/switchers-self-service"]
    actions = {action for s in policy.document.statements for action in s.actions}
    assert actions >= {"iam:ChangePassword", "iam:CreateVirtualMFADevice", "iam:EnableMFADevice"}
    assert policy.arn in trusted.groups["arn:aws:iam::078352025563:group/switchers"].attached


def test_an_existing_group_only_gets_the_policy() -> None:
    """A group that exists is looked up, not made, and keeps its own self-service rules."""
    _, trusted = sides(group={"name": "switchers", "existing": True})

    (group,) = trusted.groups.values()
    assert group.existing
    assert frozenset({"arn:aws:iam::078352025563:policy/assume-reena-assumedRole"}) == group.attached
