"""Conditions on the time of a request: decided for the date of the audit, and reported as expired or later grants."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit_accounts import (
    ACCOUNT,
    DATADOG,
    GOOD_ID,
    NOW,
    READ_LOGS,
    UNKNOWN,
    allow,
    audited,
    by_id,
    caller,
    document,
    page,
    role,
    root,
    trust,
)
from rolecall_generator.audit import Audit, AuditedRole
from rolecall_generator.audit.validity import Validity, at_time
from rolecall_generator.findings import Severity
from rolecall_generator.iam import Access, PolicyDocument, Role
from rolecall_generator.iam.evaluation import Caller, Evaluator, IdentitySide, Request

PAST, FUTURE = "2026-06-30T00:00:00Z", "2027-06-30T00:00:00Z"


def audit_of(*roles: dict[str, Any], now: datetime = NOW) -> Audit:
    return audited(page(*roles), now=now)


def found_role(*statements: dict[str, Any], now: datetime = NOW) -> AuditedRole | None:
    found = audit_of(role("timed", *statements), now=now).roles
    return found[0] if found else None


def timed(*conditions: dict[str, dict[str, Any]], principal: Any = None, **more: Any) -> dict[str, Any]:
    merged = {**by_id(GOOD_ID), **{operator: each for condition in conditions for operator, each in condition.items()}}
    return trust(principal or caller(DATADOG), merged, **more)


def before(date: Any, operator: str = "DateLessThan", key: str = "aws:CurrentTime") -> dict[str, dict[str, Any]]:
    return {operator: {key: date}}


def after(date: Any, operator: str = "DateGreaterThan", key: str = "aws:CurrentTime") -> dict[str, dict[str, Any]]:
    return {operator: {key: date}}


def deny(condition: dict[str, Any]) -> dict[str, Any]:
    return {**trust("*", condition), "Effect": "Deny"}


@pytest.mark.parametrize(
    "statements",
    [
        [timed(before(FUTURE))],
        [timed(after(PAST), before(FUTURE))],
        [timed(before([PAST, FUTURE]))],
        [timed(), deny(after(FUTURE))],
        [timed(), deny(before(PAST))],
        [timed(before("2026-11-30T12:00:00Z", "DateLessThanEquals"))],
        [timed(after("2026-11-30T12:00:00Z", "DateGreaterThanEquals"))],
        [timed({"Null": {"aws:CurrentTime": "false"}})],
        # The key is about the session, not the time of the request.
        [timed(before(PAST, key="aws:TokenIssueTime"))],
        [timed(), timed(before(PAST))],
    ],
)
def test_valid_grant_has_no_note(statements: list[dict[str, Any]]) -> None:
    found = found_role(*statements)

    assert found is not None
    assert [each.account_id for each in found.outsiders] == [DATADOG]
    assert not found.inactive


@pytest.mark.parametrize(
    ("statements", "validity", "date"),
    [
        ([timed(before(PAST))], Validity.EXPIRED, PAST),
        ([timed(before(PAST, "DateLessThanEquals"))], Validity.EXPIRED, PAST),
        ([timed(before("2026-11-30T12:00:00Z"))], Validity.EXPIRED, "2026-11-30T12:00:00Z"),
        ([timed(before(PAST, "DateLessThanIfExists"))], Validity.EXPIRED, PAST),
        ([timed(before(PAST, "ForAllValues:DateLessThan"))], Validity.EXPIRED, PAST),
        ([timed(before(PAST, key="AWS:currenttime"))], Validity.EXPIRED, PAST),
        ([timed(before("1782777600", key="aws:EpochTime"))], Validity.EXPIRED, PAST),
        ([timed(before("1782777600", "NumericLessThan", "aws:EpochTime"))], Validity.EXPIRED, PAST),
        ([timed(before(["2025-01-01", PAST]))], Validity.EXPIRED, PAST),
        ([timed(after("2025-01-01"), before(PAST))], Validity.EXPIRED, PAST),
        ([timed(), deny(after(PAST))], Validity.EXPIRED, PAST),
        ([timed(after(FUTURE))], Validity.LATER, FUTURE),
        ([timed(after(FUTURE, "DateGreaterThanEquals"))], Validity.LATER, FUTURE),
        ([timed(after(FUTURE), before("2028-01-01"))], Validity.LATER, FUTURE),
        ([timed(), deny(before(FUTURE))], Validity.LATER, FUTURE),
        ([timed(before(PAST), principal="*")], Validity.EXPIRED, PAST),
        ([trust({"Service": "vpc-flow-logs.amazonaws.com"}, before(PAST))], Validity.EXPIRED, PAST),
    ],
)
def test_inactive_grant_is_only_a_note(statements: list[dict[str, Any]], validity: Validity, date: str) -> None:
    audit = audit_of(role("timed", *statements))
    (found,) = audit.roles

    assert not found.outsiders
    assert [(each.validity, each.moment) for each in found.inactive] == [(validity, datetime.fromisoformat(date))]
    assert [(each.rule, each.severity) for each in audit.report.active] == [("RA107", Severity.NOTE)]


@pytest.mark.parametrize("date", ["0001", "0001-01-01", "9999-12-31T23:59:59Z", "9999", "253402300799", "-99999999999999"])
def test_first_and_last_dates_are_dates(date: str) -> None:
    for condition in (before(date), after(date), before(date, key="aws:EpochTime"), after(date, "DateNotEquals")):
        assert found_role(timed(condition), timed(before(PAST))) is not None


def test_expired_statement_does_not_weaken_a_valid_one() -> None:
    audit = audit_of(role("timed", timed(), trust(caller(DATADOG), before(PAST))))

    assert not audit.report.active


def test_later_weakening_is_a_note() -> None:
    audit = audit_of(role("timed", timed(), trust(caller(DATADOG), after(FUTURE))))
    (found,) = audit.roles

    assert [(each.validity, each.moment.year) for each in found.inactive] == [(Validity.LATER, 2027)]
    assert [each.rule for each in audit.report.active] == ["RA107"]


def test_expired_grant_of_another_outsider_is_reported_with_the_valid_one() -> None:
    found = found_role(timed(), timed(before(PAST), principal=root(UNKNOWN)))

    assert found is not None
    assert [each.account_id for each in found.outsiders] == [DATADOG]
    assert [each.outsider.account_id for each in found.inactive] == [UNKNOWN]


def test_expired_grant_to_the_own_account_is_not_reported() -> None:
    assert found_role(trust(root(ACCOUNT), before(PAST))) is None


@pytest.mark.parametrize(
    "now", [datetime(2026, 6, 29, 23, 59, tzinfo=UTC), datetime(2026, 6, 30, 1, tzinfo=timezone(timedelta(hours=2)))]
)
def test_date_of_the_audit_decides(now: datetime) -> None:
    found = found_role(timed(before(PAST)), now=now)

    assert found is not None
    assert found.outsiders
    assert not found.inactive


@pytest.mark.parametrize(
    "condition",
    [
        {"StringLike": {"aws:CurrentTime": "2020-*"}},
        {"DateLessThan": {"aws:CurrentTime": "soon"}},
        {"NumericLessThan": {"aws:CurrentTime": "1782777600"}},
    ],
)
def test_undocumented_comparison_of_the_time_remains(condition: dict[str, Any]) -> None:
    trusted = PolicyDocument.from_json(document(trust(root(UNKNOWN), condition)))

    assert at_time(trusted, NOW) == trusted
    assert found_role(trust(root(UNKNOWN), condition)) is not None


DATES = st.sampled_from(["2026-01-01", PAST, "2026-11-30T12:00:00Z", FUTURE, "2028-01-01"])
OPERATORS = st.sampled_from(
    [
        f"{prefix}Date{order}{suffix}"
        for prefix in ("", "ForAnyValue:", "ForAllValues:")
        for order in ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
        for suffix in ("", "IfExists")
    ]
)
STATEMENTS = st.builds(
    lambda effect, operator, dates, key: {**trust(caller(DATADOG), {operator: {key: dates}}), "Effect": effect},
    st.sampled_from(["Allow", "Allow", "Deny"]),
    OPERATORS,
    st.lists(DATES, min_size=1, max_size=2),
    st.sampled_from(["aws:CurrentTime", "aws:currenttime", "aws:EpochTime"]),
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(STATEMENTS, min_size=1, max_size=3))
def test_outsider_is_the_one_that_the_evaluator_allows_at_that_time(statements: list[dict[str, Any]]) -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:role/timed"
    evaluator = Evaluator(Access({arn: Role(arn, PolicyDocument.from_json(document(*statements)))}))
    principal = Caller(caller(DATADOG)["AWS"], IdentitySide.ALLOWS_ALL)

    def allowed(moment: datetime) -> bool:
        context = {"aws:CurrentTime": f"{moment:%Y-%m-%dT%H:%M:%SZ}", "aws:EpochTime": str(int(moment.timestamp()))}
        return evaluator.may_assume(Request(principal, arn, context=context)).allowed

    found = found_role(*statements)
    now = found is not None and bool(found.outsiders)
    validities = {each.validity for each in found.inactive} if found is not None else set()
    moments = [datetime(2025 + month // 12, 1 + month % 12, 2, tzinfo=UTC) for month in range(48)]

    assert allowed(NOW) is now
    if not now:
        assert (Validity.LATER in validities) >= any(allowed(moment) for moment in moments if moment > NOW)
        assert (Validity.EXPIRED in validities) >= any(allowed(moment) for moment in moments if moment < NOW)


def test_permissions_are_those_of_the_date() -> None:
    expired = allow("iam:CreateUser", condition=before(PAST))
    denied = {"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Condition": after(PAST)}
    audit = audit_of(role("timed", timed(), permissions=(READ_LOGS, expired, allow("s3:Get*"), denied)))

    assert not audit.report.active


def test_chain_through_an_expired_grant_is_not_reached() -> None:
    hub = role("hub", timed(), permissions=(allow("sts:AssumeRole"),))
    targets = [
        role("expired", trust(root(ACCOUNT), before(PAST))),
        role("valid", trust(root(ACCOUNT), before(FUTURE))),
    ]
    (found, *_) = audit_of(hub, *targets).roles

    assert found.reaches == (f"arn:aws:iam::{ACCOUNT}:role/valid",)
