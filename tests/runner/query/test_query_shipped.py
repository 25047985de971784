"""The queries that ship with rolecall, compared with boto3 loops on different content, and with AWS's models.

Pages are small and calls fail, for queries and loops alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from query_rig import REGIONS, QueryRig, seeded
from rolecall_generator.iam.catalog.actions import action_of
from rolecall_runner.inventory.targets import Target
from rolecall_runner.query.execute import GLOBAL, Reason, query_region
from rolecall_runner.query.operations import Operation, find_operation
from rolecall_runner.query.parameters import FillContext
from rolecall_runner.query.validate import find_query, override, shipped_queries, validate_query
from rolecall_runner.sandbox.protocol.faults import CutConnection, FaultPlan, ServerError, Throttle
from shape_samples import sample_of

Row = dict[str, Any]
TARGET = Target("acme", "222222222222", "aws", "arn:aws:iam::222222222222:role/r", regions=("us-east-1",))
ANYBODY = "http://acs.amazonaws.com/groups/global/AllUsers"
FIXED = {
    "Key": "Name", "CidrIp": "0.0.0.0/0", "CidrIpv6": "::/0", "URI": ANYBODY, "map key": "UnblendedCost",
    "RestrictPublicBuckets": False, "IgnorePublicAcls": False, "MFADevices": [],
}  # fmt: skip
"""What filters of the shipped queries look for."""


_START = "rolecall_start"


class SmallPages:
    """Cuts the replies of one operation to `size` items on the client side."""

    def __init__(self, operation: Operation, size: int) -> None:
        assert operation.paging is not None
        self._asked: str = operation.paging["input_token"]
        self._given: str = operation.paging["output_token"]
        self._more: str | None = operation.paging.get("more_results")
        self._items = operation.result_keys[0]
        self._name = operation.name
        self._size = size

    def register(self, client: Any) -> None:
        """Register the handlers of the client."""
        service = client.meta.service_model.service_id.hyphenize()
        client.meta.events.register(f"before-parameter-build.{service}.{self._name}", self._begin)
        client.meta.events.register(f"after-call.{service}.{self._name}", self._cut)

    def _begin(self, params: dict[str, Any], context: dict[str, Any], **_event: object) -> None:
        context[_START] = int(params.pop(self._asked, "0"))

    def _cut(self, parsed: dict[str, Any], context: dict[str, Any], **_event: object) -> None:
        if self._items in parsed:
            items, end = parsed[self._items], context[_START] + self._size
            parsed[self._items] = items[context[_START] : end]
            if self._more is not None:
                parsed[self._more] = end < len(items)
            if end < len(items):
                parsed[self._given] = str(end)


PAGE_SIZES = {"ec2-instances": 5, "rds-instances": 1, "dynamodb-tables": 1}
"""Items per page of the operations that the sandbox paginates. Replies of the others (moto 5.2.5) are cut by the test."""
CUT_SIZE = 2


def faults(share: float) -> FaultPlan:
    """Two thirds of the share are throttles, the others 5xx and cut connections."""
    rules = (Throttle(share * 0.66, at_most=1), ServerError(share * 0.22, at_most=1), CutConnection(share * 0.12, at_most=1))
    return FaultPlan(5, rules)


@pytest.fixture(
    scope="module",
    params=[pytest.param(2, id="two accounts"), pytest.param(50, marks=pytest.mark.slow, id="fifty accounts")],
)
def rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueryRig]:
    """Accounts with different content; many calls fail."""
    names = [f"account{number}" for number in range(1, request.param + 1)]
    with seeded(tmp_path_factory.mktemp("shipped"), names, faults(0.45 if request.param == 2 else 0.2)) as made:
        made.fill(1, most=8)
        clients, _ = made.connections.get()
        for service, name in {each.calls[0] for each in shipped_queries() if each.name in {*LOOPS} - {*PAGE_SIZES}}:
            for region in REGIONS:
                SmallPages(find_operation(service, name), CUT_SIZE).register(clients.client(service, region))
        yield made


def found(client: Any, operation: str, key: str) -> list[Any]:
    return [item for page in client.get_paginator(operation).paginate() for item in page[key]]


def name_tag(item: Any) -> str | None:
    return next((tag["Value"] for tag in item.get("Tags", ()) if tag["Key"] == "Name"), None)


def or_none(call: Callable[..., Any], code: str, **parameters: Any) -> Any:
    """A reply, or None if AWS answers that the resource does not exist."""
    try:
        return call(**parameters)
    except ClientError as error:
        if error.response["Error"]["Code"] != code:
            raise
        return None


def ec2_instances(ec2: Any) -> Iterator[Row]:
    for group in found(ec2, "describe_instances", "Reservations"):
        for each in group["Instances"]:
            yield {
                "instance_id": each["InstanceId"],
                "name": name_tag(each),
                "type": each["InstanceType"],
                "state": each["State"]["Name"],
                "zone": each["Placement"]["AvailabilityZone"],
                "private_ip": each.get("PrivateIpAddress"),
                "public_ip": each.get("PublicIpAddress"),
                "launched": each["LaunchTime"].isoformat(),
            }


def unattached_volumes(ec2: Any) -> Iterator[Row]:
    for each in found(ec2, "describe_volumes", "Volumes"):
        if not each["Attachments"]:
            yield {
                "volume_id": each["VolumeId"],
                "name": name_tag(each),
                "gib": each["Size"],
                "type": each["VolumeType"],
                "encrypted": each["Encrypted"],
                "zone": each["AvailabilityZone"],
                "created": each["CreateTime"].isoformat(),
            }


def open_security_groups(ec2: Any) -> Iterator[Row]:
    for each in found(ec2, "describe_security_groups", "SecurityGroups"):
        rules = [
            {"protocol": rule["IpProtocol"], "from": rule.get("FromPort"), "to": rule.get("ToPort")}
            for rule in each["IpPermissions"]
            if {"0.0.0.0/0"} & {part["CidrIp"] for part in rule.get("IpRanges", ())}
            or {"::/0"} & {part["CidrIpv6"] for part in rule.get("Ipv6Ranges", ())}
        ]
        if rules:
            yield {"group_id": each["GroupId"], "group": each["GroupName"], "vpc_id": each.get("VpcId"), "open": rules}


def rds_instances(rds: Any) -> Iterator[Row]:
    for each in found(rds, "describe_db_instances", "DBInstances"):
        yield {
            "identifier": each["DBInstanceIdentifier"],
            "engine": each["Engine"],
            "version": each.get("EngineVersion"),
            "class": each["DBInstanceClass"],
            "status": each["DBInstanceStatus"],
            "multi_az": each["MultiAZ"],
            "public": each["PubliclyAccessible"],
            "encrypted": each["StorageEncrypted"],
            "gib": each["AllocatedStorage"],
        }


def dynamodb_tables(dynamodb: Any) -> Iterator[Row]:
    for name in found(dynamodb, "list_tables", "TableNames"):
        table = dynamodb.describe_table(TableName=name)["Table"]
        yield {
            "table": name,
            "status": table["TableStatus"],
            "items": table["ItemCount"],
            "bytes": table["TableSizeBytes"],
            "billing": table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED"),
            "protected": table["DeletionProtectionEnabled"],
        }


def lambda_functions(client: Any) -> Iterator[Row]:
    for each in found(client, "list_functions", "Functions"):
        yield {
            "function": each["FunctionName"],
            "runtime": each["Runtime"],
            "memory_mb": each["MemorySize"],
            "timeout_seconds": each["Timeout"],
            "code_bytes": each["CodeSize"],
            "modified": each["LastModified"],
        }


def iam_users(iam: Any) -> Iterator[Row]:
    for each in found(iam, "list_users", "Users"):
        used = each.get("PasswordLastUsed")
        yield {
            "user": each["UserName"],
            "arn": each["Arn"],
            "created": each["CreateDate"].isoformat(),
            "password_last_used": used.isoformat() if used else None,
        }


def users_without_mfa(iam: Any) -> Iterator[Row]:
    for each in found(iam, "list_users", "Users"):
        login = or_none(iam.get_login_profile, "NoSuchEntity", UserName=each["UserName"])
        if login is not None and not iam.list_mfa_devices(UserName=each["UserName"])["MFADevices"]:
            since = login["LoginProfile"]["CreateDate"].isoformat()
            yield {"user": each["UserName"], "arn": each["Arn"], "password_since": since, "password_last_used": None}


def s3_buckets(s3: Any) -> Iterator[Row]:
    for each in s3.list_buckets()["Buckets"]:
        place = s3.get_bucket_location(Bucket=each["Name"])["LocationConstraint"]
        created = each["CreationDate"].isoformat()
        yield {"bucket": each["Name"], "bucket_region": place or "us-east-1", "created": created}


def public_buckets(s3: Any) -> Iterator[Row]:
    for each in s3.list_buckets()["Buckets"]:
        status = or_none(s3.get_bucket_policy_status, "NoSuchBucketPolicy", Bucket=each["Name"])
        block = or_none(s3.get_public_access_block, "NoSuchPublicAccessBlockConfiguration", Bucket=each["Name"])
        kept = block["PublicAccessBlockConfiguration"] if block else {}
        policy = status["PolicyStatus"]["IsPublic"] if status else None
        grants = s3.get_bucket_acl(Bucket=each["Name"])["Grants"]
        grants = [grant["Permission"] for grant in grants if grant["Grantee"].get("URI", "").startswith(ANYBODY[:-8])]
        if (policy and not kept.get("RestrictPublicBuckets")) or (grants and not kept.get("IgnorePublicAcls")):
            yield {"bucket": each["Name"], "policy_public": policy, "open_grants": grants, "block": kept or None}


LOOPS: dict[str, Callable[[Any], Iterator[Row]]] = {
    "dynamodb-tables": dynamodb_tables,
    "ec2-instances": ec2_instances,
    "iam-users": iam_users,
    "lambda-functions": lambda_functions,
    "open-security-groups": open_security_groups,
    "public-buckets": public_buckets,
    "rds-instances": rds_instances,
    "s3-buckets": s3_buckets,
    "unattached-volumes": unattached_volumes,
    "users-without-mfa": users_without_mfa,
}
UNOFFERED = {"cost-by-service"}
"""Queries of services that the sandbox has no content for."""


def test_every_shipped_query_has_a_loop() -> None:
    """A new query needs a loop in this file, or a reason."""
    assert {query.name for query in shipped_queries()} == {*LOOPS, *UNOFFERED}


@pytest.mark.parametrize("name", LOOPS)
def test_shipped_queries_equal_boto3_loops(rig: QueryRig, name: str) -> None:
    """The columns of every row, in order, in every account and Region; there are several pages, and some calls fail."""
    question = validate_query(override(find_query(name), page_size=PAGE_SIZES.get(name)))
    is_global = question.service in {"iam", "s3"}
    before = len(rig.lines)
    answers = rig.ask(question, engine="threads", workers=min(32, 3 * len(rig.targets)))
    for _ in range(5):  # a few calls fail in all their attempts; as with --retry, these accounts are asked again
        if not (
            open_accounts := {each.account for each in answers if Reason.INCONCLUSIVE in {p.reason for p in each.places}}
        ):
            break
        again = {each.account: each for each in rig.ask(question, engine="threads", workers=8)}
        answers = [again[each.account] if each.account in open_accounts else each for each in answers]
    asked = [line for line in rig.lines[before:] if f" {action_of(question.service, question.operation)} " in line]
    expected = []
    for target in rig.targets:
        for region in REGIONS[:1] if is_global else REGIONS:
            with rig.plain_client(target, question.service, region) as client:
                rows = list(LOOPS[name](client))
            expected.append((target.name, GLOBAL if is_global else region, Reason.OK, rows))

    found = [(answer.account, place) for answer in answers for place in answer.places]
    assert any(rows for *_, rows in expected)
    assert expected == [
        (account, place.region, place.reason, [{column: row[column] for column in question.columns} for row in place.rows])
        for account, place in found
    ]
    good = sum(line.endswith(" 200") for line in asked)
    assert len(expected) < good < len(asked)


class ModelClient:
    """A client that answers every operation with a reply that has every member except a next page token."""

    def __init__(self, service: str) -> None:
        self._service = service

    def __getattr__(self, method: str) -> Callable[..., Any]:
        operation = find_operation(self._service, method)
        reply = sample_of(operation.model.output_shape, FIXED)
        for key in ("output_token", "more_results"):
            reply.pop((operation.paging or {}).get(key), None)
        return lambda **_parameters: reply


@pytest.mark.parametrize("name", [query.name for query in shipped_queries()])
def test_columns_of_shipped_queries_exist_in_model(name: str) -> None:
    """With a reply that has every member of AWS's model, each column has a value."""
    question = validate_query(find_query(name))

    asked = query_region(question, ModelClient, FillContext(TARGET, datetime(2026, 11, 24, tzinfo=UTC), "us-east-1"))

    (row,) = asked.rows
    assert [] == [column for column in question.columns if row[column] in (None, [], {})]
