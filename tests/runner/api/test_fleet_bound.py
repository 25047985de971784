"""Clients bound to an account: signed as that account in any thread, concurrently with others."""

from __future__ import annotations

import gc
import json
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3.crt
import pytest
from boto3.exceptions import ResourceNotExistsError
from boto3.resources.base import ServiceResource
from botocore.client import BaseClient
from botocore.exceptions import ClientError, UnknownServiceError

from query_rig import QueryRig, seeded
from rolecall_runner import account_clients
from rolecall_runner.account_clients import AccountClients, shared_session
from rolecall_runner.aws.clients import Clients, ClientSettings, OutsideAccountError


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueryRig]:
    """A sandbox with the context of a task in it."""
    with seeded(tmp_path_factory.mktemp("bound"), ["one", "two"]) as made:
        for target in made.targets:
            s3 = made.boto3_client(target, "s3", "us-east-1")
            s3.create_bucket(Bucket=f"of-{target.name}")
            s3.put_object(Bucket=f"of-{target.name}", Key="who", Body=target.name.encode() * 4_000_000)
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

    assert isinstance(client, BaseClient)
    assert "us-east-1" == client.meta.region_name
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.describe_table(TableName="no-such-table")
    assert [] == [word for word in ("ASIA", "secret", "token") if word in repr(session)]


def sessions_of(rig: QueryRig) -> list[AccountClients]:
    clients, sessions = rig.connections.get()
    return [AccountClients(clients, sessions.session(target), target) for target in rig.targets]


def test_client_has_the_names_of_a_boto3_session(rig: QueryRig) -> None:
    """`region_name` by name, by position, and the account's first Region by default."""
    session = sessions_of(rig)[0]

    assert ["eu-west-1", "eu-west-1", "us-east-1", "us-east-1"] == [
        session.client("ec2", region_name="eu-west-1").meta.region_name,
        session.client("ec2", "eu-west-1").meta.region_name,
        session.client("ec2").meta.region_name,
        session.region_name,
    ]
    with pytest.raises(UnknownServiceError):
        session.client("no-such-service")


def test_resource_is_boto3s_own_and_acts_as_its_account(rig: QueryRig) -> None:
    """Collections, attributes and paged iteration, for two accounts with the same template."""
    resources = [session.resource("ec2", region_name="eu-west-1") for session in sessions_of(rig)]

    assert all(isinstance(each, ServiceResource) for each in resources)
    assert [target.account_id for target in rig.targets] == [next(iter(each.vpcs.all())).owner_id for each in resources]
    with pytest.raises(ResourceNotExistsError):
        sessions_of(rig)[0].resource("sts")


def test_resource_does_not_change_the_clients(rig: QueryRig) -> None:
    """boto3's resource of DynamoDB converts values in its client only."""
    session = sessions_of(rig)[0]
    before = session.client("dynamodb")
    with pytest.raises(ClientError):
        session.resource("dynamodb").Table("none").get_item(Key={"id": "a"})

    for client in (before, session.client("dynamodb")):
        with pytest.raises(ClientError):
            client.get_item(TableName="none", Key={"id": {"S": "a"}})


def transfer(rig: QueryRig, folder: Path) -> list[tuple[int, set[str]]]:
    """Each account downloads its object: number of bytes, and who made the calls according to the sandbox's log."""
    found = []
    for session in sessions_of(rig):
        path, start = folder / session.account.name, len(rig.lines)
        session.resource("s3").Bucket(f"of-{session.account.name}").download_file("who", str(path))
        calls = [line.split() for line in rig.lines[start:]]
        found.append(
            (path.stat().st_size, {caller.split(":")[4] for caller, action, *_ in calls if action == "s3:GetObject"})
        )
    return found


def test_managed_transfer_signs_as_the_account_in_its_threads(
    rig: QueryRig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """12 MB are two parts, which s3transfer gets in threads of its own."""
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
    for target in rig.targets:
        rig.boto3_client(target, "iam", "us-east-1").put_role_policy(
            RoleName=target.role_arn.rpartition("/")[2], PolicyName="objects", PolicyDocument=json.dumps(document)
        )
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAVENDORVENDORVEND")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the vendor's own key")

    expected = [(12_000_000, {target.account_id}) for target in rig.targets]
    assert expected == transfer(rig, tmp_path)

    # On instance types for which awscrt is optimized, boto3 would send with the credentials of awscrt's own client.
    monkeypatch.setattr("awscrt.s3.is_optimized_for_system", lambda: True)
    monkeypatch.setattr(boto3.crt, "get_crt_s3_client", lambda _client, _config: object())
    assert expected == transfer(rig, tmp_path)


def test_presigned_urls_have_the_session_of_the_account(rig: QueryRig) -> None:
    """URLs and forms, from a thread without an account."""
    sessions = sessions_of(rig)
    tokens = [session.credentials.get_frozen_credentials().access_key for session in sessions]

    def sign(session: AccountClients) -> tuple[str, str, str]:
        client = session.client("s3")
        where = {"Bucket": "a", "Key": "b"}
        form: dict[str, Any] = client.generate_presigned_post("a", "b")
        token = session.client("rds").generate_db_auth_token("host", 5432, "user")
        return client.generate_presigned_url("get_object", Params=where), str(form["fields"]), token

    with ThreadPoolExecutor(2) as pool:
        signed = list(pool.map(sign, sessions))

    assert all(token in text for token, texts in zip(tokens, signed, strict=True) for text in texts)


def test_class_of_the_template_signs_nothing(rig: QueryRig) -> None:
    """A method called on the class of boto3 instead of the account's client is not sent."""
    client = sessions_of(rig)[0].client("sts")
    template: Any = type(client).__mro__[2]

    assert client.get_caller_identity()["Arn"].startswith("arn:aws:sts::200000000000:assumed-role/")
    with pytest.raises(OutsideAccountError):
        template._make_api_call(client, "GetCallerIdentity", {})


def test_close_of_a_client_does_not_affect_others(rig: QueryRig) -> None:
    """Connections belong to the process."""
    one, two = (session.client("ec2") for session in sessions_of(rig))
    one.close()

    assert two.describe_vpcs()["Vpcs"]
    assert one.describe_vpcs()["Vpcs"]


def test_templates_are_released_with_their_clients(rig: QueryRig) -> None:
    """A process that opens many fleets keeps no client of closed ones."""
    before = len(account_clients._sessions)
    clients = Clients(ClientSettings(rig.sandbox.url))
    _, sessions = rig.connections.get()
    target = rig.targets[0]
    ec2 = AccountClients(clients, sessions.session(target), target).client("ec2")
    assert before + 1 == len(account_clients._sessions)
    template = weakref.ref(shared_session(clients))

    clients.close()
    del clients, ec2
    gc.collect()

    assert template() is None
    assert before == len(account_clients._sessions)
