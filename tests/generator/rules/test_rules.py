"""Each rule has cases with and without a finding."""

from __future__ import annotations

from pathlib import Path

import pytest

from rolecall_generator.findings import Finding, FindingKind, Severity
from rolecall_generator.iam.model import Access, Group, ManagedPolicy, Role, User
from rolecall_generator.iam.policy import Condition, PolicyDocument, Principal, Statement
from rolecall_generator.reports.formatters.ci import catalogue
from rolecall_generator.rules.rule import CheckContext, all_rules, run_rules

BACKEND = "arn:aws:iam::111111111111:role/backend_role"
ROLE = "arn:aws:iam::222222222222:role/role1"
OTHER = "arn:aws:iam::333333333333:role/role1"
ROOT = "arn:aws:iam::111111111111:root"
EXTERNAL_ID = "0f0c5a6e8d2b4c7f9a1e3b5d7f9a1c3e"

BY_ID = Condition("StringEquals", "sts:ExternalId", (EXTERNAL_ID,))
BY_ROLE = Condition("ArnEquals", "aws:PrincipalArn", (BACKEND,))
BY_MFA = Condition("Bool", "aws:MultiFactorAuthPresent", ("true",))


def trusting(principal: str, *conditions: Condition, kind: str = "AWS", effect: str = "Allow") -> PolicyDocument:
    return PolicyDocument(
        (Statement(effect, ("sts:AssumeRole",), principals=(Principal(kind, principal),), conditions=conditions),)
    )


def customer(trust: PolicyDocument, *, seconds: int = 3600, **more: object) -> CheckContext:
    role = Role(ROLE, trust, max_session_seconds=seconds)
    return CheckContext(Access.of(role), customer_roles=frozenset({ROLE}), **more)  # type: ignore[arg-type]


def switch(trust: PolicyDocument) -> CheckContext:
    return CheckContext(Access.of(Role(ROLE, trust)), switch_roles=frozenset({ROLE}))


def granting(
    *actions: str, resources: tuple[str, ...] = ("arn:aws:s3:::b", "arn:aws:s3:::b/*"), **more: object
) -> CheckContext:
    statement = Statement("Allow", actions, resources, **more)  # type: ignore[arg-type]
    return CheckContext(Access.of(Role(ROLE, None, inline={"p": PolicyDocument((statement,))})))


def denying(action: str) -> CheckContext:
    return CheckContext(Access.of(Role(ROLE, None, inline={"p": PolicyDocument((Statement("Deny", (action,), ("*",)),))})))


def two_customers(one: str, other: str) -> CheckContext:
    def role(arn: str, value: str) -> Role:
        return Role(arn, trusting(BACKEND, Condition("StringEquals", "sts:ExternalId", (value,))))

    return CheckContext(
        Access.of(role(ROLE, one), role(OTHER, other)),
        subjects={ROLE: "account1", OTHER: "account2"},
        customer_roles=frozenset({ROLE, OTHER}),
    )


def named(arn: str, **kinds: frozenset[str]) -> CheckContext:
    return CheckContext(Access.of(Role(arn, None)), **kinds)  # type: ignore[arg-type]


def attaching(*names: str, partition: str = "aws") -> CheckContext:
    arns = frozenset(f"arn:{partition}:iam::aws:policy/{name}" for name in names)
    return CheckContext(Access.of(Role(ROLE, None, attached=arns)))


def bounded(boundary: str) -> CheckContext:
    return CheckContext(Access.of(Role(ROLE, None, boundary=boundary)))


def of_size(characters: int, *, action: str = "s3:GetObject") -> PolicyDocument:
    empty = PolicyDocument((Statement("Allow", (action,), ("",)),)).size
    return PolicyDocument((Statement("Allow", (action,), ("a" * (characters - empty),)),))


def inline(characters: int) -> CheckContext:
    return CheckContext(Access.of(Role(ROLE, None, inline={"p": of_size(characters - 5_000), "q": of_size(5_000)})))


def managed(characters: int, *, packed: bool = False) -> CheckContext:
    policy = ManagedPolicy("arn:aws:iam::111111111111:policy/p", of_size(characters))
    role = Role(BACKEND, None, attached=frozenset({policy.arn}))
    return CheckContext(Access.of(policy, role), backend_roles=frozenset({BACKEND} if packed else ()))


def trust_of_size(characters: int) -> CheckContext:
    size = trusting("").size
    return CheckContext(Access.of(Role(ROLE, trusting("a" * (characters - size)))))


def with_not_principal() -> PolicyDocument:
    return PolicyDocument((Statement("Allow", ("sts:AssumeRole",), not_principals=(Principal("AWS", ROOT),)),))


def for_console(path_and_name: str) -> CheckContext:
    arn = f"arn:aws:iam::222222222222:role/{path_and_name}"
    return named(arn, switch_roles=frozenset({arn}))


def path_of(characters: int) -> CheckContext:
    return named(f"arn:aws:iam::222222222222:role/{'p' * (characters - 2)}/r")


GOOD = trusting(BACKEND, BY_ID)

FIRES: tuple[tuple[str, CheckContext], ...] = (
    ("RC101", customer(trusting("*", BY_ID))),
    ("RC101", customer(trusting("*", kind="*"))),
    ("RC101", customer(trusting("*", Condition("ArnLike", "aws:PrincipalArn", ("*",))))),
    ("RC101", customer(trusting("*", Condition("StringEqualsIfExists", "aws:PrincipalOrgID", ("o-1",))))),
    ("RC101", customer(trusting("*", Condition("ArnLike", "aws:PrincipalArn", ("arn:aws:iam::*:role/*",))))),
    ("RC101", customer(trusting("*", Condition("StringLike", "aws:PrincipalArn", ("*/*/*/*",))))),
    ("RC101", customer(trusting("*", Condition("StringLike", "aws:PrincipalAccount", ("????????????",))))),
    ("RC101", customer(trusting("*", Condition("StringNotLike", "aws:PrincipalArn", ("*admin*",))))),
    ("RC102", customer(trusting(ROOT, BY_ID))),
    ("RC102", customer(trusting(ROOT, BY_ID, Condition("StringLike", "aws:PrincipalArn", ("*/*/*/*",))))),
    ("RC102", customer(trusting(ROOT, BY_ID, Condition("ArnLike", "aws:PrincipalArn", ("arn:aws:iam::111111111111:*",))))),
    ("RC102", customer(trusting(ROOT, BY_ID, Condition("StringEquals", "aws:PrincipalAccount", ("111111111111",))))),
    ("RC102", customer(trusting(ROOT, BY_ID, Condition("ArnNotLike", "aws:PrincipalArn", ("arn:aws:iam::*:role/x",))))),
    ("RC102", customer(trusting("111111111111", BY_ID))),
    ("RC102", customer(trusting(ROOT, BY_MFA))),
    ("RC102", customer(trusting(ROOT, Condition("ForAllValues:ArnEquals", "aws:PrincipalArn", (BACKEND,))))),
    ("RC102", switch(trusting(ROOT))),
    ("RC102", switch(trusting(ROOT, Condition("BoolIfExists", "aws:MultiFactorAuthPresent", ("true",))))),
    ("RC103", customer(trusting(BACKEND))),
    ("RC103", customer(trusting(BACKEND, Condition("StringEqualsIfExists", "sts:ExternalId", (EXTERNAL_ID,))))),
    ("RC103", customer(trusting(BACKEND, Condition("ForAllValues:StringEquals", "sts:ExternalId", (EXTERNAL_ID,))))),
    ("RC103", customer(trusting(BACKEND, Condition("StringNotEquals", "sts:ExternalId", (EXTERNAL_ID,))))),
    ("RC104", two_customers(EXTERNAL_ID, EXTERNAL_ID)),
    ("RC105", customer(trusting(BACKEND, Condition("StringEquals", "sts:ExternalId", ("acme",))))),
    ("RC106", switch(trusting(ROOT, Condition("BoolIfExists", "aws:MultiFactorAuthPresent", ("true",))))),
    ("RC106", granting("s3:GetObject", conditions=(Condition("BoolIfExists", "aws:multifactorauthpresent", ("true",)),))),
    ("RC107", customer(with_not_principal())),
    ("RC108", customer(trusting(BACKEND, Condition("StringLike", "sts:ExternalId", ("acme-*",))))),
    ("RC109", customer(trusting("AROAEXAMPLEID1234567X", BY_ID))),
    ("RC110", customer(trusting(BACKEND, BY_ID, BY_MFA))),
    ("RC111", switch(trusting(ROOT, BY_ID, BY_MFA))),
    ("RC201", granting(not_actions=("iam:CreateUser",))),
    ("RC201", CheckContext(Access.of(Group(
        "arn:aws:iam::1:group/g",
        inline={"p": PolicyDocument((Statement("Allow", ("s3:GetObject",), not_resources=("arn:aws:s3:::b/*",)),))},
    )))),
    ("RC202", granting("*")),
    ("RC202", granting("*:*")),
    ("RC203", granting("s3:*")),
    ("RC204", granting("s3:PutObject", resources=("*",))),
    ("RC204", granting("s3:PutO*", resources=("*",))),
    ("RC205", granting("iam:PassRole", resources=("arn:aws:iam::1:role/x",))),
    ("RC205", granting("iam:Put*", resources=("*",))),
    ("RC205", granting("lambda:UpdateFunctionCode", resources=("*",))),
    ("RC205", granting("sts:AssumeRole", resources=("*",))),
    ("RC206", granting("s3:ListBuckets")),
    ("RC206", granting("s3:Frobnicate*")),
    ("RC206", granting("nosuchservice:Get")),
    ("RC206", denying("s3:DeleteBuckett")),
    ("RC206", customer(PolicyDocument((Statement("Allow", ("sts:AsumeRole",), principals=(Principal("AWS", BACKEND),)),)))),
    ("RC207", granting("s3:ListBucket", resources=("arn:aws:s3:::b/*",))),
    ("RC207", granting("s3:GetObject", resources=("arn:aws:s3:::b",))),
    ("RC207", granting("ec2:TerminateInstances", resources=("arn:aws:s3:::b",))),
    ("RC208", granting("s3:ListAllMyBuckets")),
    ("RC208", granting("ec2:DescribeInstances", resources=("arn:aws:ec2:*:*:instance/*",))),
    ("RC301", trust_of_size(2_049)),
    ("RC301", inline(10_241)),
    ("RC301", managed(6_145, packed=True)),
    ("RC301", CheckContext(Access.of(User("arn:aws:iam::1:user/u", inline={"p": of_size(2_049)})))),
    ("RC301", CheckContext(Access.of(Group("arn:aws:iam::1:group/g", inline={"p": of_size(5_121)})))),
    ("RC302", trust_of_size(2_048)),
    ("RC302", inline(9_500)),
    ("RC302", managed(6_144)),
    ("RC303", attaching(*(f"p{number}" for number in range(11)))),
    ("RC304", named(f"arn:aws:iam::222222222222:role/{'r' * 64}")),
    ("RC304", named(f"arn:aws:iam::222222222222:role/path/{'r' * 65}")),
    ("RC305", path_of(513)),
    ("RC306", for_console(f"path/{'r' * 60}")),
    ("RC401", customer(GOOD, seconds=7_200)),
    ("RC401", CheckContext(Access.of(Role(ROLE, trusting(ROOT, BY_ROLE), max_session_seconds=7_200)))),
    ("RC501", attaching("AmazonEC2ReadonlyAcces")),
    ("RC501", attaching("ViewOnlyAccess")),
    ("RC502", attaching("AWSLambdaReadOnlyAccess")),
    ("RC502", attaching("AmazonElasticMapReduceFullAccess")),
    ("RC503", attaching("AdministratorAccess")),
    ("RC503", attaching("ReadOnlyAccess", partition="aws-cn")),
    ("RC501", bounded("arn:aws:iam::aws:policy/PowerUserAcess")),
    ("RC504", bounded("arn:aws:iam::333333333333:policy/corp")),
    ("RC504", CheckContext(Access.of(Role(ROLE, None, attached=frozenset({"arn:aws:iam::333333333333:policy/p"}))))),
    ("RC209", granting("s3:GetObject", conditions=(Condition("StringEquals", "s3:prefxi", ("x",)),))),
    ("RC209", granting("s3:GetObject", conditions=(Condition("StringEquals", "aws:ResourceTag", ("x",)),))),
    ("RC209", customer(trusting(BACKEND, BY_ID, Condition("StringEquals", "aws:PrincipalOrganizationID", ("o-1",))))),
    ("RC210", granting("s3:GetObject", conditions=(Condition("StringEquals", "aws:RequestedRegion", ("eu-wset-1",)),))),
    ("RC210", granting("s3:GetObject", conditions=(Condition("NumericLessThan", "aws:PrincipalArn", ("3",)),))),
    ("RC210", granting("s3:GetObject", conditions=(Condition("Bool", "aws:SecureTransport", ("yes",)),))),
    ("RC211", granting("s3:GetObject", conditions=(Condition("StringEquals", "s3:prefix", ("x",)),))),
    ("RC212", granting("s3:GetObject", resources=("acme-bucket/*",))),
    ("RC212", granting("s3:GetObject", resources=("arn:aws:s3:::${bucket}/*",))),
    ("RC212", granting("sqs:SendMessage", resources=("arn:aws:sqs:us-esat-1:222222222222:jobs",))),
    ("RC212", granting("sns:Publish", resources=("arn:aws:sns:us-east-1::alerts",))),
    ("RC213", granting("kms:Decrypt", resources=("arn:aws:kms:us-east-1:333333333333:key/*",))),
)  # fmt: skip

SILENT: tuple[tuple[str, CheckContext], ...] = (
    ("RC101", customer(GOOD)),
    ("RC101", customer(trusting("*", BY_ROLE, BY_ID))),
    ("RC101", customer(trusting("*", kind="*", effect="Deny"))),
    ("RC102", customer(trusting(ROOT, BY_ROLE, BY_ID))),
    ("RC102", switch(trusting(ROOT, BY_MFA))),
    ("RC103", customer(GOOD)),
    ("RC103", customer(trusting("ec2.amazonaws.com", kind="Service"))),
    ("RC103", switch(trusting(ROOT, BY_MFA))),
    ("RC104", two_customers(EXTERNAL_ID, EXTERNAL_ID[::-1])),
    ("RC105", customer(GOOD)),
    ("RC106", switch(trusting(ROOT, BY_MFA))),
    ("RC106", switch(trusting("*", Condition("BoolIfExists", "aws:MultiFactorAuthPresent", ("false",)), effect="Deny"))),
    ("RC107", customer(GOOD)),
    ("RC108", customer(trusting(BACKEND, Condition("StringLike", "sts:ExternalId", (EXTERNAL_ID,))))),
    ("RC109", customer(trusting("arn:aws:iam::111111111111:role/AROAEXAMPLEID1234567X", BY_ID))),
    ("RC110", switch(trusting(ROOT, BY_MFA))),
    ("RC111", switch(trusting(ROOT, BY_MFA))),
    ("RC201", granting("s3:GetObject")),
    ("RC202", granting("s3:GetObject")),
    ("RC202", denying("*")),
    ("RC203", granting("s3:Get*")),
    ("RC204", granting("s3:PutObject")),
    ("RC204", granting("s3:GetObject", resources=("*",))),
    ("RC204", granting("ec2:*", resources=("*",))),
    ("RC205", granting("iam:GetRole", resources=("*",))),
    ("RC205", granting("sts:AssumeRole", resources=(ROLE,))),
    ("RC205", denying("iam:PutRolePolicy")),
    ("RC206", granting("S3:getobject", "s3:Get*", "*")),
    ("RC207", granting("s3:ListBucket", "s3:GetObject")),
    ("RC207", granting("s3:ListBucket", resources=("arn:aws:s3:::b*",))),
    ("RC207", granting("sts:AssumeRole", "sts:TagSession", resources=(ROLE,))),
    ("RC207", granting("iam:ChangePassword", resources=("arn:aws:iam::1:user/${aws:username}",))),
    ("RC208", granting("s3:ListAllMyBuckets", resources=("*",))),
    ("RC301", trust_of_size(2_048)),
    ("RC301", inline(10_240)),
    ("RC301", managed(6_144)),
    ("RC302", trust_of_size(1_800)),
    ("RC302", managed(6_144, packed=True)),
    ("RC303", attaching(*(f"p{number}" for number in range(10)))),
    ("RC304", named(f"arn:aws:iam::222222222222:role/path/{'r' * 63}")),
    ("RC305", path_of(512)),
    ("RC306", for_console(f"path/{'r' * 59}")),
    ("RC306", named(f"arn:aws:iam::1:role/path/{'r' * 60}")),
    ("RC401", customer(GOOD)),
    ("RC401", CheckContext(Access.of(Role(ROLE, trusting(ROOT, BY_MFA), max_session_seconds=7_200)))),
    ("RC501", attaching("AmazonEC2ReadOnlyAccess", "job-function/ViewOnlyAccess")),
    ("RC501", attaching("AWSLambdaReadOnlyAccess")),
    ("RC501", CheckContext(Access.of(Role(ROLE, None, attached=frozenset({"arn:aws:iam::222222222222:policy/own"}))))),
    ("RC502", attaching("AWSLambda_ReadOnlyAccess")),
    ("RC503", attaching("job-function/ViewOnlyAccess")),
    ("RC504", bounded("arn:aws:iam::222222222222:policy/corp")),
    ("RC504", bounded("arn:aws:iam::aws:policy/PowerUserAccess")),
    ("RC209", granting("s3:GetObject", conditions=(Condition("StringEquals", "aws:PrincipalOrgId", ("o-1",)),))),
    ("RC209", customer(trusting(BACKEND, BY_ID, Condition("StringEquals", "accounts.google.com:sub", ("x",))))),
    ("RC210", granting("s3:ListBucket", conditions=(Condition("StringEquals", "s3:prefix", ("",)),))),
    ("RC210", granting("s3:GetObject", conditions=(Condition("StringEquals", "aws:RequestedRegion", ("eu-west-1",)),))),
    ("RC211", granting("s3:ListBucket", "s3:GetObject", conditions=(Condition("StringEquals", "s3:prefix", ("",)),))),
    ("RC212", granting("s3:GetObject", resources=("arn:*:s3:::*/*", "arn:aws:s3:::logs-${aws:PrincipalAccount}/*"))),
    ("RC212", granting("ssm:GetParameter", resources=("arn:aws:ssm:*::parameter/aws/service/*",))),
    ("RC213", granting("kms:Decrypt", resources=("arn:aws:kms:*:222222222222:key/*", "arn:aws:kms:*:*:key/*"))),
    ("RC213", granting("sts:AssumeRole", resources=(OTHER,))),
)  # fmt: skip

CATALOGUE = catalogue()
by_id = {rule.id: rule for rule in all_rules()}


def fired(context: CheckContext, rule_id: str) -> list[Finding]:
    return [finding for finding in run_rules(context) if finding.rule == rule_id]


@pytest.mark.parametrize(("rule_id", "context"), [pytest.param(*case, id=f"{case[0]}-{n}") for n, case in enumerate(FIRES)])
def test_rule_has_finding(rule_id: str, context: CheckContext) -> None:
    """Each case of the table has a finding of the rule, with a message and a hint."""
    found = fired(context, rule_id)
    assert found
    assert all(finding.message and finding.hint for finding in found)


@pytest.mark.parametrize(("rule_id", "context"), [pytest.param(*case, id=f"{case[0]}-{n}") for n, case in enumerate(SILENT)])
def test_rule_has_no_finding(rule_id: str, context: CheckContext) -> None:
    assert [] == fired(context, rule_id)


def test_every_rule_has_cases_with_and_without_finding() -> None:
    assert set(by_id) == {rule_id for rule_id, _ in FIRES}
    assert set(by_id) == {rule_id for rule_id, _ in SILENT}


def test_generated_customer_has_no_findings() -> None:
    """Trust policy and permissions as rolecall generates them by default."""
    permissions = PolicyDocument(
        (Statement("Allow", ("s3:ListBucket", "s3:GetObject"), ("arn:aws:s3:::b", "arn:aws:s3:::b/*"), sid="Read"),)
    )
    role = Role(
        ROLE, GOOD, inline={"s3-read": permissions}, attached=frozenset({"arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess"})
    )
    context = CheckContext(Access.of(role), customer_roles=frozenset({ROLE}), external_ids={ROLE: EXTERNAL_ID})
    assert () == run_rules(context)


def test_finding_has_subject_location_and_account() -> None:
    """Subject, file and line are those of the context; the message names role and account."""
    context = customer(trusting(BACKEND), subjects={ROLE: "account1"}, place=lambda _arn: ("customers/account1/main.tf", 12))
    (finding,) = run_rules(context)
    assert ("account1", "customers/account1/main.tf", 12) == (finding.subject, finding.file, finding.line)
    assert "role/role1 in 222222222222" in finding.message


@pytest.mark.parametrize(
    ("action", "nearest"),
    [("s3:ListBuckets", "s3:ListAllMyBuckets"), ("ec2:DescribeInstance", "ec2:DescribeInstances"),
     ("elb:DescribeLoadBalancers", "elasticloadbalancing:DescribeLoadBalancers")],
)  # fmt: skip
def test_unknown_action_has_hint_with_nearest_name(action: str, nearest: str) -> None:
    """Also if the IAM action has another name than the API operation."""
    assert f"write {nearest}" == fired(granting(action), "RC206")[0].hint


def test_trust_of_whole_account_is_warning_outside_of_customers() -> None:
    """The account's root principal is an error in a customer's role, and a warning in other roles."""
    assert Severity.ERROR == fired(customer(trusting(ROOT, BY_ID)), "RC102")[0].severity
    assert Severity.WARNING == fired(switch(trusting(ROOT)), "RC102")[0].severity


def test_shared_external_id_is_found_in_expected_external_ids() -> None:
    """One role is parsed, the other is only in the manifest."""
    role = Role(ROLE, GOOD)
    context = CheckContext(
        Access.of(role), {ROLE: "account1", OTHER: "account2"}, frozenset({ROLE, OTHER}), external_ids={OTHER: EXTERNAL_ID}
    )
    assert ["account1", "account2"] == [finding.subject for finding in fired(context, "RC104")]


def test_equal_documents_are_evaluated_once() -> None:
    """Equal documents of several roles are one group with all owners, whether or not they are the same object."""

    def document() -> PolicyDocument:
        return PolicyDocument((Statement("Allow", ("s3:*",), ("*",)),))

    roles = [Role(f"arn:aws:iam::{number:012d}:role/r", None, inline={"p": document()}) for number in range(3)]
    context = CheckContext(Access.of(*roles))
    assert [3] == [len(owners) for owners in context.documents.values()]
    assert 3 == len(fired(context, "RC203"))


def pages() -> set[str]:
    folder = Path(__file__).parents[3] / "docs" / "rules"
    return {path.stem for path in folder.glob("RC*.md")}


def test_every_finding_kind_has_a_page() -> None:
    """The pages in docs/rules are exactly those of all kinds of findings of `gen check`."""
    assert {entry.id for entry in CATALOGUE} == pages()


SECTIONS = ("## Why", "## Bad", "## Good", "## Hint")


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.id)
def test_page_has_all_sections(entry: FindingKind) -> None:
    """The title with the rule's ID, the reason, both examples, the hint, and the source."""
    text = (Path(__file__).parents[3] / "docs" / entry.page).read_text(encoding="utf-8")
    assert text.startswith(f"# {entry.id}: {entry.title}\n")
    assert list(SECTIONS) == [line for line in text.splitlines() if line in SECTIONS]
    assert "Source:" in text


def test_ids_are_unique_and_sorted() -> None:
    ids = [entry.id for entry in CATALOGUE]
    assert sorted(set(ids)) == ids


def test_index_lists_the_catalogue() -> None:
    """docs/rules/README.md has a row for each kind of finding, with the severity and title of the reports."""
    index = (Path(__file__).parents[3] / "docs" / "rules" / "README.md").read_text(encoding="utf-8")
    rows = [f"| [{entry.id}]({entry.id}.md) | {entry.severity.name.lower()} | {entry.title} |" for entry in CATALOGUE]
    assert rows == [line for line in index.splitlines() if line.startswith("| [RC")]
