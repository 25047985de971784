"""The evaluator compared with a naive implementation of AWS's logic, on random policies and requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from naive_oracle import Document, NaiveCaller, decide
from rolecall_generator.iam.evaluation.evaluator import Effect, Evaluator, Request
from rolecall_generator.iam.evaluation.request_context import Caller
from rolecall_generator.iam.model import Access, ManagedPolicy, Role, User
from rolecall_generator.iam.policy import PolicyDocument

CASES_PER_SEED = 1_000
OURS, THEIRS = "111111111111", "222222222222"
TARGET = f"arn:aws:iam::{THEIRS}:role/r"
BOUNDARY = "arn:aws:iam::{}:policy/b"
ARNS = [
    f"arn:aws:iam::{account}:{name}" for account in (OURS, THEIRS) for name in ("role/c", "role/p/c2", "user/u", "user/p/u")
]
EFFECTS = {"allow": Effect.ALLOW, "explicit deny": Effect.EXPLICIT_DENY, "implicit deny": Effect.IMPLICIT_DENY}
KEYS: dict[str, tuple[str, ...]] = {
    "aws:PrincipalArn": (*ARNS, "arn:aws:iam::*:role/*", "*:user/?", f"arn:aws:iam::{OURS}:*"),
    "aws:PrincipalAccount": (OURS, THEIRS, "1*", "*2"),
    "aws:PrincipalType": ("User", "AssumedRole", "Account"),
    "aws:username": ("u", "?", "x*"),
    "aws:PrincipalIsAWSService": ("true", "false"),
    "aws:ResourceAccount": (OURS, THEIRS),
    "aws:ResourceTag/team": ("red", "blue"),
    "iam:ResourceTag/Team": ("red", "b*"),
    "sts:ExternalId": ("one", "two", "t*", "*"),
    "aws:PrincipalTag/team": ("red", "blue"),
    "aws:MultiFactorAuthPresent": ("true", "false"),
}
NUMBERS: tuple[str, tuple[str, ...]] = ("aws:MultiFactorAuthAge", ("60", "3600", "0.5"))
MANY: tuple[str, tuple[str, ...]] = ("aws:PrincipalOrgPaths", ("o-1/r-1/", "o-1/*", "o-2/r-2/"))
OPERATORS = ("StringEquals", "StringLike", "StringNotEquals", "StringNotLike", "StringEqualsIgnoreCase", "Null", "Bool")
NUMERIC = ("NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericGreaterThanEquals")


def _conditions(rng: Random) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        kind = rng.random()
        values: tuple[str, ...]
        if kind < 0.1:
            operator, key, values = rng.choice(NUMERIC), *NUMBERS
        elif kind < 0.2:
            operator, key, values = f"{rng.choice(('ForAllValues', 'ForAnyValue'))}:{rng.choice(OPERATORS[:4])}", *MANY
        else:
            key = rng.choice(list(KEYS))
            values = KEYS[key]
            operator = rng.choice(OPERATORS)
            if key == "aws:PrincipalArn" and rng.random() < 0.5:
                operator, values = rng.choice(("ArnEquals", "ArnNotLike")), values[:-2]
        if operator.startswith("Null"):
            values = ("true", "false")
        elif operator == "Bool":
            key, values = "aws:MultiFactorAuthPresent", ("true", "false")
        if not operator.startswith("Null") and rng.random() < 0.2:
            operator += "IfExists"
        found.setdefault(operator, {})[key] = rng.sample(values, rng.randrange(1, min(3, len(values)) + 1))
    return found


def _statement(rng: Random, **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"Effect": rng.choice(("Allow", "Allow", "Allow", "Deny")), **more}
    if rng.random() < 0.1:
        body["NotAction"] = rng.choice(("s3:*", "sts:Assume*"))
    else:
        body["Action"] = rng.choice(("sts:AssumeRole", "sts:assumerole", "sts:*", "*", "s3:*", "sts:Assume????"))
    conditions = _conditions(rng)
    return {**body, "Condition": conditions} if conditions else body


def _trust(rng: Random) -> list[dict[str, Any]]:
    names = [
        *ARNS,
        OURS,
        THEIRS,
        f"arn:aws:iam::{OURS}:root",
        f"arn:aws:sts::{OURS}:assumed-role/c/s",
        f"arn:aws:sts::{THEIRS}:assumed-role/c2/s",
    ]
    principals: list[Any] = ["*", {"AWS": "*"}, *({"AWS": rng.sample(names, rng.randrange(1, 3))} for _ in range(6))]
    return [_statement(rng, Principal=rng.choice(principals)) for _ in range(rng.randrange(1, 4))]


def _policy(rng: Random, most: int = 2) -> list[dict[str, Any]]:
    resources = ("*", TARGET, f"arn:aws:iam::{THEIRS}:role/*", f"arn:aws:iam::{OURS}:role/r")
    return [_statement(rng, Resource=rng.choice(resources)) for _ in range(rng.randrange(most + 1))]


def _caller(rng: Random) -> NaiveCaller:
    arn = rng.choice(ARNS)
    account = arn.split(":")[4]
    role = ":role/" in arn
    session = f"arn:aws:sts::{account}:assumed-role/{arn.rpartition('/')[2]}/s" if role and rng.random() < 0.6 else None
    return NaiveCaller(
        arn,
        account,
        session,
        _policy(rng),
        # Two AWS pages disagree about a user's boundary within one account, so these cases are not decided.
        _policy(rng) if rng.random() < 0.2 and (role or account != THEIRS) else None,
        _policy(rng) if session and rng.random() < 0.4 else None,
    )


def _said(rng: Random) -> dict[str, Sequence[str]]:
    said: dict[str, Sequence[str]] = {}
    for key, values in KEYS.items():
        if rng.random() < 0.4:
            said[key] = [rng.choice(values)]
    if rng.random() < 0.5:
        said[NUMBERS[0]] = [rng.choice(NUMBERS[1])]
    if rng.random() < 0.5:
        said[MANY[0]] = rng.sample(("o-1/r-1/", "o-2/r-2/", "o-3/"), rng.randrange(3))
    return said


def _document(body: Document) -> PolicyDocument:
    return PolicyDocument.from_json({"Version": "2012-10-17", "Statement": list(body)})


def _evaluate(caller: NaiveCaller, trust: Document, said: dict[str, Sequence[str]], tags: dict[str, str]) -> Effect:
    parts: list[Any] = [Role(TARGET, _document(trust), tags=tags)]
    boundary = None
    if caller.boundary is not None:
        boundary = BOUNDARY.format(caller.account)
        parts.append(ManagedPolicy(boundary, _document(caller.boundary)))
    inline = {"p": _document(caller.identity)}
    parts.append(
        User(caller.arn, inline=inline, boundary=boundary)
        if caller.is_user
        else Role(caller.arn, None, inline, boundary=boundary)
    )
    policies = () if caller.session_policies is None else (_document(caller.session_policies),)
    who = Caller(caller.session or caller.arn, session_policies=policies)
    context = {key: tuple(values) for key, values in said.items()}
    return Evaluator(Access.of(*parts)).may_assume(Request(who, TARGET, context=context)).effect


@pytest.mark.parametrize("seed", range(6))
def test_evaluator_agrees_with_the_naive_implementation(seed: int) -> None:
    """Both decide every random case alike; each decision occurs often."""
    rng = Random(seed)  # noqa: S311 - no secret
    answers: Counter[str] = Counter()
    for _ in range(CASES_PER_SEED):
        caller, trust, said = _caller(rng), _trust(rng), _said(rng)
        tags = {"Team": rng.choice(("red", "blue"))} if rng.random() < 0.5 else {}
        expected = decide(caller, TARGET, trust, said, tags)
        answers[expected] += 1
        assert EFFECTS[expected] is _evaluate(caller, trust, said, tags), (caller, trust, said, tags)
    assert min(answers.values()) > CASES_PER_SEED / 20
    assert len(answers) == len(EFFECTS)
