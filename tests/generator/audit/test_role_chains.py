"""Sessions of the account's own roles as principals: which roles an outsider reaches with the session names it can have."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit_accounts import (
    ACCOUNT,
    DATADOG,
    GITHUB,
    GOOD_ID,
    NOW,
    ORGANIZATION,
    allow,
    audited,
    by_id,
    caller,
    page,
    role,
    root,
    trust,
)
from rolecall_generator.audit import AuditedRole, audit_accounts
from rolecall_generator.audit.account import AccountBuilder
from rolecall_generator.findings import Severity
from rolecall_generator.iam.evaluation import Caller, Evaluator, IdentitySide, Request

ROLE = f"arn:aws:iam::{ACCOUNT}:role"
WEB = "sts:AssumeRoleWithWebIdentity"
VENDOR = caller(ACCOUNT, "role/partners/vendor")


def session(of: str, name: str = "deploy") -> dict[str, str]:
    return {"AWS": f"arn:aws:sts::{ACCOUNT}:assumed-role/{of}/{name}"}


def named(name: str, operator: str = "StringEquals") -> dict[str, dict[str, Any]]:
    return {operator: {"sts:RoleSessionName": name}}


def vendor(condition: dict[str, Any] | None = None, *more: dict[str, Any]) -> dict[str, Any]:
    return role("vendor", trust(caller(DATADOG), condition), *more, path="/partners/")


def reached(*roles: dict[str, Any]) -> tuple[AuditedRole, list[Severity]]:
    audit = audited(page(*roles))
    found = next(each for each in audit.roles if each.role.arn.endswith("/vendor"))
    return found, [each.severity for each in audit.report.active if each.rule == "RA405"]


def deny(principal: Any) -> dict[str, Any]:
    return {**trust(principal), "Effect": "Deny"}


GITHUB_TRUST = {"StringLike": {"token.actions.githubusercontent.com:sub": "repo:acme/app:*"}}


@pytest.mark.parametrize(
    ("roles", "reaches"),
    [
        ([vendor(by_id(GOOD_ID)), role("target", trust(session("vendor")))], ["target"]),
        ([vendor(named("dep*", "StringLike")), role("target", trust(session("vendor")))], ["target"]),
        ([vendor(named("deploy")), role("target", trust(session("vendor")))], ["target"]),
        # The trust policy does not accept the name.
        ([vendor(named("other")), role("target", trust(session("vendor")))], []),
        ([vendor(named("deploy", "StringNotEquals")), role("target", trust(session("vendor")))], []),
        ([vendor(), role("target", trust(session("another")))], []),
        ([vendor(), role("target", trust(session("vendor")), deny(session("vendor")))], []),
        (
            [vendor(), role("target", trust(session("vendor"))), role("other", trust(session("target", "x1")))],
            ["other", "target"],
        ),
        # The name of a session of the next role is free, or not.
        ([vendor(), role("middle", trust(VENDOR)), role("target", trust(session("middle")))], ["middle", "target"]),
        ([vendor(), role("middle", trust(VENDOR, named("x1"))), role("target", trust(session("middle")))], ["middle"]),
        # A new session of the same role, with another name.
        ([vendor(named("x1"), trust(VENDOR)), role("target", trust(session("vendor")))], ["target"]),
        (
            [
                role("vendor", trust({"Federated": GITHUB}, GITHUB_TRUST, WEB)),
                role("target", trust(session("vendor"))),
            ],
            ["target"],
        ),
        (
            [
                role("vendor", trust({"Federated": GITHUB}, {**GITHUB_TRUST, **named("x1")}, WEB)),
                role("target", trust(session("vendor"))),
            ],
            [],
        ),
        # A role that only the account's own roles can start with this name.
        ([vendor(named("x1"), trust(root(ACCOUNT), named("deploy"))), role("target", trust(session("vendor")))], []),
        (
            [
                role("vendor", trust("*", {"StringEquals": {"aws:PrincipalOrgID": ORGANIZATION}})),
                role("target", trust(session("vendor"))),
            ],
            ["target"],
        ),
    ],
)
def test_session_of_an_own_role_is_a_step_of_a_chain(roles: list[dict[str, Any]], reaches: list[str]) -> None:
    found, severities = reached(*roles)

    assert [f"{ROLE}/{name}" for name in reaches] == list(found.reaches)
    assert ([Severity.WARNING] if reaches else []) == severities


def test_administrator_behind_a_session_is_an_error() -> None:
    found, severities = reached(vendor(), role("target", trust(session("vendor")), permissions=[allow("*")]))

    assert found.reaches_administrators == (f"{ROLE}/target",)
    assert [Severity.ERROR] == severities


def test_reached_role_has_the_roles_of_a_shortest_chain() -> None:
    """A role that is open to the organization is a step for every role of the account, also for one without permissions."""
    organization = trust("*", {"StringEquals": {"aws:PrincipalOrgID": ORGANIZATION}})
    hub = role("hub", organization, permissions=[allow("sts:AssumeRole", f"{ROLE}/admin")])
    detour = role("detour", trust(caller(ACCOUNT, "role/hub")), permissions=[allow("sts:AssumeRole", f"{ROLE}/admin")])
    admin = role("admin", trust(root(ACCOUNT)), permissions=[allow("*")])
    found, _ = reached(vendor(), detour, hub, admin)

    assert {
        f"{ROLE}/admin": (f"{ROLE}/hub",),
        f"{ROLE}/detour": (f"{ROLE}/hub",),
        f"{ROLE}/hub": (),
    } == found.reached_through


NAMES, SESSIONS = ("vendor", "one", "two", "three"), ("x1", "x2")
PRINCIPALS = st.one_of(
    st.sampled_from(NAMES).map(lambda name: caller(ACCOUNT, f"role/{name}")),
    st.builds(session, st.sampled_from(NAMES), st.sampled_from(SESSIONS)),
    st.just(root(ACCOUNT)),
)
CONDITIONS = st.none() | st.builds(named, st.sampled_from(SESSIONS), st.sampled_from(["StringEquals", "StringNotEquals"]))
TRUSTS = st.lists(
    st.builds(
        lambda effect, principal, condition: {**trust(principal, condition), "Effect": effect},
        st.sampled_from(["Allow", "Allow", "Allow", "Deny"]),
        PRINCIPALS,
        CONDITIONS,
    ),
    max_size=2,
)
PERMISSIONS = st.none() | st.sampled_from([*NAMES, "*"])


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(st.tuples(TRUSTS, PERMISSIONS), min_size=4, max_size=4), CONDITIONS)
def test_reached_roles_are_those_of_a_search_over_sessions(
    described: list[tuple[list[dict[str, Any]], str | None]], condition: dict[str, Any] | None
) -> None:
    """Compared with a search that decides each request of each session with the evaluator."""
    roles = []
    for name, (trusts, target) in zip(NAMES, described, strict=True):
        outside = [trust(caller(DATADOG), condition)] if name == "vendor" else []
        allowed = [allow("sts:AssumeRole", f"{ROLE}/{target}")] if target is not None else []
        roles.append(role(name, *trusts, *outside, permissions=allowed))
    builder = AccountBuilder("test")
    builder.add_page(page(*roles), "test")
    (account,) = builder.build()
    evaluator = Evaluator(account.access)

    def started(principal: Caller, target: str) -> set[tuple[str, str]]:
        requests = {
            name: Request(principal, f"{ROLE}/{target}", context={"sts:RoleSessionName": name}) for name in (*SESSIONS, "zz")
        }
        return {(target, name) for name, request in requests.items() if evaluator.may_assume(request).allowed}

    reached = pending = started(Caller(caller(DATADOG)["AWS"], IdentitySide.ALLOWS_ALL), "vendor")
    while pending:
        callers = [Caller(session(*each)["AWS"]) for each in pending]
        pending = {each for who in callers for name in NAMES for each in started(who, name)} - reached
        reached = reached | pending

    audit = audit_accounts((account,), NOW)
    found = {arn for each in audit.roles if each.role.arn == f"{ROLE}/vendor" for arn in each.reaches}

    assert {f"{ROLE}/{name}" for name, _ in reached} - {f"{ROLE}/vendor"} == found
