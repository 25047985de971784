"""Preflight: which accounts can answer, predicted from the permissions in the manifest."""

from __future__ import annotations

from typing import Any

import pytest

from manifests import customer, manifest_of
from rolecall_generator.planning.planner import make_plan
from rolecall_runner.inventory.inventory import inventory_of
from rolecall_runner.query.spec import FollowUp, QuerySpec, RegionChoice
from rolecall_runner.query.validate import (
    Forecast,
    PermissionStatus,
    check_reads,
    count_calls,
    forecast_permissions,
    validate_query,
)

INSTANCES = QuerySpec("ec2", "describe_instances", regions=("eu-west-1",))


def allow(*actions: str, resources: tuple[str, ...] = ("*",), **more: Any) -> dict[str, Any]:
    return {"actions": list(actions), "resources": list(resources), **more}


def foreseen(question: QuerySpec, permissions: dict[str, Any]) -> Forecast:
    """The prediction for a customer with one permission set."""
    manifest = manifest_of(permission_sets={"read": permissions}, customers=[customer(1)])
    (found,) = forecast_permissions(question, inventory_of(manifest).targets, make_plan(manifest))
    return found


@pytest.mark.parametrize(
    ("permissions", "permission", "why"),
    [
        ({"statements": [allow("ec2:Describe*")]}, PermissionStatus.YES, ""),
        (
            {"statements": [allow("s3:GetObject")]},
            PermissionStatus.NO,
            "ec2:DescribeInstances in eu-west-1: no identity policy",
        ),
        (
            {"statements": [allow("ec2:*"), allow("ec2:DescribeInstances", effect="Deny")]},
            PermissionStatus.NO,
            "explicit deny",
        ),
        ({"managed_policies": ["AmazonEC2ReadOnlyAccess"]}, PermissionStatus.MAYBE, "AmazonEC2ReadOnlyAccess"),
        ({"managed_policies": ["AdministratorAccess"]}, PermissionStatus.YES, ""),
        (
            {"statements": [allow("ec2:*", conditions={"StringEquals": {"aws:RequestedRegion": ["eu-west-1"]}})]},
            PermissionStatus.YES,
            "",
        ),
        (
            {"statements": [allow("ec2:*", conditions={"StringEquals": {"aws:RequestedRegion": ["us-east-1"]}})]},
            PermissionStatus.NO,
            "in eu-west-1",
        ),
        (
            {"statements": [allow("ec2:*", conditions={"IpAddress": {"aws:SourceIp": ["192.0.2.0/24"]}})]},
            PermissionStatus.MAYBE,
            "under conditions",
        ),
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
