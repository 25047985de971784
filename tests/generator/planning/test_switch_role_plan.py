"""Switch roles: both sides of one, and those that share a group: one module has group, users and policy."""

from __future__ import annotations

from typing import Any

import pytest

from manifests import manifest_of, switch_role
from rolecall_generator.errors import PlanError
from rolecall_generator.iam.model import Access, Module
from rolecall_generator.iam.quotas import GROUP_MANAGED_POLICIES, MANAGED_POLICY_CHARACTERS
from rolecall_generator.planning.planner import make_plan
from rolecall_generator.terraform.render import render_module


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


HUB = "333333333333"
GROUP = f"arn:aws:iam::{HUB}:group/ops"
ANN = f"arn:aws:iam::{HUB}:user/ann"


def access(number: int, **changes: Any) -> dict[str, Any]:
    """A switch role into one account; the first creates group and user, the others refer to them as existing."""
    name, existing = f"acct{number:02}", number > 0
    names = {"role": "OperationsReadOnly", "policy": f"assume-{name}", "group": {"name": "ops", "existing": existing}}
    people = {"users": [{"name": "ann", "existing": existing}]}
    return switch_role(name, f"22222222{number:04}", HUB, **names | people | changes)


def modules(*entries: dict[str, Any]) -> dict[str, Module]:
    return {module.path: module.build() for module in make_plan(manifest_of(0, switch_roles=list(entries))).modules}


def targets(module: Module) -> list[str]:
    """Account IDs of the roles that the module's group can assume."""
    return [
        arn.split(":")[4]
        for policy in module.access.policies.values()
        if "self-service" not in policy.arn
        for statement in policy.document.statements
        for arn in statement.resources
    ]


@pytest.mark.parametrize("count", [2, 10, 40, 400])
def test_group_of_many_accesses_is_in_one_module(count: int) -> None:
    """No group, user, membership or policy is in two modules, and the plan is within AWS quotas."""
    found = modules(*map(access, range(count)))
    holder = found["switch-roles/acct00/trusted"]

    owners = [module.path for module in found.values() if module.access.groups or module.access.users]
    assert [holder.path] == owners
    assert [Access()] * (count - 1) == [found[f"switch-roles/acct{n:02}/trusted"].access for n in range(1, count)]
    assert {f"22222222{number:04}" for number in range(count)} == set(targets(holder))
    assert len(holder.access.groups[GROUP].attached) <= GROUP_MANAGED_POLICIES
    assert all(policy.document.size <= MANAGED_POLICY_CHARACTERS for policy in holder.access.policies.values())


def test_single_access_is_unchanged() -> None:
    """Names, paths and files are those of a switch role with its own group; no resource has prevent_destroy."""
    (_, trusted) = list(modules(access(0, policy=None)).values())[-2:]
    text = render_module(trusted, "accounts.yaml")["main.tf"]

    assert "switch-roles/acct00/trusted" == trusted.path
    assert [f"arn:aws:iam::{HUB}:policy/assume-OperationsReadOnly", f"arn:aws:iam::{HUB}:policy/ops-self-service"] == list(
        trusted.access.policies
    )
    assert "prevent_destroy" not in text


@pytest.mark.parametrize("removed", range(1, 4))
def test_removed_access_removes_only_its_role(removed: int) -> None:
    """Group, users, memberships and names are kept in their module, and nothing is created."""
    before = modules(*map(access, range(4)))["switch-roles/acct00/trusted"].access
    after = modules(*(access(number) for number in range(4) if number != removed))["switch-roles/acct00/trusted"].access

    assert (before.groups, before.users) == (after.groups, after.users)
    assert before.policies.keys() == after.policies.keys()
    (name,) = (arn for arn in before.policies if "assume" in arn)
    assert before.policies[name].description == after.policies[name].description
    gone = set(before.policies[name].document.statements[0].resources) - set(
        after.policies[name].document.statements[0].resources
    )
    assert {f"arn:aws:iam::22222222{removed:04}:role/OperationsReadOnly"} == gone


def test_removing_the_creating_access_moves_the_group_to_the_next() -> None:
    """The next module refers to group and user as existing and does not create them."""
    found = modules(access(1), access(2))
    holder = found["switch-roles/acct01/trusted"].access

    assert {"222222220001", "222222220002"} == set(targets(found["switch-roles/acct01/trusted"]))
    assert (True, True) == (holder.groups[GROUP].existing, holder.users[ANN].existing)
    assert frozenset({GROUP}) == holder.users[ANN].groups
    assert Access() == found["switch-roles/acct02/trusted"].access


def test_members_of_all_accesses_are_in_one_module() -> None:
    """A user of a later access is created there, with that access's tags."""
    found = modules(access(0), access(1, users=[{"name": "bob"}, {"name": "ann", "existing": True}], tags={"team": "x"}))
    users = found["switch-roles/acct00/trusted"].access.users

    assert {ANN: {}, ANN.replace("ann", "bob"): {"team": "x"}} == {arn: user.tags for arn, user in users.items()}
    assert not any(user.existing for user in users.values())


@pytest.mark.parametrize(
    ("entries", "protected"),
    [
        ((access(0), access(1)), ["aws_iam_group", "aws_iam_user", "aws_iam_user_group_membership"]),
        ((access(1), access(2)), ["aws_iam_user_group_membership"]),
        ((access(1, users=[]), access(2, users=[])), ["aws_iam_policy"]),
        ((access(0), access(1, group="audit")), ["aws_iam_group", "aws_iam_user", "aws_iam_user_group_membership"]),
        ((access(0), access(1, group="audit", users=[])), []),
    ],
    ids=["created", "existing", "nobody", "user of another group", "nothing shared"],
)
def test_shared_resources_have_prevent_destroy(entries: tuple[dict[str, Any], ...], protected: list[str]) -> None:
    """`terraform destroy` of the module fails as long as other accesses need its resources."""
    module = next(iter(module for module in modules(*entries).values() if module.access.groups))
    blocks = render_module(module, "accounts.yaml")["main.tf"].split("\nresource ")

    assert protected == [block.split('"')[1] for block in blocks if "prevent_destroy = true" in block]


def test_group_in_trusting_account_is_shared() -> None:
    """With both roles and the group in one account, one module has the group, and each module has its own role."""
    same = {"trusting": {"name": "prod", "account_id": "222222222200"}, "group_in": "trusting"}
    found = modules(access(0, **same), access(1, **same, role="Other"))

    assert ["switch-roles/acct00/trusting"] == [module.path for module in found.values() if module.access.groups]
    assert [1, 1] == [len(found[f"switch-roles/acct{number:02}/trusting"].access.roles) for number in range(2)]


def test_exceeded_policy_quota_of_group_is_error() -> None:
    """It is raised before anything is written, and has the quota."""
    entries = [access(0, path=f"/{'x' * 40}/")]
    entries += [access(number, path=f"/{'x' * 40}/", role="OperationsR") for number in range(1, 800)]

    with pytest.raises(PlanError, match="managed policies; the quota of a group is 10"):
        modules(*entries)
