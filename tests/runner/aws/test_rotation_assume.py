"""AssumeRole during a rotation: the new external ID first, the previous one only after a refusal."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import botocore.credentials
import pytest
from botocore.exceptions import ClientError

from rolecall_runner.aws.clients import Clients
from rolecall_runner.aws.credentials import Assumer, CallerIdentity
from rolecall_runner.inventory.targets import Target
from stub_fleet import stub_target

CALLER = CallerIdentity(
    botocore.credentials.Credentials("a", "b"),
    "arn:aws:sts::111111111111:assumed-role/backend_role/i-0",
    "111111111111",
    "us-east-1",
)
ROTATING = replace(stub_target(1), external_id="new", previous_external_id="old")


class FakeSts:
    """Replies by external ID: credentials, or the code of an error."""

    def __init__(self, **codes: str) -> None:
        self.codes = codes
        self.sent: list[str] = []

    def client(self, _service: str, _region: str) -> FakeSts:
        return self

    def assume_role(self, **parameters: Any) -> dict[str, Any]:
        self.sent.append(parameters["ExternalId"])
        if code := self.codes.get(parameters["ExternalId"]):
            raise ClientError({"Error": {"Code": code, "Message": parameters["ExternalId"]}}, "AssumeRole")
        keys = {"AccessKeyId": "ASIA1", "SecretAccessKey": "s", "SessionToken": "t"}
        return {"Credentials": {**keys, "Expiration": datetime(2026, 11, 24, tzinfo=UTC) + timedelta(hours=1)}}


def assumer(fake: FakeSts) -> Assumer:
    return Assumer(cast("Clients", fake), CALLER, "0a1b2c")


@pytest.mark.parametrize(
    ("codes", "sent"),
    [({}, ["new"]), ({"new": "AccessDenied"}, ["new", "old"])],
)
def test_previous_id_is_tried_only_after_refusal(codes: dict[str, str], sent: list[str]) -> None:
    """A role that accepts the new ID is called once; one that refuses it is called with the previous one."""
    fake = FakeSts(**codes)

    assumer(fake).assume(ROTATING)

    assert sent == fake.sent


@pytest.mark.parametrize(
    ("codes", "heard"),
    [
        ({"new": "Throttling"}, ("Throttling", "new", ["new"])),
        ({"new": "AccessDenied", "old": "AccessDenied"}, ("AccessDenied", "new", ["new", "old"])),
        ({"new": "AccessDenied", "old": "Throttling"}, ("Throttling", "old", ["new", "old"])),
    ],
)
def test_error_when_both_ids_fail(codes: dict[str, str], heard: tuple[str, str, list[str]]) -> None:
    """A throttle is not a refusal and is raised; of two refusals that of the current ID is raised."""
    fake = FakeSts(**codes)
    with pytest.raises(ClientError) as caught:
        assumer(fake).assume(ROTATING)

    error = caught.value.response["Error"]
    assert heard == (error["Code"], error["Message"], fake.sent)


@pytest.mark.parametrize(
    ("target", "parameters"),
    [(replace(ROTATING, previous_external_id=None), {}), (ROTATING, {"external_id": "new"})],
    ids=["no rotation", "a probe"],
)
def test_refusal_is_final_without_rotation_or_for_probe(target: Target, parameters: dict[str, Any]) -> None:
    """Without a previous ID there is no second call, and a probe of one ID never sends another."""
    fake = FakeSts(new="AccessDenied")
    with pytest.raises(ClientError):
        assumer(fake).assume(target, **parameters)

    assert ["new"] == fake.sent
