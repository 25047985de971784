from __future__ import annotations

import pytest

from manifests import customer, manifest_of
from rolecall_generator.errors import PlanError
from rolecall_generator.iam import quotas
from rolecall_generator.iam.model import Access, ModuleKind
from rolecall_generator.planning.planner import Plan, make_plan


def backend_access(plan: Plan) -> Access:
    return next(module for module in plan.modules if module.kind is ModuleKind.BACKEND).build().access


def covered(access: Access) -> list[str]:
    """All role ARNs in the backend's policies."""
    return [arn for policy in access.policies.values() for s in policy.document.statements for arn in s.resources]


def trust_of(plan: Plan, name: str) -> str:
    """The only principal that a customer's role trusts."""
    module = next(module for module in plan.modules if module.subject == name).build()
    (role,) = module.access.roles.values()
    assert role.trust is not None
    return role.trust.statements[0].principals[0].identifier


def test_every_customer_is_granted_once_within_the_quota() -> None:
    """1,130 customers are granted once each, and no policy exceeds 6,144 characters."""
    manifest = manifest_of(1_130)

    access = backend_access(make_plan(manifest))

    assert sorted({f"arn:aws:iam::{200000000000 + n}:role/vendor/VendorAccess" for n in range(1_130)}) == sorted(
        covered(access)
    )
    assert max(p.document.size for p in access.policies.values()) <= quotas.MANAGED_POLICY_CHARACTERS


def test_minimum_number_of_policies_is_used() -> None:
    """113 grants of 50 characters fill a policy with the empty Sid of provider 3.39; one more needs a second policy."""
    assert len(backend_access(make_plan(manifest_of(113))).policies) == 1
    assert len(backend_access(make_plan(manifest_of(114))).policies) == 2


def test_added_customer_changes_one_policy() -> None:
    """A customer added in the middle of the manifest changes no other policy."""
    before = make_plan(manifest_of(500))
    customers = [customer(number) for number in range(500)]
    customers.insert(100, customer(9_000))

    after = make_plan(manifest_of(0, customers=customers), before.assignment.slots)

    old, new = backend_access(before).policies, backend_access(after).policies
    assert len([arn for arn in new if new[arn] != old.get(arn)]) == 1


def test_exceeded_quota_is_error_with_limit_and_alternatives() -> None:
    """The error has the number of customers that fit, and all three alternatives."""
    with pytest.raises(PlanError) as caught:
        make_plan(manifest_of(1_200))

    assert "1,130 of " in caught.value.what
    hint = caught.value.hint or ""
    assert "role_managed_policies" in hint
    assert "fixed-role-name" in hint
    assert "backend.roles" in hint


def test_increased_quota_allows_more_customers() -> None:
    """With 25 managed policies, 1,200 customers fit in one role."""
    plan = make_plan(manifest_of(1_200, quotas={"role_managed_policies": 25}))

    assert len(plan.assignment.slots) == 1_200


def test_fixed_role_name_grant_lists_accounts() -> None:
    """The grant is for one role name in only the listed accounts, and a policy holds more customers."""
    plan = make_plan(manifest_of(1_200, backend={"account_id": "111111111111", "grant": "fixed-role-name"}))

    access = backend_access(plan)

    statements = [s for policy in access.policies.values() for s in policy.document.statements]
    assert {"arn:aws:iam::*:role/vendor/VendorAccess"} == {arn for s in statements for arn in s.resources}
    assert {"aws:ResourceAccount"} == {condition.key for s in statements for condition in s.conditions}
    assert 1_200 == sum(len(condition.values) for s in statements for condition in s.conditions)
    assert len(access.policies) == 4


def test_several_backend_roles_share_the_customers() -> None:
    """With two roles, 1,200 customers fit, and each customer's trust policy names the role with its grant."""
    backend = {"account_id": "111111111111", "roles": [{"name": "one"}, {"name": "two"}]}
    manifest = manifest_of(1_200, backend=backend)

    plan = make_plan(manifest)

    assert trust_of(plan, "customer0") == "arn:aws:iam::111111111111:role/one"
    assert trust_of(plan, "customer1199") == "arn:aws:iam::111111111111:role/two"


def test_customer_can_select_its_backend_role() -> None:
    """The selected role has the grant, and the customer's trust policy names it."""
    backend = {"account_id": "111111111111", "roles": [{"name": "one"}, {"name": "two"}]}
    manifest = manifest_of(0, backend=backend, customers=[customer(1, backend_role="two")])

    assert trust_of(make_plan(manifest), "customer1") == "arn:aws:iam::111111111111:role/two"


def test_new_backend_role_has_instance_profile() -> None:
    """With `existing: false`, the role is created, trusts EC2, and has an instance profile."""
    access = backend_access(make_plan(manifest_of(1, backend={"account_id": "111111111111", "role": {"existing": False}})))

    (role,) = access.roles.values()
    (profile,) = access.instance_profiles.values()
    assert role.trust is not None
    assert role.trust.statements[0].principals[0].identifier == "ec2.amazonaws.com"
    assert profile.role == role.arn


def test_session_tags_are_granted_on_both_sides() -> None:
    """sts:TagSession is only in the backend's policy and in the trust policy of the customer that allows it."""
    manifest = manifest_of(0, customers=[customer(1, session_tags=True), customer(2)])
    plan = make_plan(manifest)

    tagged = [
        s for p in backend_access(plan).policies.values() for s in p.document.statements if "sts:TagSession" in s.actions
    ]
    assert ["arn:aws:iam::200000000001:role/vendor/VendorAccess"] == [arn for s in tagged for arn in s.resources]


def test_permission_set_over_quota_is_rejected_by_the_plan() -> None:
    """AWS would reject the inline policies only during apply."""
    resources = [f"arn:aws:s3:::bucket-{number:04}/*" for number in range(500)]
    sets = {"read": {"statements": [{"actions": ["s3:GetObject"], "resources": resources}]}}

    with pytest.raises(PlanError) as caught:
        make_plan(manifest_of(1, permission_sets=sets))

    assert "10,240" in caught.value.what
