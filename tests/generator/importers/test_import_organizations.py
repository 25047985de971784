"""Import of an organization: OUs are listed recursively; accounts that are not active customers are skipped and reported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from rolecall_generator.errors import CallerError, SelectionError
from rolecall_generator.importers.import_plan import Reading
from rolecall_generator.importers.organizations import OrganizationSelection, read_organization


@pytest.fixture(scope="module")
def organization() -> Iterator[Any]:
    """A client for an organization in moto: Prod has two accounts and the OU Team, Dev and the root have one account."""
    with mock_aws():
        client = boto3.client("organizations", region_name="us-east-1")
        client.create_organization(FeatureSet="ALL")
        root = client.list_roots()["Roots"][0]["Id"]
        prod = client.create_organizational_unit(ParentId=root, Name="Prod")["OrganizationalUnit"]["Id"]
        team = client.create_organizational_unit(ParentId=prod, Name="Team (A)")["OrganizationalUnit"]["Id"]
        dev = client.create_organizational_unit(ParentId=root, Name="Dev")["OrganizationalUnit"]["Id"]
        for name, parent in (("acme", prod), ("beta", prod), ("gamma", team), ("delta", dev), ("solo", root)):
            number = client.create_account(AccountName=name, Email=f"{name}@example.com")["CreateAccountStatus"]["AccountId"]
            client.move_account(AccountId=number, SourceParentId=root, DestinationParentId=parent)
        yield client


class Fixed:
    """A client with fixed responses in pages of one item; exceptions among them are raised."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def get_paginator(self, name: str) -> Fixed:
        self.name = name
        return self

    def paginate(self, **_parameters: str) -> Iterator[dict[str, Any]]:
        answer = self.answers.get(self.name, {})
        if isinstance(answer, Exception):
            raise answer
        for key, items in answer.items():
            yield from ({key: [item]} for item in items)


def names(reading: Reading) -> dict[str, object]:
    """Account names with their labels."""
    return {account.name: account.fields.get("labels") for account in reading.accounts}


def test_accounts_are_labeled_with_their_ou_path(organization: Any) -> None:
    """Sorted by OU and name; the path is limited to characters that are valid in a label."""
    found = names(read_organization(organization, OrganizationSelection()))
    management = [name for name in found if name not in {"acme", "beta", "gamma", "delta", "solo"}]

    assert {
        "solo": None,
        "delta": {"ou": "Dev"},
        "acme": {"ou": "Prod"},
        "beta": {"ou": "Prod"},
        "gamma": {"ou": "Prod/Team -A-"},
    } == {name: labels for name, labels in found.items() if name not in management}
    assert 1 == len(management)


@pytest.mark.parametrize(
    ("units", "exclude", "expected"),
    [
        (("Prod",), (), ["acme", "beta", "gamma"]),
        (("Prod/Team (A)", "Dev"), (), ["delta", "gamma"]),
        (("Prod",), ("Team (A)",), ["acme", "beta"]),
        (("Prod",), ("B*", "ga??a"), ["acme"]),
        (("/",), ("Prod", "Dev", "master"), ["solo"]),
    ],
)
def test_ous_and_accounts_are_selected(
    organization: Any, units: tuple[str, ...], exclude: tuple[str, ...], expected: list[str]
) -> None:
    """`--ou` includes nested OUs; `--exclude` takes OUs, and accounts by ID, name or pattern."""
    assert expected == list(names(read_organization(organization, OrganizationSelection(units, exclude))))


@pytest.mark.parametrize("choice", [OrganizationSelection(units=("",)), OrganizationSelection(exclude=("acme", " "))])
def test_empty_selection_is_usage_error(organization: Any, choice: OrganizationSelection) -> None:
    """An unset shell variable must neither select all accounts nor none."""
    with pytest.raises(SelectionError, match="the value is empty"):
        read_organization(organization, choice)


def test_unmatched_exclusion_is_reported(organization: Any) -> None:
    """Otherwise a typo would import an account that was meant to be excluded."""
    reading = read_organization(organization, OrganizationSelection(exclude=("Prod", "dleta*", "solo")))

    assert {"master", "delta"} == set(names(reading))
    assert ("--exclude dleta* matches no account",) == reading.notes


def test_unknown_ou_is_usage_error(organization: Any) -> None:
    with pytest.raises(SelectionError, match="no unit Porduction"):
        read_organization(organization, OrganizationSelection(("Porduction",)))


def test_inactive_accounts_are_skipped_and_reported() -> None:
    """By `State`, or by `Status` in responses without it; the vendor's own account is skipped, too."""
    root = {"Id": "r-1", "Name": "Root"}
    accounts = [
        {"Id": "200000000001", "Name": "on", "State": "ACTIVE"},
        {"Id": "200000000002", "Name": "off", "State": "SUSPENDED", "Status": "ACTIVE"},
        {"Id": "200000000003", "Name": "old", "Status": "PENDING_CLOSURE"},
        {"Id": "111111111111", "Name": "us", "State": "ACTIVE"},
        {"Id": "200000000004", "Name": "sandbox", "State": "ACTIVE"},
    ]
    client = Fixed(list_roots={"Roots": [root]}, list_accounts_for_parent={"Accounts": accounts})
    found = read_organization(
        client, OrganizationSelection(exclude=("200000000004",), own={"111111111111": "the backend account"})
    )

    assert ["on"] == [account.name for account in found.accounts]
    assert [("off", "suspended"), ("old", "pending closure"), ("sandbox", "excluded"), ("us", "the backend account")] == [
        (one.name, one.reason) for one in found.skipped
    ]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("AccessDeniedException", "AWS denies this caller access to the organization"),
        ("AWSOrganizationsNotInUseException", "this account is not part of an organization"),
        ("SomethingNewException", "AWS Organizations returned an error: SomethingNewException"),
    ],
)
def test_aws_error_has_hint(code: str, said: str) -> None:
    """No traceback, and no partial list of accounts."""
    client = Fixed(list_roots=ClientError({"Error": {"Code": code, "Message": "no"}}, "ListRoots"))
    with pytest.raises(CallerError) as caught:
        read_organization(client, OrganizationSelection(), profile="vendor")

    assert (said, "profile vendor") == (caught.value.what, caught.value.where)
    assert caught.value.hint
