"""Proofs of all roles of an access: intents, and one decision for roles of equal shape."""

from __future__ import annotations

import json
from collections.abc import Hashable
from random import Random

import pytest

from policy_pairs import seeded
from policy_text import Body, document, statement
from rolecall_generator.iam import Access, PolicyDocument, Role
from rolecall_generator.proof import symbolic
from rolecall_generator.proof.symbolic import (
    InclusionState,
    SearchBudget,
    Trust,
    compare,
    prove_roles,
)
from rolecall_generator.proof.symbolic.question import shape_of
from rolecall_generator.proof.symbolic.world import intent_document
from symbolic_worlds import BACKEND, trust_policy


def customer(number: int, external_id: str | None = None) -> tuple[Role, Trust]:
    """A customer's role, which accepts the external ID, and its intent."""
    arn = f"arn:aws:iam::{200_000_000_000 + number}:role/vendor/Access{number}"
    intended = f"id-of-customer-{number}"
    condition = {"StringEquals": {"sts:ExternalId": external_id or intended}}
    return Role(arn, trust_policy(BACKEND, condition)), Trust("customer", arn, (BACKEND,), intended)


def fleet(count: int, **wrong: str) -> tuple[Access, dict[str, list[Trust]]]:
    pairs = [customer(number, wrong.get(f"customer{number}")) for number in range(count)]
    return Access.of(*(role for role, _ in pairs)), {role.arn: [intent] for role, intent in pairs}


@pytest.fixture
def comparisons(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ARNs of the roles that were compared, not decided by their shape."""
    found = []

    def counted(role: Role, *arguments: object, **more: object) -> object:
        found.append(role.arn)
        return compare(role, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(symbolic.question, "compare", counted)
    return found


def test_roles_of_one_shape_are_decided_once(comparisons: list[str]) -> None:
    proofs = list(prove_roles(*fleet(50)))

    assert [True] * 50 == [proof.comparison.is_equal for proof in proofs]
    assert 1 == len(comparisons)


def test_wrong_roles_of_one_shape_have_witnesses_of_their_own(comparisons: list[str]) -> None:
    """The names of the first witness are exchanged, and the evaluator confirms each."""
    access, intents = fleet(20, **{f"customer{number}": f"wrong-id-{number}" for number in range(20)})
    proofs = list(prove_roles(access, intents))

    assert 1 == len(comparisons)
    for number, proof in enumerate(proofs):
        for found, accepted in ((proof.comparison.forward, "wrong-id"), (proof.comparison.backward, "id-of-customer")):
            assert found.witness is not None
            assert proof.role_arn == found.witness.request.resource
            assert {"sts:ExternalId": (f"{accepted}-{number}",)} == dict(found.witness.keys)
            assert f"{accepted}-{number}" in found.witness.command
            assert proof.role_arn in found.witness.command


def test_principals_of_a_witness_are_exchanged(comparisons: list[str]) -> None:
    roles, intents = [], {}
    for account in ("111111111111", "333333333333", "444444444444"):
        arn = f"arn:aws:iam::{account}:role/x"
        roles.append(Role(arn, trust_policy({"AWS": [f"arn:aws:iam::{account}:root", f"arn:aws:iam::{account}:user/u"]})))
        intents[arn] = [Trust("customer", arn, (f"arn:aws:iam::{account}:user/u",))]
    proofs = list(prove_roles(Access.of(*roles), intents))
    witnesses = [proof.comparison.forward.witness for proof in proofs]

    assert 1 == len(comparisons)
    assert [f"{proof.role_arn.rpartition(':')[0]}:role/x" for proof in proofs] == [
        witness and witness.request.principal.arn for witness in witnesses
    ]


def test_invented_name_that_is_another_roles_own_is_decided_anew(comparisons: list[str]) -> None:
    """The first witness has an invented external ID, which the second role accepts."""
    roles, intents = [], {}
    for number, external_id in enumerate(("id-a", "xx")):
        arn = f"arn:aws:iam::{200_000_000_000 + number}:role/x"
        roles.append(Role(arn, trust_policy(BACKEND, "Null sts:ExternalId false")))
        intents[arn] = [Trust("customer", arn, (BACKEND,), external_id)]
    proofs = list(prove_roles(Access.of(*roles), intents))

    assert 2 == len(comparisons)
    for proof, accepted in zip(proofs, ("id-a", "xx"), strict=True):
        assert proof.comparison.forward.witness is not None
        assert accepted not in proof.comparison.forward.witness.command


def test_role_that_differs_has_its_own_witness() -> None:
    access, intents = fleet(6, customer2="another-id", customer4="id-of-customer-3")
    found = {proof.role_arn: proof.comparison for proof in prove_roles(access, intents)}
    wrong = [arn for arn, comparison in found.items() if not comparison.is_equal]

    assert [2, 4] == [list(access.roles).index(arn) for arn in wrong]
    for arn, accepted in zip(wrong, ("another-id", "id-of-customer-3"), strict=True):
        witness = found[arn].forward.witness
        assert witness is not None
        assert arn == witness.request.resource
        assert {"sts:ExternalId": (accepted,)} == dict(witness.keys)
        assert InclusionState.REFUTED is found[arn].backward.state


def test_role_without_an_intent_is_for_no_one() -> None:
    access, _ = fleet(1)
    (proof,) = prove_roles(access, {})

    assert InclusionState.REFUTED is proof.comparison.forward.state
    assert InclusionState.PROVEN is proof.comparison.backward.state


def test_role_whose_trust_is_not_known_is_unknown() -> None:
    arn = "arn:aws:iam::222222222222:role/x"
    access = Access.of(Role(arn, None, existing=True), Role(BACKEND, None, existing=True))
    proofs = list(prove_roles(access, {arn: [Trust("customer", arn, (BACKEND,))]}))

    assert [arn] == [proof.role_arn for proof in proofs]
    assert InclusionState.UNKNOWN is proofs[0].comparison.forward.state


def test_intent_lists_services_providers_and_accounts() -> None:
    arn = "arn:aws:iam::222222222222:role/x"
    callers = (BACKEND, "ec2.amazonaws.com", "arn:aws:iam::222222222222:saml-provider/idp", "accounts.google.com")
    intent = Trust("customer", arn, callers, delegates_to=frozenset({"333333333333"}), requires_mfa=True)
    body = intent_document([intent]).to_json()["Statement"]

    assert ["sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity"] == [each["Action"] for each in body]
    assert {
        "AWS": [BACKEND, "arn:aws:iam::333333333333:root"],
        "Service": "ec2.amazonaws.com",
    } == body[0]["Principal"]
    assert all({"Bool": {"aws:MultiFactorAuthPresent": ["true"]}} == each["Condition"] for each in body)


# Shapes

ROLE = Role("arn:aws:iam::222222222222:role/role1", None)
_ACCOUNTS = ("111111111111", "222222222222", "333333333333", "444444444444")


def _shape(*bodies: Body, role: Role = ROLE) -> Hashable | None:
    found = shape_of(role, [document([body]) for body in bodies])
    return None if found is None else found.key


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("id-a", "id-b", True),
        ("id-a", "x", False),
        ("id-a", "not valid", False),
    ],
)
def test_external_ids_have_one_shape_if_aws_accepts_them(one: str, other: str, same: bool) -> None:
    shapes = [_shape(statement("*", f"StringEquals sts:ExternalId {value}")) for value in (one, other)]

    assert same is (shapes[0] == shapes[1])


@pytest.mark.parametrize(
    "conditions",
    [
        {"StringLike": {"sts:ExternalId": "{}*"}},
        {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::111111111111:role/{}"}},
        {"StringEquals": {"aws:PrincipalTag/team": "{}"}},
        {"StringEquals": {"aws:RequestTag/{}": "x"}},
    ],
)
def test_what_is_not_only_compared_for_equality_is_part_of_the_shape(conditions: dict[str, dict[str, str]]) -> None:
    shapes = [_shape(statement(BACKEND, json.loads(json.dumps(conditions).replace("{}", name)))) for name in ("ab", "cd")]

    assert None not in shapes
    assert shapes[0] != shapes[1]


@pytest.mark.parametrize(
    "conditions",
    [
        {"StringEquals": {"sts:RoleSessionName": "${aws:username}"}},
        {"StringEquals": {"aws:ResourceAccount": "222222222222"}},
        {"StringEquals": {"aws:ResourceTag/team": "red"}},
    ],
)
def test_what_depends_on_the_role_has_no_shape(conditions: dict[str, dict[str, str]]) -> None:
    assert _shape(statement(BACKEND, conditions)) is None


@pytest.mark.parametrize("operator", ["StringNotEquals", "StringEqualsIfExists", "StringLike", "ForAnyValue:StringEquals"])
def test_operator_is_part_of_the_shape(operator: str) -> None:
    shapes = [_shape(statement("*", {name: {"sts:ExternalId": "id-a"}})) for name in ("StringEquals", operator)]

    assert shapes[0] != shapes[1]


def test_principals_keep_their_accounts_in_a_shape() -> None:
    def arns(*names: str) -> Body:
        return statement({"AWS": [f"arn:aws:iam::{name}" for name in names]})

    first = _shape(arns("111111111111:role/a", "111111111111:root"))

    assert first == _shape(arns("333333333333:role/z", "333333333333:root"))
    assert first != _shape(arns("333333333333:role/z", "111111111111:root"))
    assert first != _shape(arns("111111111111:user/a", "111111111111:root"))


def test_principals_are_part_of_the_shape_next_to_conditions_on_callers() -> None:
    condition = {"StringLike": {"aws:PrincipalArn": "*a*"}}
    shapes = [_shape(statement(f"arn:aws:iam::111111111111:role/{name}", condition)) for name in ("a", "b")]

    assert shapes[0] != shapes[1]


def _random_statement(rng: Random) -> Body:
    arns = [f"arn:aws:iam::{account}:{kind}" for account in _ACCOUNTS for kind in ("root", "role/r", "role/s", "user/u")]
    principals = (
        "*",
        {"AWS": rng.choice(_ACCOUNTS)},
        {"AWS": rng.sample(arns, rng.randint(1, 2))},
        {"Service": "a.amazonaws.com"},
    )
    conditions: dict[str, dict[str, list[str]]] = {}
    for _ in range(rng.choice([0, 1, 2])):
        if rng.random() < 0.6:
            operator, key = (
                rng.choice(["StringEquals", "StringNotEquals"]),
                rng.choice(["sts:ExternalId", "aws:PrincipalOrgID"]),
            )
            conditions.setdefault(operator, {})[key] = rng.sample(["ab", "cd", "x", "o-ef"], rng.randint(1, 2))
        else:
            conditions.setdefault("Bool", {})["aws:MultiFactorAuthPresent"] = [rng.choice(["true", "false"])]
    actions = rng.choice(["sts:AssumeRole", ["sts:AssumeRole", "sts:TagSession"]])
    return statement(rng.choice(principals), conditions, rng.choice(["Allow", "Allow", "Allow", "Deny"]), Action=actions)


def test_comparisons_of_equal_shape_have_equal_results() -> None:
    rng = seeded(9)
    known: dict[Hashable, tuple[InclusionState, InclusionState]] = {}
    repeated = 0
    for _ in range(500):
        statements = [_random_statement(rng) for _ in range(rng.choice([1, 1, 2]))]
        others: list[Body] = json.loads(json.dumps(statements))
        if rng.random() < 0.5:
            rng.choice(others).pop("Condition", None)
        else:
            others.append(_random_statement(rng))
        one, other = document(statements), document(others)
        shape = shape_of(ROLE, (one, other))
        assert shape is not None
        found = compare(ROLE, one, other, budget=SearchBudget(seconds=None))
        states = found.forward.state, found.backward.state
        repeated += shape.key in known
        assert states == known.setdefault(shape.key, states)
    assert repeated > 25


def test_trusts_of_a_fleet_are_compared_as_documents() -> None:
    """The document of an intent is what `compare` takes, so a plan and a parsed module are compared in the same way."""
    role, intent = customer(1)
    assert isinstance(role.trust, PolicyDocument)
    assert compare(role, role.trust, intent_document([intent])).is_equal
