"""Where a question is asked: once for global services, in the Regions given, the manifest's, or the enabled ones."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from rolecall_runner.aws.clients import Clients
from rolecall_runner.inventory.targets import Target
from rolecall_runner.query.answers import Reason, reason_of
from rolecall_runner.query.operations import enabled_regions, find_operation, home_region, planned_regions, read_regions
from rolecall_runner.query.spec import QueryError, QuerySpec, RegionChoice
from rolecall_runner.query.validate import validate_query

TARGET = Target("acme", "222222222222", "aws", "arn:aws:iam::222222222222:role/r", regions=("eu-west-1", "us-east-2"))


@pytest.mark.parametrize(
    ("service", "operation", "partition", "home"),
    [
        ("iam", "ListUsers", "aws", "us-east-1"),
        ("iam", "ListUsers", "aws-cn", "cn-north-1"),
        ("organizations", "ListAccounts", "aws", "us-east-1"),
        ("ce", "GetCostAndUsage", "aws", "us-east-1"),
        ("ce", "GetCostAndUsage", "aws-cn", "cn-northwest-1"),
        ("route53", "ListHostedZones", "aws", "us-east-1"),
        ("s3", "ListBuckets", "aws", "us-east-1"),
        ("s3", "ListObjectsV2", "aws-us-gov", "us-gov-west-1"),
        ("support", "DescribeCases", "aws", "us-east-1"),
        ("s3", "ListDirectoryBuckets", "aws", None),
        ("sts", "GetCallerIdentity", "aws", None),
        ("ec2", "DescribeInstances", "aws", None),
        ("dynamodb", "ListTables", "aws", None),
    ],
)
def test_global_services_have_one_home(service: str, operation: str, partition: str, home: str | None) -> None:
    """Botocore's endpoint data says which services answer once for the whole account, and where they are signed for."""
    assert home == home_region(service, operation, partition)


@pytest.mark.parametrize(
    ("regions", "expected"),
    [
        (RegionChoice.MANIFEST, ("eu-west-1", "us-east-2")),
        (("us-west-2",), ("us-west-2",)),
        (RegionChoice.ENABLED, None),
    ],
)
def test_regions_of_a_regional_service(regions: Any, expected: tuple[str, ...] | None) -> None:
    """Given ones, the manifest's, or those that only the account knows."""
    assert expected == planned_regions(validate_query(QuerySpec("ec2", "describe_vpcs", regions=regions)), TARGET)


def test_regions_said_do_not_multiply_a_global_service() -> None:
    """Five Regions are still one answer of IAM."""
    question = validate_query(QuerySpec("iam", "list_users", regions=("eu-west-1", "us-west-2")))

    assert ("us-east-1",) == planned_regions(question, TARGET)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ((), RegionChoice.MANIFEST),
        (("enabled",), RegionChoice.ENABLED),
        (("eu-west-1,us-east-1", "eu-west-1"), ("eu-west-1", "us-east-1")),
        (("xx-west-1",), None),
        (("us-gov-west-1",), None),
        (("enabled,eu-west-1",), None),
    ],
)
def test_regions_are_read_and_checked(texts: tuple[str, ...], expected: Any) -> None:
    """What is no Region of the partition is refused before any call."""
    if expected is None:
        with pytest.raises(QueryError, match="is not a Region of the partition aws"):
            read_regions(texts)
    else:
        assert expected == read_regions(texts)


class FakeClients(Clients):
    """Clients of EC2 and Account Management that answer what a test says."""

    def __init__(self, ec2: Any, account: Any = None) -> None:
        self._by_service = {"ec2": ec2, "account": account}
        self.asked: list[tuple[str, str]] = []

    def client(self, service: str, region: str) -> Any:
        self.asked.append((service, region))
        return self._by_service[service]


class Fake:
    """One client: `describe_regions` and `list_regions`, or an error code."""

    def __init__(self, *regions: str, code: str = "") -> None:
        self._regions = [{"RegionName": name} for name in regions]
        self._code = code

    def describe_regions(self, **parameters: Any) -> Any:
        assert {"AllRegions": False} == parameters
        return self._answer()

    def get_paginator(self, name: str) -> Any:
        assert name == "list_regions"
        return self

    def paginate(self, **_parameters: Any) -> list[Any]:
        return [self._answer()]

    def _answer(self) -> Any:
        if self._code:
            raise ClientError({"Error": {"Code": self._code, "Message": "no"}}, "Any")
        return {"Regions": self._regions}


def test_enabled_regions_are_asked_of_ec2_first_and_of_account_management_when_refused() -> None:
    """Either permission is enough."""
    first = FakeClients(Fake("us-east-2", "eu-west-1"))
    second = FakeClients(Fake(code="UnauthorizedOperation"), Fake("eu-west-1"))

    assert ("eu-west-1", "us-east-2") == enabled_regions(first, TARGET)
    assert [("ec2", "eu-west-1")] == first.asked
    assert ("eu-west-1",) == enabled_regions(second, TARGET)


@pytest.mark.parametrize(
    ("ec2", "account", "code"),
    [
        (Fake(code="UnauthorizedOperation"), Fake(code="AccessDeniedException"), "UnauthorizedOperation"),
        (Fake(code="RequestLimitExceeded"), Fake("eu-west-1"), "RequestLimitExceeded"),
    ],
)
def test_what_ec2_said_stands_when_nobody_lists_regions(ec2: Fake, account: Fake, code: str) -> None:
    """A refusal by both, or trouble that is no refusal, is raised as EC2 said it."""
    with pytest.raises(ClientError) as raised:
        enabled_regions(FakeClients(ec2, account), TARGET)

    assert code == raised.value.response["Error"]["Code"]


def client_error(code: str, status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}},
        "Op",
    )


@pytest.mark.parametrize(
    ("error", "listed", "reason"),
    [
        (client_error("AccessDeniedException"), True, Reason.DENIED),
        (client_error("UnrecognizedClientException"), True, Reason.DISABLED),
        (client_error("AuthFailure"), True, Reason.DISABLED),
        (client_error("OptInRequired"), True, Reason.NOT_SUBSCRIBED),
        (client_error("SubscriptionRequiredException"), True, Reason.NOT_SUBSCRIBED),
        (client_error("ThrottlingException"), True, Reason.INCONCLUSIVE),
        (client_error("Whatever", 503), True, Reason.INCONCLUSIVE),
        (client_error("ValidationException"), True, Reason.FAILED),
        (EndpointConnectionError(endpoint_url="https://x"), True, Reason.UNREACHABLE),
        (EndpointConnectionError(endpoint_url="https://x"), False, Reason.ABSENT),
        (client_error("ValidationException"), False, Reason.FAILED),
    ],
)
def test_every_trouble_has_its_reason(error: Exception, listed: bool, reason: Reason) -> None:
    """Facts about the account are told from failures by AWS's code; a Region that has no such service by its silence."""
    assert reason is reason_of(error, listed=listed)[0]


@pytest.mark.parametrize(
    ("service", "operation", "words"),
    [
        ("ecc2", "describe_instances", "did you mean ec2"),
        ("ec2", "describe_instance", "did you mean describe_instances"),
        ("iam", "listuser", "did you mean list_users"),
    ],
)
def test_wrong_names_are_told_the_nearest(service: str, operation: str, words: str) -> None:
    """Services and operations that boto3 does not have are errors with names that it has."""
    with pytest.raises(QueryError) as raised:
        validate_query(QuerySpec(service, operation))

    assert words in str(raised.value)


@pytest.mark.parametrize("written", ["describe_db_instances", "describe-db-instances", "DescribeDBInstances"])
def test_operations_may_be_written_three_ways(written: str) -> None:
    """As boto3, as the AWS CLI, as the API has them."""
    assert ("DescribeDBInstances", "describe_db_instances") == (
        find_operation("rds", written).name,
        find_operation("rds", written).method,
    )


def test_streams_are_refused() -> None:
    """An operation that answers with bytes has no rows."""
    with pytest.raises(QueryError, match="byte stream"):
        validate_query(QuerySpec("s3", "get_object", {"Bucket": "b", "Key": "k"}))
