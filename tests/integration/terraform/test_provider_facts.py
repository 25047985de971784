"""How providers write an aws_iam_policy_document: rendering, size limits and parsing depend on it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rolecall_generator.iam.policy import PolicyDocument
from terraform_providers import Provider
from terraform_rig import Workspace, put

pytestmark = pytest.mark.terraform

ROOT = """
provider "aws" {
  region                      = "us-east-1"
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true

  endpoints {
    ec2 = "ENDPOINT"
    sts = "ENDPOINT"
  }
}
"""
DOCUMENT = """
data "aws_iam_policy_document" "it" {
  statement {
    actions   = ["s3:PutObject", "s3:GetObject", "s3:PutObject"]
    resources = ["arn:aws:s3:::z", "arn:aws:s3:::a/&{aws:username}/$${aws:username}/*"]
  }

  statement {
    sid     = "Trust"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "AWS"
      identifiers = ["222222222222", "111111111111", "333333333333"]
    }

    condition {
      test     = "StringEquals"
      variable = "sts:ExternalId"
      values   = ["one"]
    }

    condition {
      test     = "StringEquals"
      variable = "sts:ExternalId"
      values   = ["another"]
    }

    condition {
      test     = "Bool"
      variable = "aws:MultiFactorAuthPresent"
      values   = ["true"]
    }
  }

  statement {
    sid           = "Open"
    effect        = "Deny"
    not_actions   = ["s3:*"]
    not_resources = ["arn:aws:s3:::a<b>&c"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }
  }
}

output "it" {
  value = data.aws_iam_policy_document.it.json
}
"""


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory, endpoint: str, aws_provider: Provider) -> str:
    """The document as the provider writes it."""
    folder: Path = tmp_path_factory.mktemp("facts")
    put(folder, {"main.tf": ROOT.replace("ENDPOINT", endpoint) + DOCUMENT})
    root = Workspace(folder, aws_provider)
    root.init()
    root.apply()
    return root.run("output", "-raw", "-no-color", "it").text


@pytest.fixture
def statements(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(text)["Statement"]
    return found


def test_provider_3_writes_an_empty_sid(statements: list[dict[str, Any]], aws_provider: Provider) -> None:
    """With 3.39 it costs nine characters of the quota, so sizes must include them; 5.100 omits the Sid."""
    old = aws_provider.version < (4, 0, 0)

    assert ["" if old else None, "Trust", "Open"] == [statement.get("Sid") for statement in statements]


def test_actions_and_resources_are_deduplicated_in_order(statements: list[dict[str, Any]]) -> None:
    """A deterministic module gives a deterministic policy."""
    assert ["s3:PutObject", "s3:GetObject"] == statements[0]["Action"]


def test_both_spellings_of_a_policy_variable_reach_iam(statements: list[dict[str, Any]]) -> None:
    """`&{name}` and `$${name}` are the same variable in the JSON."""
    assert "arn:aws:s3:::a/${aws:username}/${aws:username}/*" == statements[0]["Resource"][1]


def test_single_values_are_strings_except_in_conditions_of_provider_3(
    statements: list[dict[str, Any]], aws_provider: Provider
) -> None:
    """With 3.39 a condition with one value is a list, two characters longer; not with 5.100."""
    old = aws_provider.version < (4, 0, 0)

    assert ("sts:AssumeRole", "s3:*") == (statements[1]["Action"], statements[2]["NotAction"])
    assert (["true"] if old else "true") == statements[1]["Condition"]["Bool"]["aws:MultiFactorAuthPresent"]


def test_two_conditions_on_one_key_are_merged(statements: list[dict[str, Any]]) -> None:
    """The provider joins them into one list, which IAM evaluates as OR: a second block widens the trust."""
    assert ["one", "another"] == statements[1]["Condition"]["StringEquals"]["sts:ExternalId"]


def test_principals_are_in_reverse_order_and_star_is_a_string(statements: list[dict[str, Any]]) -> None:
    """The provider sorts them, so documents are compared as sets."""
    assert {"AWS": ["333333333333", "222222222222", "111111111111"]} == statements[1]["Principal"]
    assert "*" == statements[2]["Principal"]


def test_angle_brackets_and_ampersands_are_escaped(text: str, statements: list[dict[str, Any]]) -> None:
    """Go's JSON encoder writes six characters for each, which IAM receives; the value is unchanged."""
    assert r"arn:aws:s3:::a\u003cb\u003e\u0026c" in text
    assert "arn:aws:s3:::a<b>&c" == statements[2]["NotResource"]


def test_calculated_size_equals_the_provider_output(text: str, aws_provider: Provider) -> None:
    """Exactly with 3.39, not counting whitespace between tokens; a newer provider never writes more."""
    written, ours = len(re.sub(r"\s", "", text)), PolicyDocument.from_json(json.loads(text)).size

    assert written <= ours
    assert aws_provider.version >= (4, 0, 0) or written == ours
