"""Policies are read from AWS Organizations level by level."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.stub import Stubber
from moto import mock_aws

from guardrail_policies import FULL, LEAVING, PERIMETER, REGIONS, text
from rolecall_generator.errors import CallerError, SelectionError
from rolecall_generator.guardrails import (
    CustomerModule,
    GuardrailKind,
    ReviewSettings,
    read_guardrails,
    review_guardrails,
)
from rolecall_generator.proof.symbolic import LimitState


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


def test_levels_are_read_from_root_to_account(world: World) -> None:
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


def test_management_account_is_recognized(world: World) -> None:
    rails = read_guardrails(world.client, world.management, profile="p")

    assert rails.is_management
    assert () == rails.levels_of(GuardrailKind.SCP)


def test_rcps_are_read_with_path_of_account(account1: CustomerModule) -> None:
    """RCPs, which moto does not have, from the answers of the API; the customer's RCP stops the backend role."""
    client = botocore.session.Session().create_client(
        "organizations", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    rcp_full = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}],
    }
    bodies = {"p-FullAWSAccess": FULL, "p-RCPFullAWSAccess": rcp_full, "p-perimeter1": PERIMETER}
    types = [{"Type": kind.aws_type, "Status": "ENABLED"} for kind in GuardrailKind]
    account, root, unit = "222222222222", "r-ab12", "ou-ab12-11111111"
    described: set[str] = set()
    with Stubber(client) as stub:

        def add(operation: str, answer: dict[str, Any], **parameters: str) -> None:
            stub.add_response(operation, answer, parameters)

        def add_policies(target: str, kind: GuardrailKind, *names: str) -> None:
            summaries = [
                {"Id": name, "Name": name[2:], "Type": kind.aws_type, "AwsManaged": name.endswith("Access")}
                for name in names
            ]
            add("list_policies_for_target", {"Policies": summaries}, TargetId=target, Filter=kind.aws_type)
            for summary in summaries:
                if summary["Id"] not in described:
                    described.add(str(summary["Id"]))
                    answer = {"PolicySummary": summary, "Content": text(bodies[str(summary["Id"])])}
                    add("describe_policy", {"Policy": answer}, PolicyId=str(summary["Id"]))

        add("describe_organization", {"Organization": {"Id": "o-customer01", "MasterAccountId": "999999999999"}})
        add("list_parents", {"Parents": [{"Id": unit, "Type": "ORGANIZATIONAL_UNIT"}]}, ChildId=account)
        add("describe_organizational_unit", {"OrganizationalUnit": {"Id": unit, "Name": "Prod"}}, OrganizationalUnitId=unit)
        add("list_parents", {"Parents": [{"Id": root, "Type": "ROOT"}]}, ChildId=unit)
        add("list_roots", {"Roots": [{"Id": root, "PolicyTypes": types}]})
        for target in (root, unit, account):
            add_policies(target, GuardrailKind.SCP, "p-FullAWSAccess")
            extra = ("p-perimeter1",) if target == unit else ()
            add_policies(target, GuardrailKind.RCP, "p-RCPFullAWSAccess", *extra)
        rails = read_guardrails(client, account, profile="p")
        stub.assert_no_pending_responses()

    assert "o-customer01/r-ab12/ou-ab12-11111111/" == rails.organization_path
    assert not rails.disabled
    assert [1, 2, 1] == [len(level.policies) for level in rails.levels_of(GuardrailKind.RCP)]
    review = review_guardrails(account1, rails, ReviewSettings(backend_organization="none"))
    (exemption,) = review.exemptions
    assert ("unit Prod", "perimeter1", True) == (exemption.level, exemption.policy, exemption.is_exact)
    assert [LimitState.NONE] == [answer.state for answer in review.after]


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
def test_errors_of_service_have_hint(error: str | Exception, kind: type[Exception]) -> None:
    raised = error if isinstance(error, Exception) else ClientError({"Error": {"Code": error}}, "DescribeOrganization")
    with pytest.raises(kind) as caught:
        read_guardrails(Failing(raised), "222222222222", profile="p")

    assert getattr(caught.value, "hint", None)


def test_units_in_loop_end_with_error(world: World) -> None:
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
