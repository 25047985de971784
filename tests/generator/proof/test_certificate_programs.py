"""The programs that check certificates: what they read, what they reject, and that an auditor can read them."""

from __future__ import annotations

import ast
import copy
import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from certificate_programs import (
    ACCEPTED,
    FOLDER,
    PROGRAMS,
    REJECTED,
    UNSUPPORTED,
    check,
    example,
    is_covered,
    verify_certificate,
)
from rolecall_generator.manifest.loader import load_manifest
from rolecall_generator.planning import make_plan

LINES = {"verify_certificate": 195, "verify_full_certificate": 620}
WIDTH = 120
BACKEND = "arn:aws:iam::111111111111:role/backend_role"
ROLE = "arn:aws:iam::222222222222:role/role1"
OTHER = "arn:aws:iam::111111111111:role/other"
Content = dict[str, Any]
Change = Callable[[Content], object]

both_programs = pytest.mark.parametrize("program", PROGRAMS)


def statement(**changes: Any) -> Content:
    return {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": BACKEND}, **changes}


def policy(*statements: Content) -> Content:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def certificate(trust: Content, intent: Content, *facts: str) -> Content:
    """The example with other policies."""
    found = example()
    found["policies"] = {"trust": trust, "intent": intent}
    found["claims"] = {"nothing_else": {"facts": list(facts)}}
    return found


# Readable


@both_programs
def test_programs_keep_their_line_limits(program: str) -> None:
    lines = (FOLDER / f"{program}.py").read_text("utf-8").splitlines()
    assert len(lines) <= LINES[program]
    assert max(map(len, lines)) <= WIDTH


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_programs_import_only_the_standard_library(path: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add((node.module or "").partition(".")[0])
    assert imported <= sys.stdlib_module_names


@both_programs
def test_documented_example_is_accepted(program: str, tmp_path: Path) -> None:
    verdict = check(program, example(), tmp_path)
    assert (ACCEPTED, True) == (verdict.status, BACKEND in verdict.text)


@both_programs
def test_command_line_returns_the_status(program: str, tmp_path: Path) -> None:
    path = tmp_path / "certificate.json"
    path.write_text(json.dumps(example()))

    def run(*arguments: object) -> int:
        command = [sys.executable, "-B", FOLDER / f"{program}.py", *arguments]
        done = subprocess.run(list(map(str, command)), capture_output=True, check=False, timeout=60, text=True)
        assert "Traceback" not in done.stderr
        return done.returncode

    assert ACCEPTED == run(path)
    path.write_text(json.dumps(example() | {"claims": {}}))
    assert REJECTED == run(path)
    assert [UNSUPPORTED] * 4 == [
        run(),
        run(path, "--trust"),
        run(path, "--other", path),
        run(tmp_path / "missing.json"),
    ]


@both_programs
@pytest.mark.parametrize(
    ("version", "expected"), [((3, 9, 18), UNSUPPORTED), ((3, 10, 13), UNSUPPORTED), ((3, 11, 0), ACCEPTED)]
)
def test_older_python_is_not_a_rejection(program: str, version: tuple[int, ...], expected: int, tmp_path: Path) -> None:
    """The python3 of macOS and of AWS CloudShell is 3.9, where a valid certificate must not be reported as rejected."""
    path = tmp_path / "certificate.json"
    path.write_text(json.dumps(example()))
    file = str(FOLDER / f"{program}.py")
    code = (
        f"import runpy, sys; sys.version_info = {version}; sys.argv = {[file, str(path)]}; "
        f"runpy.run_path({file!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-B", "-c", code], capture_output=True, check=False, timeout=60, text=True)

    assert (expected, "") == (done.returncode, done.stderr)
    assert done.stdout


# The trust policy of the auditor


def test_modules_of_the_example_accounts_are_read(generated: Path) -> None:
    plan = make_plan(load_manifest(generated / "accounts.yaml").manifest)
    read = 0
    for planned in plan.modules:
        for arn, role in planned.build().access.roles.items():
            if role.trust is not None:
                path = generated / "output" / planned.path / "main.tf"
                assert verify_certificate.is_about(path, arn, role.trust.to_json())
                assert not verify_certificate.is_about(path, f"{arn}x", role.trust.to_json())
                read += 1
    assert read >= 4


@pytest.fixture
def main_tf(generated: Path) -> Path:
    """The module of the first customer, whose role is that of the example certificate except for the external ID."""
    path = generated / "output" / "customers" / "account1" / "main.tf"
    text = path.read_text("utf-8")
    start, end = text.index("    condition {"), text.index('resource "aws_iam_role"')
    path.write_text(text[:start].rstrip() + "\n  }\n}\n\n" + text[end:])
    return path


def test_trust_policy_of_the_module_is_compared(main_tf: Path, tmp_path: Path) -> None:
    assert ACCEPTED == check("verify_certificate", example(), tmp_path, main_tf).status
    assert UNSUPPORTED == check(FULL, example(), tmp_path, main_tf).status


SECOND_ROLE = """resource "aws_iam_role" "second" {
  name               = "role1"
  assume_role_policy = jsonencode({})
}
"""
MODULE_CHANGES = {
    "principal": ('role/backend_role"', 'role/other"'),
    "action": ('"sts:AssumeRole",', '"sts:AssumeRole", "sts:TagSession",'),
    "role name": ('name                 = "role1"', 'name                 = "role2"'),
    "role path": ('path                 = "/"', 'path                 = "/x/"'),
    "account": ('self.account_id == "222222222222"', 'self.account_id == "333333333333"'),
    "effect": ('effect = "Allow"', 'effect = "Deny"'),
    "count": ('resource "aws_iam_role" "this" {', 'resource "aws_iam_role" "this" {\n  count = 0'),
    "name from a variable": ('name                 = "role1"', "name                 = var.name"),
    "heredoc": ("# Trust policy", "locals {\n  x = <<EOT\nEOT\n}\n# Trust policy"),
    "heredoc in a list": (
        "# Trust policy",
        "locals {\n  x = [<<EOT\n]\n}\nlocals {\n  y = [1\nEOT\n  ]\n}\n# Trust policy",
    ),
    "quotes in a template": ("# Trust policy", 'locals {\n  x = "${"/*"}"\n}\n# Trust policy'),
    "template in a value": ('role/backend_role"', 'role/${var.name}"'),
    "source document": (
        '  statement {\n    sid    = "Trust',
        '  source_policy_documents = []\n  statement {\n    sid    = "Trust',
    ),
    "dynamic block": ("    principals {", '    dynamic "principals" {'),
    "same document twice": ("# Trust policy", 'data "aws_iam_policy_document" "trust" {\n}\n# Trust policy'),
    "document in a comment": (
        'data "aws_iam_policy_document" "trust" {',
        'data "aws_iam_policy_document" "other" {}\n# data "aws_iam_policy_document" "trust" {',
    ),
    "comment around the document": ("# Trust policy", "/*\n# Trust policy"),
    "policy of the role ignored": (
        "  depends_on",
        "  lifecycle {\n    ignore_changes = [assume_role_policy]\n  }\n\n  depends_on",
    ),
    "empty document of the same name": ("# Trust policy", 'data "aws_iam_policy_document" "trust" {}\n# Trust policy'),
    "value that is a template": ('role/backend_role"', 'role/backend_role%{ if true }x%{ endif }"'),
    "another role of the module": ('resource "aws_iam_role" "this"', 'resource "aws_iam_user" "this"'),
    "second role of the same name": ("# Trust policy", f"{SECOND_ROLE}\n# Trust policy"),
    "second role with an escaped name": ("# Trust policy", SECOND_ROLE.replace("role1", "rol\\u00651")),
    "second role with an escaped type": ("# Trust policy", SECOND_ROLE.replace("aws_iam_role", "aws_iam_ro\\u006ce")),
    "second role without quotes": ("# Trust policy", SECOND_ROLE.replace('"aws_iam_role"', "aws_iam_role")),
    "second role with a name prefix": ("# Trust policy", SECOND_ROLE.replace("name ", "name_prefix ")),
    "second role on an indented line": ("# Trust policy", f"  {SECOND_ROLE}"),
    "import block": ("# Trust policy", 'import {\n  to = aws_iam_role.this\n  id = "role2"\n}\n'),
    "module": ("# Trust policy", 'module "other" {\n  source = "./other"\n}\n'),
    "provider": ("# Trust policy", 'provider "aws" {\n}\n'),
    "data source that runs a program": ("# Trust policy", 'data "external" "x" {\n  program = ["x"]\n}\n'),
    "provisioner": (
        "# Trust policy",
        'resource "aws_iam_user" "x" {\n  name = "x"\n  provisioner "local-exec" {\n    command = "x"\n  }\n}\n',
    ),
    "provisioner with an escaped name": (
        "# Trust policy",
        'resource "aws_iam_user" "x" {\n  name = "x"\n  provisioner "\\u006cocal-exec" {\n    command = "x"\n  }\n}\n',
    ),
    "tags closed early": (
        "  depends_on = [data.aws_caller_identity.current]\n}",
        "  tags = {\n    }\n    provider = aws.other\n    lifecycle {\n  }\n}",
    ),
    "brace in a tag": (
        "  depends_on = [data.aws_caller_identity.current]\n}",
        '  tags = {\n    "a" = "b", x = null != {y = "c"\n  }\n}\n  provider = aws.other\n}',
    ),
    "brace in the description": ('"Assumed by arn:aws:iam::111111111111:role/backend_role"', "null != {"),
    "condition of the account in a comment": (
        "      condition     = self",
        "      condition     = true\n      # condition     = self",
    ),
    "account check with another provider": ('"current" {', '"current" {\n  provider = aws.other'),
    "account check without instances": ('"current" {', '"current" {\n  count = 0'),
}


@pytest.mark.parametrize(("before", "after"), MODULE_CHANGES.values(), ids=MODULE_CHANGES)
def test_changed_module_is_not_accepted(before: str, after: str, main_tf: Path, tmp_path: Path) -> None:
    text = main_tf.read_text("utf-8")
    assert before in text
    main_tf.write_text(text.replace(before, after))
    assert check("verify_certificate", example(), tmp_path, main_tf).status in {REJECTED, UNSUPPORTED}


def test_string_that_terraform_normalizes_is_not_covered(main_tf: Path, tmp_path: Path) -> None:
    """Terraform turns a letter followed by an accent into one character, so that the role has another trust policy."""
    content, text = json.dumps(example(), ensure_ascii=False), main_tf.read_text("utf-8")
    for name in ("backend_rol\u0065\u0301", "backend_rol\u00e9"):
        main_tf.write_text(text.replace("backend_role", name), "utf-8")
        found = content.replace("backend_role", name).encode()
        assert check("verify_certificate", found, tmp_path, main_tf).status == UNSUPPORTED


def test_lone_carriage_return_does_not_end_a_comment(main_tf: Path, tmp_path: Path) -> None:
    """It ends a line in Python's universal newlines, but not in HCL."""
    text = main_tf.read_text("utf-8")
    document = text[text.index('data "aws_iam_policy_document" "trust"') : text.index('resource "aws_iam_role"')]
    hidden = document.replace("\n", "\r")
    main_tf.write_bytes(text.replace(document, f"# {hidden}\n{document.replace('backend_role', 'other')}").encode())
    assert check("verify_certificate", example(), tmp_path, main_tf).status in {REJECTED, UNSUPPORTED}


def test_module_with_line_ends_of_windows_is_accepted(main_tf: Path, tmp_path: Path) -> None:
    main_tf.write_bytes(main_tf.read_bytes().replace(b"\n", b"\r\n"))
    assert check("verify_certificate", example(), tmp_path, main_tf).status == ACCEPTED


def test_value_that_the_provider_turns_into_a_variable_is_not_covered(tmp_path: Path) -> None:
    """In aws_iam_policy_document, `&{` is written for `${`."""
    content = json.dumps(example()).replace("role/backend_role", "role/&{aws:username}")
    assert check("verify_certificate", json.loads(content), tmp_path).status == UNSUPPORTED


@both_programs
def test_json_trust_policy_is_compared(program: str, tmp_path: Path) -> None:
    path, trust = tmp_path / "trust.json", example()["policies"]["trust"]

    def status(content: Any) -> int:
        path.write_text(json.dumps(content))
        return check(program, example(), tmp_path, path).status

    single = trust["Statement"][0]
    same = {**single, "Sid": "x", "Action": ["sts:AssumeRole"], "Principal": {"AWS": [BACKEND]}}
    assert ACCEPTED == status(trust) == status({**trust, "Statement": same})
    assert ACCEPTED == status({"Role": {"Arn": ROLE, "AssumeRolePolicyDocument": trust}})
    assert REJECTED == status({"Role": {"Arn": OTHER, "AssumeRolePolicyDocument": trust}})
    assert REJECTED == status(policy(statement(Principal={"AWS": OTHER})))
    assert REJECTED == status(policy(single, statement(Principal={"AWS": OTHER})))
    assert REJECTED == status(policy(statement(Condition={"StringEquals": {"sts:ExternalId": "id"}})))
    assert REJECTED == status({})


# Claims


EXTERNAL_ID = {"StringEquals": {"sts:ExternalId": "id-one"}}
WITH_MFA = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
ACCOUNT = {"AWS": "arn:aws:iam::111111111111:root"}
FULL = "verify_full_certificate"
SERVICE, USER = {"Bool": {"aws:PrincipalIsAWSService": "true"}}, {"StringEquals": {"aws:PrincipalType": "User"}}
NAMED = {"ArnEquals": {"aws:PrincipalArn": BACKEND}}
CLAIMS: dict[str, tuple[Content, Content, bool]] = {
    "the same": (statement(), statement(), True),
    "external ID in the trust only": (statement(Condition=EXTERNAL_ID), statement(), True),
    "external ID in the intent only": (statement(), statement(Condition=EXTERNAL_ID), False),
    "another external ID": (
        statement(Condition={"StringEquals": {"sts:ExternalId": "id-two"}}),
        statement(Condition=EXTERNAL_ID),
        False,
    ),
    "two external IDs": (
        statement(Condition={"StringEquals": {"sts:ExternalId": ["id-one", "id-two"]}}),
        statement(Condition=EXTERNAL_ID),
        False,
    ),
    "all but one external ID": (
        statement(Condition={"StringNotEquals": {"sts:ExternalId": "id-two"}}),
        statement(Condition=EXTERNAL_ID),
        False,
    ),
    "absent external ID": (
        statement(Condition={"Null": {"sts:ExternalId": "true"}}),
        statement(Condition=EXTERNAL_ID),
        False,
    ),
    "present external ID": (
        statement(Condition=EXTERNAL_ID),
        statement(Condition={"Null": {"sts:ExternalId": "false"}}),
        True,
    ),
    "MFA in the trust only": (statement(Condition=WITH_MFA), statement(), True),
    "MFA in the intent only": (statement(), statement(Condition=WITH_MFA), False),
    "no MFA": (statement(Condition={"Bool": {"aws:MultiFactorAuthPresent": "false"}}), statement(Condition=WITH_MFA), False),
    "the account, by ARN and by ID": (statement(Principal=ACCOUNT), statement(Principal={"AWS": "111111111111"}), True),
    "the account": (statement(Principal=ACCOUNT), statement(), False),
    "one role of the account": (statement(), statement(Principal=ACCOUNT), True),
    "the account, restricted to the role": (statement(Principal=ACCOUNT, Condition=NAMED), statement(), True),
    "the account without the role": (
        statement(Principal=ACCOUNT, Condition={"ArnNotEquals": {"aws:PrincipalArn": BACKEND}}),
        statement(),
        False,
    ),
    "another role": (statement(Principal={"AWS": [BACKEND, OTHER]}), statement(), False),
    "a service": (statement(Principal={"Service": "ec2.amazonaws.com"}), statement(), False),
    "a service, restricted to a role": (
        statement(Principal={"Service": "ec2.amazonaws.com"}, Condition=NAMED),
        statement(),
        True,
    ),
    "a service, unless it is a role": (
        statement(Principal={"Service": "ec2.amazonaws.com"}, Condition={"ArnNotEquals": {"aws:PrincipalArn": BACKEND}}),
        statement(),
        False,
    ),
    "a service with an ARN": (
        statement(Principal={"Service": "ec2.amazonaws.com"}, Condition={"Null": {"aws:PrincipalArn": "false"}}),
        statement(),
        True,
    ),
    "a service without an ARN": (
        statement(Principal={"Service": "ec2.amazonaws.com"}, Condition={"Null": {"aws:PrincipalArn": "true"}}),
        statement(),
        False,
    ),
    "session tags": (statement(Action=["sts:AssumeRole", "sts:TagSession"]), statement(), False),
    "no session tags": (statement(), statement(Action=["sts:AssumeRole", "sts:TagSession"]), True),
    "source identity": (statement(Action=["sts:AssumeRole", "sts:SetSourceIdentity"]), statement(), False),
    "tags without the operation": (statement(Action=["sts:TagSession", "sts:SetSourceIdentity"]), statement(), True),
    "another operation": (statement(Action="sts:AssumeRoleWithSAML"), statement(), False),
}


def covers(program: str, trust: Content, intent: Content) -> bool:
    """Whether a program covers two statements."""
    return program == FULL or is_covered(policy(trust, intent))


@both_programs
@pytest.mark.parametrize(("trust", "intent", "holds"), CLAIMS.values(), ids=CLAIMS)
def test_claims_are_decided(program: str, trust: Content, intent: Content, holds: bool, tmp_path: Path) -> None:
    found = certificate(policy(trust), policy(intent))
    expected = ACCEPTED if holds else REJECTED
    assert (expected if covers(program, trust, intent) else UNSUPPORTED) == check(program, found, tmp_path).status


ALL_BUT_ASSUME_ROLE = ("AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "TagSession", "SetSourceIdentity", "SetContext")
DENY = policy(statement(Principal=ACCOUNT), statement(Effect="Deny", Principal={"AWS": OTHER}))
FULL_CLAIMS: dict[str, tuple[Content, Content, bool]] = {
    "Deny in the trust": (DENY, policy(statement(Principal=ACCOUNT)), True),
    "Deny in the intent": (policy(statement(Principal=ACCOUNT)), DENY, False),
    "everyone": (policy(statement(Principal="*")), policy(statement(Principal=ACCOUNT)), False),
    "NotPrincipal in the trust": (
        policy({**statement(), "Principal": {}, "NotPrincipal": {"AWS": BACKEND}}),
        policy(statement(Principal=ACCOUNT)),
        False,
    ),
    "NotPrincipal in the intent": (
        policy(statement()),
        policy({**statement(), "Principal": {}, "NotPrincipal": {"AWS": OTHER}}),
        False,
    ),
    "undocumented Deny in the trust": (
        policy(statement(), statement(Effect="Deny", Condition={"StringEqual": {"sts:ExternalId": "id"}})),
        policy(statement()),
        True,
    ),
    "undocumented Deny in the intent": (
        policy(statement()),
        policy(statement(), statement(Effect="Deny", Condition={"StringEqual": {"sts:ExternalId": "id"}})),
        False,
    ),
    "unique ID of a principal": (policy(statement(Principal={"AWS": "AROAEXAMPLE"})), policy(statement()), False),
    "wildcard in a principal": (policy(statement(Principal={"AWS": f"{BACKEND[:-1]}*"})), policy(statement()), False),
    "action with a wildcard": (policy(statement(Action="sts:*")), policy(statement()), False),
    "all actions but one": (
        policy({**statement(), "NotAction": "sts:AssumeRole", "Action": []}),
        policy(statement(Action=[f"sts:{name}" for name in ALL_BUT_ASSUME_ROLE])),
        True,
    ),
    "external ID, if any": (
        policy(statement(Condition={"StringEqualsIfExists": {"sts:ExternalId": "id-one"}})),
        policy(statement(Condition=EXTERNAL_ID)),
        False,
    ),
    "external ID with a wildcard": (
        policy(statement(Condition={"StringLike": {"sts:ExternalId": "id-?ne"}})),
        policy(statement(Condition={"StringLike": {"sts:ExternalId": "id-*"}})),
        True,
    ),
    "external ID ignoring case": (
        policy(statement(Condition={"StringEqualsIgnoreCase": {"sts:ExternalId": "ID-ONE"}})),
        policy(statement(Condition=EXTERNAL_ID)),
        False,
    ),
    "principal of another partition": (
        policy(statement(Principal={"AWS": "arn:aws-cn:iam::111111111111:root"})),
        policy(statement()),
        True,
    ),
}


@pytest.mark.parametrize(("trust", "intent", "holds"), FULL_CLAIMS.values(), ids=FULL_CLAIMS)
def test_claims_of_the_whole_language_are_decided(trust: Content, intent: Content, holds: bool, tmp_path: Path) -> None:
    found = certificate(trust, intent)
    assert (ACCEPTED if holds else REJECTED) == check("verify_full_certificate", found, tmp_path).status
    assert UNSUPPORTED == check("verify_certificate", found, tmp_path).status


def condition(operator: str, key: str, *values: str) -> Content:
    return statement(Condition={operator: {key: list(values)}})


ELSEWHERE = statement(Principal={"AWS": OTHER})
FALSE_CLAIMS: dict[str, tuple[Content, Content]] = {
    "no MFA key": (condition("Null", "aws:MultiFactorAuthPresent", "true"), statement(Condition=WITH_MFA)),
    "MFA": (statement(Condition=WITH_MFA), condition("Bool", "aws:MultiFactorAuthPresent", "false")),
    "no external ID": (condition("Null", "sts:ExternalId", "true"), statement(Condition=EXTERNAL_ID)),
    "other external ID": (
        statement(Condition={"StringNotEquals": {"sts:ExternalId": "id-two"}, "Null": {"sts:ExternalId": "false"}}),
        statement(Condition=EXTERNAL_ID),
    ),
    "role named in a condition": (
        statement(Principal=ACCOUNT, Condition={"ArnEquals": {"aws:PrincipalArn": OTHER}}),
        statement(),
    ),
    "first operation": (statement(), ELSEWHERE),
    "second operation": (statement(Action="sts:AssumeRoleWithSAML"), statement()),
    "third operation": (statement(Action="sts:AssumeRoleWithWebIdentity"), statement()),
    **{
        action: (statement(Action=["sts:AssumeRole", f"sts:{action}"]), statement())
        for action in ("TagSession", "SetSourceIdentity", "SetContext")
    },
    "kept source identity": (
        {**condition("StringEquals", "aws:SourceIdentity", "xx"), "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"]},
        statement(),
    ),
    "service": (statement(Principal="*", Condition=SERVICE), statement()),
    "user": (statement(Principal="*", Condition=USER), statement()),
    "provider": (
        statement(Principal="*", Action="sts:AssumeRoleWithSAML", Condition={"Null": {"aws:PrincipalArn": "true"}}),
        statement(Principal={"Service": "ec2.amazonaws.com"}, Action="sts:AssumeRoleWithSAML"),
    ),
    "path of a role": (
        statement(Principal=ACCOUNT, Condition={"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::111111111111:role/*/*"}}),
        statement(),
    ),
    "long name": (
        statement(
            Principal=ACCOUNT, Condition={"StringLike": {"aws:PrincipalArn": f"arn:aws:iam::111111111111:role/{'?' * 40}"}}
        ),
        statement(),
    ),
    "user name": (statement(Principal=ACCOUNT, Condition={"StringLike": {"aws:username": "x"}}), statement()),
    "several values": (
        statement(
            Condition={"ForAnyValue:StringEquals": {"aws:CalledVia": "a"}, "ForAnyValue:StringLike": {"aws:CalledVia": "b"}}
        ),
        ELSEWHERE,
    ),
    "empty value": (
        statement(Condition={"Null": {"aws:CalledViaFirst": "true"}, "StringEquals": {"aws:CalledViaFirst": ""}}),
        ELSEWHERE,
    ),
    "policy variable": (
        statement(Principal=ACCOUNT, Condition={"StringEquals": {"aws:PrincipalTag/team": "${aws:username}"}}),
        statement(Principal=ACCOUNT, Condition={"StringNotEquals": {"aws:PrincipalTag/team": "x"}}),
    ),
    "three sets of values": (
        statement(
            Condition={
                "ForAnyValue:StringEquals": {"custom:key": "a"},
                "ForAnyValue:StringLike": {"custom:key": "b"},
                "ForAnyValue:StringEqualsIgnoreCase": {"custom:key": "CC"},
            }
        ),
        ELSEWHERE,
    ),
}


@both_programs
@pytest.mark.parametrize(("trust", "intent"), FALSE_CLAIMS.values(), ids=FALSE_CLAIMS)
def test_false_claims_are_rejected(program: str, trust: Content, intent: Content, tmp_path: Path) -> None:
    expected = REJECTED if covers(program, trust, intent) else UNSUPPORTED
    assert expected == check(program, certificate(policy(trust), policy(intent)), tmp_path).status
    assert REJECTED == check(FULL, certificate(policy(trust), policy(intent), *FACTS[1:]), tmp_path).status


FACTS = ("operations", "source identity of sessions", "age of MFA", "HTTPS", "request tags")
MFA_AGE = {"NumericLessThan": {"aws:MultiFactorAuthAge": "3600"}}
TAGGED = ["sts:AssumeRole", "sts:TagSession"]
WITH_FACT: dict[str, tuple[Content, Content, str]] = {
    "operation of a role": (statement(Action="sts:AssumeRole*"), statement(), "operations"),
    "operation of a SAML provider": (
        statement(Principal={"Federated": "arn:aws:iam::222222222222:saml-provider/x"}),
        statement(),
        "operations",
    ),
    "source identity of a service": (
        {
            **condition("Null", "aws:SourceIdentity", "false"),
            "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"],
            "Principal": {"Service": "ec2.amazonaws.com"},
        },
        statement(),
        "source identity of sessions",
    ),
    "age of MFA": (statement(Condition=MFA_AGE), statement(Condition=WITH_MFA), "age of MFA"),
    "HTTPS": (condition("Bool", "aws:SecureTransport", "false"), ELSEWHERE, "HTTPS"),
    "tag without its key": (
        {**condition("StringEquals", "aws:RequestTag/team", "x"), "Action": TAGGED},
        {**condition("ForAnyValue:StringEqualsIgnoreCase", "aws:TagKeys", "TEAM"), "Action": TAGGED},
        "request tags",
    ),
}


@pytest.mark.parametrize("name", WITH_FACT)
def test_facts_are_used_only_if_they_are_named(name: str, tmp_path: Path) -> None:
    trust, intent, fact = WITH_FACT[name]
    others = [other for other in FACTS if other != fact]
    assert REJECTED == check(FULL, certificate(policy(trust), policy(intent), *others), tmp_path).status
    verdict = check(FULL, certificate(policy(trust), policy(intent), fact), tmp_path)
    assert (ACCEPTED, True) == (verdict.status, fact in verdict.text)


OPAQUE: dict[str, Content] = {
    "number": MFA_AGE,
    "date": {"DateLessThan": {"aws:CurrentTime": "2027-01-01T00:00:00Z"}},
    "address": {"NotIpAddress": {"aws:SourceIp": ["10.0.0.0/8", "2001:db8::/32"]}},
    "bytes": {"ForAnyValue:BinaryEquals": {"example.com:b": "QUI="}},
    "numbers of a key with several values": {"ForAnyValue:NumericEquals": {"example.com:n": "10"}},
    "policy variable": {"StringLike": {"sts:RoleSessionName": "${aws:username}-*"}},
    "tag of the caller": {"StringNotEquals": {"aws:PrincipalTag/team": "${aws:PrincipalTag/owner, 'x'}"}},
    "policy variable, if there is a value": {"StringEqualsIfExists": {"aws:PrincipalTag/team": "${aws:username}"}},
}


CHANGED = {
    "number": "36000",
    "date": "2027-01-01T00:00:01Z",
    "address": "10.0.0.0/9",
    "bytes": "YWI=",
    "numbers of a key with several values": "11",
    "policy variable": "${aws:username}-x*",
    "tag of the caller": "${aws:PrincipalTag/owner, 'y'}",
    "policy variable, if there is a value": "${aws:userid}",
}


@pytest.mark.parametrize("name", OPAQUE)
def test_tests_that_are_not_read_prove_only_what_does_not_depend_on_them(name: str, tmp_path: Path) -> None:
    """Numbers, dates, addresses, bytes and policy variables: equal conditions have equal outcomes, no others are related."""
    limited = statement(Condition=OPAQUE[name])
    ((operator, keys),) = OPAQUE[name].items()
    (key,) = keys
    changed = statement(Condition={operator: {key: CHANGED[name]}})

    def status(trust: Content, intent: Content) -> int:
        return check(FULL, certificate(policy(trust), policy(intent)), tmp_path).status

    assert ACCEPTED == status(limited, limited) == status(limited, statement())
    assert REJECTED == status(statement(), limited) == status(limited, changed)


UNUSUAL: dict[str, Content] = {
    "key": statement(Condition={"StringEquals": {"aws:SourceAccount": "111111111111"}}),
    "operator": statement(Condition={"StringEqualsIfExists": {"sts:ExternalId": "id"}}),
    "wildcard": statement(Condition={"StringLike": {"sts:ExternalId": "i*"}}),
    "variable": statement(Condition={"StringEquals": {"sts:ExternalId": "${aws:username}"}}),
    "key twice": statement(Condition={"StringEquals": {"sts:ExternalId": "id", "sts:externalid": "id"}}),
    "no value": statement(Condition={"StringEquals": {"sts:ExternalId": []}}),
    "empty value": statement(Condition={"StringEquals": {"sts:ExternalId": ""}}),
    "Bool on a string": statement(Condition={"Bool": {"sts:ExternalId": "true"}}),
    "ARN operator on a string": statement(Condition={"ArnEquals": {"sts:ExternalId": "id"}}),
    "MFA as a string": statement(Condition={"StringEquals": {"aws:MultiFactorAuthPresent": "true"}}),
    "Null with another value": statement(Condition={"Null": {"sts:ExternalId": "yes"}}),
    "Bool with another value": statement(Condition={"Bool": {"aws:MultiFactorAuthPresent": "yes"}}),
    "part of an ARN": statement(Condition={"ArnEquals": {"aws:PrincipalArn": "backend"}}),
    "session": statement(Principal={"AWS": "arn:aws:sts::111111111111:assumed-role/backend_role/x"}),
    "provider": statement(Principal={"Federated": "arn:aws:iam::222222222222:saml-provider/x"}),
    "everyone": statement(Principal="*"),
    "a role as provider": statement(Principal={"Federated": BACKEND}),
    "a role of another kind": statement(Principal={"CanonicalUser": BACKEND}),
    "wildcard in a principal": statement(Principal={"AWS": "arn:aws:iam::111111111111:role/*"}),
    "half of an account ARN": statement(Principal={"AWS": "111111111111:root"}),
    "no principal": statement(Principal={}),
    "no action": statement(Action=[]),
    "action with a wildcard": statement(Action="sts:Assume*"),
    "another action": statement(Action=["sts:AssumeRole", "s3:GetObject"]),
    "Deny": statement(Effect="Deny"),
    "NotAction": statement(NotAction="sts:TagSession"),
    "NotPrincipal": statement(NotPrincipal={"AWS": OTHER}),
    "Resource": statement(Resource="*"),
    "effect": statement(Effect="Maybe"),
}


@pytest.mark.parametrize("side", ["trust", "intent"])
@pytest.mark.parametrize("unusual", UNUSUAL.values(), ids=UNUSUAL)
def test_policies_that_rolecall_does_not_write_are_not_covered(unusual: Content, side: str, tmp_path: Path) -> None:
    found = certificate(policy(statement()), policy(statement()))
    found["policies"][side]["Statement"].append(unusual)
    assert UNSUPPORTED == check("verify_certificate", found, tmp_path).status


def test_facts_are_not_covered_by_the_short_program(tmp_path: Path) -> None:
    found = example()
    found["claims"]["nothing_else"]["facts"] = ["source identity of sessions"]
    assert UNSUPPORTED == check("verify_certificate", found, tmp_path).status
    assert ACCEPTED == check("verify_full_certificate", found, tmp_path).status


# Changed and hostile certificates


def put(*keys: Any) -> Change:
    """Set the value (last) at the keys."""

    def change(found: Any) -> None:
        *path, last, value = keys
        for key in path:
            found = found[key]
        found[last] = value

    return change


CHANGES: dict[str, Change] = {
    "wider trust": lambda found: found["policies"]["trust"]["Statement"].append(statement(Principal={"AWS": OTHER})),
    "trust without restriction": lambda found: found["policies"]["trust"]["Statement"].append(statement(Principal=ACCOUNT)),
    "narrower intent": put("policies", "intent", "Statement", 0, "Condition", EXTERNAL_ID),
    "intent with a policy that denies": lambda found: found["policies"]["intent"]["Statement"].append(
        statement(Effect="Deny", Principal=ACCOUNT)
    ),
    "intent without effect": put("policies", "intent", "Statement", 0, "Effect", "allow"),
    "intent of another partition": put(
        "policies", "intent", "Statement", 0, "Principal", {"AWS": BACKEND.replace("arn:aws:", "arn:aws-cn:")}
    ),
    "intent for a role of the same name with a path": put(
        "policies", "intent", "Statement", 0, "Principal", {"AWS": BACKEND.replace("role/", "role/path/")}
    ),
    "intent for a user of the same name": put(
        "policies", "intent", "Statement", 0, "Principal", {"AWS": BACKEND.replace(":role/", ":user/")}
    ),
    "intent for the ARN as a service": put("policies", "intent", "Statement", 0, "Principal", {"Service": BACKEND}),
    "intent for the ARN as a provider": put("policies", "intent", "Statement", 0, "Principal", {"Federated": BACKEND}),
    "intent for a pattern of ARNs": put("policies", "intent", "Statement", 0, "Principal", {"AWS": f"{BACKEND[:-4]}*"}),
    "intent for the ARN in upper case": put("policies", "intent", "Statement", 0, "Principal", {"AWS": BACKEND.upper()}),
    "intent for the ARN with a line break": put("policies", "intent", "Statement", 0, "Principal", {"AWS": f"{BACKEND}\n"}),
    "intent for no one but the role": lambda found: found["policies"]["intent"]["Statement"][0].update(
        Principal={}, NotPrincipal={"AWS": OTHER}
    ),
    "intent with a misspelled element": put("policies", "intent", "Statement", 0, "Conditions", {}),
    "intent with a condition that is never documented": put(
        "policies", "intent", "Statement", 0, "Condition", {"StringNotEqual": {"sts:ExternalId": "x"}}
    ),
    "intent with a condition without values": put(
        "policies", "intent", "Statement", 0, "Condition", {"StringNotEquals": {"sts:ExternalId": []}}
    ),
    "trust with the same condition in two cases": put(
        "policies",
        "trust",
        "Statement",
        [
            statement(),
            statement(
                Principal={"AWS": OTHER},
                Condition={"StringEquals": {"sts:ExternalId": "id-one", "sts:externalid": "id-two"}},
            ),
        ],
    ),
    "trust with an undocumented principal": lambda found: found["policies"]["trust"]["Statement"].append(
        statement(Principal={"AWS": "AROAEXAMPLEEXAMPLE"})
    ),
    "trust with NotAction": lambda found: found["policies"]["trust"]["Statement"].append(
        {"Effect": "Allow", "NotAction": "sts:TagSession", "Principal": {"AWS": OTHER}}
    ),
    "trust with a wildcard in the action": lambda found: found["policies"]["trust"]["Statement"].append(
        statement(Action="S*:a?sumerole", Principal={"AWS": OTHER})
    ),
    "other intent": put("policies", "intent", policy(statement(Principal={"AWS": OTHER}))),
    "unknown fact": put("claims", "nothing_else", "facts", ["the ARN is secret"]),
    "fact about no key": put("claims", "nothing_else", "facts", ["presence of Caller"]),
    "facts as a string": put("claims", "nothing_else", "facts", "HTTPS"),
    "facts in a list": put("claims", "nothing_else", "facts", [["HTTPS"]]),
    "claim without facts": put("claims", "nothing_else", {}),
    "proof of the first format": put("claims", "nothing_else", {"steps": [None]}),
    "claim left out": put("claims", {}),
    "another claim": lambda found: put("claims", {"everything_intended": found["claims"]["nothing_else"]})(found),
    "unknown claim": lambda found: put("claims", "all_good", found["claims"]["nothing_else"])(found),
    "other role": put("role", "role1"),
    "long policy": put("policies", "trust", "Statement", 0, "Sid", "x" * 21_000),
    "user as role": put("role", "arn:aws:iam::222222222222:user/role1"),
    "role with a line break before it": put("role", f"\n{ROLE}"),
    "role with a control character": put("role", f"{ROLE}\x1b"),
    "role of a session": put("role", "arn:aws:sts::222222222222:assumed-role/role1/x"),
    "older format": put("format", "rolecall certificate 1"),
    "newer format": put("format", "rolecall certificate 3"),
}


@both_programs
@pytest.mark.parametrize("name", CHANGES)
def test_changed_certificate_is_not_accepted(program: str, name: str, tmp_path: Path) -> None:
    found = example()
    CHANGES[name](found)
    assert check(program, found, tmp_path).status in {REJECTED, UNSUPPORTED}


OIDC_PROVIDER = "arn:aws:iam::222222222222:oidc-provider/example.com/a:saml-provider/b"
KEY_ATTACKS: dict[str, tuple[Content, Content]] = {
    "key with the name of the caller's part": (
        statement(Principal={"AWS": OTHER}, Condition={"StringNotEquals": {"Caller": "x"}}),
        statement(),
    ),
    "key with the name of the part for the action": (
        statement(Principal={"AWS": OTHER}, Condition={"StringEquals": {"Action": "sts:AssumeRoleWithSAML"}}),
        statement(),
    ),
    "key with the name of the part for contexts": (
        statement(Condition={"Null": {"Contexts": "false"}}, Action=["sts:AssumeRole", "sts:SetContext"]),
        statement(),
    ),
    "session of a role as the role": (
        statement(),
        statement(Principal={"AWS": "arn:aws:sts::111111111111:assumed-role/backend_role/x"}),
    ),
    "variable that is another key": (
        statement(Principal=ACCOUNT, Condition={"StringEquals": {"aws:PrincipalTag/a": "${aws:PrincipalTag/b}"}}),
        statement(Principal=ACCOUNT, Condition={"StringEquals": {"aws:PrincipalTag/a": "${aws:PrincipalTag/c}"}}),
    ),
    "variable in a version without variables": (
        statement(Principal=ACCOUNT, Condition={"StringEquals": {"aws:PrincipalTag/a": "${aws:username}"}}),
        statement(Principal=ACCOUNT, Condition={"StringEquals": {"aws:PrincipalTag/a": "$ {aws:username}"}}),
    ),
    "one of several values with a variable": (
        statement(Principal=ACCOUNT, Condition={"StringEquals": {"aws:PrincipalTag/a": ["${aws:username}", "x"]}}),
        statement(Principal=ACCOUNT, Condition={"StringEquals": {"aws:PrincipalTag/a": ["${aws:username}", "x"]}}),
    ),
    "variable that is not closed": (
        statement(Condition={"StringEquals": {"aws:PrincipalTag/a": "${aws:username"}}),
        statement(Condition={"StringEquals": {"aws:PrincipalTag/a": "${aws:username"}}),
    ),
    "other number": (
        statement(Condition={"NumericLessThan": {"aws:MultiFactorAuthAge": "3601"}}),
        statement(Condition={"NumericLessThan": {"aws:MultiFactorAuthAge": "3600"}}),
    ),
    "other comparison of the number": (
        statement(Condition={"NumericLessThanEquals": {"aws:MultiFactorAuthAge": "3600"}}),
        statement(Condition={"NumericLessThan": {"aws:MultiFactorAuthAge": "3600"}}),
    ),
    "comparison negated": (
        statement(Condition={"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
        statement(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
    ),
    "number that is none": (
        statement(Condition={"NumericLessThan": {"aws:MultiFactorAuthAge": "x"}}),
        statement(Condition={"NumericLessThan": {"aws:MultiFactorAuthAge": "x"}}),
    ),
    "date that is none": (
        statement(Condition={"DateLessThan": {"aws:CurrentTime": "2026-13-01"}}),
        statement(Condition={"DateLessThan": {"aws:CurrentTime": "2026-13-01"}}),
    ),
    "address that is none": (
        statement(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.256"}}),
        statement(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.256"}}),
    ),
    "bytes that are none": (
        statement(Condition={"ForAnyValue:BinaryEquals": {"example.com:b": "no base64"}}),
        statement(Condition={"ForAnyValue:BinaryEquals": {"example.com:b": "no base64"}}),
    ),
    "comparison of an absent key": (
        statement(Condition={"IpAddressIfExists": {"aws:SourceIp": "10.0.0.0/8"}}),
        statement(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
    ),
    "date as a string": (
        statement(Condition={"StringEquals": {"aws:CurrentTime": "2026-01-01"}}),
        statement(Condition={"DateEquals": {"aws:CurrentTime": "2026-01-01"}}),
    ),
    "Kelvin sign ignoring case": (
        statement(Condition={"StringEqualsIgnoreCase": {"sts:ExternalId": "kk"}}),
        statement(Condition={"StringEquals": {"sts:ExternalId": ["kk", "KK", "kK", "Kk"]}}),
    ),
    "wildcard across the colons of an ARN": (
        statement(Principal="*", Condition={"StringLike": {"aws:SourceArn": "arn:aws:s3:*:x"}}),
        statement(Principal="*", Condition={"ArnLike": {"aws:SourceArn": "arn:aws:s3:*:*:x"}}),
    ),
    "wildcard across the components of an ARN": (
        statement(Condition={"StringEquals": {"aws:SourceArn": "arn:aws:a:b:c:d:e"}}),
        statement(Condition={"ArnLike": {"aws:SourceArn": "arn:aws:*:c:d:e"}}),
    ),
    "start of an account ID": (
        statement(),
        statement(Principal="*", Condition={"StringEquals": {"aws:PrincipalAccount": "1111"}}),
    ),
    "wildcard across the account of an ARN": (
        statement(Principal=ACCOUNT, Condition={"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::111111111111:role/a:b/c"}}),
        statement(Principal="*", Condition={"StringLike": {"aws:PrincipalAccount": "*role*"}}),
    ),
    "wildcard across the path of a user": (
        statement(Principal=ACCOUNT, Condition={"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/a*b"}}),
        statement(Principal=ACCOUNT, Condition={"StringLike": {"aws:username": "a*b"}}),
    ),
    "account in a path": (
        statement(
            Principal={"AWS": "111111111111"},
            Condition={"StringLike": {"aws:PrincipalArn": "*:role/arn:aws:iam::333333333333:role/x"}},
        ),
        statement(Principal={"AWS": "333333333333"}),
    ),
    "role path in an account ID": (
        statement(Principal=ACCOUNT, Condition={"StringLike": {"aws:PrincipalArn": "arn:aws:iam::111111111111:role/x:*"}}),
        statement(Principal="*", Condition={"StringEquals": {"aws:PrincipalAccount": "111111111111:role/x"}}),
    ),
    "path in a user name": (
        statement(Principal={"AWS": "arn:aws:iam::111111111111:user/team/ann"}),
        statement(Principal="*", Condition={"StringEqualsIgnoreCase": {"aws:username": "team/ann"}}),
    ),
    "variable compared with another key of the caller": (
        statement(Principal=ACCOUNT, Condition={"StringEquals": {"aws:PrincipalAccount": "${aws:PrincipalTag/a}"}}),
        statement(Principal=ACCOUNT, Condition={"StringEquals": {"aws:PrincipalArn": "${aws:PrincipalTag/a}"}}),
    ),
    "number compared with another key of the caller": (
        statement(Principal=ACCOUNT, Condition={"NumericEquals": {"aws:PrincipalAccount": "111111111111"}}),
        statement(Principal=ACCOUNT, Condition={"NumericEquals": {"aws:username": "111111111111"}}),
    ),
    "tag of the role that adds a component to an ARN": (
        statement(Condition={"StringEquals": {"aws:SourceArn": "arn:aws:iam::1:2:role/x"}}),
        statement(Condition={"ArnEquals": {"aws:SourceArn": "arn:aws:iam::${aws:ResourceTag/colon}:role/x"}}),
    ),
    "OIDC provider with the name of a SAML provider in its path": (
        statement(Principal={"Federated": OIDC_PROVIDER}, Action="sts:AssumeRoleWithWebIdentity"),
        statement(),
    ),
    "type of principals as a principal": (
        statement(Principal={"Federated": "Federated"}, Action="sts:AssumeRoleWithWebIdentity"),
        statement(Principal="Federated", Action="sts:AssumeRoleWithWebIdentity"),
    ),
    "wildcard in the default of a variable": (
        statement(Principal=ACCOUNT, Condition={"StringLike": {"aws:PrincipalTag/a": "${aws:username, '*'}"}}),
        statement(Principal=ACCOUNT, Condition={"StringLike": {"aws:PrincipalTag/a": "${aws:username, '*'}"}}),
    ),
    **{
        f"{operator} with a form that only Python reads": (
            statement(Condition={operator: {"example.com:k": value}}),
            statement(Condition={operator: {"example.com:k": value}}),
        )
        for operator, value in {
            "NumericEquals": "\u0661",
            "DateEquals": "2026-W01-1",
            "DateLessThan": "20260101",
            "IpAddress": "10.0.0.0/255.0.0.0",
        }.items()
    },
    "tag that the role has in another case of the key": (
        statement(Condition={"StringEquals": {"aws:ResourceTag/TEAM": "a"}}, Principal={"AWS": OTHER}),
        statement(),
    ),
}


@pytest.mark.parametrize(("trust", "intent"), KEY_ATTACKS.values(), ids=KEY_ATTACKS)
def test_keys_and_values_cannot_be_confused(trust: Content, intent: Content, tmp_path: Path) -> None:
    found = certificate(policy(trust), policy(intent), *FACTS)
    found["tags"] = {"team": "a", "colon": "1:2"}
    assert REJECTED == check(FULL, found, tmp_path).status


@pytest.mark.parametrize("tags", [{"team": "a", "TEAM": "b"}, {"team": "a", "x": ["b"]}, {"team": "a", "x": None}, ["team"]])
def test_tags_that_no_role_has_are_not_accepted(tags: Any, tmp_path: Path) -> None:
    content = {**certificate(policy(statement()), policy(statement())), "tags": tags}
    assert REJECTED == check(FULL, content, tmp_path).status


def test_keys_whose_case_is_uncertain_are_not_covered(tmp_path: Path) -> None:
    """Python regards the Kelvin sign as a capital letter of `k`. AWS does not document it."""

    def status(key: str, other: str) -> int:
        found = [policy(condition("StringEquals", name, "x")) for name in (key, other)]
        return check(FULL, certificate(found[0], found[1]), tmp_path).status

    assert UNSUPPORTED == status("aws:PrincipalTag/k", "aws:PrincipalTag/\u212a")
    assert UNSUPPORTED == status("aws:PrincipalTag/\u00dc", "aws:PrincipalTag/\u00dc")
    assert ACCEPTED == status("aws:PrincipalTag/\u00fc", "aws:PRINCIPALTAG/\u00fc")
    tagged = condition("StringEquals", "aws:ResourceTag/k", "x")
    content = {**certificate(policy(tagged), policy(tagged)), "tags": {"\u212a": "x"}}
    assert UNSUPPORTED == check(FULL, content, tmp_path).status


@both_programs
@pytest.mark.parametrize("side", ["trust", "intent"])
def test_an_operator_without_keys_is_not_covered(program: str, side: str, tmp_path: Path) -> None:
    content = example()
    content["policies"][side]["Statement"][0]["Condition"] = {"StringEquals": {}}
    assert UNSUPPORTED == check(program, content, tmp_path).status


@both_programs
def test_second_claim_is_checked(program: str, tmp_path: Path) -> None:
    found = certificate(policy(statement()), policy(statement(Principal=ACCOUNT)))
    assert ACCEPTED == check(program, found, tmp_path).status
    found["claims"]["everything_intended"] = found["claims"]["nothing_else"]
    assert REJECTED == check(program, found, tmp_path).status


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values in JSON."""
    yield path
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*path, key))


VALUES: list[Any] = [None, True, -1, "x", [], {"x": "y"}]
MORE_VALUES: list[Any] = [1.5, 10**30, "", [[]], {}, [None]]


@both_programs
@pytest.mark.parametrize(
    "value", [*VALUES, *(pytest.param(value, marks=pytest.mark.slow) for value in MORE_VALUES)], ids=repr
)
def test_wrong_types_are_never_an_error(program: str, value: Any, tmp_path: Path) -> None:
    """Every value of the certificate replaced: accepted at most where the value does not matter."""
    for path in places(example()):
        found: Any = copy.deepcopy(example())
        if path:
            put(*path, value)(found)
        else:
            found = value
        verdict = check(program, found, tmp_path)
        assert verdict.status in {REJECTED, UNSUPPORTED} or found == example() or may_be_proof(program, path, value), path


def may_be_proof(program: str, path: tuple[Any, ...], value: Any) -> bool:
    """Whether the claim can still be proven: the trust policy allows less, or the value is not used.

    The short program does not read the tags.
    """
    if program != FULL and "tags" in path:
        return True
    changed = path[:2] == ("policies", "trust") or path[-1] in {"Version", "tags"}
    return changed or (path[-1] == "facts" and not value)


BROKEN: dict[str, bytes] = {
    "empty": b"",
    "no JSON": b"{",
    "two values": b"{} {}",
    "no UTF-8": b'{"format": "\xff"}',
    "deep list": b"[" * 200_000 + b"]" * 200_000,
    "deep object": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "NaN": json.dumps(example()).replace('"tags": {}', '"tags": {"x": NaN}').encode(),
    "long number": b"1" * 100_000,
    "large file": b" " * 3_000_000,
    "key twice": json.dumps(example()).replace('"tags"', '"role": "x", "tags"').encode(),
}


@both_programs
@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_broken_files_are_rejected(program: str, content: bytes, tmp_path: Path) -> None:
    assert REJECTED == check(program, content, tmp_path).status


@both_programs
@pytest.mark.parametrize("text", ["\\ud800", "\\u0000", "\\u001b[2J", "\\u202e"])
def test_output_is_printable_ascii(program: str, text: str, tmp_path: Path) -> None:
    for content in (json.dumps(example()).replace("backend_role", text), json.dumps(example()).replace("rolecall", text)):
        verdict = check(program, content.encode(), tmp_path)
        assert verdict.text.replace("\n", "").isprintable()
        assert verdict.text.isascii()


def test_a_policy_with_a_key_twice_is_rejected(tmp_path: Path) -> None:
    text = json.dumps(example()).replace('"Effect": "Allow"', '"Effect": "Deny", "Effect": "Allow"', 1)
    for program in PROGRAMS:
        assert REJECTED == check(program, text.encode(), tmp_path).status


LARGE: dict[str, Change] = {
    "statements": put("policies", "trust", policy(*(statement(Principal={"AWS": f"{BACKEND}{n}"}) for n in range(5_000)))),
    "principals": put("policies", "trust", policy(statement(Principal={"AWS": [f"{BACKEND}{n}" for n in range(5_000)]}))),
    "states": put(
        "policies",
        "trust",
        policy(
            *(statement(Condition={"StringLike": {"aws:PrincipalArn": f"*{letter}{'?' * 18}"}}) for letter in "abcdefgh")
        ),
    ),
    "overlapping patterns": put(
        "policies",
        "trust",
        policy(
            *(
                statement(Condition={"StringLike": {"aws:PrincipalArn": f"*{a}{b}*"}})
                for a, b in itertools.permutations("abcde", 2)
            )
        ),
    ),
    "long patterns": put(
        "policies",
        "trust",
        policy(statement(Condition={"StringLike": {"aws:PrincipalArn": ["*a?" * 2_000, "*b?" * 2_000]}})),
    ),
    "many characters": put(
        "policies",
        "trust",
        policy(condition("StringEquals", "example.com:k", "".join(map(chr, range(0x4E00, 0x4E00 + 3_200))))),
    ),
    "open variables": put("policies", "trust", policy(statement(Condition={"StringLike": {"aws:userid": "${" * 9_000}}))),
    "numbers": put(
        "policies",
        "trust",
        policy(statement(Condition={"NumericEquals": {"aws:MultiFactorAuthAge": [f"{n}e9999" for n in range(1_000)]}})),
    ),
}


@both_programs
@pytest.mark.parametrize("name", LARGE)
def test_large_certificates_are_not_accepted(program: str, name: str, tmp_path: Path) -> None:
    found = example()
    LARGE[name](found)
    assert check(program, found, tmp_path).status in {REJECTED, UNSUPPORTED}


RANGES: dict[str, Content] = {
    "numbers": {"NumericGreaterThan": {"aws:MultiFactorAuthAge": "10"}, "NumericLessThan": {"aws:MultiFactorAuthAge": "12"}},
    "dates": {
        "DateGreaterThan": {"aws:CurrentTime": "2026-01-01"},
        "DateLessThan": {"aws:CurrentTime": "2026-01-02T00:00:00Z"},
    },
    "addresses": {
        "IpAddress": {"aws:SourceIp": "10.0.0.0/8"},
        "NotIpAddress": {"aws:SourceIp": ["10.0.0.0/9", "10.128.0.0/10"]},
    },
    "addresses of version 6": {
        "IpAddress": {"aws:SourceIp": "2001:db8::/32"},
        "NotIpAddress": {"aws:SourceIp": "2001:db8::/33"},
    },
}


@pytest.mark.parametrize("condition", RANGES.values(), ids=RANGES)
def test_ranges_between_values_are_not_left_out(condition: Content, tmp_path: Path) -> None:
    trust = policy(statement(Condition=condition))
    assert ACCEPTED == check(FULL, certificate(trust, policy(statement())), tmp_path).status
    assert REJECTED == check(FULL, certificate(trust, policy(ELSEWHERE)), tmp_path).status


@pytest.mark.parametrize("key", ["aws:CurrentTime", "aws:SourceIp"])
def test_values_that_are_no_numbers_are_not_left_out(key: str, tmp_path: Path) -> None:
    """A key of another type has values that no comparison of numbers matches, so that no Deny statement is about them."""
    trust = policy(
        statement(),
        statement(Effect="Deny", Condition={"NumericLessThan": {key: "10"}}),
        statement(Effect="Deny", Condition={"NumericGreaterThanEquals": {key: "10"}}),
        statement(Effect="Deny", Condition={"Null": {key: "true"}}),
    )
    assert REJECTED == check(FULL, certificate(trust, policy(ELSEWHERE)), tmp_path).status
    assert ACCEPTED == check(FULL, certificate(trust, policy(statement())), tmp_path).status
