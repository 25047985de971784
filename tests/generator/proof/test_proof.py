"""The proof: every cell of the matrix, and every hole that a trust policy can have."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import policy_text
from policy_text import document, when
from rolecall_generator.iam.evaluation.evaluator import Decision, Effect, Evaluator, Request
from rolecall_generator.iam.evaluation.request_context import Caller, IdentitySide
from rolecall_generator.iam.model import Access, Group, Role, User
from rolecall_generator.iam.policy import PolicyDocument
from rolecall_generator.proof import Case, Cell, CellState, Proof, Trust, prove
from rolecall_generator.proof.symbolic import InclusionState

BACKEND = "111111111111"
CALLER = f"arn:aws:iam::{BACKEND}:role/backend_role"
ROLE = "arn:aws:iam::222222222222:role/role1"
ROLE2 = "arn:aws:iam::333333333333:role/role2"
SWITCH = "arn:aws:iam::507074252730:role/reena-assumedRole"
REENA = "arn:aws:iam::078352025563:user/reena"
SAM = "arn:aws:iam::078352025563:user/sam"
GROUP = "arn:aws:iam::078352025563:group/reena-switchers"
TRUSTS = [
    Trust("account1", ROLE, (CALLER,), external_id="id-one"),
    Trust("account2", ROLE2, (CALLER,), external_id="id-two"),
    Trust("reena-in-sumesh", SWITCH, (REENA,), requires_mfa=True),
]


def statement(principal: Any, external_id: Any = None, **more: Any) -> dict[str, Any]:
    required = {} if external_id is None else {"StringEquals": {"sts:ExternalId": external_id}}
    conditions = when(more.pop("Condition", required))
    return {**policy_text.statement(principal, **more), "Condition": conditions}


ONE = statement(CALLER, "id-one")
SWITCHING = statement(REENA, Condition="Bool aws:MultiFactorAuthPresent true")


def access(one: list[dict[str, Any]] | None = None, switching: dict[str, Any] = SWITCHING) -> Access:
    grant = document([{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": [ROLE, ROLE2, SWITCH]}])
    return Access.of(
        Role(CALLER, None, {"assume": grant}, existing=True),
        Role(ROLE, document(one or [ONE])),
        Role(ROLE2, document([statement(CALLER, "id-two")])),
        Role(SWITCH, document([switching])),
        Group(GROUP, {"assume": grant}),
        User(REENA, frozenset({GROUP})),
        User(SAM, frozenset({GROUP})),
    )


def decision_of(cell: Cell) -> Decision:
    assert cell.decision is not None
    return cell.decision


def failed(proof: Proof) -> set[tuple[str, Case]]:
    return {(row.subject, cell.case) for row in proof.rows for cell in row.failures}


def test_intended_access_is_proven_in_every_cell() -> None:
    """Right trust policies pass every column: let in the intended callers, refuse all others."""
    proof = prove(access(), TRUSTS)
    columns = {cell.case for cell in proof.cells}

    assert set() == failed(proof)
    assert columns == set(Case) - {Case.OTHER_USER, Case.OTHER}
    assert ["account1", "account2", "reena-in-sumesh"] == [row.subject for row in proof.rows]
    assert [True] * 3 == [role.comparison.is_equal for role in proof.roles if role.role_arn != CALLER]


OTHER_ACCOUNTS = {Case.OTHER_ACCOUNT, Case.UNRELATED_ACCOUNT}

HOLES = {
    "no condition": ([statement(CALLER)], {Case.NO_EXTERNAL_ID, Case.OTHER_EXTERNAL_ID}),
    "IfExists": ([statement(CALLER, Condition="StringEqualsIfExists sts:ExternalId id-one")], {Case.NO_EXTERNAL_ID}),
    "wildcard id": ([statement(CALLER, Condition="StringLike sts:ExternalId id-*")], {Case.OTHER_EXTERNAL_ID}),
    "another customer's id too": ([statement(CALLER, ["id-one", "id-two"])], {Case.OTHER_EXTERNAL_ID}),
    "wrong id": ([statement(CALLER, "id-onf")], {Case.INTENDED, Case.OTHER_EXTERNAL_ID}),
    "whole account": ([statement(BACKEND, "id-one")], {Case.OTHER_PRINCIPAL}),
    "everybody": ([statement("*", "id-one")], {Case.OTHER_PRINCIPAL, *OTHER_ACCOUNTS, Case.OTHER_USER, Case.OTHER}),
    "everybody from an address": (
        [ONE, statement("*", Condition="IpAddress aws:SourceIp 198.51.100.0/24")],
        set(Case) - {Case.INTENDED, Case.NO_MFA, Case.MFA_FALSE},
    ),
    "one more role": ([ONE, statement("arn:aws:iam::999999999999:role/x")], {Case.UNRELATED_ACCOUNT}),
    "one more account": ([ONE, statement("999999999999")], OTHER_ACCOUNTS),
    "one more user that occurs": ([ONE, statement(SAM)], {Case.OTHER_USER, Case.UNRELATED_ACCOUNT}),
    "session tags with the right ID": (
        [statement(CALLER, "id-one", Action=["sts:AssumeRole", "sts:TagSession"])],
        {Case.OTHER},
    ),
    "a service": ([ONE, statement({"Service": "ec2.amazonaws.com"})], {Case.OTHER}),
    "an identity provider": (
        [ONE, statement({"Federated": "accounts.google.com"}, Action="sts:AssumeRoleWithWebIdentity")],
        {Case.OTHER},
    ),
    "a name pattern": (
        [ONE, statement("*", Condition="StringLike aws:PrincipalArn arn:aws:iam::*:role/admin*")],
        {Case.OTHER_PRINCIPAL, Case.UNRELATED_ACCOUNT},
    ),
    "a loose name pattern": (
        [ONE, statement("*", Condition="StringLike aws:PrincipalArn *:role/admin")],
        {Case.OTHER_PRINCIPAL, Case.UNRELATED_ACCOUNT},
    ),
    "an account pattern": ([ONE, statement("*", Condition="StringLike aws:PrincipalAccount 44*")], OTHER_ACCOUNTS),
    "a user name": (
        [ONE, statement("*", Condition="StringEquals aws:username admin")],
        {Case.OTHER_PRINCIPAL, Case.UNRELATED_ACCOUNT},
    ),
    "NotPrincipal": ([ONE, {"Effect": "Deny", "Action": "sts:*", "NotPrincipal": {"AWS": CALLER}}], {Case.INTENDED}),
    "root by name": (
        [statement(BACKEND, Condition=f"ArnEquals aws:PrincipalArn {CALLER} & StringEquals sts:ExternalId id-one")],
        set(),
    ),
    "a session of the intended role": (
        [ONE, statement(f"arn:aws:sts::{BACKEND}:assumed-role/backend_role/s", "id-one")],
        set(),
    ),
}


@pytest.mark.parametrize("name", HOLES)
def test_each_hole_fails_its_own_cells(name: str) -> None:
    """A trust policy with this hole fails in these columns and no other."""
    statements, columns = HOLES[name]

    assert {("account1", column) for column in columns} == failed(prove(access(statements), TRUSTS))


@pytest.mark.parametrize(
    ("condition", "columns"),
    [
        ({"BoolIfExists": {"aws:MultiFactorAuthPresent": "true"}}, {Case.NO_MFA}),
        ({}, {Case.NO_MFA, Case.MFA_FALSE}),
        ({"Null": {"aws:MultiFactorAuthPresent": "false"}}, {Case.MFA_FALSE}),
    ],
)
def test_weak_mfa_fails_its_cells(condition: dict[str, Any], columns: set[Case]) -> None:
    """A weak MFA condition fails where the request carries no MFA, or a false one."""
    proof = prove(access(switching=statement(REENA, Condition=condition)), TRUSTS)

    assert {("reena-in-sumesh", column) for column in columns} == failed(proof)


def test_other_users_of_the_account_are_searched() -> None:
    """A role that trusts the whole account of its users allows unintended users."""
    root = statement("078352025563", Condition="Bool aws:MultiFactorAuthPresent true")
    proof = prove(access(switching=root), TRUSTS)

    assert {("reena-in-sumesh", Case.OTHER_PRINCIPAL), ("reena-in-sumesh", Case.OTHER_USER)} == failed(proof)
    assert [SAM] == [cell.caller for cell in proof.failures if cell.case is Case.OTHER_USER]


def test_failed_cell_carries_its_counterexample() -> None:
    """A failed cell names principal, context and the statement that let it in."""
    opened = {**statement("*"), "Sid": "Open"}
    cell = next(cell for cell in prove(access([ONE, opened]), TRUSTS).failures if cell.case is Case.NO_EXTERNAL_ID)

    assert cell.decision is not None
    assert cell.decision.statement is not None
    assert cell.witness is not None
    assert (CALLER, "Open") == (cell.caller, cell.decision.statement.sid)
    assert "--external-id" not in cell.witness.command


def test_role_without_a_trust_must_allow_no_one() -> None:
    """A second role, smuggled into a module, fails as trusting someone although no one was meant."""
    proof = prove(access(), TRUSTS[:2])

    assert {(SWITCH, Case.OTHER_USER), (SWITCH, Case.UNRELATED_ACCOUNT)} == failed(proof)


def test_missing_role_proves_nothing() -> None:
    """A trust whose role is not there fails as undecided, in every cell."""
    proof = prove(Access(), TRUSTS[:1])

    assert {CellState.UNDECIDED} == {cell.state for cell in proof.cells}
    assert InclusionState.UNKNOWN is proof.roles[0].comparison.forward.state


def test_work_grows_with_roles_not_with_their_square() -> None:
    """Twice the customers make twice the cells."""

    def cells(count: int) -> tuple[Cell, ...]:
        trusts = [Trust(f"c{i}", f"arn:aws:iam::{200000000000 + i}:role/r", (CALLER,), f"id-{i}") for i in range(count)]
        roles = [Role(trust.role_arn, document([statement(CALLER, trust.external_id)])) for trust in trusts]
        return prove(Access.of(*roles), trusts).cells

    assert 2 * len(cells(20)) == len(cells(40))


def test_every_other_external_id_is_tried_against_a_pattern() -> None:
    """A pattern that takes the id of a customer far down the list is found."""
    trusts = [
        *TRUSTS,
        *(Trust(f"c{i}", f"arn:aws:iam::{400000000000 + i}:role/r", (CALLER,), f"far-{i}") for i in range(30)),
    ]
    weak = statement(CALLER, Condition="StringLike sts:ExternalId id-one, *-29")

    assert ("account1", Case.OTHER_EXTERNAL_ID) in failed(prove(access([weak]), trusts))


PEOPLE = "078352025563"
WHOLE_ACCOUNT = statement(PEOPLE, Condition="Bool aws:MultiFactorAuthPresent true")
DELEGATED = [*TRUSTS[:2], Trust("reena-in-sumesh", SWITCH, (REENA,), requires_mfa=True, delegates_to=frozenset({PEOPLE}))]


def people(switching: dict[str, Any], *more: User | Role) -> Access:
    """The world of `access` with Sam outside the group, and more principals."""
    world = access(switching=switching)
    users = {**world.users, SAM: User(SAM), **{part.arn: part for part in more if isinstance(part, User)}}
    roles = {**world.roles, **{part.arn: part for part in more if isinstance(part, Role)}}
    return replace(world, users=users, roles=roles)


def test_what_a_trusted_account_decides_is_noted() -> None:
    """If the whole account is intended, unknown principals are neither ok nor failed, and none is omitted."""
    proof = prove(people(WHOLE_ACCOUNT), DELEGATED)

    assert (set(), True) == (failed(proof), proof.ok)
    assert [(Case.OTHER_PRINCIPAL, f"arn:aws:iam::{PEOPLE}:root")] == [(cell.case, cell.caller) for cell in proof.delegated]
    assert [] == [cell for cell in proof.delegated if cell.ok or cell.failed]


def test_known_people_of_a_trusted_account_are_decided() -> None:
    """A declared user of the account without a grant is refused by what is known of it."""
    cells = [cell for cell in prove(people(WHOLE_ACCOUNT), DELEGATED).cells if cell.case is Case.OTHER_USER]

    assert [(SAM, True)] == [(cell.caller, cell.ok) for cell in cells]
    assert Effect.IMPLICIT_DENY is decision_of(cells[0]).effect


def test_known_people_who_are_not_meant_fail() -> None:
    """A declared but unintended user with permissions from a group fails."""
    assert {("reena-in-sumesh", Case.OTHER_USER)} == failed(prove(access(switching=WHOLE_ACCOUNT), DELEGATED))


@pytest.mark.parametrize(
    "principal",
    [
        User(SAM, existing=True),
        User(SAM, attached=frozenset({"arn:aws:iam::aws:policy/ReadOnlyAccess"})),
        Role(f"arn:aws:iam::{PEOPLE}:role/found", None, existing=True),
    ],
)
def test_people_of_whom_not_all_is_known_are_their_accounts_business(principal: User | Role) -> None:
    """A principal that is only looked up, or has a policy whose text is not known, is noted: its account may let it in."""
    proof = prove(people(WHOLE_ACCOUNT, principal), DELEGATED)

    assert (True, True) == (proof.ok, principal.arn in {cell.caller for cell in proof.delegated})


def test_an_explicit_deny_is_sure_whatever_else_is_unknown() -> None:
    """A user that is only looked up, and denied by a policy that is known, is refused."""
    deny = PolicyDocument.from_json({"Statement": {"Effect": "Deny", "Action": "sts:*", "Resource": "*"}})
    proof = prove(people(WHOLE_ACCOUNT, User(SAM, inline={"deny": deny}, existing=True)), DELEGATED)

    (cell,) = (cell for cell in proof.cells if cell.case is Case.OTHER_USER)
    assert Effect.EXPLICIT_DENY is decision_of(cell).effect
    assert SAM not in {each.caller for each in proof.delegated}


@pytest.mark.parametrize(
    ("condition", "columns"),
    [
        ({"BoolIfExists": {"aws:MultiFactorAuthPresent": "true"}}, {Case.NO_MFA}),
        ({}, {Case.NO_MFA, Case.MFA_FALSE}),
    ],
)
def test_no_account_can_waive_mfa(condition: dict[str, Any], columns: set[Case]) -> None:
    """Without MFA every principal of a trusted account must be denied, whatever the account allows."""
    weak = statement(PEOPLE, Condition=condition)
    failures = prove(people(weak), DELEGATED).failures
    counts = Counter(cell.case for cell in failures)

    assert dict.fromkeys(columns, 2) == counts  # the intended callers, and all others of the account
    assert len(columns) == sum(cell.caller == REENA for cell in failures)
    assert {PEOPLE} == {cell.caller.split(":")[4] for cell in failures}


def test_a_trusted_account_decides_for_itself_alone() -> None:
    """Principals of another account fail although the role trusts a whole account."""
    opened = statement({"AWS": [PEOPLE, "444444444444"]}, Condition="Bool aws:MultiFactorAuthPresent true")

    assert {("reena-in-sumesh", column) for column in OTHER_ACCOUNTS} == failed(prove(people(opened), DELEGATED))


def test_an_identity_provider_is_not_left_to_a_trusted_account() -> None:
    """A provider has no identity policies that its account could refuse it by."""
    opened = statement(
        {"AWS": PEOPLE, "Federated": f"arn:aws:iam::{PEOPLE}:saml-provider/idp"},
        Action=["sts:AssumeRole", "sts:AssumeRoleWithSAML"],
    )
    failures = prove(people(opened), DELEGATED).failures

    assert (Case.OTHER, f"arn:aws:iam::{PEOPLE}:saml-provider/idp") in {(cell.case, cell.caller) for cell in failures}


def test_tags_of_a_declared_role_do_not_keep_its_sessions_out() -> None:
    """A session can carry other tags than its role, so a condition on them is as the caller wishes."""
    tagged = statement(PEOPLE, Condition="Bool aws:MultiFactorAuthPresent true & StringEquals aws:PrincipalTag/team blue")
    grant = PolicyDocument.from_json({"Statement": {"Effect": "Allow", "Action": "sts:*", "Resource": "*"}})
    role = Role(f"arn:aws:iam::{PEOPLE}:role/tagged", None, {"all": grant}, tags={"team": "red"})

    assert role.arn in {cell.caller for cell in prove(people(tagged, role), DELEGATED).failures}


def test_a_part_is_proven_as_in_the_whole() -> None:
    """The rows of chosen roles are those of the whole proof: all trusts still count as intended."""
    world = access([statement(CALLER, ["id-one", "id-two"])])
    rows = tuple(row for row in prove(world, TRUSTS).rows if row.role_arn == ROLE)

    assert rows == prove(world, TRUSTS, roles={ROLE}).rows


PRINCIPALS = st.sampled_from(
    [
        {"AWS": CALLER},
        "*",
        {"AWS": BACKEND},
        {"AWS": "444444444444"},
        {"AWS": "arn:aws:iam::444444444444:user/eve"},
        {"Service": "x"},
    ]
)
OUTSIDERS = (
    f"arn:aws:iam::{BACKEND}:role/another",
    f"arn:aws:iam::{BACKEND}:user/eve",
    "arn:aws:iam::444444444444:user/eve",
    "arn:aws:iam::444444444444:role/backend_role",
    "arn:aws:iam::222222222222:user/eve",
    "arn:aws:iam::222222222222:role/local",
)
OPERATORS = (
    "StringEquals",
    "StringLike",
    "StringNotEquals",
    "StringEqualsIfExists",
    "ArnLike",
    "ArnNotLike",
    "ForAllValues:StringLike",
)
KEYS = ("aws:PrincipalArn", "aws:PrincipalAccount", "aws:username", "aws:SourceIp", "sts:ExternalId")
VALUES = (
    CALLER, BACKEND, "444444444444", "4*", "eve", "*", "id-one", "*:role/backend_role", "arn:aws:iam::*:user/*",
    "arn:aws:iam::444444444444:*", "arn:aws:*:*:*:role/*",
)  # fmt: skip
CONDITIONS = st.dictionaries(
    st.sampled_from(OPERATORS),
    st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), min_size=1, max_size=2),
    max_size=2,
)
STATEMENTS = st.builds(
    lambda principal, condition, effect: statement(principal, Condition=condition, Effect=effect),
    PRINCIPALS,
    CONDITIONS,
    st.sampled_from(["Allow", "Allow", "Deny"]),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(STATEMENTS, max_size=2), st.sampled_from(OUTSIDERS), st.sampled_from(["", "eve", "4.4.4.4"]), st.booleans())
def test_a_proof_that_holds_lets_no_outsider_in(
    extra: list[dict[str, Any]], outsider: str, address: str, has_id: bool
) -> None:
    """Whatever is added to the trust policy: no outsider gets in where no cell fails."""
    world = access([ONE, *extra])
    proof = prove(world, TRUSTS, roles={ROLE})
    is_included = proof.roles[0].comparison.forward.state is InclusionState.PROVEN
    assert is_included is not any(not cell.expected for cell in proof.failures)  # the columns miss no request
    if is_included:
        context: dict[str, str | tuple[str, ...]] = {"sts:ExternalId": "id-one" if has_id else ()}
        context["aws:SourceIp"] = address or ()
        request = Request(Caller(outsider, IdentitySide.ALLOWS_ALL), ROLE, context=context)
        assert not Evaluator(world).may_assume(request).allowed


@settings(max_examples=80, deadline=None)
@given(st.lists(STATEMENTS, max_size=2), st.sampled_from([*OUTSIDERS, f"arn:aws:iam::{PEOPLE}:user/eve"]), st.booleans())
def test_a_proof_that_holds_delegates_to_the_meant_account_alone(
    extra: list[dict[str, Any]], outsider: str, has_mfa: bool
) -> None:
    """Whatever is added to the trust policy: where no cell fails, only the meant account's people get in, and with MFA."""
    world = people(WHOLE_ACCOUNT)
    trust = document([WHOLE_ACCOUNT, *extra])
    world = replace(world, roles={**world.roles, SWITCH: Role(SWITCH, trust)})
    if not prove(world, DELEGATED, roles={SWITCH}).failures:
        context: dict[str, str | tuple[str, ...]] = {"aws:MultiFactorAuthPresent": "true" if has_mfa else ()}
        request = Request(Caller(outsider, IdentitySide.ALLOWS_ALL), SWITCH, context=context)
        meant = PEOPLE in outsider and has_mfa
        assert meant or not Evaluator(world).may_assume(request).allowed
