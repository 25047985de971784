"""Clients bound to an account: signed as that account in any thread, concurrently with others."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from query_rig import QueryRig, seeded
from rolecall_runner.api import AccountClients, AccountProxy
from rolecall_runner.aws.clients import OutsideAccountError


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueryRig]:
    """A sandbox with the context of a task in it."""
    with seeded(tmp_path_factory.mktemp("bound"), ["one", "two"]) as made:
        yield made


def test_bound_clients_sign_as_their_account_in_any_thread(rig: QueryRig) -> None:
    """Two accounts concurrently, from a thread outside of any account: clients, paginators, pages."""
    clients, sessions = rig.connections.get()
    bound = [AccountClients(clients, sessions.session(target), target) for target in rig.targets]
    found: list[list[str]] = []

    def ask() -> None:
        pages = [each.client("ec2").get_paginator("describe_vpcs").paginate() for each in bound]
        found.extend([page["Vpcs"][0]["OwnerId"] for page in each] for each in pages)
        whole = [each.client("ec2").get_paginator("describe_vpcs").paginate().build_full_result() for each in bound]
        found.append([each["Vpcs"][0]["OwnerId"] for each in whole])
        searched = [each.client("ec2").get_paginator("describe_vpcs").paginate().search("Vpcs[].OwnerId") for each in bound]
        found.append([name for pair in zip(*searched, strict=True) for name in pair])
        bound[1].client("ec2").get_waiter("vpc_available").wait()

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()

    one, two = (target.account_id for target in rig.targets)
    assert [[one], [two], [one, two], [one, two]] == found


def test_unbound_client_still_refuses(rig: QueryRig) -> None:
    """Binding does not change the shared client: outside an account it signs nothing."""
    clients, sessions = rig.connections.get()
    target = rig.targets[0]
    AccountClients(clients, sessions.session(target), target).client("ec2").describe_vpcs()

    with pytest.raises(OutsideAccountError):
        clients.client("ec2", "us-east-1").describe_vpcs()


def test_exceptions_and_attributes_are_passed_through(rig: QueryRig) -> None:
    """`client.exceptions.X` can be caught, and no repr shows credentials."""
    clients, sessions = rig.connections.get()
    target = rig.targets[0]
    session = AccountClients(clients, sessions.session(target), target)
    client = session.client("dynamodb")

    assert isinstance(client, AccountProxy)
    assert "us-east-1" == client.meta.region_name
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.describe_table(TableName="no-such-table")
    assert [] == [word for word in ("ASIA", "secret", "token") if word in repr(session)]
