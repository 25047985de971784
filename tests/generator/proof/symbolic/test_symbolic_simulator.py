"""The cases of aws/aws-cli issue 10314: trust policies that AWS's policy simulator ignores for sts:Assume*.

Each case has the simulator's answer as the issue reports it (May 2026), and the answer of AWS's own STS and Access Analyzer,
which is the expected one. The caller is an IAM user with AdministratorAccess in the role's account.
"""

from __future__ import annotations

from typing import Any

import pytest

from policy_pairs import document
from rolecall_generator.iam import Access, PolicyDocument, Role, User
from rolecall_generator.proof.symbolic import InclusionState, World, compare
from symbolic_worlds import inclusion, statement

ROLE = Role("arn:aws:iam::123456789012:role/privileged-admin", None)
USER = "arn:aws:iam::123456789012:user/default"
OIDC = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
CALLER = {"AWS": USER}
ADMINISTRATOR = document([{"Effect": "Allow", "Action": "*", "Resource": "*"}])
MFA = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
NO_MFA = {"Bool": {"aws:MultiFactorAuthPresent": "false"}}
SUBJECT = "token.actions.githubusercontent.com:sub"


def known(*documents: PolicyDocument) -> World:
    user = User(USER, inline={str(number): each for number, each in enumerate(documents)})
    return World(Access.of(user), frozenset({USER}))


CASES: dict[str, tuple[dict[str, Any], dict[str, Any] | None, PolicyDocument | None, str, InclusionState]] = {
    # Trust policy, context of the request, identity policy, answer of the simulator, whether all such requests are allowed.
    "1: the identity policy is silent": (statement(CALLER), None, None, "implicitDeny", InclusionState.PROVEN),
    "3: explicit deny": (
        statement(CALLER, effect="Deny"),
        None,
        ADMINISTRATOR,
        "allowed",
        InclusionState.REFUTED,
    ),
    "4a: MFA is required, the request has none": (
        statement(CALLER, MFA),
        NO_MFA,
        ADMINISTRATOR,
        "allowed",
        InclusionState.REFUTED,
    ),
    "4b: MFA is required, the request has it": (
        statement(CALLER, MFA),
        MFA,
        ADMINISTRATOR,
        "allowed",
        InclusionState.PROVEN,
    ),
    "5: another address": (
        statement(CALLER, {"IpAddress": {"aws:SourceIp": "10.0.0.1/32"}}),
        {"IpAddress": {"aws:SourceIp": "203.0.113.42"}},
        ADMINISTRATOR,
        "allowed",
        InclusionState.REFUTED,
    ),
    "6: MFA was too long ago": (
        statement(CALLER, {"NumericLessThan": {"aws:MultiFactorAuthAge": "300"}}),
        {"NumericEquals": {"aws:MultiFactorAuthAge": "99999"}},
        ADMINISTRATOR,
        "allowed",
        InclusionState.REFUTED,
    ),
    "9: a service is trusted": (
        statement({"Service": "ec2.amazonaws.com"}),
        None,
        ADMINISTRATOR,
        "InvalidInput",
        InclusionState.REFUTED,
    ),
    "10: explicit deny next to nothing": (
        statement(CALLER, effect="Deny"),
        None,
        ADMINISTRATOR,
        "allowed",
        InclusionState.REFUTED,
    ),
    "11c: MFA is not required any more": (
        statement(CALLER),
        NO_MFA,
        ADMINISTRATOR,
        "allowed",
        InclusionState.PROVEN,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_trust_policy_decides(name: str) -> None:
    """Whether every request of the user with this context is allowed by trust policy and identity policy together."""
    trust, context, identity, _, expected = CASES[name]
    requests = document([statement(CALLER, context)])
    world = known(identity) if identity is not None else known()

    assert expected is inclusion(requests, document([trust]), ROLE, other_world=world).state


def test_most_answers_of_the_simulator_are_wrong() -> None:
    wrong = [
        name
        for name, (*_, answer, expected) in CASES.items()
        if (answer == "allowed") is not (expected is InclusionState.PROVEN)
    ]

    assert 6 == len(wrong)


def test_case_7_user_cannot_use_a_web_identity() -> None:
    """The simulator answers "allowed" for the user, and for a subject that the trust policy does not list."""
    trust = document(
        [
            statement(
                {"Federated": OIDC},
                {"StringEquals": {SUBJECT: "repo:a/b:ref:refs/heads/main"}},
                Action="sts:AssumeRoleWithWebIdentity",
            )
        ]
    )
    other = document(
        [
            statement(
                {"Federated": OIDC},
                {"StringEquals": {SUBJECT: "repo:c/d:ref:refs/heads/main"}},
                Action="sts:AssumeRoleWithWebIdentity",
            )
        ]
    )
    user = document([statement(CALLER, Action="sts:*")])

    assert InclusionState.REFUTED is inclusion(user, trust, ROLE).state
    assert InclusionState.REFUTED is inclusion(other, trust, ROLE).state
    assert InclusionState.PROVEN is inclusion(trust, trust, ROLE).state


def test_case_8_not_principal_is_unknown() -> None:
    """AWS does not accept it in a trust policy. The simulator answers "allowed" for the excluded user."""
    trust = document([{"Effect": "Allow", "NotPrincipal": CALLER, "Action": "sts:AssumeRole"}])

    assert InclusionState.UNKNOWN is inclusion(trust, document([]), ROLE).state


def test_case_11_removal_of_a_condition_is_new_access() -> None:
    """As Access Analyzer finds; the simulator gives both versions the same answer."""
    before, after = document([statement(CALLER, MFA)]), document([statement(CALLER)])
    found = compare(ROLE, after, before)

    assert InclusionState.REFUTED is found.forward.state
    assert InclusionState.PROVEN is found.backward.state
