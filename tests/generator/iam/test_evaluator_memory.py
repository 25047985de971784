"""Decisions do not depend on earlier compilations or decisions."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from rolecall_generator.iam.evaluation.evaluator import Decision, Evaluator, Request
from rolecall_generator.iam.evaluation.request_context import Caller, IdentitySide
from rolecall_generator.iam.model import Access, ManagedPolicy, Role
from rolecall_generator.iam.policy import PolicyDocument, Statement
from strategies_access import ACCOUNTS, statements

CALLER = f"arn:aws:iam::{ACCOUNTS[0]}:role/backend_role"
TARGETS = tuple(f"arn:aws:iam::{account}:role/target" for account in ACCOUNTS)
EVERYTHING = PolicyDocument((Statement("Allow", ("*",), ("*",)),))


def documents(*, trust: bool) -> st.SearchStrategy[PolicyDocument]:
    lists = st.lists(statements(trust=trust), max_size=3).map(tuple)
    return st.builds(PolicyDocument, lists, st.sampled_from(["2012-10-17", "2008-10-17"]))


@st.composite
def worlds(draw: st.DrawFn) -> Access:
    """A caller with inline, managed and boundary policies, and a role to assume in each account."""
    managed = ManagedPolicy(f"arn:aws:iam::{ACCOUNTS[0]}:policy/p", draw(documents(trust=False)))
    caller = Role(
        CALLER,
        None,
        {"inline": draw(documents(trust=False))},
        frozenset({managed.arn}),
        boundary=draw(st.sampled_from([None, managed.arn, "arn:aws:iam::aws:policy/Unknown"])),
    )
    return Access.of(managed, caller, *(Role(target, draw(documents(trust=True))) for target in TARGETS))


REQUESTS = st.lists(
    st.builds(
        Request,
        st.builds(Caller, st.sampled_from([CALLER, f"arn:aws:iam::{ACCOUNTS[1]}:user/u"]), st.sampled_from(IdentitySide)),
        st.sampled_from(TARGETS),
        context=st.sampled_from([{}, {"sts:ExternalId": "a1"}, {"aws:MultiFactorAuthPresent": "true"}]),
        free=st.booleans(),
    ),
    min_size=2,
    max_size=6,
)


def fresh(access: Access, request: Request) -> Decision:
    return Evaluator(access).may_assume(request)


@settings(deadline=None)
@given(worlds(), REQUESTS)
def test_reused_evaluator_decides_like_a_new_one(access: Access, requests: list[Request]) -> None:
    """Decisions do not depend on earlier requests."""
    used = Evaluator(access)

    assert [fresh(access, request) for request in requests] == [used.may_assume(request) for request in requests]


@settings(deadline=None)
@given(worlds(), st.sampled_from(TARGETS), st.booleans())
def test_worst_case_identity_allows_everything(access: Access, target: str, free: bool) -> None:
    """The decision is the same as for a caller whose policy allows everything."""
    open_role = Role(CALLER, None, {"open": EVERYTHING})
    opened = replace(access, roles={**access.roles, CALLER: open_role})
    worst = fresh(access, Request(Caller(CALLER, IdentitySide.ALLOWS_ALL), target, free=free))
    known = fresh(opened, Request(Caller(CALLER), target, free=free))

    assert (known.effect, known.statement, known.assumed) == (worst.effect, worst.statement, worst.assumed)
