"""Live IAM as the access model: whole accounts, a role that may read only part of itself, and document encodings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from rolecall_generator.iam.difference import differences
from rolecall_generator.iam.model import Access
from rolecall_generator.iam.policy import PolicyDocument, Principal, Statement
from rolecall_generator.iam_replies import UnreadableDocumentError, document_of
from rolecall_runner.live import NotCheckable, read_account, read_role

ARN = "arn:aws:iam::123456789012"
ROLE = f"{ARN}:role/vendor/VendorAccess"
READ = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": ["*"]}]}
TRUST = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Action": ["sts:AssumeRole"], "Principal": {"AWS": "111111111111"}},
}


class Refusing:
    """An IAM client that refuses some operations, like IAM for a role without the permission."""

    def __init__(self, iam: Any, *refused: str) -> None:
        self._iam = iam
        self._refused = refused

    def __getattr__(self, name: str) -> Any:
        return partial(self._refuse, name) if name in self._refused else getattr(self._iam, name)

    def get_paginator(self, operation: str) -> Any:
        refused = SimpleNamespace(paginate=partial(self._refuse, operation))
        return refused if operation in self._refused else self._iam.get_paginator(operation)

    def _refuse(self, operation: str, **_arguments: str) -> Any:
        name = operation.title().replace("_", "")
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not authorized"}}, name)


@pytest.fixture
def iam() -> Iterator[Any]:
    """An account with one role, a customer managed policy attached to it and an inline policy."""
    with mock_aws():
        client = boto3.client("iam", "us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
        client.create_role(RoleName="VendorAccess", Path="/vendor/", AssumeRolePolicyDocument=json.dumps(TRUST))
        client.put_role_policy(RoleName="VendorAccess", PolicyName="read", PolicyDocument=json.dumps(READ))
        policy = client.create_policy(PolicyName="own", PolicyDocument=json.dumps(READ), Tags=[{"Key": "a", "Value": "b"}])
        client.attach_role_policy(RoleName="VendorAccess", PolicyArn=policy["Policy"]["Arn"])
        yield client


@pytest.mark.parametrize("form", [READ, json.dumps(READ), quote(json.dumps(READ)), json.dumps(READ, indent=2)])
def test_document_encodings_are_equivalent(form: object) -> None:
    """Object, JSON and URL-encoded JSON."""
    assert PolicyDocument((Statement("Allow", ("s3:GetObject",), ("*",)),)) == document_of(form, where="it")


def test_percent_signs_in_plain_json_are_literal() -> None:
    """A string that is JSON already is not URL-decoded."""
    body = {"Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/%41"}]}

    assert ("arn:aws:s3:::b/%41",) == document_of(json.dumps(body), where="it").statements[0].resources


def test_account_id_as_principal_becomes_root_arn() -> None:
    """In the partition of the account."""
    document = document_of(TRUST, where="it", partition="aws-cn")

    assert (Principal("AWS", "arn:aws-cn:iam::111111111111:root"),) == document.statements[0].principals


@pytest.mark.parametrize("value", ["{", "[]", None, {"Statement": "x"}, {"Statement": [{"Wrong": "x"}]}])
def test_invalid_policy_is_error_with_arn_and_hint(value: object) -> None:
    with pytest.raises(UnreadableDocumentError, match="role1, trust policy: the policy document cannot be read"):
        document_of(value, where="role1, trust policy")


def test_service_linked_roles_and_own_role_are_excluded(iam: Any) -> None:
    """AWS manages service-linked roles; the reader's role is not part of the account's access."""
    iam.create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com")
    iam.create_role(RoleName="Reader", AssumeRolePolicyDocument=json.dumps(TRUST))

    assert [ROLE] == list(read_account(iam, leave_out=["Reader"]).roles)


def test_all_pages_of_roles_are_read(iam: Any) -> None:
    """IAM returns a hundred per page; maximum session durations come from all pages."""
    for number in range(120):
        name = f"role{number}"
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST), MaxSessionDuration=7200)

    found = read_account(iam).roles

    assert 121 == len(found)
    assert {3600, 7200} == {role.max_session_seconds for role in found.values()}
    assert 7200 == found[f"{ARN}:role/role119"].max_session_seconds


def test_default_policy_version_is_read(iam: Any) -> None:
    """A newer version that is not the default grants nothing."""
    allow = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}
    newer = {"Version": "2012-10-17", "Statement": [allow, allow | {"Action": "s3:DeleteObject"}]}
    iam.create_policy_version(PolicyArn=f"{ARN}:policy/own", PolicyDocument=json.dumps(newer), SetAsDefault=False)

    assert 1 == len(read_account(iam).policies[f"{ARN}:policy/own"].document.statements)


def test_role_reader_equals_account_reader(iam: Any) -> None:
    """Both return the same trust, permissions, policies and settings."""
    account = read_account(iam)
    reading = read_role(iam, "VendorAccess")

    assert () == reading.not_checkable
    assert account == reading.merged_with(Access(roles=account.roles), ROLE)


def test_changed_parts_are_differences(iam: Any) -> None:
    intended = read_account(iam)
    iam.put_role_policy(RoleName="VendorAccess", PolicyName="more", PolicyDocument=json.dumps(READ))
    iam.update_role(RoleName="VendorAccess", MaxSessionDuration=7200)
    iam.detach_role_policy(RoleName="VendorAccess", PolicyArn=f"{ARN}:policy/own")

    changes = differences(intended, read_role(iam, "VendorAccess").merged_with(intended, ROLE))

    assert {ROLE, f"{ARN}:policy/own"} == {change.subject for change in changes}
    assert any("inline policy more" in change.text for change in changes)
    assert any("7200 s" in change.text for change in changes)


@pytest.mark.parametrize(
    ("operation", "action"),
    [
        ("get_role", "iam:GetRole"),
        ("list_role_policies", "iam:ListRolePolicies"),
        ("get_role_policy", "iam:GetRolePolicy"),
        ("list_attached_role_policies", "iam:ListAttachedRolePolicies"),
        ("get_policy", "iam:GetPolicy"),
        ("get_policy_version", "iam:GetPolicyVersion"),
    ],
)
def test_refused_part_is_not_checkable(iam: Any, operation: str, action: str) -> None:
    """One refused action affects only its own part, and the part is never reported as drift."""
    intended = read_account(iam)
    reading = read_role(Refusing(iam, operation), "VendorAccess")

    assert (NotCheckable(action, "AccessDenied"),) == reading.not_checkable
    assert () == differences(intended, reading.merged_with(intended, ROLE))


def test_missing_role_is_drift(iam: Any) -> None:
    """IAM's NoSuchEntity means that the role was deleted."""
    intended = read_account(iam)
    iam.detach_role_policy(RoleName="VendorAccess", PolicyArn=f"{ARN}:policy/own")
    iam.delete_role_policy(RoleName="VendorAccess", PolicyName="read")
    iam.delete_role(RoleName="VendorAccess")

    reading = read_role(iam, "VendorAccess")

    assert reading.missing
    assert Access() == reading.merged_with(intended, ROLE)
