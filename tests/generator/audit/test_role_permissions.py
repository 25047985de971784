"""What a role may do: policies, Deny statements, boundaries and conditions together, decided by the evaluator."""

from __future__ import annotations

from fnmatch import fnmatchcase
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit_accounts import (
    ACCOUNT,
    LIMIT,
    allow,
    audited,
    by_id,
    caller,
    deny,
    document,
    managed_policy,
    page,
    role,
    root,
    trust,
)
from rolecall_generator.audit import Audit, RolePermissions, Scope, summarize_access
from rolecall_generator.audit.permissions import iam_changes
from rolecall_generator.findings import Severity
from rolecall_generator.iam.catalog import find_action

VENDOR = caller("464622532012")
TRUST = trust(VENDOR, by_id("0f0c5a6e8d2b4c7f9a1e3b5d7f9a1c3e"))


def audit_of(*roles: dict[str, Any], limit: list[dict[str, Any]] | None = None) -> Audit:
    return audited(page(*roles, policies=[managed_policy(LIMIT, document(*limit))] if limit is not None else []))


def permissions(
    *statements: dict[str, Any], limit: list[dict[str, Any]] | None = None, tags: dict[str, str] | None = None
) -> RolePermissions:
    boundary = LIMIT if limit is not None else None
    (found,) = audit_of(role("vendor", TRUST, permissions=statements, boundary=boundary, tags=tags), limit=limit).roles
    assert found.permissions is not None
    return found.permissions


def paths(found: RolePermissions) -> dict[str, Scope]:
    return {each.path.id: each.scope for each in found.escalations}


ALL = allow("*")


@pytest.mark.parametrize(
    ("statements", "administrator", "almost"),
    [
        ([ALL], True, False),
        ([allow("*:*")], True, False),
        ([{"Effect": "Allow", "NotAction": "account:*", "Resource": "*"}], True, False),
        ([ALL, deny("s3:DeleteBucket")], True, False),
        ([ALL, deny("iam:*")], False, True),
        ([{"Effect": "Allow", "NotAction": ["iam:*", "organizations:*"], "Resource": "*"}], False, True),
        ([allow("*", "arn:aws:s3:::bucket/*")], False, False),
        ([ALL, deny("*")], False, False),
        ([allow("iam:*")], False, False),
        ([allow(["s3:*", "ec2:*"])], False, False),
    ],
)
def test_an_administrator_may_do_everything(statements: list[dict[str, Any]], administrator: bool, almost: bool) -> None:
    """A Deny of single actions does not help; without IAM it is almost everything."""
    found = permissions(*statements)

    assert (administrator, almost) == (found.administrator, found.almost_everything)


def test_a_boundary_limits_an_administrator() -> None:
    found = permissions(ALL, limit=[allow(["s3:GetObject", "s3:ListBucket"], "*")])

    assert not found.administrator
    assert {"s3": 2} == {each.service: len(each.actions) for each in found.services}
    assert ["s3:GetObject"] == [each.action for each in found.data]


def test_conditions_of_an_administrator_are_named() -> None:
    found = permissions(allow("*", condition={"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}))

    assert found.administrator
    assert ("aws:sourceip",) == found.administrator_conditions


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([allow("iam:PutRolePolicy")], {"iam-005": Scope.ALL}),
        ([allow("iam:Put*", f"arn:aws:iam::{ACCOUNT}:role/*")], {"iam-005": Scope.ALL}),
        ([allow("iam:PutRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/app/*")], {"iam-005": Scope.SOME}),
        ([allow("iam:PutRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/vendor")], {"iam-005": Scope.ALL}),
        ([allow("iam:PutRolePolicy"), deny("iam:*")], {}),
        ([allow("iam:PassRole")], {}),
        ([allow("lambda:CreateFunction"), allow("lambda:InvokeFunction")], {}),
        ([allow(["iam:PassRole", "ec2:RunInstances"])], {"ec2-001": Scope.ALL}),
        ([allow("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/web"), allow("ec2:RunInstances")], {"ec2-001": Scope.SOME}),
        (
            [
                allow("iam:PassRole", condition={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}),
                allow(["ec2:RunInstances", "cloudformation:CreateStack"]),
            ],
            {"ec2-001": Scope.ALL},
        ),
        ([allow("iam:CreateAccessKey", f"arn:aws:iam::{ACCOUNT}:user/${{aws:username}}")], {}),
    ],
)
def test_escalation_needs_every_action_of_a_path(statements: list[dict[str, Any]], expected: dict[str, Scope]) -> None:
    """The own role counts as every resource, because it gives the outsider any permission."""
    assert expected == paths(permissions(*statements))


def test_escalation_ends_at_the_boundary() -> None:
    assert {} == paths(permissions(allow("iam:*"), limit=[allow("s3:*")]))


DEPLOY = f"arn:aws:iam::{ACCOUNT}:role/deploy-*"


@pytest.mark.parametrize(
    ("statements", "limit"),
    [
        ([allow("iam:PutRolePolicy", DEPLOY)], None),
        ([allow("iam:*")], [allow("iam:PutRolePolicy", DEPLOY)]),
        ([allow("iam:PutRolePolicy")], [ALL, {"Effect": "Deny", "Action": "iam:*", "NotResource": DEPLOY}]),
        ([{"Effect": "Allow", "NotAction": "s3:*", "Resource": DEPLOY}, deny(["iam:[!P]*", "iam:Att*", "iam:Up*"])], None),
        ([allow("iam:PutRolePolicy"), {"Effect": "Deny", "Action": "iam:*", "NotResource": DEPLOY}], None),
    ],
)
def test_escalation_on_resources_that_any_policy_lists(statements: list[dict[str, Any]], limit: Any) -> None:
    """The list may be that of the boundary, of a Deny with NotResource, or of a statement with NotAction."""
    assert {"iam-005": Scope.SOME} == paths(permissions(*statements, limit=limit))


@pytest.mark.parametrize(("target", "expected"), [("worker", {"iam-005": Scope.SOME}), ("${aws:username}", {})])
def test_escalation_on_a_resource_named_by_a_tag_of_the_role(target: str, expected: dict[str, Scope]) -> None:
    resource = f"arn:aws:iam::{ACCOUNT}:role/${{aws:PrincipalTag/Target}}-{target}"

    assert expected == paths(permissions(allow("iam:PutRolePolicy", resource), tags={"target": "build"}))


@pytest.mark.parametrize(
    ("actions", "resources", "severity"),
    [
        ("iam:CreatePolicyVersion", "*", Severity.ERROR),
        ("iam:CreatePolicyVersion", f"arn:aws:iam::{ACCOUNT}:policy/one", Severity.WARNING),
        ("s3:GetObject", "*", Severity.WARNING),
    ],
)
def test_a_further_role_that_escalates_is_an_error(actions: str, resources: str, severity: Severity) -> None:
    vendor = role("vendor", TRUST)
    inner = role("inner", trust(caller(ACCOUNT, "role/vendor")), permissions=[allow(actions, resources)])

    found = audit_of(vendor, inner)

    assert [severity] == [each.severity for each in found.report.active if each.rule == "RA405"]


def test_changes_of_iam_without_those_of_an_escalation() -> None:
    found = permissions(allow(["iam:PutRolePolicy", "iam:TagRole", "iam:CreateServiceLinkedRole", "iam:GetRole"]))

    assert ["iam:TagRole"] == [each.action for each in found.iam_changes]


@pytest.mark.parametrize(
    ("statement", "actions"),
    [
        (allow("s3:GetObject"), ["s3:GetObject"]),
        (allow("s3:GetObject", "arn:aws:s3:::*"), ["s3:GetObject"]),
        (allow("s3:GetObject", "arn:aws:s3:::*/*"), ["s3:GetObject"]),
        (allow("s3:GetObject", "arn:aws:s3:::vendor-*"), []),
        (allow("s3:GetObject", "arn:aws:s3:::bucket/*"), []),
        (allow("secretsmanager:*", f"arn:aws:secretsmanager:*:{ACCOUNT}:secret:*"), ["secretsmanager:GetSecretValue"]),
        (allow("secretsmanager:*", f"arn:aws:secretsmanager:*:{ACCOUNT}:secret:vendor/*"), []),
        (allow("s3:ListBucket"), []),
    ],
)
def test_data_of_every_resource(statement: dict[str, Any], actions: list[str]) -> None:
    assert actions == [each.action for each in permissions(statement).data]


def test_services_without_denied_actions() -> None:
    """Only a Deny without conditions on every resource removes an action."""
    found = permissions(
        allow(["sqs:*", "sns:Publish"]),
        deny("sqs:DeleteQueue"),
        deny("sqs:PurgeQueue", condition={"Null": {"aws:x": "true"}}),
    )
    services = {each.service: each for each in found.services}

    assert {"sns", "sqs"} == set(services)
    assert services["sqs"].total - 1 == len(services["sqs"].actions)
    assert not services["sqs"].is_complete


def test_unknown_policies_are_named() -> None:
    found = audit_of(role("vendor", TRUST, permissions=(), attached=[LIMIT])).roles[0].permissions

    assert found is not None
    assert [LIMIT] == [reason.split()[-3] for reason in found.unknown]


def test_an_unknown_boundary_leaves_actions_undecided() -> None:
    found = audit_of(role("vendor", TRUST, permissions=[allow("iam:PutRolePolicy")], boundary=LIMIT)).roles[0].permissions

    assert found is not None
    assert () == found.escalations
    assert 2 == len(found.unknown)


def test_aws_managed_administrator_is_known_without_its_document() -> None:
    attached = ["arn:aws:iam::aws:policy/AdministratorAccess"]
    found = audit_of(role("vendor", TRUST, permissions=(), attached=attached)).roles[0].permissions

    assert found is not None
    assert (True, ()) == (found.administrator, found.unknown)


ROLE = f"arn:aws:iam::{ACCOUNT}:role"


@pytest.mark.parametrize(
    ("roles", "reaches", "severity"),
    [
        # Named as a principal: no permission is needed in the same account.
        ([role("target", trust(caller(ACCOUNT, "role/vendor")))], ["target"], Severity.WARNING),
        # The whole account: the role itself must allow it.
        ([role("target", trust(root(ACCOUNT)))], [], None),
        ([role("target", trust(caller(ACCOUNT, "role/other")))], [], None),
        (
            [
                role("middle", trust(caller(ACCOUNT, "role/vendor"))),
                role("admin", trust(caller(ACCOUNT, "role/middle")), permissions=[ALL]),
            ],
            ["admin", "middle"],
            Severity.ERROR,
        ),
        (
            [
                role("one", trust(caller(ACCOUNT, "role/vendor")), trust(caller(ACCOUNT, "role/two"))),
                role("two", trust(caller(ACCOUNT, "role/one"))),
            ],
            ["one", "two"],
            Severity.WARNING,
        ),
        ([role("target", trust(caller(ACCOUNT, "role/vendor"), {"StringEquals": {"aws:PrincipalAccount": "1"}}))], [], None),
    ],
)
def test_further_roles(roles: list[dict[str, Any]], reaches: list[str], severity: Severity | None) -> None:
    audit = audit_of(role("vendor", TRUST), *roles)
    found = next(each for each in audit.roles if each.role.arn == f"{ROLE}/vendor")

    assert [f"{ROLE}/{name}" for name in reaches] == list(found.reaches)
    severities = [each.severity for each in audit.report.active if each.rule == "RA405"]
    assert ([] if severity is None else [severity]) == severities


def test_everyone_includes_the_roles_of_the_account() -> None:
    """A role for the organization is a further one; a role for anyone gives an outsider nothing further."""
    organization = {"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}
    audit = audit_of(role("vendor", TRUST), role("organization", trust("*", organization)), role("anyone", trust("*")))
    found = next(each for each in audit.roles if each.role.arn == f"{ROLE}/vendor")

    assert (f"{ROLE}/organization",) == found.reaches


def test_further_roles_with_permission() -> None:
    vendor = role("vendor", TRUST, permissions=[allow("sts:AssumeRole", f"{ROLE}/target")])
    audit = audit_of(vendor, role("target", trust(root(ACCOUNT))), role("other", trust(root(ACCOUNT))))

    assert (f"{ROLE}/target",) == audit.roles[0].reaches


@pytest.mark.parametrize(
    ("resource", "elsewhere", "scope"),
    [
        ("arn:aws:iam::333333333333:role/hub", ["arn:aws:iam::333333333333:role/hub"], Scope.SOME),
        ("arn:aws:iam::333333333333:role/*", ["arn:aws:iam::333333333333:role/*"], Scope.SOME),
        ("arn:aws:iam::*:role/hub", ["arn:aws:iam::*:role/hub"], Scope.SOME),
        (f"{ROLE}/hub", [], Scope.SOME),
        ("arn:aws:iam::*:role/*", ["arn:aws:iam::*:role/*"], Scope.ALL),
        ("arn:aws:s3:::hub", [], Scope.NONE),
    ],
)
def test_roles_of_other_accounts(resource: str, elsewhere: list[str], scope: Scope) -> None:
    found = permissions(allow("sts:AssumeRole", resource))

    assert (elsewhere, scope) == (list(found.assume_elsewhere), found.assume)


@pytest.mark.parametrize(
    ("resource", "expected"),
    [("*", True), ("arn:aws:iam::*:role/*", True), (f"{ROLE}/*", False), ("arn:aws:iam::*:role/hub-*", False)],
)
def test_roles_of_every_account(resource: str, expected: bool) -> None:
    assert expected is permissions(allow("sts:AssumeRole", resource)).assume_everywhere


def test_every_role_of_the_own_account_is_not_every_role() -> None:
    """What the role reaches within its account is known: nothing."""
    assert "RA405" not in {
        f.rule for f in audit_of(role("v", TRUST, permissions=[allow("sts:AssumeRole", f"{ROLE}/*")])).report.active
    }


def test_denied_roles_of_other_accounts_are_left_out() -> None:
    hub = "arn:aws:iam::333333333333:role/hub"

    assert () == permissions(allow("sts:AssumeRole", hub), deny("sts:AssumeRole")).assume_elsewhere


NAMES = tuple("".join(letters) for length in range(1, 6) for letters in product("abx", repeat=length))
NAME_PATTERNS = st.text("ab*?", min_size=1, max_size=4)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.lists(NAME_PATTERNS, min_size=1, max_size=2),
    st.none() | st.lists(NAME_PATTERNS, min_size=1, max_size=2),
    st.lists(NAME_PATTERNS, max_size=2),
    st.booleans(),
)
def test_overlap_of_patterns_is_decided_over_all_resources(
    allowed: list[str], limit: list[str] | None, denied: list[str], inverse: bool
) -> None:
    """Compared with every name of three letters, one of which is in no pattern."""
    key = "NotResource" if inverse else "Resource"
    statements = [allow("iam:PutRolePolicy", [f"{ROLE}/{each}" for each in allowed])]
    if denied:
        statements.append({"Effect": "Deny", "Action": "iam:*", key: [f"{ROLE}/{each}" for each in denied]})
    bounds = None if limit is None else [allow("iam:*", [f"{ROLE}/{each}" for each in limit])]

    def matches(name: str, patterns: list[str]) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in patterns)

    expected = any(
        matches(name, allowed)
        and (limit is None or matches(name, limit))
        and not (denied and matches(name, denied) is not inverse)
        for name in NAMES
    )

    found = permissions(*statements, limit=bounds)

    assert expected is bool(paths(found))
    assert not found.unknown


@pytest.mark.parametrize(
    ("statements", "limit", "expected"),
    [
        # The actions overlap too.
        ([allow("iam:Put*Policy", f"{ROLE}/a*")], [allow("iam:*RolePolicy", f"{ROLE}/*b")], True),
        ([allow("iam:Put*Policy", f"{ROLE}/a*")], [allow("iam:*UserPolicy", f"{ROLE}/*b")], False),
        # Roles of another account are not changed.
        ([allow("iam:PutRolePolicy", "arn:aws:iam::*:role/a*"), deny("*", f"{ROLE}/*")], None, False),
        ([allow("iam:PutRolePolicy", "arn:aws:iam::*:role/a*")], [allow("iam:*", "arn:aws:iam::2*:role/*b")], True),
        (
            [{"Effect": "Allow", "Action": "iam:PutRolePolicy", "NotResource": f"{ROLE}/*a"}],
            [allow("iam:*", f"{ROLE}/*ba")],
            False,
        ),
        # A pattern with the tag of the role in it.
        ([allow("iam:PutRolePolicy", f"{ROLE}/${{aws:PrincipalTag/team}}*")], [allow("iam:*", f"{ROLE}/*b")], True),
        ([allow("iam:PutRolePolicy", f"{ROLE}/${{aws:PrincipalTag/team}}*")], [allow("iam:*", f"{ROLE}/b*")], False),
        # A condition that excludes the other one.
        (
            [allow("iam:PutRolePolicy", f"{ROLE}/a*", {"StringEquals": {"aws:PrincipalTag/x": "1"}})],
            [allow("iam:*", f"{ROLE}/*b", {"StringEquals": {"aws:PrincipalTag/x": "2"}})],
            False,
        ),
    ],
)
def test_overlap_of_policy_and_boundary(
    statements: list[dict[str, Any]], limit: list[dict[str, Any]] | None, expected: bool
) -> None:
    assert expected is bool(permissions(*statements, limit=limit, tags={"team": "a"}).escalations)


def test_overlap_of_patterns_for_other_accounts() -> None:
    found = permissions(
        allow("sts:AssumeRole", "arn:aws:iam::333333333333:role/a*"), limit=[allow("sts:*", "arn:aws:iam::*:role/*b")]
    )

    assert found.assume is Scope.SOME
    assert "arn:aws:iam::333333333333:role/a*" in found.assume_elsewhere


def test_changes_of_iam_are_existing_actions() -> None:
    assert {"iam:CreateUser", "iam:DeleteRole", "iam:TagRole"} <= set(iam_changes())
    assert not {"iam:PassRole", "iam:GetRole", "iam:CreateServiceLinkedRole"} & set(iam_changes())
    assert all(find_action(action) for action in iam_changes())


def test_role_without_known_permissions_does_not_have_none() -> None:
    """The document of the boundary is missing: what is left of the permissions is not known."""
    missing = f"arn:aws:iam::{ACCOUNT}:policy/missing"
    bounded = role("bounded", TRUST, permissions=[allow("*")], boundary=missing)
    found = {
        each.role.arn.rpartition("/")[2]: summarize_access(each)
        for each in audit_of(bounded, role("none", TRUST, permissions=())).roles
    }

    assert {"bounded": ("unknown",), "none": ("nothing",)} == found
