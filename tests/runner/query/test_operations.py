"""Operations and their Regions: one for global services, else those given, those in the manifest, or the enabled ones."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from rolecall_runner.aws.clients import Clients
from rolecall_runner.inventory.targets import Target
from rolecall_runner.query.execute import Reason, reason_of
from rolecall_runner.query.operations import (
    enabled_regions,
    find_operation,
    home_region,
    planned_regions,
    read_regions,
    service_model,
)
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
def test_global_services_have_one_region(service: str, operation: str, partition: str, home: str | None) -> None:
    """botocore's endpoint data lists global services and the Region that signs their requests."""
    assert home == home_region(service, operation, partition)


@pytest.mark.parametrize(
    ("operation", "regions", "expected"),
    [
        (("ec2", "describe_vpcs"), RegionChoice.MANIFEST, ("eu-west-1", "us-east-2")),
        (("ec2", "describe_vpcs"), ("us-west-2",), ("us-west-2",)),
        (("ec2", "describe_vpcs"), RegionChoice.ENABLED, None),
        (("iam", "list_users"), ("eu-west-1", "us-west-2"), ("us-east-1",)),
    ],
)
def test_regions_of_a_query(operation: tuple[str, str], regions: Any, expected: tuple[str, ...] | None) -> None:
    """Given Regions, those in the manifest, or those enabled in the account; a global service is called once."""
    assert expected == planned_regions(validate_query(QuerySpec(*operation, regions=regions)), TARGET)


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
def test_given_regions_are_validated(texts: tuple[str, ...], expected: Any) -> None:
    """A Region that is not in the partition is an error before any call."""
    if expected is None:
        with pytest.raises(QueryError, match="is not a Region of the partition aws"):
            read_regions(texts)
    else:
        assert expected == read_regions(texts)


class FakeClients(Clients):
    """Clients of EC2 and Account Management with configured replies."""

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


def test_enabled_regions_come_from_ec2_or_account_management() -> None:
    """Either permission is enough; EC2 is called first."""
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
def test_error_of_ec2_is_raised_when_regions_cannot_be_listed(ec2: Fake, account: Fake, code: str) -> None:
    """If both refuse, or the error is not a refusal."""
    with pytest.raises(ClientError) as raised:
        enabled_regions(FakeClients(ec2, account), TARGET)

    assert code == raised.value.response["Error"]["Code"]


def client_error(code: str, status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}},
        "Op",
    )


@pytest.mark.parametrize(
    ("error", "region", "listed", "reason"),
    [
        (client_error("AccessDeniedException"), "us-east-1", True, Reason.DENIED),
        (client_error("RegionDisabledException"), "us-east-1", True, Reason.DISABLED),
        (client_error("UnrecognizedClientException"), "af-south-1", True, Reason.DISABLED),
        (client_error("AuthFailure"), "ap-east-1", True, Reason.DISABLED),
        (client_error("InvalidClientTokenId"), "xx-new-1", True, Reason.DISABLED),
        (client_error("UnrecognizedClientException"), "eu-west-1", True, Reason.FAILED),
        (client_error("AuthFailure"), "us-east-1", True, Reason.FAILED),
        (client_error("InvalidClientTokenId"), "us-gov-east-1", True, Reason.FAILED),
        (client_error("OptInRequired"), "us-east-1", True, Reason.NOT_SUBSCRIBED),
        (client_error("SubscriptionRequiredException"), "us-east-1", True, Reason.NOT_SUBSCRIBED),
        (client_error("ThrottlingException"), "us-east-1", True, Reason.INCONCLUSIVE),
        (client_error("Whatever", 503), "us-east-1", True, Reason.INCONCLUSIVE),
        (client_error("ValidationException"), "us-east-1", True, Reason.FAILED),
        (EndpointConnectionError(endpoint_url="https://x"), "us-east-1", True, Reason.UNREACHABLE),
        (EndpointConnectionError(endpoint_url="https://x"), "us-east-1", False, Reason.ABSENT),
        (client_error("ValidationException"), "us-east-1", False, Reason.FAILED),
    ],
)
def test_every_error_maps_to_a_reason(error: Exception, region: str, listed: bool, reason: Reason) -> None:
    """The error code separates facts about the account from failures; a time-out marks a Region without the service.

    A session that AWS rejects in a Region that every account has is a failure.
    """
    assert reason is reason_of(error, region, listed=listed)[0]


@pytest.mark.parametrize(
    ("service", "operation", "words"),
    [
        ("ecc2", "describe_instances", "did you mean ec2"),
        ("ec2", "describe_instance", "did you mean describe_instances"),
        ("iam", "listuser", "did you mean list_users"),
    ],
)
def test_unknown_service_or_operation_has_suggestion(service: str, operation: str, words: str) -> None:
    with pytest.raises(QueryError) as raised:
        validate_query(QuerySpec(service, operation))

    assert words in str(raised.value)


@pytest.mark.parametrize("written", ["describe_db_instances", "describe-db-instances", "DescribeDBInstances"])
def test_operation_name_is_accepted_in_three_forms(written: str) -> None:
    """Those of boto3, the AWS CLI and the API."""
    found = find_operation("rds", written)

    assert ("DescribeDBInstances", "describe_db_instances") == (found.name, found.method)


def test_streaming_operations_are_refused() -> None:
    """A binary reply has no rows."""
    with pytest.raises(QueryError, match="byte stream"):
        validate_query(QuerySpec("s3", "get_object", {"Bucket": "b", "Key": "k"}))


def test_query_and_client_share_one_model() -> None:
    """The client is created from the model that validated the query."""
    checked = service_model("iam")
    clients = Clients()

    shared = clients.client("iam", "us-east-1").meta.service_model
    clients.close()

    assert shared.metadata is checked.metadata
    assert checked.operation_names == shared.operation_names


def test_worker_process_does_not_import_manifest_libraries() -> None:
    """Unpickling a task and its context imports neither pydantic, YAML nor Jinja2."""
    script = (
        "import pickle, sys\n"
        "from functools import partial\n"
        "import rolecall_runner.execution.processes\n"
        "from rolecall_runner.execution.interface import ProcessLocal\n"
        "from rolecall_runner.query.spec import QuerySpec\n"
        "from rolecall_runner.aws.caller import AwsConfig\n"
        "from rolecall_runner.query.execute import QueryTask\n"
        "connections = ProcessLocal(partial(AwsConfig().connect, '0a1b'))\n"
        "pickle.loads(pickle.dumps(QueryTask(QuerySpec('ec2', 'DescribeVpcs'), connections)))\n"
        "print(sorted({'pydantic', 'yaml', 'jinja2', 'ruamel', 'rich', 'hcl2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert "[]\n" == done.stdout
