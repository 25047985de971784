"""What is known besides the trust policy: policies of callers and of organizations, tags, organizations of accounts."""

from __future__ import annotations

import pytest

from policy_text import Body, document
from rolecall_generator.iam import Access, ManagedPolicy, PolicyDocument, Role, User
from rolecall_generator.proof.symbolic import (
    InclusionState,
    OrganizationMembership,
    World,
    compare,
)
from rolecall_generator.proof.symbolic.world import WORST_CASE
from symbolic_worlds import BACKEND, NO_CALLERS, ORDINARY_TRUST, ROLE, inclusion, is_proven, trusting, witness_of

EVERYTHING = document([{"Effect": "Allow", "Action": "*", "Resource": "*"}])
ACCOUNT = "111111111111"
OWN = "222222222222"
OWN_ROLE = f"arn:aws:iam::{OWN}:role/ops"
OWN_USER = f"arn:aws:iam::{OWN}:user/ann"


def grant(resource: str = ROLE.arn, effect: str = "Allow", **more: object) -> PolicyDocument:
    """An identity policy about assuming roles."""
    return document([{"Effect": effect, "Action": "sts:AssumeRole", "Resource": resource, **more}])


def known(*parts: Role | User | ManagedPolicy, **more: object) -> World:
    """A world that knows these principals."""
    arns = frozenset(part.arn for part in parts if not isinstance(part, ManagedPolicy))
    return World(Access.of(*parts), arns, **more)  # type: ignore[arg-type]


def backend(*documents: PolicyDocument, **more: object) -> Role:
    return Role(BACKEND, None, inline={str(i): each for i, each in enumerate(documents)}, **more)  # type: ignore[arg-type]


def left_of(trust: PolicyDocument, world: World) -> InclusionState:
    """Whether the limits of the world leave everything that the trust policy allows."""
    return inclusion(trust, trust, world=WORST_CASE, other_world=world).state


ROOT_TRUST = trusting(OWN)


@pytest.mark.parametrize(
    ("trust", "principal", "left"),
    [
        (ORDINARY_TRUST, backend(grant()), InclusionState.PROVEN),
        (ORDINARY_TRUST, backend(grant("*")), InclusionState.PROVEN),
        (ORDINARY_TRUST, backend(grant("arn:aws:iam::*:role/other")), InclusionState.REFUTED),
        (ORDINARY_TRUST, backend(), InclusionState.REFUTED),
        (ORDINARY_TRUST, backend(grant(), grant(effect="Deny")), InclusionState.REFUTED),
        (ORDINARY_TRUST, backend(grant(), attached=frozenset({"arn:aws:iam::1:policy/unknown"})), InclusionState.UNKNOWN),
        (ORDINARY_TRUST, backend(grant(), boundary="arn:aws:iam::1:policy/unknown"), InclusionState.UNKNOWN),
        (ORDINARY_TRUST, backend(grant("arn:aws:iam::222222222222:role/${aws:PrincipalTag/team}")), InclusionState.UNKNOWN),
        (ROOT_TRUST, Role(OWN_ROLE, None), InclusionState.REFUTED),
        (trusting(OWN_ROLE), Role(OWN_ROLE, None), InclusionState.PROVEN),
        (trusting(OWN_USER), User(OWN_USER), InclusionState.PROVEN),
        (trusting(OWN_USER), User(OWN_USER, inline={"d": grant(effect="Deny")}), InclusionState.REFUTED),
    ],
)
def test_policies_of_a_known_principal_limit_it(trust: PolicyDocument, principal: Role | User, left: InclusionState) -> None:
    assert left is left_of(trust, known(principal))


def test_principal_that_is_known_without_policies_is_unknown() -> None:
    assert InclusionState.UNKNOWN is left_of(ORDINARY_TRUST, World(known=frozenset({BACKEND})))


@pytest.mark.parametrize(
    ("principal", "left"),
    [
        (backend(grant(), boundary="arn:aws:iam::111111111111:policy/b"), InclusionState.REFUTED),
        (Role(OWN_ROLE, None, boundary="arn:aws:iam::111111111111:policy/b"), InclusionState.REFUTED),
        (User(OWN_USER, boundary="arn:aws:iam::111111111111:policy/b"), InclusionState.UNKNOWN),
    ],
)
def test_boundary_limits_what_the_trust_grants(principal: Role | User, left: InclusionState) -> None:
    """For a user whom the trust policy names, AWS contradicts itself."""
    boundary = ManagedPolicy("arn:aws:iam::111111111111:policy/b", grant("arn:aws:iam::*:role/other"))
    trust = trusting(principal.arn)

    assert left is left_of(trust, known(principal, boundary))


def test_denial_of_a_boundary_applies_to_every_grant() -> None:
    """Also to a user that the trust policy names: that the boundary allows it is not certain."""
    boundary = ManagedPolicy("arn:aws:iam::111111111111:policy/b", grant(effect="Deny"))
    user = User(OWN_USER, boundary=boundary.arn)

    assert InclusionState.REFUTED is left_of(trusting(OWN_USER), known(user, boundary))


def test_session_policy_limits_sessions_of_a_role_that_is_not_known() -> None:
    world = World(session_policies={BACKEND: (grant("arn:aws:iam::*:role/other"),)})
    witness = witness_of(inclusion(ORDINARY_TRUST, ORDINARY_TRUST, world=WORST_CASE, other_world=world))

    assert BACKEND == witness.request.principal.arn
    assert is_proven(inclusion(ORDINARY_TRUST, NO_CALLERS, world=world))


def test_source_identity_of_a_chained_role_needs_its_own_permission() -> None:
    """Also within one account, where the trust policy names the role."""
    trust = trusting(OWN_ROLE, Action=["sts:AssumeRole", "sts:SetSourceIdentity"])
    world = known(Role(OWN_ROLE, None))

    assert "sts:SourceIdentity" in {
        key.replace("sts:sourceidentity", "sts:SourceIdentity")
        for key in witness_of(inclusion(trust, trust, other_world=world)).keys
    }


def test_condition_of_an_identity_policy_is_part_of_the_comparison() -> None:
    conditions = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
    world = known(backend(grant(Condition=conditions)))
    narrowed = trusting(BACKEND, conditions)
    trust = trusting(BACKEND)

    assert compare(ROLE, trust, narrowed, world=world, other_world=WORST_CASE).is_equal


# Organizations


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
    plain = trusting(BACKEND)

    assert left is left_of(plain, World(service_control={ACCOUNT: levels}))
    assert InclusionState.PROVEN is left_of(plain, World(service_control={OWN: levels}))


def test_service_control_policies_do_not_limit_services() -> None:
    trust = trusting({"Service": "ec2.amazonaws.com"})

    assert InclusionState.PROVEN is left_of(trust, World(service_control={OWN: ((EVERYTHING, denial()),)}))


def test_service_linked_role_is_not_certainly_limited() -> None:
    linked = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/x.amazonaws.com/AWSServiceRoleForX"
    trust = trusting(linked)

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
    everyone = trusting("*")
    vendor = trusting(ACCOUNT)

    assert compare(ROLE, ORDINARY_TRUST, ORDINARY_TRUST, world=exempt, other_world=WORST_CASE).is_equal
    surplus = inclusion(everyone, everyone, world=exempt, other_world=outsiders([]))
    assert witness_of(surplus).request.principal.arn.startswith(f"arn:aws:iam::{ACCOUNT}:")
    assert compare(ROLE, vendor, vendor, world=exempt, other_world=WORST_CASE).is_equal


def test_resource_control_statement_with_another_principal_is_unknown() -> None:
    odd = World(resource_control=((ALL_RESOURCES, denial(Principal={"AWS": BACKEND})),))

    assert InclusionState.UNKNOWN is left_of(ORDINARY_TRUST, odd)


def test_organization_of_a_known_account_is_a_fact() -> None:
    trust = trusting(ACCOUNT, "StringEquals aws:PrincipalOrgID o-other")
    world = World(organizations={ACCOUNT: OrganizationMembership("o-vendor", ("o-vendor/r-1/",))})

    assert is_proven(inclusion(trust, NO_CALLERS, world=world))
    witness_of(inclusion(trust, NO_CALLERS))


def test_organization_of_the_role_is_a_constant() -> None:
    trust = trusting(BACKEND, "StringEquals aws:ResourceOrgID o-customer")
    plain = trusting(BACKEND)

    assert compare(ROLE, trust, plain, world=outsiders([ACCOUNT])).is_equal
    assert is_proven(inclusion(trust, NO_CALLERS, world=World(organizations={OWN: OrganizationMembership("o-x")})))


@pytest.mark.parametrize(("tag", "allowed"), [("red", True), ("blue", False)])
def test_tags_of_a_known_user_are_facts(tag: str, allowed: bool) -> None:
    """A role's session can have other tags than the role."""
    condition = {"StringEquals": {"aws:PrincipalTag/team": tag}}
    user = f"arn:aws:iam::{ACCOUNT}:user/ann"
    world = known(User(user, inline={"g": grant("*")}, tags={"Team": "red"}), backend(grant("*"), tags={"Team": "red"}))

    assert allowed is not is_proven(inclusion(trusting(user, condition), NO_CALLERS, world=world))
    witness = witness_of(inclusion(trusting(BACKEND, condition), NO_CALLERS, world=world))
    assert {"aws:PrincipalTag/team": (tag,)} == dict(witness.keys)


def test_own_tag_of_a_known_role_is_empty_at_most() -> None:
    """A session tag overrides it, but cannot remove it."""
    absent = trusting(BACKEND, "Null aws:PrincipalTag/team true")
    tagged, untagged = (known(backend(grant("*"), tags=tags)) for tags in ({"team": "red"}, {}))

    assert ("",) == witness_of(inclusion(absent, NO_CALLERS, world=tagged)).request.context["aws:principaltag/team"]
    assert () == witness_of(inclusion(absent, NO_CALLERS, world=untagged)).request.context["aws:principaltag/team"]
