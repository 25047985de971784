"""Modules below the size limits of a folder that cost time or memory. Files by path, for account1's module."""

from __future__ import annotations

from collections.abc import Callable, Mapping

Files = Mapping[str, str]
TRUST = "data.aws_iam_policy_document.trust.json"


def role(policy: str, name: str = "x") -> str:
    return f'resource "aws_iam_role" "{name}" {{\n  name = "{name}"\n  assume_role_policy = {policy}\n}}\n'


def heredoc(text: str) -> str:
    return f"<<E\n{text}\nE"


def policy(*statements: str) -> str:
    return heredoc(f'{{"Version": "2012-10-17", "Statement": [{",".join(statements)}]}}')


def trust(principals: str, more: str = "") -> str:
    return f'{{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {{"AWS": {principals}}}{more}}}'


def actions(listed: str) -> str:
    return f'{{"Effect": "Allow", "Resource": "*", "Action": [{listed}]}}'


def inline(document: str, name: str = "p") -> str:
    head = f'resource "aws_iam_role_policy" "{name}" {{\n  name = "{name}"\n  role = aws_iam_role.this.name\n'
    return f"{head}  policy = {document}\n}}\n"


def numbers(count: int, form: str = '"%012d"', start: int = 0) -> str:
    return ",".join(form % number for number in range(start, start + count))


def one(expression: str) -> Files:
    """One local, used for a group's name."""
    return {"x.tf": f'locals {{\n  a = {expression}\n}}\nresource "aws_iam_group" "g" {{\n  name = local.a\n}}\n'}


def chain(first: str, step: str, length: int = 40) -> str:
    """Locals that each use the previous one twice."""
    steps = "".join(f"  a{n} = {step.replace('P', f'local.a{n - 1}')}\n" for n in range(1, length))
    return f"locals {{\n  a0 = {first}\n{steps}  a = local.a{length - 1}\n}}\n"


def locals_of(count: int, value: str) -> Files:
    return {"x.tf": "locals {\n" + "".join(f"  a{n} = {value}\n" for n in range(count)) + "}\n"}


def seven(content: str) -> Files:
    """Seven files of one megabyte."""
    return {f"x{n}.tf": content.replace("NUMBER", str(n)) for n in range(7)}


STATEMENT = """
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "AWS"
      identifiers = ["PRINCIPAL"]
    }
  }
"""
DYNAMIC = """
data "aws_iam_policy_document" "t" {
  dynamic "statement" {
    for_each = [LIST]
    content {
      actions = ["sts:AssumeRole"]
      dynamic "principals" {
        for_each = [LIST]
        content {
          type        = "AWS"
          identifiers = ["${statement.value}${principals.value}"]
        }
      }
    }
  }
}
"""
COMBINING = "\u0301\u0316" * 200_000
PATTERNS = numbers(1400, '"*%d*"')
GROUP = 'resource "aws_iam_group" "g" {\n  for_each = toset(local.a)\n  name = each.value\n}\n'

QUICK: dict[str, Callable[[], Files]] = {
    "8,000 trust statements": lambda: {"x.tf": role(policy(*(trust(f'"{n:012d}"') for n in range(8000))))},
    "a list of 0.8 MB": lambda: {"x.tf": f"locals {{\n  a = [{numbers(90_000)}]\n}}\n{GROUP}"},
    "tokens at the limit": lambda: locals_of(29_000, "1"),
    "combining characters": lambda: one(f'"{COMBINING}"'),
    "heredocs": lambda: locals_of(50_000, "<<E\nx\nE"),
    "trust in 1,200 accounts": lambda: {"x.tf": role(policy(trust(f"[{numbers(1200)}]")))},
    "150 roles that trust everybody": lambda: {"x.tf": "".join(role(policy(trust('"*"')), f"r{n}") for n in range(150))},
    "a pattern of 9,000 stars": lambda: {"x.tf": inline(policy(actions(f'"{"*e" * 9000}"')))},
    "200,000 roles": lambda: {
        "x.tf": "".join(
            role(TRUST, f"r{n}").replace(f'name = "r{n}"', f'count = 10000\n  name = "r{n}-${{count.index}}"')
            for n in range(20)
        )
    },
    "deep JSON": lambda: {"x.tf.json": '{"locals": {"a": ' + '{"a":' * 900 + "1" + "}" * 900 + "}}"},
    "element of nothing": lambda: one("element([], 0)"),
}

SLOW: dict[str, Callable[[], Files]] = {
    "1,800 patterns of actions": lambda: {"x.tf": inline(policy(actions(numbers(1800, '"*%da*"'))))},
    "combining characters in JSON": lambda: {"x.tf.json": f'{{"locals": {{"a": "{COMBINING}"}}}}'},
    "coalescelist of nothing": lambda: one("coalescelist([], [])"),
    "8,000 trust statement blocks": lambda: {
        "x.tf": 'data "aws_iam_policy_document" "t" {\n'
        + "".join(STATEMENT.replace("PRINCIPAL", f"{n:012d}") for n in range(4000))
        + "}\n"
        + role("data.aws_iam_policy_document.t.json")
    },
    "7 MB of comments": lambda: seven("# x\n" * 250_000),
    "7 MB of signs": lambda: seven(f'locals {{\n  aNUMBER = "{"$x" * 500_000}"\n}}\n'),
    "7 MB of escapes": lambda: seven(f'locals {{\n  aNUMBER = "{chr(92)}n{"x" * 1_000_000}"\n}}\n'),
    "7 MB of lists": lambda: seven(f"locals {{\n  aNUMBER = [{'1,' * 500_000}]\n}}\n"),
    "7 MB of blocks": lambda: seven("locals {\n}\n" * 90_000),
    "700 deep expressions": lambda: locals_of(630, "(" * 90 + "1" + ")" * 90),
    "a path of 55,000": lambda: locals_of(1100, "local" + ".a" * 50),
    "sums": lambda: locals_of(720, "1" + " + 1" * 80),
    "14,000 templates": lambda: locals_of(14_000, '"${a}"'),
    "14,000 variables": lambda: {"x.tf": "".join(f'variable "a{n}" {{\n}}\n' for n in range(14_000))},
    "3,800 roles": lambda: {"x.tf": "".join(role(TRUST, f"r{n}") for n in range(3800))},
    "10,000 unknown resources": lambda: {"x.tf": "".join(f'resource "a{n}" "x" {{\n}}\n' for n in range(10_000))},
    "deep parentheses": lambda: one("(" * 400_000 + "1" + ")" * 400_000),
    "negations": lambda: one("!" * 900_000 + "true"),
    "deep blocks": lambda: {"x.tf": "a {\n" * 100_000 + "}\n" * 100_000},
    "open quotes": lambda: {"x.tf": '"' * 1_000_000},
    "nested heredocs": lambda: one("<<E\n${" * 90 + "1" + "}\nE\n" * 90),
    "a number of 900,000 digits": lambda: one("1" * 900_000),
    "strings that double": lambda: {"x.tf": chain('"xxxxxxxx"', '"${P}${P}"') + GROUP},
    "lists that double": lambda: {"x.tf": chain('["x"]', "[P, P]") + GROUP.replace("local.a", "flatten(local.a)")},
    "lists that double, as JSON": lambda: {
        "x.tf": chain('["x"]', "[P, P]", 23) + GROUP.replace("local.a", "[jsonencode(local.a)]")
    },
    "equal lists that double": lambda: {"x.tf": chain('["x"]', "[P, P]") + GROUP.replace("local.a", "[local.a == local.a]")},
    "squared loops": lambda: one('join("", flatten([for x in range(1000) : [for y in range(1000) : "x"]]))'),
    "a chain of locals": lambda: {
        "x.tf": "locals {\n" + "".join(f"  a{n} = local.a{n + 1}\n" for n in range(20_000)) + "}\n"
    },
    "squared dynamic blocks": lambda: {
        "x.tf": DYNAMIC.replace("LIST", numbers(400)) + role("data.aws_iam_policy_document.t.json")
    },
    "120 statements of negated patterns": lambda: {
        "x.tf": role(
            policy(
                *(
                    trust('"*"', f', "Condition": {{"StringNotLike": {{"aws:PrincipalArn": "arn:aws:iam::{n:012d}:*"}}}}')
                    for n in range(120)
                )
            )
        )
    },
    "1,400 patterns of principals": lambda: {
        "x.tf": role(
            policy(
                trust(
                    '"*"',
                    f', "Condition": {{"StringLike": {{"aws:PrincipalArn": [{PATTERNS}]}}}}',
                )
            )
        )
    },
    "190 roles that trust two accounts": lambda: {
        "x.tf": "".join(role(policy(trust('["222222222222", "111111111111", "*"]')), f"r{n}") for n in range(190))
    },
    "900 statements of permissions": lambda: {
        "x.tf": "".join(inline(policy(*(actions(f'"s3:G{m * 1000 + n}"') for n in range(300))), f"p{m}") for m in range(3))
    },
    "27,000 attachments": lambda: {
        "x.tf": "".join(
            f'resource "aws_iam_role_policy_attachment" "a{n}" {{\n  count = 9000\n  role = aws_iam_role.this.name\n'
            f'  policy_arn = "arn:aws:iam::aws:policy/P{n}-${{count.index}}"\n}}\n'
            for n in range(3)
        )
    },
    "900 test files": lambda: {
        f"tests/x{n}.tftest.hcl": f'mock_provider "aws" {{}}\nrun "a{n}" {{\n}}\n' + "# x\n" * 1800 for n in range(900)
    },
    "a test file of 70,000 runs": lambda: {"tests/x.tftest.hcl": 'mock_provider "aws" {}\n' + 'run "a" {\n}\n' * 70_000},
    "a lock of 120,000 hashes": lambda: {
        ".terraform.lock.hcl": f'provider "registry.terraform.io/hashicorp/aws" {{\n  hashes = [{"1," * 120_000}]\n}}\n'
    },
    "990 files": lambda: {f"x{n}.tf": "".join(f"locals {{\n  a{n}_{m} = 1\n}}\n" for m in range(300)) for n in range(990)},
    "many overrides": lambda: {
        "x.tf": "".join(f"locals {{\n  a{n} = 1\n}}\n" for n in range(6000)),
        "x_override.tf": "".join(f"locals {{\n  a{n} = 1\n}}\n" for n in range(6000)),
    },
    "JSON resources": lambda: {
        "x.tf.json": '{"resource": {"aws_iam_group": {' + numbers(15_000, '"g%d": {"name": "x"}') + "}}}"
    },
    "JSON templates": lambda: {"x.tf.json": '{"locals": {' + ",".join(f'"a{n}": "${{{n}}}"' for n in range(12_000)) + "}}"},
    "a chain of override documents": lambda: {
        "x.tf": "".join(
            f'data "aws_iam_policy_document" "d{n}" {{\n  override_policy_documents = '
            f"{f'[data.aws_iam_policy_document.d{n - 1}.json]' if n else '[]'}\n"
            f'  statement {{\n    sid = "s{n}"\n    actions = ["s3:GetObject"]\n    resources = ["*"]\n  }}\n}}\n'
            for n in range(1500)
        )
        + inline("data.aws_iam_policy_document.d1499.json")
    },
    "values": lambda: {"terraform.tfvars": "".join(f"a{n} = 1\n" for n in range(28_000))},
}
