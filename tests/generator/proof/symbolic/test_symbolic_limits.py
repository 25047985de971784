"""What is known besides the trust policy: policies of organizations, and the organizations of accounts."""

from __future__ import annotations

import pytest

from policy_text import Body, document
from rolecall_generator.iam import PolicyDocument
from rolecall_generator.proof.symbolic import (
    InclusionState,
    OrganizationMembership,
    World,
    compare,
)
from rolecall_generator.proof.symbolic.world import WORST_CASE
from symbolic_worlds import BACKEND, NO_CALLERS, ORDINARY_TRUST, ROLE, inclusion, is_proven, trust_policy, witness_of

EVERYTHING = document([{"Effect": "Allow", "Action": "*", "Resource": "*"}])
ACCOUNT = "111111111111"
OWN = "222222222222"


def grant(resource: str = ROLE.arn, effect: str = "Allow", **more: object) -> PolicyDocument:
    """A control policy about assuming roles."""
    return document([{"Effect": effect, "Action": "sts:AssumeRole", "Resource": resource, **more}])


def left_of(trust: PolicyDocument, world: World) -> InclusionState:
    """Whether the limits of the world leave everything that the trust policy allows."""
    return inclusion(trust, trust, world=WORST_CASE, other_world=world).state


def test_condition_of_a_control_policy_is_part_of_the_comparison() -> None:
    conditions = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
    world = World(service_control={ACCOUNT: ((grant(Condition=conditions),),)})

    assert compare(
        ROLE, trust_policy(BACKEND), trust_policy(BACKEND, conditions), world=world, other_world=WORST_CASE
    ).is_equal


def denial(conditions: Body | None = None, **more: object) -> PolicyDocument:
    body = {"Effect": "Deny", "Action": "sts:AssumeRole", "Resource": "*", **more}
    return document([{**body, "Condition": conditions} if conditions else body])


@pytest.mark.parametrize(
    ("levels", "left"),
    [
        (((EVERYTHING,),), InclusionState.PROVEN),
        (((EVERYTHING, denial()),), InclusionState.REFUTED),
        (((EVERYTHING,), ()), InclusionState.REFUTED),
        (((EVERYTHING,), (grant("arn:aws:iam::*:role/other"),)), InclusionState.REFUTED),
        (((EVERYTHING,), (grant(), grant("arn:aws:iam::*:role/other"))), InclusionState.PROVEN),
        (((EVERYTHING, denial({"StringNotEquals": {"aws:PrincipalArn": BACKEND}})),), InclusionState.PROVEN),
    ],
)
def test_every_level_of_service_control_policies_must_allow(
    levels: tuple[tuple[PolicyDocument, ...], ...], left: InclusionState
) -> None:
    plain = trust_policy(BACKEND)

    assert left is left_of(plain, World(service_control={ACCOUNT: levels}))
    assert InclusionState.PROVEN is left_of(plain, World(service_control={OWN: levels}))


def test_service_control_policies_do_not_limit_services() -> None:
    trust = trust_policy({"Service": "ec2.amazonaws.com"})

    assert InclusionState.PROVEN is left_of(trust, World(service_control={OWN: ((EVERYTHING, denial()),)}))


def test_service_linked_role_is_not_certainly_limited() -> None:
    linked = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/x.amazonaws.com/AWSServiceRoleForX"
    trust = trust_policy(linked)

    for world in (World(service_control={ACCOUNT: ((denial(),),)}), World(resource_control=((denial(Principal="*"),),))):
        assert InclusionState.UNKNOWN is left_of(trust, world)
        assert InclusionState.UNKNOWN is inclusion(trust, NO_CALLERS, world=world).state


ALL_RESOURCES = document([{"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": "*"}])


def outsiders(exempt: list[str]) -> World:
    """The data perimeter of a customer: no principal of another organization, apart from exempt accounts."""
    conditions = {
        "StringNotEqualsIfExists": {"aws:PrincipalOrgID": "o-customer", "aws:PrincipalAccount": exempt or ["none"]},
        "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
    }
    return World(
        resource_control=((ALL_RESOURCES,), (ALL_RESOURCES, denial(conditions, Principal="*"))),
        organizations={ACCOUNT: OrganizationMembership("o-vendor"), OWN: OrganizationMembership("o-customer")},
    )


def test_resource_control_policy_stops_the_hand_over() -> None:
    found = compare(ROLE, ORDINARY_TRUST, ORDINARY_TRUST, world=outsiders([]), other_world=WORST_CASE)

    assert InclusionState.PROVEN is found.forward.state
    assert "resource control" in witness_of(found.backward).denial


def test_exemption_lets_the_vendor_in_and_no_one_else() -> None:
    exempt = outsiders([ACCOUNT])
    everyone = trust_policy("*")
    vendor = trust_policy(ACCOUNT)

    assert compare(ROLE, ORDINARY_TRUST, ORDINARY_TRUST, world=exempt, other_world=WORST_CASE).is_equal
    surplus = inclusion(everyone, everyone, world=exempt, other_world=outsiders([]))
    assert witness_of(surplus).request.principal.arn.startswith(f"arn:aws:iam::{ACCOUNT}:")
    assert compare(ROLE, vendor, vendor, world=exempt, other_world=WORST_CASE).is_equal


def test_resource_control_statement_with_another_principal_is_unknown() -> None:
    odd = World(resource_control=((ALL_RESOURCES, denial(Principal={"AWS": BACKEND})),))

    assert InclusionState.UNKNOWN is left_of(ORDINARY_TRUST, odd)


def test_organization_of_a_known_account_is_a_fact() -> None:
    trust = trust_policy(ACCOUNT, "StringEquals aws:PrincipalOrgID o-other")
    world = World(organizations={ACCOUNT: OrganizationMembership("o-vendor", ("o-vendor/r-1/",))})

    assert is_proven(inclusion(trust, NO_CALLERS, world=world))
    witness_of(inclusion(trust, NO_CALLERS))


def test_organization_of_the_role_is_a_constant() -> None:
    trust = trust_policy(BACKEND, "StringEquals aws:ResourceOrgID o-customer")
    plain = trust_policy(BACKEND)

    assert compare(ROLE, trust, plain, world=outsiders([ACCOUNT])).is_equal
    assert is_proven(inclusion(trust, NO_CALLERS, world=World(organizations={OWN: OrganizationMembership("o-x")})))
