"""Policy documents that the provider merges from JSON strings, where the result differs from what readers may expect.

The results were observed in plans of Terraform 1.11.4 with provider 3.39.0.
"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from rolecall_generator.findings import Severity
from rolecall_generator.iam.policy import PolicyDocument
from rolecall_generator.terraform.parser.parse import ParsedModule, parse_files

ARGUMENTS = ["source_json", "override_json", "source_policy_documents", "override_policy_documents"]
OWN = """\
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "AWS"
      identifiers = ["arn:aws:iam::111111111111:root"]
    }
  }
"""


def document(**statement: Any) -> dict[str, Any]:
    """A trust policy with one statement."""
    principal = {"AWS": "arn:aws:iam::333333333333:root"}
    base = {"Sid": "a", "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}
    return {"Version": "2012-10-17", "Statement": [base | statement]}


def merged(argument: str, body: object, more: str = "") -> ParsedModule:
    """A role whose trust policy merges a document, passed in an argument, with its own statement."""
    text = json.dumps(json.dumps(body))
    value = f"[{text}]" if argument.endswith("documents") else text
    module = (
        f'data "aws_iam_policy_document" "t" {{\n  {argument} = {value}\n{more}\n{OWN}}}\n'
        'resource "aws_iam_role" "r" {\n  name = "r"\n  assume_role_policy = data.aws_iam_policy_document.t.json\n}\n'
    )
    return parse_files({"main.tf": module.encode()}, account_id="222222222222")


def trust(module: ParsedModule) -> PolicyDocument:
    assert [] == errors(module)
    (role,) = module.access.roles.values()
    assert role.trust is not None
    return role.trust


def errors(module: ParsedModule) -> list[tuple[str, str | None]]:
    return [(found.rule, found.file) for found in module.findings if found.severity is Severity.ERROR]


@pytest.mark.parametrize("argument", ARGUMENTS)
@pytest.mark.parametrize("value", [True, 3600, [True], ["true", 1]])
def test_bool_or_number_in_merged_document_is_unresolvable(argument: str, value: object) -> None:
    """Provider 3.39 drops such a condition silently, or panics if it is in a list."""
    body = document(Condition={"Bool": {"aws:MultiFactorAuthPresent": value}})

    assert ("RC901", "main.tf") in errors(merged(argument, body))


@pytest.mark.parametrize("argument", ARGUMENTS)
def test_strings_in_conditions_of_merged_document_are_kept(argument: str) -> None:
    """As a single string and as a list."""
    for values in ("true", ["true"]):
        found = trust(merged(argument, document(Condition={"Bool": {"aws:MultiFactorAuthPresent": values}})))

        assert {("true",), None} == {
            statement.conditions[0].values if statement.conditions else None for statement in found.statements
        }


@pytest.mark.parametrize("argument", ARGUMENTS)
def test_merged_document_with_single_statement_is_unresolvable(argument: str) -> None:
    """Provider 3.39 accepts only a list."""
    body = document() | {"Statement": document()["Statement"][0]}

    assert ("RC901", "main.tf") in errors(merged(argument, body))


@pytest.mark.parametrize("argument", ["source", "override"])
def test_document_in_override_json_and_list_is_unresolvable(argument: str) -> None:
    """In provider 3.39, `override_json` takes precedence over `override_policy_documents`."""
    more = f"  {argument}_json = {json.dumps(json.dumps(document()))}"

    assert ("RC901", "main.tf") in errors(merged(f"{argument}_policy_documents", document(), more))


@pytest.mark.parametrize("argument", ARGUMENTS)
@pytest.mark.parametrize(
    ("own", "other", "result"),
    [
        ('version = "2008-10-17"', "2012-10-17", "2012-10-17"),
        ('version = "2008-10-17"', "2008-10-17", "2008-10-17"),
        ('version = "2008-10-17"', None, "2008-10-17"),
        ("", "2008-10-17", "2012-10-17"),
        ("", None, "2012-10-17"),
    ],
)
def test_merged_document_has_newest_version(argument: str, own: str, other: str | None, result: str) -> None:
    """The version decides whether `${aws:username}` is a variable."""
    body = document()
    if other is None:
        del body["Version"]
    else:
        body["Version"] = other

    assert result == trust(merged(argument, body, own)).version


def test_many_combining_characters_that_functions_join_are_not_normalized() -> None:
    """The time for normalizing them is quadratic in their number; strings in the source have the same limit."""
    piece = '"' + "\u0301\u0316" * 50 + '"'
    marks = f'join("", [{", ".join([piece] * 500)}])'
    module = f'resource "aws_iam_role" "r" {{\n  name = "r"\n  description = "r"\n  assume_role_policy = {marks}\n}}\n'
    start = time.process_time()
    found = parse_files({"main.tf": module.encode()}, account_id="222222222222")

    assert ("RC901", "main.tf") in errors(found)
    assert any("combining" in finding.message for finding in found.findings)
    assert time.process_time() - start < 2
