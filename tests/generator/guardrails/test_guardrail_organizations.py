"""Policies are read from AWS Organizations level by level."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from guardrail_policies import LEAVING, REGIONS, text
from rolecall_generator.errors import CallerError, SelectionError
from rolecall_generator.guardrails import GuardrailKind, make_organizations_client, read_guardrails


@dataclass(frozen=True)
class World:
    """An organization with a unit below a unit, and an account there."""

    client: Any
    root: str
    unit: str
    account: str
    management: str


@pytest.fixture
def world() -> Iterator[World]:
    """An organization in moto with SCPs enabled: one policy at the inner unit, one at the account."""
    with mock_aws():
        client = boto3.client("organizations", region_name="us-east-1")
        organization = client.create_organization(FeatureSet="ALL")["Organization"]
        root = client.list_roots()["Roots"][0]["Id"]
        client.enable_policy_type(RootId=root, PolicyType="SERVICE_CONTROL_POLICY")
        prod = client.create_organizational_unit(ParentId=root, Name="Prod")["OrganizationalUnit"]["Id"]
        unit = client.create_organizational_unit(ParentId=prod, Name="Team")["OrganizationalUnit"]["Id"]
        created = client.create_account(AccountName="acme", Email="acme@example.com")
        account = created["CreateAccountStatus"]["AccountId"]
        client.move_account(AccountId=account, SourceParentId=root, DestinationParentId=unit)
        for name, body, target in (("regions", REGIONS, unit), ("leaving", LEAVING, account)):
            found = client.create_policy(Content=text(body), Description="", Name=name, Type="SERVICE_CONTROL_POLICY")
            client.attach_policy(PolicyId=found["Policy"]["PolicySummary"]["Id"], TargetId=target)
        yield World(client, root, unit, account, organization["MasterAccountId"])


def test_levels_are_read_from_the_root_to_the_account(world: World) -> None:
    """Every level has its policies; a kind that is not enabled has no effect."""
    rails = read_guardrails(world.client, world.account, profile="p")
    names = [[policy.name for policy in level.of_kind(GuardrailKind.SCP)] for level in rails.levels]

    assert [f"root {world.root}", "unit Prod", "unit Team", f"account {world.account}"] == [
        level.name for level in rails.levels
    ]
    assert ["regions", "leaving"] == [name for level in names for name in level if name != "FullAWSAccess"]
    assert frozenset({GuardrailKind.RCP}) == rails.disabled
    assert () == rails.levels_of(GuardrailKind.RCP)
    assert rails.organization_id is not None
    assert rails.organization_id.startswith("o-")


def test_the_management_account_is_recognized(world: World) -> None:
    """It is in the root, and not restricted."""
    rails = read_guardrails(world.client, world.management, profile="p")

    assert rails.is_management
    assert () == rails.levels_of(GuardrailKind.SCP)


class Failing:
    """A client whose calls raise an error."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def describe_organization(self) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("AccessDeniedException", CallerError),
        ("AWSOrganizationsNotInUseException", CallerError),
        ("TooManyRequestsException", CallerError),
        ("Other", CallerError),
        ("ChildNotFoundException", SelectionError),
        (EndpointConnectionError(endpoint_url="https://example.com"), CallerError),
    ],
)
def test_errors_of_the_service_have_a_hint(error: str | Exception, kind: type[Exception]) -> None:
    raised = error if isinstance(error, Exception) else ClientError({"Error": {"Code": error}}, "DescribeOrganization")
    with pytest.raises(kind) as caught:
        read_guardrails(Failing(raised), "222222222222", profile="p")

    assert getattr(caught.value, "hint", None)


def test_an_unknown_profile_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", "none")
    with pytest.raises(CallerError):
        make_organizations_client("no-such-profile")


def test_units_in_a_loop_end_with_an_error(world: World) -> None:
    """A simulator that never reaches the root does not keep the command running."""

    class Looping:
        def describe_organization(self) -> Any:
            return {"Organization": {"Id": "o-1", "MasterAccountId": "1"}}

        def describe_organizational_unit(self, **_parameters: str) -> Any:
            return {"OrganizationalUnit": {"Name": "Loop"}}

        def get_paginator(self, _name: str) -> Any:
            return self

        def paginate(self, **_parameters: str) -> Any:
            return [{"Parents": [{"Id": "ou-1", "Type": "ORGANIZATIONAL_UNIT"}]}]

    with pytest.raises(Exception, match="root"):
        read_guardrails(Looping(), world.account, profile="p")
