"""Resources, conditions and placeholders, tested on every AWS managed policy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache

import pytest
from moto.iam.aws_managed_policies import aws_managed_policies_data

from rolecall_generator.iam.catalog.actions import iam_data
from rolecall_generator.iam.catalog.condition_keys import _keys_of_others, find_key, is_federated, key_with_placeholder
from rolecall_generator.iam.catalog.regions import is_known_region, nearest_region, partition_of_region
from rolecall_generator.iam.policy import Condition, PolicyDocument, Statement
from rolecall_generator.iam.validation import (
    account_of,
    condition_faults,
    find_placeholder,
    resource_fault,
    unknown_key_fault,
)

OBSOLETE_KEYS = {"deepracer:UserToken", "deepracer:MultiUser", "lakeformation:GlueARN"}
"""Keys in AWS managed policies that belong to discontinued services or are no longer documented."""
NO_RESOURCE = {"arn:aws:organizations::*:"}
"""A resource in an AWS managed policy that appears to be truncated by mistake."""


@cache
def aws_documents() -> tuple[PolicyDocument, ...]:
    return tuple(PolicyDocument.from_json(policy["Document"]) for policy in json.loads(aws_managed_policies_data).values())


def statements() -> Iterator[Statement]:
    return (statement for document in aws_documents() for statement in document.statements)


def test_resources_of_aws_policies_have_no_faults() -> None:
    """Resources in AWS managed policies are neither invalid nor without effect."""
    resources = {resource for statement in statements() for resource in (*statement.resources, *statement.not_resources)}
    assert len(resources) > 2_000
    assert NO_RESOURCE == {resource for resource in resources if resource_fault(resource, "aws")}


def test_conditions_of_aws_policies_have_no_faults() -> None:
    """Every operator fits its key, and every value can match."""
    conditions = {condition for statement in statements() for condition in statement.conditions}
    assert len(conditions) > 500
    assert [] == [fault for condition in conditions for fault in condition_faults(condition, "aws")]


def test_catalog_has_every_condition_key_of_aws_policies() -> None:
    """The only exceptions are keys of discontinued services."""
    keys = {condition.key for statement in statements() for condition in statement.conditions}
    assert OBSOLETE_KEYS == {key for key in keys if unknown_key_fault(key)}


@pytest.mark.parametrize("name", [
    "aws:PrincipalOrgId", "AWS:SOURCEIP", "aws:ResourceTag/a:b/c", "s3:ExistingObjectTag/x", "kms:EncryptionContext:k",
    "secretsmanager:ResourceTag/x", "elasticloadbalancing:ResourceTag/x", "ssm:resourceTag/x", "ec2:SourceInstanceArn",
    "aws:CalledViaAWSMCP",
])  # fmt: skip
def test_key_is_found_in_any_case_and_with_any_tag(name: str) -> None:
    """Key names are case-insensitive, and any value matches a placeholder."""
    assert find_key(name) is not None


@pytest.mark.parametrize("name", ["aws:ResourceTag", "aws:PrincipalTag/", "s3:ExistingObjectTag", "kms:EncryptionContext:"])
def test_key_without_its_tag_is_invalid_but_recognized(name: str) -> None:
    """The key's format is returned for the hint."""
    assert find_key(name) is None
    assert key_with_placeholder(name) is not None


@pytest.mark.parametrize("name", ["saml:aud", "oidc.eks.us-east-1.amazonaws.com/id/X:sub", "gitlab.example.com:aud"])
def test_keys_of_identity_providers_are_accepted(name: str) -> None:
    """Any host can be a provider."""
    assert is_federated(name)


def test_shared_prefixes_match_the_catalog() -> None:
    """Every key with another prefix on a service's page is in the table, except for those of identity providers."""
    data = iam_data()
    for service in data.services.get_service_keys():
        for name in data.conditions.get_condition_keys_for_service(service):
            prefix = name.partition(":")[0].lower()
            if prefix not in {"aws", service.lower()} and not is_federated(name) and "." not in name.partition(":")[0]:
                assert service.lower() in _keys_of_others().get(prefix, ()), name


@pytest.mark.parametrize("text", [
    "arn:aws:s3:::acme/caf%C3%A9%20x/*", "arn:aws:lambda:*:*:function:f:$LATEST", "$aws/things/x", "a{0}", "{}", "<>",
    "arn:aws:s3:::a__b__/*", "100%", "${*}${?}${$}", "${aws:PrincipalTag/team, 'x'}",
    "arn:aws:ssm:*:*:automation-definition/A:$DEFAULT", "arn:aws:s3:::a/__pycache__/*",
    "arn:aws:s3:::a/day=__HIVE_DEFAULT_PARTITION__/*",
])  # fmt: skip
def test_similar_strings_are_not_placeholders(text: str) -> None:
    """Percent-encoding, function versions and AWS policy variables are not placeholders."""
    assert find_placeholder(text) is None


@pytest.mark.parametrize(("text", "account"), [
    ("arn:aws:kms:us-east-1:222222222222:key/*", "222222222222"), ("arn:aws:kms:us-east-1:*:key/*", None),
    ("arn:aws:kms:us-east-1:${aws:PrincipalAccount}:key/*", None), ("*", None), ("arn:aws:iam::aws:policy/x", None),
])  # fmt: skip
def test_account_of_a_resource(text: str, account: str | None) -> None:
    """Only twelve digits are an account ID."""
    assert account == account_of(text)


def test_regions_have_a_partition_and_a_nearest_name() -> None:
    """The suggestion for a typo is a Region of the same partition."""
    assert ("aws", "aws-cn", None) == tuple(map(partition_of_region, ("eu-central-1", "cn-north-1", "eu-centrall-1")))
    assert "eu-central-1" == nearest_region("eu-centrall-1", "aws")
    assert nearest_region("us_gov_west_1", "aws-us-gov") == "us-gov-west-1"
    assert is_known_region("global")


@pytest.mark.parametrize("value", ["\uff11\uff10", "1_0", "ten", "Infinity", "NaN"])
def test_only_ascii_numbers_are_numbers(value: str) -> None:
    """Python accepts more numeric strings than AWS does."""
    faults = list(condition_faults(Condition("NumericEquals", "s3:max-keys", (value,)), "aws"))

    assert [value] == [fault.value for fault in faults if fault.refused]


def test_line_feed_is_invalid_in_a_bucket_name() -> None:
    """Also at the end."""
    assert resource_fault("arn:aws:s3:::bucket\n", "aws") is not None
