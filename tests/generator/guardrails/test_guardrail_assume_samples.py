"""Random policies around the assumption of the role, compared with the evaluator on sampled requests.

The requests are those that the backend role can send: from now on, for at most an hour, without keys of other services.
"""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from guardrail_policies import FULL, ROLE, Judge, policy
from rolecall_generator.guardrails import (
    CustomerModule,
    GuardrailKind,
    GuardrailLevel,
    GuardrailPolicy,
    Guardrails,
)
from rolecall_generator.guardrails.decisions import AssumeSetting, answer_assume
from rolecall_generator.iam import PolicyDocument
from rolecall_generator.proof.symbolic import LimitState

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
BACKEND = "111111111111"
ARN = f"arn:aws:iam::{BACKEND}:role/backend_role"
ACCOUNT = "${aws:PrincipalAccount}"
STRINGS: dict[str, tuple[str, ...]] = {
    "aws:PrincipalArn": (
        ARN, "arn:aws:iam::*:role/*", f"arn:aws:iam::{ACCOUNT}:role/backend_role", f"arn:aws:iam::{ACCOUNT}:role/x*",
        f"arn:aws:iam::*:role/{ACCOUNT}*", "arn:aws:iam::${aws:ResourceAccount}:role/*", "arn:aws:iam::11111111111?:role/b*",
    ),
    "aws:PrincipalAccount": (BACKEND, "222222222222", "${aws:ResourceAccount}", "1*"),
    "aws:ResourceAccount": ("222222222222", ACCOUNT, "2*"),
    "aws:PrincipalOrgID": ("o-vendor0001", "o-*", "${aws:ResourceOrgID}"),
    "aws:PrincipalOrgPaths": ("o-vendor0001/*", "o-vendor0001/r-ab12/ou-1/*", "*"),
    "aws:SourceVpc": ("vpc-1", "vpc-*", ACCOUNT),
    "aws:username": ("x", "*"),
    "sts:RoleSessionName": ("rolecall", "a*", ACCOUNT),
    "aws:PrincipalTag/team": ("a", ACCOUNT, "*"),
    "s3:TlsVersion": ("1.2",),
}  # fmt: skip
ORDERED: dict[str, tuple[str, tuple[str, ...]]] = {
    "sts:DurationSeconds": ("Numeric", ("900", "1800", "3600", "3601", "7200", "43200")),
    "aws:EpochTime": ("Numeric", ("1000", "1796040000", "4000000000")),
    "aws:CurrentTime": ("Date", ("2020-01-01T00:00:00Z", "2026-11-30T12:00:00Z", "2027-06-01T00:00:00Z")),
}
COMPARISONS = ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
TEXT = ("StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase")
ARNS = ("ArnLike", "ArnNotLike", "ArnEquals", "ArnNotEquals")
RESOURCES = (
    "*", ROLE, "arn:aws:iam::*:role/r*", f"arn:aws:iam::*:role/{ACCOUNT}", "arn:aws:iam::*:role/${aws:PrincipalTag/team}",
    "arn:aws:iam::*:role/role${aws:username, '1'}", "arn:aws:s3:::x",
)  # fmt: skip
ACTIONS = ("sts:*", "*", "sts:AssumeRole", "sts:A*", "s3:*")


def condition(rng: Random) -> tuple[str, str, list[str]]:
    suffix = rng.choice(("", "", "IfExists"))
    if rng.random() < 0.15:
        return "Null", rng.choice([*STRINGS, *ORDERED]), [rng.choice(("true", "false"))]
    if rng.random() < 0.35:
        key = rng.choice([*ORDERED])
        family, values = ORDERED[key]
        return f"{family}{rng.choice(COMPARISONS)}{suffix}", key, rng.sample(values, rng.choice((1, 1, 2)))
    key = rng.choice([*STRINGS])
    listed = rng.sample(STRINGS[key], min(len(STRINGS[key]), rng.choice((1, 1, 2, 3))))
    quantifier = "" if any("${" in value for value in listed) else rng.choice(("", "", "ForAllValues:", "ForAnyValue:"))
    return f"{quantifier}{rng.choice((*TEXT, *ARNS) if key == 'aws:PrincipalArn' else TEXT)}{suffix}", key, listed


def statement(rng: Random, effect: str) -> dict[str, Any]:
    conditions: dict[str, dict[str, list[str]]] = {}
    for operator, key, values in (condition(rng) for _ in range(rng.choice((0, 1, 1, 2)))):
        conditions.setdefault(operator, {})[key] = values
    action = "Action" if rng.random() < 0.85 else "NotAction"
    resource = "Resource" if rng.random() < 0.85 else "NotResource"
    body = {"Effect": effect, action: rng.choice(ACTIONS), resource: rng.choice(RESOURCES if rng.random() < 0.5 else ("*",))}
    return {**body, "Condition": conditions} if conditions else body


def context(rng: Random, organization: str) -> dict[str, tuple[str, ...]]:
    """The context of a request that the backend role can send."""
    moment = rng.choice((1_796_040_000, 1_796_040_001, 1_811_808_000, 4_000_000_001))
    member = organization != "none"
    return {
        "aws:principalarn": (ARN,),
        "aws:principalaccount": (BACKEND,),
        "aws:principaltype": ("AssumedRole",),
        "aws:resourceaccount": ("222222222222",),
        "aws:currenttime": (datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),),
        "aws:epochtime": (str(moment),),
        "aws:securetransport": ("true",),
        "sts:externalid": ("0f0c4f7c1e6b4a1d9a52b7c3d8e9f101",),
        "sts:durationseconds": rng.choice(((), ("900",), ("1800",), ("2000",), ("3600",))),
        "sts:rolesessionname": (rng.choice(("rolecall", "abc", BACKEND)),),
        "aws:sourcevpc": rng.choice(((), ("vpc-1",), ("vpc-2",), (BACKEND,))),
        "aws:principaltag/team": rng.choice(((), ("a",), ("role1",), (BACKEND,))),
        "aws:principalorgid": (organization,) if member else (),
        "aws:principalorgpaths": (f"{organization}/r-ab12/{rng.choice(('', 'ou-1/'))}",) if member else (),
    }


@pytest.mark.parametrize("seed", range(4))
def test_sampled_requests_agree_with_answers(account1: CustomerModule, seed: int) -> None:
    """Not stopped: no request is denied. Stopped: none is allowed."""
    rng = Random(seed)  # noqa: S311 - a reproducible sample
    assert account1.module.customer is not None
    role, states = account1.module.customer.role, dict[LimitState, int]()
    for _ in range(80):
        organization = rng.choice(("none", "o-vendor0001"))
        levels = []
        for number in range(rng.choice((1, 1, 2))):
            denials = policy(*(statement(rng, "Deny") for _ in range(rng.choice((1, 1, 2)))))
            allows = FULL if rng.random() < 0.8 else policy(*(statement(rng, "Allow") for _ in range(2)))
            policies = [
                GuardrailPolicy(GuardrailKind.SCP, "p", "p", PolicyDocument.from_json(body), body)
                for body in (denials, allows)
            ]
            levels.append(GuardrailLevel(f"level {number}", tuple(policies)))
        setting = AssumeSetting(role, BACKEND, Guardrails(), Guardrails(tuple(levels)), organization, NOW)
        state = answer_assume(setting).state
        states[state] = states.get(state, 0) + 1
        judge, documents = Judge(), [[each.document for each in level.policies] for level in levels]
        for _ in range(20):
            request = context(rng, organization)
            allowed = judge.allowed(documents, "sts:AssumeRole", ROLE, request)
            assert not (state is LimitState.NONE and allowed is False), (levels, request)
            assert not (state is LimitState.ALL and allowed is True), (levels, request)

    assert {LimitState.NONE, LimitState.PART, LimitState.ALL} <= states.keys()
    assert states.get(LimitState.UNKNOWN, 0) < 16
