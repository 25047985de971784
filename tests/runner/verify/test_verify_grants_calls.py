"""Safe calls derived from botocore's models, compared with AWS's access levels; the tables compared with moto."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel

from rolecall_generator.iam.catalog.actions import action_of, expand, known_names
from rolecall_generator.iam.policy import PolicyDocument
from rolecall_runner.verify.grants import READS, WELL_KNOWN, covers
from rolecall_runner.verify.probe_call import NEVER, SafeCall, is_excluded, is_read_only, offered, safe_call

SERVICES = ("s3", "sts", "kms", "secretsmanager", "ssm", "dynamodb", "iam", "ecr", "logs", "sqs", "lambda", "athena", "ce")


@lru_cache
def model_of(service: str) -> Any:
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


@lru_cache(maxsize=1)
def documents() -> Mapping[str, Any]:
    from moto.iam.aws_managed_policies import aws_managed_policies_data  # noqa: PLC0415 - loads 5 MB of policies

    return {
        body["Path"].lstrip("/") + name: body["Document"] for name, body in json.loads(aws_managed_policies_data).items()
    }


def document_named(name: str) -> PolicyDocument:
    return PolicyDocument.from_json(documents()[name])


@pytest.mark.parametrize("action", READS)
def test_every_sampled_action_has_a_safe_call_without_resource(action: str) -> None:
    """The fixed list can be tried in any account, whatever resources exist."""
    call = safe_call(action, "*", model_of)

    assert call is not None
    assert (action, "*", True) == (action_of(call.service, call.operation), call.resource, is_read_only(action))
    assert offered(call.service, "us-east-1", "aws")


@pytest.mark.parametrize("service", SERVICES)
def test_safe_calls_only_read_and_return_no_secrets(service: str) -> None:
    """Only read actions have a call; the call belongs to that action and is not an excluded one."""
    resources = ("*", f"arn:aws:{service}:us-east-1:222222222222:table/t", f"arn:aws:{service}:::b", "arn:aws:s3:::b/*")
    calls = [call for action in expand(f"{service}:*") for each in resources if (call := safe_call(action, each, model_of))]

    assert [] == [
        call
        for call in calls
        if not is_read_only(call.action) or not call.operation.startswith(("Describe", "List", "Get", "Head"))
    ]
    assert [] == [call for call in calls if action_of(call.service, call.operation).lower() != call.action.lower()]
    assert [] == [call for call in calls if is_excluded(call.action) and call.operation != "HeadObject"]


@pytest.mark.parametrize(
    "action",
    [
        "kms:Decrypt", "secretsmanager:GetSecretValue", "ssm:GetParameter", "ssm:GetParametersByPath", "dynamodb:Scan",
        "logs:FilterLogEvents", "ce:GetCostAndUsage", "athena:GetQueryResults", "ecr:GetAuthorizationToken",
        "sts:GetSessionToken", "lambda:GetFunction", "s3:GetObjectVersion", "ec2:GetPasswordData", "s3:PutObject",
        "iam:CreateUser", "sqs:ReceiveMessage", "cloudwatch:GetMetricData", "redshift:GetClusterCredentials",
        "s3:NoSuchAction",
    ],
)  # fmt: skip
def test_dangerous_or_costly_actions_have_no_call(action: str) -> None:
    assert None is safe_call(action, "*", model_of)
    assert None is safe_call(action, "arn:aws:s3:::bucket/*", model_of)


def test_every_exception_pattern_matches_an_action() -> None:
    """A pattern in the list of exceptions that matches no action is a typo."""
    patterns = [pattern for patterns in NEVER.values() for pattern in patterns if not pattern.startswith(("*", "geo-"))]

    assert [] == [pattern for pattern in patterns if not expand(pattern)]


@pytest.mark.parametrize(
    ("action", "resource", "operation", "parameters"),
    [
        ("ec2:DescribeInstances", "*", "DescribeInstances", {"DryRun": True}),
        ("s3:ListBucket", "arn:aws:s3:::b", "ListObjects", {"Bucket": "b", "MaxKeys": 1}),
        ("s3:GetBucketLocation", "arn:aws:s3:::b", "GetBucketLocation", {"Bucket": "b"}),
        ("s3:GetObject", "arn:aws:s3:::b/in/*", "HeadObject", {"Bucket": "b", "Key": "in/rolecall-absent"}),
        ("iam:GetRole", "arn:aws:iam::222222222222:role/path/name", "GetRole", {"RoleName": "name"}),
        ("route53:ListHostedZones", "*", "ListHostedZones", {"MaxItems": "1"}),
        ("rds:DescribeDBInstances", "*", "DescribeDBInstances", {"MaxRecords": 20}),
        ("dynamodb:DescribeTable", "arn:aws:dynamodb:us-east-1:2:table/t", "DescribeTable", {"TableName": "t"}),
    ],
)
def test_call_uses_granted_resource_and_smallest_page(
    action: str, resource: str, operation: str, parameters: dict[str, Any]
) -> None:
    """Parameters come from the granted resource and from the botocore model."""
    call = safe_call(action, resource, model_of)

    assert call is not None
    assert (operation, parameters) == (call.operation, call.parameters)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:ListBucket", "*"),
        ("s3:ListBucket", "arn:aws:s3:::b*"),
        ("s3:GetObject", "arn:aws:s3:::b*/*"),
        ("s3:GetObject", "arn:aws:s3:::b/one-file.txt"),
        ("dynamodb:DescribeTable", "arn:aws:dynamodb:*:*:table/*"),
        ("iam:GetRole", "arn:aws:iam::222222222222:role/${aws:username}"),
    ],
)
def test_resource_without_usable_name_has_no_call(action: str, resource: str) -> None:
    """A wildcard is not a name, and a single named object may exist, so it is not requested."""
    assert None is safe_call(action, resource, model_of)


def test_call_has_name_of_boto3_method() -> None:
    """Including names with abbreviations."""
    assert "describe_db_instances" == SafeCall("rds:DescribeDBInstances", "rds", "DescribeDBInstances").method


@pytest.mark.parametrize("name", sorted(WELL_KNOWN))
def test_bounds_of_well_known_policies_match_documents(name: str) -> None:
    """The document grants all of `allows` without a condition, and nothing outside `services`."""
    document = document_named(name)
    plain = [each for each in document.statements if each.effect == "Allow" and not each.conditions]
    allowed = [action for pattern in WELL_KNOWN[name].allows for action in expand(pattern) if is_read_only(action)]
    services = {action.partition(":")[0] for each in document.statements for action in each.actions}

    assert name in known_names()
    assert [] == [a for a in allowed if not any(covers(each, a) and "*" in each.resources for each in plain)]
    assert not WELL_KNOWN[name].services or services <= set(WELL_KNOWN[name].services)


def test_table_of_well_known_policies_has_source_and_date() -> None:
    text = files("rolecall_runner.verify").joinpath("data", "well_known_policies.json").read_text(encoding="utf-8")
    table = json.loads(text)

    assert table["source"]
    assert re.fullmatch(r"20[0-9]{2}-(0[1-9]|1[0-2])", table["date"])
