"""Permission sets: what IAM rejects is an error of the manifest, what IAM accepts without effect is a finding."""

from __future__ import annotations

from pathlib import Path

import pytest

from policy_fragments import BAD_CONDITIONS, BAD_RESOURCES, ERROR, GOOD, HOME
from rolecall_generator.check.manifest_check import declared_statements, region_findings
from rolecall_generator.errors import ManifestError, Problem
from rolecall_generator.findings import Finding
from rolecall_generator.importers.import_plan import ImportedAccount, problems_of
from rolecall_generator.manifest.loader import load_manifest
from rolecall_generator.planning.planner import make_plan
from rolecall_generator.rules.rule import CheckContext, all_rules, run_rules

LINE = 6
ABOUT_FORM = frozenset(
    {"RC206", "RC207", "RC208", "RC209", "RC210", "RC211", "RC212", "RC213", "RC501", "RC502", "RC504", "RC602"}
)


def manifest(statement: str, *, account: str = HOME, more: str = "", partition: str = "aws") -> str:
    return (
        f'version: 1\npartition: {partition}\nbackend: {{account_id: "111111111111"}}\npermission_sets:\n'
        f"  p: {{statements: [\n    {statement}\n  ]}}\n"
        f'customers:\n  - {{name: acme, account_id: "{account}", external_id: 0f0c4f7c1e6b4a1d9a52b7c3d8e9f101, '
        f"permissions: [p]}}\n{more}"
    )


def judged(tmp_path: Path, text: str) -> tuple[tuple[Problem, ...], tuple[Finding, ...]]:
    """The manifest's problems, and the findings of the rules for its plan."""
    file = tmp_path / "accounts.yaml"
    file.write_text(text, encoding="utf-8")
    try:
        loaded = load_manifest(file)
    except ManifestError as error:
        return error.problems, ()
    context = CheckContext(make_plan(loaded.manifest).access(), declared=declared_statements(loaded))
    findings = (*run_rules(context), *region_findings(loaded))
    return (), tuple(finding for finding in findings if finding.rule in ABOUT_FORM)


@pytest.mark.parametrize(("statement", "verdict", "text"), [*BAD_RESOURCES.values(), *BAD_CONDITIONS.values()],
                         ids=[*BAD_RESOURCES, *(f"condition: {name}" for name in BAD_CONDITIONS)])  # fmt: skip
def test_invalid_statement_is_reported_with_its_line(tmp_path: Path, statement: str, verdict: str, text: str) -> None:
    """Each mistake is one error of the manifest or findings of one rule, at its line, with the value and a hint."""
    problems, findings = judged(tmp_path, manifest(statement))
    if verdict == ERROR:
        assert [LINE] == [problem.line for problem in problems]
        assert text in problems[0].what
        assert problems[0].hint
    else:
        assert () == problems
        found = [finding for finding in findings if finding.rule == verdict]
        assert found
        assert f"{tmp_path / 'accounts.yaml'}:{LINE}" == found[0].declared
        assert any(text in finding.message for finding in found)
        assert found[0].hint


@pytest.mark.parametrize("statement", GOOD.values(), ids=GOOD)
def test_valid_statement_has_no_findings(tmp_path: Path, statement: str) -> None:
    """Statements as used by vendors are neither rejected nor findings."""
    assert ((), ()) == judged(tmp_path, manifest(statement))


def test_tables_have_their_required_size() -> None:
    """At least 80 invalid and 60 valid statements; every rule of these families has an invalid one."""
    bad = {**BAD_RESOURCES, **{f"condition: {name}": row for name, row in BAD_CONDITIONS.items()}}
    assert len(bad) >= 80
    assert len(GOOD) >= 60
    new = {rule.id for rule in all_rules()} & {"RC209", "RC210", "RC211", "RC212"}
    assert new <= {verdict for _, verdict, _ in bad.values()}


@pytest.mark.parametrize(
    ("text", "partition", "account"),
    [("arn:aws-us-gov:s3:::acme/*", "aws-us-gov", HOME), ("arn:aws-cn:s3:::acme/*", "aws-cn", HOME),
     ("arn:aws-us-gov:sqs:us-gov-west-1:222222222222:jobs", "aws-us-gov", HOME),
     ("arn:aws-cn:kms:cn-north-1:222222222222:key/*", "aws-cn", HOME)],
)  # fmt: skip
def test_arns_of_the_manifests_partition_are_valid(tmp_path: Path, text: str, partition: str, account: str) -> None:
    """In GovCloud and China, ARNs of their partition are valid, and those of the commercial partition are errors."""
    action = "{actions: [s3:GetObject, sqs:SendMessage, kms:Decrypt], resources: ['%s']}"
    assert () == judged(tmp_path, manifest(action % text, account=account, partition=partition))[0]
    (problem,), _ = judged(tmp_path, manifest(action % text, account=account, partition="aws"))
    assert partition in problem.what
    assert "arn:aws:" in problem.hint


def test_set_for_two_partitions_requires_wildcard_partition(tmp_path: Path) -> None:
    """A permission set on roles in two partitions must not name either partition."""
    switch = (
        'switch_roles:\n  - {name: gov, partition: aws-us-gov, trusting: {name: a, account_id: "333333333333"}, '
        'trusted: {name: b, account_id: "444444444444"}, role: ops, permissions: [p], group: ops}\n'
    )
    statement = "{actions: [s3:GetObject], resources: ['arn:%s:s3:::acme/*']}"
    assert [LINE] == [problem.line for problem in judged(tmp_path, manifest(statement % "aws", more=switch))[0]]
    assert [LINE] == [problem.line for problem in judged(tmp_path, manifest(statement % "aws-us-gov", more=switch))[0]]
    assert () == judged(tmp_path, manifest(statement % "*", more=switch))[0]


def test_resource_of_another_account_requires_suppression(tmp_path: Path) -> None:
    """It is valid if RC213 is suppressed for every customer with the permission set."""
    statement = "{actions: [kms:Decrypt], resources: ['arn:aws:kms:us-east-1:999999999999:key/*']}"
    suppress = "suppress:\n  - {rule: RC213, subject: %s, reason: our shared key}\n"
    problems, findings = judged(tmp_path, manifest(statement, more=suppress % "acme"))
    assert () == problems
    assert ["RC213"] == [finding.rule for finding in findings]  # gen check lists it as suppressed
    assert [LINE] == [problem.line for problem in judged(tmp_path, manifest(statement, more=suppress % "beta"))[0]]
    assert [LINE] == [problem.line for problem in judged(tmp_path, manifest(statement))[0]]


TWO = (
    'version: 1\nbackend: {account_id: "111111111111"}\npermission_sets:\n  r: {managed_policies: [%s]}\n'
    "defaults: {permissions: [r], permissions_boundary: %s}\n"
    "customers:\n"
    '  - {name: acme, account_id: "222222222222", external_id: 0f0c4f7c1e6b4a1d9a52b7c3d8e9f101}\n'
    '  - {name: beta, account_id: "333333333333", external_id: 1f0c4f7c1e6b4a1d9a52b7c3d8e9f101%s}\n'
)
OWN = "arn:aws:iam::222222222222:policy/own"


@pytest.mark.parametrize(
    ("policy", "boundary", "beta", "line"),
    [(OWN, "null", "", 4), ("SecurityAudit", OWN, "", 5),
     ("SecurityAudit", "null", f", permissions_boundary: '{OWN}'", 8),
     ("arn:aws-us-gov:iam::aws:policy/SecurityAudit", "null", "", 4),
     ("SecurityAudit", "arn:aws-cn:iam::aws:policy/PowerUserAccess", "", 5),
     ("SecurityAudit", "'arn:aws:iam::222222222222:policy/{{ name }}'", "", 5),
     ("SecurityAudit", "arn:aws:iam::22222222222:policy/own", "", 5),
     ("arn:aws:iam:::policy/own", "null", "", 4)],
    ids=["attached", "default boundary", "own boundary", "partition", "boundary's partition", "placeholder", "11 digits",
         "no account"],
)  # fmt: skip
def test_policy_of_another_account_is_error(tmp_path: Path, policy: str, boundary: str, beta: str, line: int) -> None:
    """A managed policy or boundary of another account or partition has an error at its line."""
    problems, _ = judged(tmp_path, TWO % (policy, boundary, beta))
    assert {line} == {problem.line for problem in problems}


def test_policies_of_own_account_and_of_aws_are_valid(tmp_path: Path) -> None:
    """An AWS managed policy as default boundary, and a customer managed policy in the customer's entry."""
    own = ", permissions_boundary: 'arn:aws:iam::333333333333:policy/corp'"
    text = TWO % ("SecurityAudit", "arn:aws:iam::aws:policy/PowerUserAccess", own)
    assert () == judged(tmp_path, text)[0]


@pytest.mark.parametrize(
    ("policy", "boundary"), [("SecurityAudits", "null"), ("SecurityAudit", "arn:aws:iam::aws:policy/PowerUserAcces")]
)
def test_unknown_aws_managed_policy_is_finding(tmp_path: Path, policy: str, boundary: str) -> None:
    """RC501, for attached policies and boundaries."""
    _, findings = judged(tmp_path, TWO % (policy, boundary, ""))
    assert {"RC501"} == {finding.rule for finding in findings}


@pytest.mark.parametrize(
    ("partition", "regions"),
    [("aws", "[eu-centrall-1]"), ("aws", "[us-east-1, us-esat-1]"), ("aws", "[cn-north-1]"),
     ("aws-us-gov", "[us-east-1]"), ("aws-cn", "[us-gov-west-1]")],
)  # fmt: skip
def test_unknown_region_is_finding(tmp_path: Path, partition: str, regions: str) -> None:
    """Typos in `regions`, and Regions of another partition, are RC602 at their line."""
    more = f"defaults: {{regions: {regions}}}\n"
    text = manifest("{actions: [ec2:DescribeInstances], resources: ['*']}", partition=partition)
    text = text.replace("customers:\n", more + "customers:\n")
    _, findings = judged(tmp_path, text)
    assert ["RC602"] == [finding.rule for finding in findings]
    assert f"{tmp_path / 'accounts.yaml'}:8" == findings[0].declared


def test_placeholder_in_path_is_error(tmp_path: Path) -> None:
    """IAM would accept the braces."""
    text = manifest("{actions: [ec2:DescribeInstances], resources: ['*']}").replace(
        "permissions: [p]", "permissions: [p], path: '/{{ team }}/'"
    )
    # With a space, the path itself is invalid; without, the placeholder is rejected.
    assert len(judged(tmp_path, text)[0]) == 1
    (problem,), _ = judged(tmp_path, text.replace("{{ team }}", "{{team}}"))
    assert "{{team}}" in problem.what


SHARED = (
    'version: 1\nbackend: {account_id: "111111111111"}\npermission_sets: {r: {managed_policies: [SecurityAudit]}}\n'
    "defaults: {permissions: [r]}\ncustomers:\n"
    '  - {name: acme-prod, account_id: "222222222222", external_id: 0f0c4f7c1e6b4a1d9a52b7c3d8e9f101}\n'
    '  - {name: acme-dev, account_id: "333333333333", external_id: 0f0c4f7c1e6b4a1d9a52b7c3d8e9f101}\n'
    '  - {name: beta, account_id: "444444444444", external_id: %s}\n'
    "suppress:\n  - {rule: RC104, subject: %s, reason: one customer with two accounts}\n"
)


@pytest.mark.parametrize(
    ("beta", "subject", "lines"),
    [("1f0c4f7c1e6b4a1d9a52b7c3d8e9f101", "'acme-*'", []), ("1f0c4f7c1e6b4a1d9a52b7c3d8e9f101", "acme-dev", [7]),
     ("1f0c4f7c1e6b4a1d9a52b7c3d8e9f101", "gamma", [7]), ("0f0c4f7c1e6b4a1d9a52b7c3d8e9f101", "'acme-*'", [8]),
     ("0f0c4f7c1e6b4a1d9a52b7c3d8e9f101", "'*'", [])],
)  # fmt: skip
def test_shared_external_id_requires_suppression(tmp_path: Path, beta: str, subject: str, lines: list[int]) -> None:
    """A shared ID is an error unless RC104 is suppressed for each customer with it."""
    problems, _ = judged(tmp_path, SHARED % (beta, subject))
    assert lines == [problem.line for problem in problems]


def test_import_accepts_shared_external_id_with_suppression(tmp_path: Path) -> None:
    """Imported accounts have the same rules as the manifest."""
    file = tmp_path / "accounts.yaml"
    file.write_text(SHARED % ("1f0c4f7c1e6b4a1d9a52b7c3d8e9f101", "'acme-*'"), encoding="utf-8")
    fields = {"account_id": "555555555555", "external_id": "0f0c4f7c1e6b4a1d9a52b7c3d8e9f101"}
    known = load_manifest(file).manifest
    assert [] == problems_of([ImportedAccount("acme-test", fields, "new.csv")], known)
    assert 1 == len(problems_of([ImportedAccount("delta", fields, "new.csv")], known))
