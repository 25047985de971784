"""An organization is walked unit by unit; who is no active customer is left out, and named."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from rolecall_generator.errors import CallerError, SelectionError
from rolecall_generator.importers.interface import Reading
from rolecall_generator.importers.organizations import OrganizationSelection, read_organization


@pytest.fixture(scope="module")
def organization() -> Iterator[Any]:
    """An organization in moto: Prod with two accounts and a Team below it, Dev with one, one in the root; its client."""
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
    """A client whose answers are given, in pages of one; raises what stands for an answer."""

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
    """Names with their labels."""
    return {account.name: account.fields.get("labels") for account in reading.accounts}


def test_accounts_carry_the_path_of_their_unit(organization: Any) -> None:
    """Sorted by unit, then name; the path is a label, in characters that a label takes."""
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
def test_units_and_accounts_are_chosen(
    organization: Any, units: tuple[str, ...], exclude: tuple[str, ...], expected: list[str]
) -> None:
    """`--ou` takes a unit with all below it, `--exclude` leaves out units, and accounts by id, name or pattern."""
    assert expected == list(names(read_organization(organization, OrganizationSelection(units, exclude))))


@pytest.mark.parametrize("choice", [OrganizationSelection(units=("",)), OrganizationSelection(exclude=("acme", " "))])
def test_an_empty_choice_is_a_slip(organization: Any, choice: OrganizationSelection) -> None:
    """A variable that is not set must not mean everybody, or no one."""
    with pytest.raises(SelectionError, match="the value is empty"):
        read_organization(organization, choice)


def test_an_exclusion_that_names_nobody_is_said(organization: Any) -> None:
    """A slip there would let an account in that was to stay out."""
    reading = read_organization(organization, OrganizationSelection(exclude=("Prod", "dleta*", "solo")))

    assert {"master", "delta"} == set(names(reading))
    assert ("--exclude dleta* matches no account",) == reading.notes


def test_a_unit_that_is_not_there_is_a_slip(organization: Any) -> None:
    """An import of no one must not look like an import of an empty unit."""
    with pytest.raises(SelectionError, match="no unit Porduction"):
        read_organization(organization, OrganizationSelection(("Porduction",)))


def test_accounts_that_are_not_active_are_left_out_and_named() -> None:
    """By `State`, and by `Status` where an answer has that alone; the vendor's own account is no customer."""
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
def test_what_aws_refuses_is_said_with_its_mend(code: str, said: str) -> None:
    """No traceback, and no account half listed."""
    client = Fixed(list_roots=ClientError({"Error": {"Code": code, "Message": "no"}}, "ListRoots"))
    with pytest.raises(CallerError) as caught:
        read_organization(client, OrganizationSelection(), profile="vendor")

    assert (said, "profile vendor") == (caught.value.what, caught.value.where)
    assert caught.value.hint
