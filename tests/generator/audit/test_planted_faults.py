"""The example account: each planted fault is found, and nothing else; ordinary accounts have no findings."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit_accounts import (
    CLOUDHEALTH,
    DATADOG,
    EXAMPLE,
    GOOD_ID,
    LIMIT,
    NOW,
    ORGANIZATION,
    PLANTED,
    ROLES,
    UNKNOWN,
    allow,
    audited,
    by_id,
    caller,
    document,
    encoded,
    example_text,
    generated_account,
    managed_policy,
    page,
    role,
    root,
    trust,
)
from rolecall_generator.audit import Audit, OwnAccounts, audit_rules
from rolecall_generator.audit import audit_accounts as run_audit
from rolecall_generator.audit.account import AccountBuilder
from rolecall_generator.findings import Severity
from rolecall_generator.iam import Access
from rolecall_generator.manifest import load_manifest
from rolecall_generator.planning import make_plan

ROOT = Path(__file__).resolve().parents[3]


def rules_by_role(audit: Audit) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for finding in audit.report.active:
        found.setdefault(finding.subject, Counter())[finding.rule] += 1
    return found


EXAMPLE_AUDIT = audited(EXAMPLE)


@pytest.mark.parametrize("arn", PLANTED, ids=lambda arn: arn.rpartition("/")[2])
def test_planted_faults_of_a_role_are_found_and_nothing_else(arn: str) -> None:
    assert Counter(PLANTED[arn]) == rules_by_role(EXAMPLE_AUDIT).get(arn, Counter())


def test_every_rule_has_a_planted_fault() -> None:
    """RA302 needs session durations, which have a test of their own."""
    assert {rule.id for rule in audit_rules()} - {"RA302"} == {rule for findings in PLANTED.values() for rule in findings}


def test_example_file_is_current() -> None:
    """After a change of the planted faults, write `example_text()` to the file."""
    assert example_text() == (ROOT / "examples" / "authorization-details.json").read_text("utf-8")


FURTHER = {"assumes-administrator": "own-account", "reaches-by-session": "for-a-session"}
"""Roles with the further role that they can assume."""
SHARED = {"shared-one": "shared-two", "shared-two": "shared-one", "twice-one": "twice-two"}
"""Roles with another one that has their external ID."""


def assert_findings_of_each(numbers: Iterable[int]) -> None:
    """Only shared external IDs and further roles depend on other roles."""
    names = {ROLES[number][0]["RoleName"] for number in numbers}
    expected = {}
    for item, findings in (ROLES[number] for number in numbers):
        name = item["RoleName"]
        alone = name in FURTHER and FURTHER[name] not in names
        kept = [rule for rule in findings if not alone and (rule != "RA206" or SHARED.get(name) in names)]
        if kept:
            expected[item["Arn"]] = Counter(kept)

    audit = audited({**EXAMPLE, "RoleDetailList": [ROLES[number][0] for number in sorted(numbers)]})

    assert expected == rules_by_role(audit)


@pytest.mark.parametrize("number", range(len(ROLES)), ids=lambda number: str(ROLES[number][0]["RoleName"]))
def test_a_role_alone_has_its_findings(number: int) -> None:
    assert_findings_of_each({number})


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.sets(st.sampled_from(range(len(ROLES))), min_size=1))
def test_any_selection_of_the_roles_has_the_findings_of_each(numbers: set[int]) -> None:
    assert_findings_of_each(numbers)


ITEMS = EXAMPLE["RoleDetailList"]


@pytest.mark.parametrize(
    "pages",
    [
        # GetAccountAuthorizationDetails returns URL-encoded documents; the AWS CLI decodes them.
        [encoded(EXAMPLE)],
        [page(*ITEMS[20:]), page(policies=EXAMPLE["Policies"]), page(*ITEMS[:20])],
        [{**EXAMPLE, "RoleDetailList": ITEMS[::-1]}],
    ],
    ids=["encoded", "split", "reversed"],
)
def test_form_of_the_pages_makes_no_difference(pages: list[dict[str, Any]]) -> None:
    audit = audited(*pages)

    assert EXAMPLE_AUDIT.report == audit.report
    assert [each.role.arn for each in EXAMPLE_AUDIT.roles] == [each.role.arn for each in audit.roles]


def test_generated_account_has_only_the_findings_of_its_trusts() -> None:
    """Vendors are trusted as whole accounts (a note), and flow logs have no source account; the rest is clean."""
    audit = audited(generated_account(90))
    found = {(finding.rule, finding.severity) for finding in audit.report.active}

    assert {("RA102", Severity.NOTE), ("RA105", Severity.WARNING)} == found
    assert 90 == audit.examined


def details_of(access: Access) -> dict[str, Any]:
    """An access in the form of GetAccountAuthorizationDetails."""
    roles = [
        {
            "Arn": each.arn,
            "CreateDate": "2026-11-01T00:00:00+00:00",
            "AssumeRolePolicyDocument": each.trust.to_json() if each.trust else None,
            "RolePolicyList": [{"PolicyName": name, "PolicyDocument": body.to_json()} for name, body in each.inline.items()],
            "AttachedManagedPolicies": [{"PolicyArn": arn} for arn in each.attached],
            "RoleLastUsed": {"LastUsedDate": "2026-11-29T00:00:00+00:00"},
        }
        for each in access.roles.values()
        if not each.existing
    ]
    policies = [managed_policy(each.arn, each.document.to_json()) for each in access.policies.values()]
    aws = {arn for each in access.roles.values() for arn in each.attached if ":aws:policy/" in arn}
    return page(
        *roles, policies=[*policies, *(managed_policy(arn, document(allow("ec2:Describe*"))) for arn in sorted(aws))]
    )


def test_accounts_of_the_example_manifest_have_no_errors() -> None:
    """A customer that applied what `gen terraform` writes has nothing to fix in the trust of the backend."""
    plan = make_plan(load_manifest(ROOT / "examples" / "accounts.yaml").manifest)
    for module in (each.build() for each in plan.modules):
        if module.customer is None:
            continue
        audit = audited(details_of(module.access))

        assert [module.account.account_id] == list(audit.account_ids)
        assert 1 == len(audit.roles)
        assert [] == [finding for finding in audit.report.active if finding.rule.startswith(("RA1", "RA2"))]


def only(*roles: dict[str, Any]) -> Audit:
    return audited(page(*roles))


def ids(audit: Audit) -> list[str]:
    return sorted(finding.rule for finding in audit.report.active)


@pytest.mark.parametrize(("seconds", "expected"), [(3_600, []), (3_601, ["RA302"]), (43_200, ["RA302"])])
def test_session_of_a_third_party_is_limited_to_an_hour(seconds: int, expected: list[str]) -> None:
    """The duration comes from ListRoles."""
    item = role("vendor", trust(caller(DATADOG), by_id(GOOD_ID)))

    audit = audited(page(item), {"Roles": [{"Arn": item["Arn"], "MaxSessionDuration": seconds}]})

    assert expected == ids(audit)
    assert () == audit.not_checked


@pytest.mark.parametrize(("days", "expected"), [(90, []), (91, ["RA301"])])
def test_a_role_is_unused_after_more_than_ninety_days(days: int, expected: list[str]) -> None:
    used = (NOW - timedelta(days=days)).isoformat()

    assert expected == ids(only(role("vendor", trust(caller(DATADOG), by_id(GOOD_ID)), used=used)))


def test_a_new_role_without_use_is_not_unused() -> None:
    created = (NOW - timedelta(days=3)).isoformat()

    assert [] == ids(only(role("vendor", trust(caller(DATADOG), by_id(GOOD_ID)), used=None, created=created)))


def test_without_use_and_durations_the_result_names_what_was_not_checked() -> None:
    item = role("vendor", trust(caller(DATADOG), by_id(GOOD_ID)))
    del item["RoleLastUsed"]

    audit = only(item)

    assert [] == ids(audit)
    assert 2 == len(audit.not_checked)


def test_own_accounts_and_organizations_are_not_outsiders() -> None:
    roles = [
        role("own", trust(root(UNKNOWN))),
        role("organization", trust("*", {"StringEquals": {"aws:PrincipalOrgID": ORGANIZATION}})),
        role("account-in-organization", trust(root(CLOUDHEALTH), {"StringEquals": {"aws:PrincipalOrgID": ORGANIZATION}})),
        role("paths", trust("*", {"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": f"{ORGANIZATION}/r-ab12/*"}})),
    ]
    own = OwnAccounts(frozenset({UNKNOWN}), frozenset({ORGANIZATION}))

    assert 4 == len(only(*roles).roles)
    assert () == audited(page(*roles), own=own).roles


def test_accounts_of_one_run_are_not_outsiders_of_each_other() -> None:
    other = role("r", trust({"Service": "lambda.amazonaws.com"}), account=UNKNOWN)

    assert ["RA102", "RA201"] == ids(only(role("shared", trust(root(UNKNOWN)))))
    assert [] == ids(only(role("shared", trust(root(UNKNOWN))), other))


def test_vendor_without_external_id_is_an_error_and_other_accounts_a_warning() -> None:
    audit = only(role("vendor", trust(caller(DATADOG))), role("other", trust(caller(UNKNOWN))))

    assert {"vendor": Severity.ERROR, "other": Severity.WARNING} == {
        finding.subject.rpartition("/")[2]: finding.severity for finding in audit.report.active
    }


def test_no_message_contains_an_external_id() -> None:
    """External IDs are not secrets, but reports are passed on."""
    messages = "\n".join(finding.message + finding.hint for finding in EXAMPLE_AUDIT.report.active)
    values = {
        value
        for item, _ in ROLES
        for statement in item["AssumeRolePolicyDocument"]["Statement"]
        for value in json.dumps(statement.get("Condition", {}).get("StringEquals", {})).split('"')
        if len(value) > 20 and ":" not in value
    }

    assert values
    assert [] == [value for value in values if value in messages]


def test_an_unreadable_trust_policy_is_a_finding() -> None:
    broken = {**role("broken", trust(root(UNKNOWN))), "AssumeRolePolicyDocument": "%7Bnot json"}

    audit = only(broken, role("vendor", trust(caller(DATADOG), by_id(GOOD_ID))))

    assert ["RA106"] == ids(audit)
    assert 2 == audit.examined


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("%7Bnot json", "it is not JSON"),
        (None, "it is missing"),
        ({"Statement": [{"Bad": 1}]}, "unknown policy element Bad"),
        ([], "it is not an object"),
        (document(*(trust(caller(f"{number:012d}")) for number in range(2_000))), "it is longer than AWS allows"),
    ],
)
def test_an_unreadable_trust_policy_has_its_reason(value: Any, reason: str) -> None:
    audit = only({**role("broken", trust(root(UNKNOWN))), "AssumeRolePolicyDocument": value})

    (outsider,) = audit.roles[0].outsiders
    assert outsider.reason.endswith(f": {reason}")
    assert ["RA106"] == ids(audit)


def test_an_unreadable_managed_policy_has_its_reason() -> None:
    vendor = role("vendor", trust(caller(DATADOG), by_id(GOOD_ID)), attached=[LIMIT])

    audit = audited(page(vendor, policies=[managed_policy(LIMIT, {"Statement": [{"Bad": 1}]})]))

    assert ["RA406"] == ids(audit)
    permissions = audit.roles[0].permissions
    assert permissions is not None
    assert [f"{LIMIT} cannot be read: unknown policy element Bad"] == list(permissions.unknown)


def test_tags_that_the_trust_does_not_test_make_no_difference() -> None:
    """Roles with different tags share the search for outsiders, unless the trust policy depends on them."""
    tested = {"StringEquals": {"aws:ResourceTag/team": "red"}}
    roles = [
        role("red", trust(root(UNKNOWN), tested), tags={"team": "red"}),
        role("blue", trust(root(UNKNOWN), tested), tags={"team": "blue"}),
    ]

    assert ["red"] == [each.role.arn.rpartition("/")[2] for each in only(*roles).roles]


def test_replacing_a_role_by_itself_keeps_the_result() -> None:
    builder = AccountBuilder("account.json")
    builder.add_page(EXAMPLE, "account.json")
    (account,) = builder.build()
    copies = {arn: replace(each) for arn, each in account.access.roles.items()}

    assert EXAMPLE_AUDIT.report == run_audit([replace(account, access=replace(account.access, roles=copies))], NOW).report


def test_hint_of_an_open_provider_names_the_claim_of_its_tenants() -> None:
    """Identity pools are told apart by the audience, repositories by the subject."""
    pools = "cognito-identity.amazonaws.com"
    audit = only(role("pool", trust({"Federated": pools}, None, "sts:AssumeRoleWithWebIdentity")))
    (found,) = [each for each in audit.report.active if each.rule == "RA104"]

    assert f"{pools}:aud" in found.hint
