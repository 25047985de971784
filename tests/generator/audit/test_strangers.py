"""Strangers cannot be singled out by a policy: their names depend on it."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit_accounts import ACCOUNT, GITHUB, allow, document, trust
from rolecall_generator.audit.outsider_reader import outsiders_of
from rolecall_generator.audit.outsiders import OutsiderKind, OwnAccounts, Requirement
from rolecall_generator.audit.permissions import PermissionReader
from rolecall_generator.audit.strangers import GUARD_KEYS, Stranger
from rolecall_generator.iam import Access, PolicyDocument, Role

ARN = f"arn:aws:iam::{ACCOUNT}:role/role1"
NEW_LINE = "\n"
SUB = "token.actions.githubusercontent.com:sub"


@given(st.text(max_size=40))
def test_a_stranger_has_valid_ids(text: str) -> None:
    stranger = Stranger.of(text)

    assert re.fullmatch(r"[a-z]{17}", stranger.name)
    assert re.fullmatch(r"[1-9][0-9]{11}", stranger.account_id)
    assert re.fullmatch(r"o-[a-z0-9]{10,32}", stranger.organization)
    assert ipaddress.ip_address(stranger.address).is_global
    for request in stranger.requests(dict.fromkeys(GUARD_KEYS, ())):
        assert GUARD_KEYS == {condition.key for condition in request}


def test_a_stranger_depends_on_the_text() -> None:
    one, other = Stranger.of("a"), Stranger.of("b")

    assert one == Stranger.of("a")
    assert not {one.name, one.account_id, one.organization, one.address} & {
        other.name, other.account_id, other.organization, other.address,
    }  # fmt: skip


def outsider(condition: dict[str, Any], principal: Any = "*", action: str = "sts:AssumeRole") -> Any:
    role = Role(ARN, PolicyDocument.from_json(document(trust(principal, condition, action))))
    (found,) = outsiders_of(role, OwnAccounts(frozenset({ACCOUNT})))
    return found


@pytest.mark.parametrize(
    ("operator", "key", "of"),
    [
        ("StringNotEquals", "aws:PrincipalOrgID", lambda stranger: stranger.organization),
        ("NotIpAddress", "aws:SourceIp", lambda stranger: stranger.address),
        ("StringNotLike", "aws:userid", lambda stranger: f"AROA{stranger.name.upper()}:*"),
        ("StringNotEqualsIfExists", "aws:SourceVpc", lambda stranger: f"vpc-0{stranger.name}"),
    ],
)
def test_a_policy_cannot_refuse_only_the_stranger(operator: str, key: str, of: Any) -> None:
    """A policy against the stranger of an earlier policy has another stranger."""
    value = of(Stranger.of(""))
    for _ in range(4):
        found = outsider({operator: {key: value}})
        assert (OutsiderKind.ANYONE, Requirement.MISSING) == (found.kind, found.guarded)
        value = of(Stranger.of(f"*\n{value}"))


def test_a_policy_cannot_refuse_only_the_strangers_repository() -> None:
    value = f"*{Stranger.of('').name}*"
    for _ in range(4):
        found = outsider({"StringNotLike": {SUB: value}}, {"Federated": GITHUB}, "sts:AssumeRoleWithWebIdentity")
        assert Requirement.MISSING is found.guarded
        value = f"*{Stranger.of(f'{GITHUB}{NEW_LINE}{value}').name}*"


@pytest.mark.parametrize(
    ("ranges", "guarded"),
    [
        (["0.0.0.0/0"], Requirement.MISSING),
        (["::/0", "0.0.0.0/1", "128.0.0.0/1"], Requirement.MISSING),
        (["0.0.0.0/1"], Requirement.MISSING),
        (["203.0.113.0/24"], Requirement.REQUIRED),
        (["203.0.113.7"], Requirement.REQUIRED),
    ],
)
def test_a_broad_address_range_is_open(ranges: list[str], guarded: Requirement) -> None:
    assert guarded is outsider({"IpAddress": {"aws:SourceIp": ranges}}).guarded


def test_a_policy_cannot_hide_what_it_allows() -> None:
    """Excluding the name that stands for every resource does not change the result."""
    value = Stranger.of("").name
    for _ in range(4):
        statements = [allow("s3:GetObject"), {**allow("s3:*", f"arn:aws:s3:::*{value}*"), "Effect": "Deny"}]
        body = PolicyDocument.from_json(document(*statements))
        role = Role(ARN, None, {"p": body})
        found = PermissionReader(Access({ARN: role})).read(role)

        assert ["s3:GetObject"] == [each.action for each in found.data]
        value = Stranger.of("\n".join(("s3:GetObject", "*", "s3:*", f"arn:aws:s3:::*{value}*"))).name
