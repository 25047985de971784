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

import policy_text
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
from policy_text import Conditions
from rolecall_generator.manifest.loader import load_manifest
from rolecall_generator.planning import make_plan

LINES = {"verify_certificate": 195, "verify_full_certificate": 620}
WIDTH = 120
BACKEND = "arn:aws:iam::111111111111:role/backend_role"
ROLE = "arn:aws:iam::222222222222:role/role1"
OTHER = "arn:aws:iam::111111111111:role/other"
Content = dict[str, Any]
Side = Content | str
Pairs = dict[str, tuple[Side, Side]]
"""Trust policies with the policy of the intent: each a policy, one statement, or the conditions of one."""
Change = Callable[[Content], object]

both_programs = pytest.mark.parametrize("program", PROGRAMS)


def statement(conditions: Conditions = None, principal: Any = BACKEND, **more: Any) -> Content:
    return policy_text.statement(principal, conditions, **more)


def policy(*statements: Content) -> Content:
    return {"Version": "2012-10-17", "Statement": list(statements)}


PLAIN = statement()


def statement_of(principal: Any) -> Content:
    """A statement about other principals."""
    return statement(principal=principal)


def as_policy(side: Side) -> Content:
    body = statement(side) if isinstance(side, str) else side
    return body if "Statement" in body else policy(body)


def certificate(trust: Side, intent: Side, *facts: str) -> Content:
    """The example with other policies."""
    found = example()
    found["policies"] = {"trust": as_policy(trust), "intent": as_policy(intent)}
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
PROVISIONER = 'resource "aws_iam_user" "x" {\n  name = "x"\n  provisioner "local-exec" {\n    command = "x"\n  }\n}\n'
INSERTIONS = {
    "heredoc": "locals {\n  x = <<EOT\nEOT\n}\n",
    "heredoc in a list": "locals {\n  x = [<<EOT\n]\n}\nlocals {\n  y = [1\nEOT\n  ]\n}\n",
    "quotes in a template": 'locals {\n  x = "${"/*"}"\n}\n',
    "same document twice": 'data "aws_iam_policy_document" "trust" {\n}\n',
    "empty document of the same name": 'data "aws_iam_policy_document" "trust" {}\n',
    "second role of the same name": SECOND_ROLE,
    "second role with an escaped name": SECOND_ROLE.replace("role1", "rol\\u00651"),
    "second role with an escaped type": SECOND_ROLE.replace("aws_iam_role", "aws_iam_ro\\u006ce"),
    "second role without quotes": SECOND_ROLE.replace('"aws_iam_role"', "aws_iam_role"),
    "second role with a name prefix": SECOND_ROLE.replace("name ", "name_prefix "),
    "second role on an indented line": f"  {SECOND_ROLE}",
    "import block": 'import {\n  to = aws_iam_role.this\n  id = "role2"\n}\n',
    "module": 'module "other" {\n  source = "./other"\n}\n',
    "provider": 'provider "aws" {\n}\n',
    "data source that runs a program": 'data "external" "x" {\n  program = ["x"]\n}\n',
    "provisioner": PROVISIONER,
    "provisioner with an escaped name": PROVISIONER.replace("local", "\\u006cocal"),
}
MODULE_CHANGES = {
    "principal": ('role/backend_role"', 'role/other"'),
    "action": ('"sts:AssumeRole",', '"sts:AssumeRole", "sts:TagSession",'),
    "role name": ('name                 = "role1"', 'name                 = "role2"'),
    "role path": ('path                 = "/"', 'path                 = "/x/"'),
    "account": ('self.account_id == "222222222222"', 'self.account_id == "333333333333"'),
    "effect": ('effect = "Allow"', 'effect = "Deny"'),
    "count": ('resource "aws_iam_role" "this" {', 'resource "aws_iam_role" "this" {\n  count = 0'),
    "name from a variable": ('name                 = "role1"', "name                 = var.name"),
    "template in a value": ('role/backend_role"', 'role/${var.name}"'),
    "source document": (
        '  statement {\n    sid    = "Trust',
        '  source_policy_documents = []\n  statement {\n    sid    = "Trust',
    ),
    "dynamic block": ("    principals {", '    dynamic "principals" {'),
    "document in a comment": (
        'data "aws_iam_policy_document" "trust" {',
        'data "aws_iam_policy_document" "other" {}\n# data "aws_iam_policy_document" "trust" {',
    ),
    "comment around the document": ("# Trust policy", "/*\n# Trust policy"),
    "policy of the role ignored": (
        "  depends_on",
        "  lifecycle {\n    ignore_changes = [assume_role_policy]\n  }\n\n  depends_on",
    ),
    "value that is a template": ('role/backend_role"', 'role/backend_role%{ if true }x%{ endif }"'),
    "another role of the module": ('resource "aws_iam_role" "this"', 'resource "aws_iam_user" "this"'),
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
    **{name: ("# Trust policy", f"{text}\n# Trust policy") for name, text in INSERTIONS.items()},
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
    assert REJECTED == status(policy(statement(principal=OTHER)))
    assert REJECTED == status(policy(single, statement(principal=OTHER)))
    assert REJECTED == status(policy(statement("StringEquals sts:ExternalId id")))
    assert REJECTED == status({})


# Claims


EXTERNAL_ID = "StringEquals sts:ExternalId id-one"
WITH_MFA = "Bool aws:MultiFactorAuthPresent true"
ACCOUNT = "arn:aws:iam::111111111111:root"
FULL = "verify_full_certificate"
SOME = "ForAnyValue:StringEquals custom:key"
SERVICE, USER = "Bool aws:PrincipalIsAWSService true", "StringEquals aws:PrincipalType User"
EC2 = {"Service": "ec2.amazonaws.com"}
NAMED = f"ArnEquals aws:PrincipalArn {BACKEND}"
CLAIMS: dict[bool, Pairs] = {
    True: {
        "the same": (PLAIN, PLAIN),
        "external ID in the trust only": (EXTERNAL_ID, PLAIN),
        "present external ID": (EXTERNAL_ID, "Null sts:ExternalId false"),
        "MFA in the trust only": (WITH_MFA, PLAIN),
        "the account, by ARN and by ID": (statement_of(ACCOUNT), statement_of("111111111111")),
        "one role of the account": (PLAIN, statement_of(ACCOUNT)),
        "the account, restricted to the role": (statement(NAMED, ACCOUNT), PLAIN),
        "a service, restricted to a role": (statement(NAMED, EC2), PLAIN),
        "a service with an ARN": (statement("Null aws:PrincipalArn false", EC2), PLAIN),
        "no session tags": (PLAIN, statement(Action=["sts:AssumeRole", "sts:TagSession"])),
        "tags without the operation": (statement(Action=["sts:TagSession", "sts:SetSourceIdentity"]), PLAIN),
    },
    False: {
        "external ID in the intent only": (PLAIN, EXTERNAL_ID),
        "another external ID": ("StringEquals sts:ExternalId id-two", EXTERNAL_ID),
        "two external IDs": ("StringEquals sts:ExternalId id-one, id-two", EXTERNAL_ID),
        "all but one external ID": ("StringNotEquals sts:ExternalId id-two", EXTERNAL_ID),
        "absent external ID": ("Null sts:ExternalId true", EXTERNAL_ID),
        "MFA in the intent only": (PLAIN, WITH_MFA),
        "no MFA": ("Bool aws:MultiFactorAuthPresent false", WITH_MFA),
        "the account": (statement_of(ACCOUNT), PLAIN),
        "the account without the role": (statement(f"ArnNotEquals aws:PrincipalArn {BACKEND}", ACCOUNT), PLAIN),
        "another role": (statement_of({"AWS": [BACKEND, OTHER]}), PLAIN),
        "a service": (statement_of(EC2), PLAIN),
        "a service, unless it is a role": (statement(f"ArnNotEquals aws:PrincipalArn {BACKEND}", EC2), PLAIN),
        "a service without an ARN": (statement("Null aws:PrincipalArn true", EC2), PLAIN),
        "session tags": (statement(Action=["sts:AssumeRole", "sts:TagSession"]), PLAIN),
        "source identity": (statement(Action=["sts:AssumeRole", "sts:SetSourceIdentity"]), PLAIN),
        "another operation": (statement(Action="sts:AssumeRoleWithSAML"), PLAIN),
    },
}


def covers(program: str, trust: Side, intent: Side) -> bool:
    """Whether a program covers two policies."""
    return program == FULL or all(is_covered(as_policy(side)) for side in (trust, intent))


def claims(table: dict[bool, Pairs]) -> pytest.MarkDecorator:
    """The claims of a table as parameters."""
    rows = [pytest.param(*pair, holds, id=name) for holds, pairs in table.items() for name, pair in pairs.items()]
    return pytest.mark.parametrize(("trust", "intent", "holds"), rows)


@both_programs
@claims(CLAIMS)
def test_claims_are_decided(program: str, trust: Side, intent: Side, holds: bool, tmp_path: Path) -> None:
    found = certificate(trust, intent)
    expected = ACCEPTED if holds else REJECTED
    assert (expected if covers(program, trust, intent) else UNSUPPORTED) == check(program, found, tmp_path).status


ALL_BUT_ASSUME_ROLE = ("AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "TagSession", "SetSourceIdentity", "SetContext")
DENY = policy(statement(principal=ACCOUNT), statement(principal=OTHER, Effect="Deny"))
FULL_CLAIMS: dict[bool, Pairs] = {
    True: {
        "Deny in the trust": (DENY, statement_of(ACCOUNT)),
        "undocumented Deny in the trust": (policy(PLAIN, statement("StringEqual sts:ExternalId id", Effect="Deny")), PLAIN),
        "all actions but one": (
            {**PLAIN, "NotAction": "sts:AssumeRole", "Action": []},
            statement(Action=[f"sts:{name}" for name in ALL_BUT_ASSUME_ROLE]),
        ),
        "external ID with a wildcard": ("StringLike sts:ExternalId id-?ne", "StringLike sts:ExternalId id-*"),
        "principal of another partition": (statement_of("arn:aws-cn:iam::111111111111:root"), PLAIN),
    },
    False: {
        "Deny in the intent": (statement_of(ACCOUNT), DENY),
        "everyone": (statement_of("*"), statement_of(ACCOUNT)),
        "NotPrincipal in the trust": ({**PLAIN, "Principal": {}, "NotPrincipal": {"AWS": BACKEND}}, statement_of(ACCOUNT)),
        "NotPrincipal in the intent": (PLAIN, {**PLAIN, "Principal": {}, "NotPrincipal": {"AWS": OTHER}}),
        "undocumented Deny in the intent": (PLAIN, policy(PLAIN, statement("StringEqual sts:ExternalId id", Effect="Deny"))),
        "unique ID of a principal": (statement_of("AROAEXAMPLE"), PLAIN),
        "wildcard in a principal": (statement_of(f"{BACKEND[:-1]}*"), PLAIN),
        "action with a wildcard": (statement(Action="sts:*"), PLAIN),
        "external ID, if any": ("StringEqualsIfExists sts:ExternalId id-one", EXTERNAL_ID),
        "external ID ignoring case": ("StringEqualsIgnoreCase sts:ExternalId ID-ONE", EXTERNAL_ID),
    },
}


@claims(FULL_CLAIMS)
def test_claims_of_the_whole_language_are_decided(trust: Side, intent: Side, holds: bool, tmp_path: Path) -> None:
    found = certificate(trust, intent)
    assert (ACCEPTED if holds else REJECTED) == check("verify_full_certificate", found, tmp_path).status
    assert UNSUPPORTED == check("verify_certificate", found, tmp_path).status


ELSEWHERE = statement(principal=OTHER)
FALSE_CLAIMS: Pairs = {
    "no MFA key": ("Null aws:MultiFactorAuthPresent true", WITH_MFA),
    "MFA": (WITH_MFA, "Bool aws:MultiFactorAuthPresent false"),
    "no external ID": ("Null sts:ExternalId true", EXTERNAL_ID),
    "other external ID": ("StringNotEquals sts:ExternalId id-two & Null sts:ExternalId false", EXTERNAL_ID),
    "role named in a condition": (statement(f"ArnEquals aws:PrincipalArn {OTHER}", ACCOUNT), PLAIN),
    "first operation": (PLAIN, ELSEWHERE),
    "second operation": (statement(Action="sts:AssumeRoleWithSAML"), PLAIN),
    "third operation": (statement(Action="sts:AssumeRoleWithWebIdentity"), PLAIN),
    **{
        action: (statement(Action=["sts:AssumeRole", f"sts:{action}"]), statement())
        for action in ("TagSession", "SetSourceIdentity", "SetContext")
    },
    "kept source identity": (
        {**statement("StringEquals aws:SourceIdentity xx"), "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"]},
        PLAIN,
    ),
    "service": (statement(SERVICE, "*"), PLAIN),
    "user": (statement(USER, "*"), PLAIN),
    "provider": (
        statement("Null aws:PrincipalArn true", "*", Action="sts:AssumeRoleWithSAML"),
        statement(principal=EC2, Action="sts:AssumeRoleWithSAML"),
    ),
    "path of a role": (statement("ArnLike aws:PrincipalArn arn:aws:iam::111111111111:role/*/*", ACCOUNT), PLAIN),
    "long name": (statement(f"StringLike aws:PrincipalArn arn:aws:iam::111111111111:role/{'?' * 40}", ACCOUNT), PLAIN),
    "user name": (statement("StringLike aws:username x", ACCOUNT), PLAIN),
    "several values": ("ForAnyValue:StringEquals aws:CalledVia a & ForAnyValue:StringLike aws:CalledVia b", ELSEWHERE),
    "empty value": ("Null aws:CalledViaFirst true & StringEquals aws:CalledViaFirst ", ELSEWHERE),
    "policy variable": (
        statement("StringEquals aws:PrincipalTag/team ${aws:username}", ACCOUNT),
        statement("StringNotEquals aws:PrincipalTag/team x", ACCOUNT),
    ),
    "three sets of values": (
        f"{SOME} a & ForAnyValue:StringLike custom:key b & ForAnyValue:StringEqualsIgnoreCase custom:key CC",
        ELSEWHERE,
    ),
}


@both_programs
@pytest.mark.parametrize(("trust", "intent"), FALSE_CLAIMS.values(), ids=FALSE_CLAIMS)
def test_false_claims_are_rejected(program: str, trust: Side, intent: Side, tmp_path: Path) -> None:
    expected = REJECTED if covers(program, trust, intent) else UNSUPPORTED
    assert expected == check(program, certificate(trust, intent), tmp_path).status
    assert REJECTED == check(FULL, certificate(trust, intent, *FACTS[1:]), tmp_path).status


FACTS = ("operations", "source identity of sessions", "age of MFA", "HTTPS", "request tags")
MFA_AGE = "NumericLessThan aws:MultiFactorAuthAge 3600"
TAGGED = ["sts:AssumeRole", "sts:TagSession"]
WITH_FACT: dict[str, tuple[Side, Side, str]] = {
    "operation of a role": (statement(Action="sts:AssumeRole*"), PLAIN, "operations"),
    "operation of a SAML provider": (
        statement_of({"Federated": "arn:aws:iam::222222222222:saml-provider/x"}),
        PLAIN,
        "operations",
    ),
    "source identity of a service": (
        {
            **statement("Null aws:SourceIdentity false"),
            "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"],
            "Principal": EC2,
        },
        PLAIN,
        "source identity of sessions",
    ),
    "age of MFA": (MFA_AGE, WITH_MFA, "age of MFA"),
    "HTTPS": ("Bool aws:SecureTransport false", ELSEWHERE, "HTTPS"),
    "tag without its key": (
        {**statement("StringEquals aws:RequestTag/team x"), "Action": TAGGED},
        {**statement("ForAnyValue:StringEqualsIgnoreCase aws:TagKeys TEAM"), "Action": TAGGED},
        "request tags",
    ),
}


@pytest.mark.parametrize("name", WITH_FACT)
def test_facts_are_used_only_if_they_are_named(name: str, tmp_path: Path) -> None:
    trust, intent, fact = WITH_FACT[name]
    others = [other for other in FACTS if other != fact]
    assert REJECTED == check(FULL, certificate(trust, intent, *others), tmp_path).status
    verdict = check(FULL, certificate(trust, intent, fact), tmp_path)
    assert (ACCEPTED, True) == (verdict.status, fact in verdict.text)


OPAQUE: dict[str, tuple[str, str, Any, str]] = {
    "number": ("NumericLessThan", "aws:MultiFactorAuthAge", "3600", "36000"),
    "date": ("DateLessThan", "aws:CurrentTime", "2027-01-01T00:00:00Z", "2027-01-01T00:00:01Z"),
    "address": ("NotIpAddress", "aws:SourceIp", ["10.0.0.0/8", "2001:db8::/32"], "10.0.0.0/9"),
    "bytes": ("ForAnyValue:BinaryEquals", "example.com:b", "QUI=", "YWI="),
    "numbers of a key with several values": ("ForAnyValue:NumericEquals", "example.com:n", "10", "11"),
    "policy variable": ("StringLike", "sts:RoleSessionName", "${aws:username}-*", "${aws:username}-x*"),
    "tag of the caller": (
        "StringNotEquals",
        "aws:PrincipalTag/team",
        "${aws:PrincipalTag/owner, 'x'}",
        "${aws:PrincipalTag/owner, 'y'}",
    ),
    "policy variable, if there is a value": (
        "StringEqualsIfExists",
        "aws:PrincipalTag/team",
        "${aws:username}",
        "${aws:userid}",
    ),
}


@pytest.mark.parametrize(("operator", "key", "value", "other"), OPAQUE.values(), ids=OPAQUE)
def test_tests_that_are_not_read_prove_only_what_does_not_depend_on_them(
    operator: str, key: str, value: Any, other: str, tmp_path: Path
) -> None:
    """Numbers, dates, addresses, bytes and policy variables: equal conditions have equal outcomes, no others are related."""
    limited, changed = (statement({operator: {key: each}}) for each in (value, other))

    def status(trust: Side, intent: Side) -> int:
        return check(FULL, certificate(trust, intent), tmp_path).status

    assert ACCEPTED == status(limited, limited) == status(limited, statement())
    assert REJECTED == status(statement(), limited) == status(limited, changed)


UNUSUAL: dict[str, Content] = {
    "key": statement("StringEquals aws:SourceAccount 111111111111"),
    "operator": statement("StringEqualsIfExists sts:ExternalId id"),
    "wildcard": statement("StringLike sts:ExternalId i*"),
    "variable": statement("StringEquals sts:ExternalId ${aws:username}"),
    "key twice": statement("StringEquals sts:ExternalId id & StringEquals sts:externalid id"),
    "no value": statement({"StringEquals": {"sts:ExternalId": []}}),
    "empty value": statement("StringEquals sts:ExternalId "),
    "Bool on a string": statement("Bool sts:ExternalId true"),
    "ARN operator on a string": statement("ArnEquals sts:ExternalId id"),
    "MFA as a string": statement("StringEquals aws:MultiFactorAuthPresent true"),
    "Null with another value": statement("Null sts:ExternalId yes"),
    "Bool with another value": statement("Bool aws:MultiFactorAuthPresent yes"),
    "part of an ARN": statement("ArnEquals aws:PrincipalArn backend"),
    "session": statement(principal="arn:aws:sts::111111111111:assumed-role/backend_role/x"),
    "provider": statement(principal={"Federated": "arn:aws:iam::222222222222:saml-provider/x"}),
    "everyone": statement(principal="*"),
    "a role as provider": statement(principal={"Federated": BACKEND}),
    "a role of another kind": statement(principal={"CanonicalUser": BACKEND}),
    "wildcard in a principal": statement(principal="arn:aws:iam::111111111111:role/*"),
    "half of an account ARN": statement(principal="111111111111:root"),
    "no principal": statement(principal={}),
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
    found = certificate(statement(), statement())
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


INTENDED = ("policies", "intent", "Statement", 0)


def replace_principal(principal: Content) -> Change:
    """Change the principal of the intent."""
    return put(*INTENDED, "Principal", principal)


def add_statement(more: Content, side: str = "trust") -> Change:
    """Add a statement."""
    return lambda found: found["policies"][side]["Statement"].append(more)


def replace_trust(*statements: Content) -> Change:
    """Change the trust policy."""
    return put("policies", "trust", policy(*statements))


CHANGES: dict[str, Change] = {
    "wider trust": add_statement(statement(principal=OTHER)),
    "trust without restriction": add_statement(statement(principal=ACCOUNT)),
    "narrower intent": put(*INTENDED, "Condition", policy_text.when(EXTERNAL_ID)),
    "intent with a policy that denies": add_statement(statement(principal=ACCOUNT, Effect="Deny"), side="intent"),
    "intent without effect": put(*INTENDED, "Effect", "allow"),
    "intent of another partition": replace_principal({"AWS": BACKEND.replace("arn:aws:", "arn:aws-cn:")}),
    "intent for a role of the same name with a path": replace_principal({"AWS": BACKEND.replace("role/", "role/path/")}),
    "intent for a user of the same name": replace_principal({"AWS": BACKEND.replace(":role/", ":user/")}),
    "intent for the ARN as a service": replace_principal({"Service": BACKEND}),
    "intent for the ARN as a provider": replace_principal({"Federated": BACKEND}),
    "intent for a pattern of ARNs": replace_principal({"AWS": f"{BACKEND[:-4]}*"}),
    "intent for the ARN in upper case": replace_principal({"AWS": BACKEND.upper()}),
    "intent for the ARN with a line break": replace_principal({"AWS": f"{BACKEND}\n"}),
    "intent for no one but the role": put(*INTENDED, {**statement(), "Principal": {}, "NotPrincipal": {"AWS": OTHER}}),
    "intent with a misspelled element": put(*INTENDED, "Conditions", {}),
    "intent with a condition that is never documented": put(
        *INTENDED, "Condition", {"StringNotEqual": {"sts:ExternalId": "x"}}
    ),
    "intent with a condition without values": put(*INTENDED, "Condition", {"StringNotEquals": {"sts:ExternalId": []}}),
    "trust with the same condition in two cases": replace_trust(
        statement(), statement(f"{EXTERNAL_ID} & StringEquals sts:externalid id-two", OTHER)
    ),
    "trust with an undocumented principal": add_statement(statement(principal="AROAEXAMPLEEXAMPLE")),
    "trust with NotAction": add_statement({"Effect": "Allow", "NotAction": "sts:TagSession", "Principal": {"AWS": OTHER}}),
    "trust with a wildcard in the action": add_statement(statement(principal=OTHER, Action="S*:a?sumerole")),
    "other intent": put("policies", "intent", policy(statement(principal=OTHER))),
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
KEY_ATTACKS: Pairs = {
    "key with the name of the caller's part": (statement("StringNotEquals Caller x", OTHER), PLAIN),
    "key with the name of the part for the action": (statement("StringEquals Action sts:AssumeRoleWithSAML", OTHER), PLAIN),
    "key with the name of the part for contexts": (
        statement("Null Contexts false", Action=["sts:AssumeRole", "sts:SetContext"]),
        PLAIN,
    ),
    "session of a role as the role": (PLAIN, statement_of("arn:aws:sts::111111111111:assumed-role/backend_role/x")),
    "variable that is another key": (
        statement("StringEquals aws:PrincipalTag/a ${aws:PrincipalTag/b}", ACCOUNT),
        statement("StringEquals aws:PrincipalTag/a ${aws:PrincipalTag/c}", ACCOUNT),
    ),
    "variable in a version without variables": (
        statement("StringEquals aws:PrincipalTag/a ${aws:username}", ACCOUNT),
        statement("StringEquals aws:PrincipalTag/a $ {aws:username}", ACCOUNT),
    ),
    "other number": ("NumericLessThan aws:MultiFactorAuthAge 3601", "NumericLessThan aws:MultiFactorAuthAge 3600"),
    "other comparison of the number": (
        "NumericLessThanEquals aws:MultiFactorAuthAge 3600",
        "NumericLessThan aws:MultiFactorAuthAge 3600",
    ),
    "comparison negated": ("NotIpAddress aws:SourceIp 10.0.0.0/8", "IpAddress aws:SourceIp 10.0.0.0/8"),
    "comparison of an absent key": ("IpAddressIfExists aws:SourceIp 10.0.0.0/8", "IpAddress aws:SourceIp 10.0.0.0/8"),
    "date as a string": ("StringEquals aws:CurrentTime 2026-01-01", "DateEquals aws:CurrentTime 2026-01-01"),
    "Kelvin sign ignoring case": ("StringEqualsIgnoreCase sts:ExternalId kk", "StringEquals sts:ExternalId kk, KK, kK, Kk"),
    "wildcard across the colons of an ARN": (
        statement("StringLike aws:SourceArn arn:aws:s3:*:x", "*"),
        statement("ArnLike aws:SourceArn arn:aws:s3:*:*:x", "*"),
    ),
    "wildcard across the components of an ARN": (
        "StringEquals aws:SourceArn arn:aws:a:b:c:d:e",
        "ArnLike aws:SourceArn arn:aws:*:c:d:e",
    ),
    "start of an account ID": (PLAIN, statement("StringEquals aws:PrincipalAccount 1111", "*")),
    "wildcard across the account of an ARN": (
        statement("ArnEquals aws:PrincipalArn arn:aws:iam::111111111111:role/a:b/c", ACCOUNT),
        statement("StringLike aws:PrincipalAccount *role*", "*"),
    ),
    "wildcard across the path of a user": (
        statement("ArnLike aws:PrincipalArn arn:aws:iam::*:user/a*b", ACCOUNT),
        statement("StringLike aws:username a*b", ACCOUNT),
    ),
    "account in a path": (
        statement("StringLike aws:PrincipalArn *:role/arn:aws:iam::333333333333:role/x", "111111111111"),
        statement_of("333333333333"),
    ),
    "role path in an account ID": (
        statement("StringLike aws:PrincipalArn arn:aws:iam::111111111111:role/x:*", ACCOUNT),
        statement("StringEquals aws:PrincipalAccount 111111111111:role/x", "*"),
    ),
    "path in a user name": (
        statement_of("arn:aws:iam::111111111111:user/team/ann"),
        statement("StringEqualsIgnoreCase aws:username team/ann", "*"),
    ),
    "variable compared with another key of the caller": (
        statement("StringEquals aws:PrincipalAccount ${aws:PrincipalTag/a}", ACCOUNT),
        statement("StringEquals aws:PrincipalArn ${aws:PrincipalTag/a}", ACCOUNT),
    ),
    "number compared with another key of the caller": (
        statement("NumericEquals aws:PrincipalAccount 111111111111", ACCOUNT),
        statement("NumericEquals aws:username 111111111111", ACCOUNT),
    ),
    "tag of the role that adds a component to an ARN": (
        "StringEquals aws:SourceArn arn:aws:iam::1:2:role/x",
        "ArnEquals aws:SourceArn arn:aws:iam::${aws:ResourceTag/colon}:role/x",
    ),
    "OIDC provider with the name of a SAML provider in its path": (
        statement(principal={"Federated": OIDC_PROVIDER}, Action="sts:AssumeRoleWithWebIdentity"),
        PLAIN,
    ),
    "type of principals as a principal": (
        statement(principal={"Federated": "Federated"}, Action="sts:AssumeRoleWithWebIdentity"),
        {**statement(Action="sts:AssumeRoleWithWebIdentity"), "Principal": "Federated"},
    ),
    "tag that the role has in another case of the key": (statement("StringEquals aws:ResourceTag/TEAM a", OTHER), PLAIN),
}
UNREADABLE: dict[str, Side] = {
    "one of several values with a variable": statement("StringEquals aws:PrincipalTag/a ${aws:username}, x", ACCOUNT),
    "variable that is not closed": "StringEquals aws:PrincipalTag/a ${aws:username",
    "number that is none": "NumericLessThan aws:MultiFactorAuthAge x",
    "date that is none": "DateLessThan aws:CurrentTime 2026-13-01",
    "address that is none": "IpAddress aws:SourceIp 10.0.0.256",
    "bytes that are none": "ForAnyValue:BinaryEquals example.com:b no base64",
    "wildcard in the default of a variable": statement(
        {"StringLike": {"aws:PrincipalTag/a": "${aws:username, '*'}"}}, ACCOUNT
    ),
    **{
        f"{operator} with a form that only Python reads": statement(f"{operator} example.com:k {value}")
        for operator, value in {
            "NumericEquals": "\u0661",
            "DateEquals": "2026-W01-1",
            "DateLessThan": "20260101",
            "IpAddress": "10.0.0.0/255.0.0.0",
        }.items()
    },
}


KEY_ATTACKS |= {name: (unreadable, unreadable) for name, unreadable in UNREADABLE.items()}


@pytest.mark.parametrize(("trust", "intent"), KEY_ATTACKS.values(), ids=KEY_ATTACKS)
def test_keys_and_values_cannot_be_confused(trust: Side, intent: Side, tmp_path: Path) -> None:
    found = certificate(trust, intent, *FACTS)
    found["tags"] = {"team": "a", "colon": "1:2"}
    assert REJECTED == check(FULL, found, tmp_path).status


@pytest.mark.parametrize("tags", [{"team": "a", "TEAM": "b"}, {"team": "a", "x": ["b"]}, {"team": "a", "x": None}, ["team"]])
def test_tags_that_no_role_has_are_not_accepted(tags: Any, tmp_path: Path) -> None:
    content = {**certificate(statement(), statement()), "tags": tags}
    assert REJECTED == check(FULL, content, tmp_path).status


def test_keys_whose_case_is_uncertain_are_not_covered(tmp_path: Path) -> None:
    """Python regards the Kelvin sign as a capital letter of `k`. AWS does not document it."""

    def status(key: str, other: str) -> int:
        found = [policy(statement(f"StringEquals {name} x")) for name in (key, other)]
        return check(FULL, certificate(found[0], found[1]), tmp_path).status

    assert UNSUPPORTED == status("aws:PrincipalTag/k", "aws:PrincipalTag/\u212a")
    assert UNSUPPORTED == status("aws:PrincipalTag/\u00dc", "aws:PrincipalTag/\u00dc")
    assert ACCEPTED == status("aws:PrincipalTag/\u00fc", "aws:PRINCIPALTAG/\u00fc")
    tagged = statement("StringEquals aws:ResourceTag/k x")
    content = {**certificate(tagged, tagged), "tags": {"\u212a": "x"}}
    assert UNSUPPORTED == check(FULL, content, tmp_path).status


@both_programs
@pytest.mark.parametrize("side", ["trust", "intent"])
def test_an_operator_without_keys_is_not_covered(program: str, side: str, tmp_path: Path) -> None:
    content = example()
    content["policies"][side]["Statement"][0]["Condition"] = {"StringEquals": {}}
    assert UNSUPPORTED == check(program, content, tmp_path).status


@both_programs
def test_second_claim_is_checked(program: str, tmp_path: Path) -> None:
    found = certificate(policy(statement()), policy(statement(principal=ACCOUNT)))
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


ARN = "aws:PrincipalArn"
LARGE: dict[str, Change] = {
    "statements": replace_trust(*(statement(principal=f"{BACKEND}{n}") for n in range(5_000))),
    "principals": replace_trust(statement(principal={"AWS": [f"{BACKEND}{n}" for n in range(5_000)]})),
    "states": replace_trust(*(statement(f"StringLike {ARN} *{letter}{'?' * 18}") for letter in "abcdefgh")),
    "overlapping patterns": replace_trust(
        *(statement(f"StringLike {ARN} *{a}{b}*") for a, b in itertools.permutations("abcde", 2))
    ),
    "long patterns": replace_trust(statement(f"StringLike {ARN} {'*a?' * 2_000}, {'*b?' * 2_000}")),
    "many characters": replace_trust(
        statement(f"StringEquals example.com:k {''.join(map(chr, range(0x4E00, 0x4E00 + 3_200)))}")
    ),
    "open variables": replace_trust(statement(f"StringLike aws:userid {'${' * 9_000}")),
    "numbers": replace_trust(statement({"NumericEquals": {"aws:MultiFactorAuthAge": [f"{n}e9999" for n in range(1_000)]}})),
}


@both_programs
@pytest.mark.parametrize("name", LARGE)
def test_large_certificates_are_not_accepted(program: str, name: str, tmp_path: Path) -> None:
    found = example()
    LARGE[name](found)
    assert check(program, found, tmp_path).status in {REJECTED, UNSUPPORTED}


RANGES = {
    "numbers": "NumericGreaterThan aws:MultiFactorAuthAge 10 & NumericLessThan aws:MultiFactorAuthAge 12",
    "dates": "DateGreaterThan aws:CurrentTime 2026-01-01 & DateLessThan aws:CurrentTime 2026-01-02T00:00:00Z",
    "addresses": "IpAddress aws:SourceIp 10.0.0.0/8 & NotIpAddress aws:SourceIp 10.0.0.0/9, 10.128.0.0/10",
    "addresses of version 6": "IpAddress aws:SourceIp 2001:db8::/32 & NotIpAddress aws:SourceIp 2001:db8::/33",
}


@pytest.mark.parametrize("conditions", RANGES.values(), ids=RANGES)
def test_ranges_between_values_are_not_left_out(conditions: str, tmp_path: Path) -> None:
    trust = statement(conditions)
    assert ACCEPTED == check(FULL, certificate(trust, statement()), tmp_path).status
    assert REJECTED == check(FULL, certificate(trust, ELSEWHERE), tmp_path).status


@pytest.mark.parametrize("key", ["aws:CurrentTime", "aws:SourceIp"])
def test_values_that_are_no_numbers_are_not_left_out(key: str, tmp_path: Path) -> None:
    """A key of another type has values that no comparison of numbers matches, so that no Deny statement is about them."""
    trust = policy(
        statement(),
        statement(f"NumericLessThan {key} 10", Effect="Deny"),
        statement(f"NumericGreaterThanEquals {key} 10", Effect="Deny"),
        statement(f"Null {key} true", Effect="Deny"),
    )
    assert REJECTED == check(FULL, certificate(trust, policy(ELSEWHERE)), tmp_path).status
    assert ACCEPTED == check(FULL, certificate(trust, policy(statement())), tmp_path).status
