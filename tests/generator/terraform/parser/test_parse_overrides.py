"""Override files and the JSON syntax, where Terraform differs from what readers may expect.

Observed with Terraform 1.11.4; where a module is an error here, Terraform may plan or reject it.
"""

from __future__ import annotations

import json

import pytest

from rolecall_generator.findings import Severity
from rolecall_generator.terraform.parser.parse import ParsedModule, parse_files

ACCOUNT = "222222222222"
GUARD = """\
data "aws_caller_identity" "current" {
  lifecycle {
    postcondition {
      condition = self.account_id == "%s"
    }
  }
}
"""
GROUP = 'resource "aws_iam_group" "a" {\n  name = local.name\n}\n'
STATEMENT = """\
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type = "AWS"
      identifiers = ["%s"]
    }
  }
"""
DOCUMENT = 'data "aws_iam_policy_document" "t" {\n%s}\n'
ROLE = 'resource "aws_iam_role" "r" {\n  name = "r"\n  assume_role_policy = data.aws_iam_policy_document.t.json\n}\n'
DYNAMIC = """\
  dynamic "statement" {
    for_each = ["111111111111"]
    content {
      actions = ["sts:AssumeRole"]
      principals {
        type = "AWS"
        identifiers = [statement.value]
      }
    }
  }
"""


def parsed(**files: str | dict[str, object]) -> ParsedModule:
    """A module of files; in the keyword arguments the last dot of a name is written as two underscores."""
    contents = {}
    for name, content in files.items():
        stem, _, ending = name.rpartition("__")
        contents[f"{stem}.{ending.replace('_', '.')}"] = (
            content if isinstance(content, str) else json.dumps(content)
        ).encode()
    return parse_files(contents, account_id=ACCOUNT)


def groups(module: ParsedModule) -> list[str]:
    return sorted(arn.partition("group/")[2] for arn in module.access.groups)


def principals(module: ParsedModule) -> list[str]:
    trusts = [role.trust for role in module.access.roles.values() if role.trust is not None]
    return sorted(p.identifier for trust in trusts for statement in trust.statements for p in statement.principals)


def errors(module: ParsedModule) -> set[str]:
    return {finding.rule for finding in module.findings if finding.severity is Severity.ERROR}


def test_local_is_overridden_by_name_and_last_file() -> None:
    """Other locals of the block are kept."""
    main = 'locals {\n  name = "${local.stem}-x"\n  stem = "a"\n}\n' + GROUP
    module = parsed(
        main__tf=main, b_override__tf='locals {\n  stem = "c"\n}\n', a_override__tf='locals {\n  stem = "b"\n}\n'
    )

    assert ["c-x"] == groups(module)
    assert set() == errors(module)


def test_locals_of_several_blocks_are_overridden() -> None:
    main = "".join(f'locals {{\n  a{n} = "a"\n}}\n' for n in range(50)) + 'locals {\n  name = "${local.a7}${local.a31}"\n}\n'
    module = parsed(main__tf=main + GROUP, override__tf='locals {\n  a7 = "b"\n  a31 = "c"\n}\n')

    assert ["bc"] == groups(module)


@pytest.mark.parametrize(("base", "over"), [(STATEMENT, STATEMENT), (DYNAMIC, STATEMENT), (STATEMENT, DYNAMIC)])
def test_nested_blocks_replace_blocks_of_the_same_type(base: str, over: str) -> None:
    """A dynamic block counts as a block of its type, in both files."""
    main = DOCUMENT % (base.replace("111111111111", "*") % (("*",) if "%s" in base else ())) + ROLE
    override = DOCUMENT % (over % (("111111111111",) if "%s" in over else ()))
    module = parsed(main__tf=main, x_override__tf=override)

    assert ["arn:aws:iam::111111111111:root"] == principals(module)


def test_guard_in_override_file_is_ignored() -> None:
    """Terraform rejects conditions in an overriding lifecycle block: an error, and the guard of the base file is used."""
    other = parsed(main__tf=GUARD % ACCOUNT, x_override__tf=GUARD % "999999999999")
    assert ACCOUNT == other.guard_account_id
    assert "RC906" in errors(other)

    added = parsed(main__tf='data "aws_caller_identity" "current" {\n}\n', x_override__tf=GUARD % ACCOUNT)
    assert added.guard_account_id is None
    assert "RC906" in errors(added)


@pytest.mark.parametrize(
    ("base", "over"),
    [
        (
            'resource "aws_iam_group" "a" {\n  name = "a"\n  lifecycle {\n    ignore_changes = [name]\n  }\n}\n',
            'resource "aws_iam_group" "a" {\n  lifecycle {\n    ignore_changes = []\n  }\n}\n',
        ),
        ('variable "v" {\n  default = "01"\n  type = number\n}\n', 'variable "v" {\n  type = string\n}\n'),
        ("", GROUP),
        ("", 'locals {\n  name = "a"\n}\n'),
    ],
)
def test_override_with_unsupported_merge_is_error(base: str, over: str) -> None:
    """Terraform keeps ignore_changes if the override is an empty list, and converts "01" to the first type and so to "1"."""
    assert "RC906" in errors(parsed(main__tf=base, override__tf=over))


def json_group(**more: object) -> dict[str, object]:
    return {"resource": {"aws_iam_group": {"a": {"name": "${var.v}"}}}, **more}


@pytest.mark.parametrize("text", ["${1 + 1}", "$${x}", "%{ if true }a%{ endif }", "plain"])
def test_default_in_json_is_literal(text: str) -> None:
    """Terraform evaluates defaults of variables, and values in .tfvars.json, without a scope."""
    default = parsed(main__tf_json=json_group(variable={"v": {"default": text}}))
    given = parsed(main__tf_json=json_group(variable={"v": {}}), terraform__tfvars_json={"v": text})

    assert [text] == groups(default) == groups(given)


def test_other_strings_in_json_are_templates() -> None:
    """Values, keys of objects, and elements of lists."""
    module = parsed(main__tf_json=json_group(variable={"v": {"default": "x"}}, locals={"k": {"${var.v}": ["${var.v}"]}}))

    assert ["x"] == groups(module)
    assert set() == errors(module)


@pytest.mark.parametrize(
    "text",
    [
        '{"variable": {"v": {"default": "a", "default": "b"}}}',
        '{"locals": {"a": {"x": 1, "x": 2}}}',
        '{"output": {"o": {"value": 1}, "o": {"value": 2}}}',
        '{"locals": {"a": NaN}}',
        '{"locals": {"a": "\\ud800"}}',
        '{"locals": {"a": 1}} x',
        '{"locals": {"a": "x\ty"}}',
        '{"locals": {"a": ' + '{"a":' * 900 + "1" + "}" * 900 + "}}",
        '{"locals": {"a": ' + "[" * 900 + "]" * 900 + "}}",
        '{"resource": {"aws_iam_group": {"a": [{"name": "a"}, {"name": "b"}]}}}',
        '{"resource": {"aws_iam_group": ["a"]}}',
        '{"locals": "a"}',
        '{"variable": {"v": []}, "variable": {"v": {}}}',
    ],
)
def test_json_that_terraform_rejects_or_parses_differently_is_error(text: str) -> None:
    """Duplicate keys at any level, invalid values, lone surrogates, and too deep nesting."""
    assert {"RC903", "RC905"} & errors(parsed(main__tf_json=text))


def test_duplicate_value_in_tfvars_file_is_error() -> None:
    module = json_group(variable={"v": {}})

    assert "RC905" in errors(parsed(main__tf_json=module, terraform__tfvars='v = "a"\nv = "b"\n'))
    assert "RC903" in errors(parsed(main__tf_json=module, terraform__tfvars_json='{"v": "a", "v": "b"}'))


def test_default_tags_are_error_and_provider_region_is_not() -> None:
    """Default tags are added to roles and users, where conditions can check them; the parser does not support them."""
    tags = 'provider "aws" {\n  default_tags {\n    tags = { team = "admin" }\n  }\n}\n'

    assert "RC904" in errors(parsed(main__tf=tags))
    assert "RC904" not in errors(parsed(main__tf='provider "aws" {\n  region = "eu-central-1"\n}\n'))
