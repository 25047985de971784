"""API operations and the actions that allow them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest
from botocore.loaders import Loader

from rolecall_generator.iam.catalog.actions import SERVICE_PREFIXES, action_of, find_action, prefix_of, services


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
