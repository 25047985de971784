"""What the providers really write for an aws_iam_policy_document: the facts that rendering, sizes and parsing rest on."""

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


def test_a_statement_without_sid_gets_an_empty_one_from_an_old_provider(
    statements: list[dict[str, Any]], aws_provider: Provider
) -> None:
    """Nine characters that AWS counts, with 3.39: sizes must count them too. 5.100 leaves the Sid out."""
    old = aws_provider.version < (4, 0, 0)

    assert ["" if old else None, "Trust", "Open"] == [statement.get("Sid") for statement in statements]


def test_actions_and_resources_keep_their_order_and_lose_repetitions(statements: list[dict[str, Any]]) -> None:
    """What is written first comes first, so a deterministic module gives a deterministic policy."""
    assert ["s3:PutObject", "s3:GetObject"] == statements[0]["Action"]


def test_both_spellings_of_a_policy_variable_reach_iam(statements: list[dict[str, Any]]) -> None:
    """`&{name}` and `$${name}` are the same variable in the JSON."""
    assert "arn:aws:s3:::a/${aws:username}/${aws:username}/*" == statements[0]["Resource"][1]


def test_single_values_stand_alone_but_in_conditions_of_an_old_provider(
    statements: list[dict[str, Any]], aws_provider: Provider
) -> None:
    """With 3.39 a condition with one value costs two characters more than its string: the brackets. Not with 5.100."""
    old = aws_provider.version < (4, 0, 0)

    assert ("sts:AssumeRole", "s3:*") == (statements[1]["Action"], statements[2]["NotAction"])
    assert (["true"] if old else "true") == statements[1]["Condition"]["Bool"]["aws:MultiFactorAuthPresent"]


def test_two_conditions_on_one_key_become_alternatives(statements: list[dict[str, Any]]) -> None:
    """The provider joins them into one list, which IAM reads as OR: a second block widens the trust."""
    assert ["one", "another"] == statements[1]["Condition"]["StringEquals"]["sts:ExternalId"]


def test_principals_come_sorted_backwards_and_the_bare_star_as_itself(statements: list[dict[str, Any]]) -> None:
    """Their order is the provider's own, so documents are compared as sets."""
    assert {"AWS": ["333333333333", "222222222222", "111111111111"]} == statements[1]["Principal"]
    assert "*" == statements[2]["Principal"]


def test_angle_brackets_and_ampersands_are_escaped(text: str, statements: list[dict[str, Any]]) -> None:
    """Go's JSON writes six characters for one of these, and they reach IAM so; the value stays the same."""
    assert r"arn:aws:s3:::a\u003cb\u003e\u0026c" in text
    assert "arn:aws:s3:::a<b>&c" == statements[2]["NotResource"]


def test_our_size_is_the_size_of_what_the_provider_writes(text: str, aws_provider: Provider) -> None:
    """Character for character with 3.39, without white space between tokens; a newer provider never writes more."""
    written, ours = len(re.sub(r"\s", "", text)), PolicyDocument.from_json(json.loads(text)).size

    assert written <= ours
    assert aws_provider.version >= (4, 0, 0) or written == ours
