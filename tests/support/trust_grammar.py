"""Random trust policies about callers, and random requests based on the patterns of such a policy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any

from policy_text import statement
from rolecall_generator.iam.evaluation.compiled import PrincipalKind, identity_of
from rolecall_generator.iam.evaluation.evaluator import ASSUME_ROLE, FEDERATED_ASSUME, Request
from rolecall_generator.iam.evaluation.request_context import Caller, IdentitySide
from trust_worlds import BACKEND, CALLER, CUSTOMER, EXTERNAL_ID, ORDINARY, OTHERS_ID, ROLE, WITH_ID

STRANGERS = "444444444444"
SESSION = f"arn:aws:sts::{STRANGERS}:assumed-role/ab/s"
PROVIDER = f"arn:aws:iam::{CUSTOMER}:saml-provider/idp"
PRINCIPALS: tuple[Any, ...] = (
    "*",
    "*",
    {"AWS": CALLER},
    {"AWS": BACKEND},
    {"AWS": BACKEND},
    {"AWS": [STRANGERS, CALLER]},
    {"AWS": f"arn:aws:iam::{STRANGERS}:user/ab"},
    {"AWS": f"arn:aws:iam::{STRANGERS}:role/b/ab"},
    {"AWS": SESSION},
    {"Service": "ec2.amazonaws.com"},
    {"Federated": PROVIDER},
)
_TEXT_OPERATORS = ("StringEquals", "StringLike", "StringLike", "ArnLike", "StringEqualsIgnoreCase")
_OTHER_CONDITIONS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("StringEquals", "aws:PrincipalType", ("User",)),
    ("StringNotEquals", "aws:PrincipalType", ("AssumedRole",)),
    ("Bool", "aws:PrincipalIsAWSService", ("false",)),
    ("Null", "aws:PrincipalArn", ("true",)),
    ("Null", "sts:ExternalId", ("false",)),
    ("StringEquals", "aws:PrincipalTag/team", ("red",)),
    ("StringNotEquals", "aws:PrincipalTag/team", ("red",)),
    ("Bool", "aws:MultiFactorAuthPresent", ("true",)),
    ("IpAddress", "aws:SourceIp", ("192.0.2.0/24",)),
    ("StringNotLike", "sts:RoleSessionName", ("a*",)),
    ("StringLike", "sts:RoleSessionName", ("${aws:username}",)),
    ("StringEquals", "aws:PrincipalAccount", ("${aws:ResourceAccount}",)),
    ("StringEquals", "aws:ResourceAccount", ("${aws:PrincipalAccount}",)),
    ("ArnLike", "aws:PrincipalArn", ("arn:aws:iam::${aws:PrincipalAccount}:role/*",)),
)


def random_trust(rng: Random) -> list[dict[str, Any]]:
    """The ordinary statement, or one that restricts callers by conditions, with up to three more statements."""
    start = rng.choice(
        (
            [ORDINARY],
            [ORDINARY],
            [statement(BACKEND, f"ArnEquals aws:PrincipalArn {CALLER} & {WITH_ID}")],
            [statement(BACKEND, WITH_ID), statement("*", f"ArnNotEquals aws:PrincipalArn {CALLER}", "Deny")],
            [statement("*", WITH_ID), statement("*", f"StringNotLike aws:PrincipalArn {CALLER}", "Deny")],
        )
    )
    more = [
        statement(rng.choice(PRINCIPALS), _conditions(rng), rng.choice(("Allow", "Allow", "Deny")), **_action(rng))
        for _ in range(rng.randrange(4))
    ]
    return [*start, *more]


def _action(rng: Random) -> dict[str, Any]:
    return {"Action": rng.choice(("sts:AssumeRole", "sts:*", "sts:AssumeRoleWithSAML"))} if rng.random() < 0.3 else {}


def _conditions(rng: Random) -> dict[str, dict[str, Any]]:
    conditions: dict[str, dict[str, Any]] = {}
    for _ in range(rng.randrange(1, 4)):
        if rng.random() < 0.2:
            operator, key, fixed = rng.choice(_OTHER_CONDITIONS)
            conditions.setdefault(operator, {})[key] = list(fixed)
            continue
        key = rng.choice(("aws:PrincipalArn", "aws:PrincipalArn", "aws:PrincipalAccount", "aws:username", "sts:ExternalId"))
        operator = rng.choice(_TEXT_OPERATORS)
        if operator == "ArnLike" and key != "aws:PrincipalArn":
            operator = "StringLike"
        values = [_pattern(rng, key) for _ in range(rng.randrange(1, 4))]
        if operator == "ArnLike":
            values = [value if value.count(":") >= 5 else "arn:aws:iam::*:role/a*" for value in values]
        conditions.setdefault(_dressed(rng, operator), {})[key] = values
    return conditions


def _dressed(rng: Random, operator: str) -> str:
    if rng.random() < 0.5:
        head = "String" if operator.startswith("String") else "Arn"
        operator = f"{head}Not{operator.removeprefix(head)}"
    if rng.random() < 0.15:
        operator += "IfExists"
    return operator if rng.random() < 0.85 else f"{rng.choice(('ForAllValues', 'ForAnyValue'))}:{operator}"


def _pattern(rng: Random, key: str) -> str:
    if key == "aws:PrincipalAccount":
        return rng.choice(
            (BACKEND, STRANGERS, "4*", "*9", "?1*", "*" + rng.choice("0123456789") + "*", "?" * 12, "1" * 11 + "?")
        )
    if key == "aws:username":
        return rng.choice(("ab", "a*", "?", "??", "*b", "rolecall*", "*"))
    if key == "sts:ExternalId":
        return rng.choice((EXTERNAL_ID, EXTERNAL_ID, "a*", "??", "*", "0f*", OTHERS_ID, "*3e", EXTERNAL_ID.upper()))
    account = rng.choice((BACKEND, STRANGERS, "*", "1*", "4??*", "*1"))
    kind = rng.choice(("role", "role", "user", "*", "?o??"))
    name = rng.choice(
        ("a*", "*b", "ab", "?", "??", "*a?", "*/*", "*/*/*", "rolecall*", "backend_role", "*_*", "b/ab", "*a*b*", "*/a")
    )
    whole = f"arn:aws:iam::{account}:{kind}/{name}"
    return rng.choice((whole, whole, whole, CALLER, f"*{name}", f"*:{kind}/{name}", "arn:*", f"*{account}*"))


def random_requests(rng: Random, statements: Sequence[Mapping[str, Any]], count: int) -> Iterator[Request]:
    """Requests on the role, with callers and external IDs based on the policy."""
    said: dict[str, list[str]] = {}
    for body in statements:
        for keys in body.get("Condition", {}).values():
            for key, values in keys.items():
                said.setdefault(key.lower(), []).extend([values] if isinstance(values, str) else values)
    for _ in range(count):
        caller, action = _caller(rng, said)
        context: dict[str, str | tuple[str, ...]] = {
            "sts:ExternalId": _value(rng, said.get("sts:externalid", []), (EXTERNAL_ID, OTHERS_ID, "xx"))
            if rng.random() < 0.8
            else (),
            "sts:RoleSessionName": rng.choice(("ab", "xx", identity_of(caller.arn).name)),
            "aws:PrincipalTag/team": rng.choice(("red", "blue", ())),
            "aws:MultiFactorAuthPresent": rng.choice(("true", "false", ())),
            "aws:SourceIp": rng.choice(("192.0.2.1", "198.51.100.1")),
        }
        yield Request(caller, ROLE, action, context)


def _value(rng: Random, patterns: Sequence[str], others: Sequence[str]) -> str | tuple[str, ...]:
    text = _filled(rng, rng.choice([*patterns, *others]))
    return text if len(text) >= 2 else ()


def _caller(rng: Random, said: Mapping[str, Sequence[str]]) -> tuple[Caller, str]:
    if rng.random() < 0.08:
        name = rng.choice(("ec2.amazonaws.com", "batch.amazonaws.com", PROVIDER, f"{PROVIDER}2"))
        return Caller(name, IdentitySide.ALLOWS_ALL), rng.choice((ASSUME_ROLE, *FEDERATED_ASSUME))
    account = _account(rng, said.get("aws:principalaccount", []))
    kind = rng.choice(("role", "user"))
    name = _filled(rng, rng.choice([*said.get("aws:username", []), "ab", "a", "backend_role", "x/y", "b/ab", "q/r/s/t"]))
    arn = f"arn:aws:iam::{account}:{kind}/{name}"
    patterns = said.get("aws:principalarn", [])
    if patterns and rng.random() < 0.6:
        parts = rng.choice(patterns).split(":", 5)
        if len(parts) == 6:
            resource = _filled(rng, parts[5])
            if "/" not in resource or resource.split("/")[0] not in ("role", "user"):
                resource = f"{kind}/{resource.rpartition('/')[2] or 'x'}"
            filled = _account(rng, [parts[4]]) if rng.random() < 0.8 else account
            arn = f"arn:aws:iam::{filled}:{resource}"
        else:
            arn = f"arn:aws:iam::{account}:{kind}/{_filled(rng, parts[-1]).strip('/') or 'x'}"
    if identity_of(arn).kind not in {PrincipalKind.USER, PrincipalKind.ROLE} or not identity_of(arn).name:
        arn = f"arn:aws:iam::{account}:{kind}/ab"
    if rng.random() < 0.2:
        arn = f"arn:aws:iam::{STRANGERS}:role/{rng.choice(('', 'a/', 'b/', 'rolecall/'))}ab"
        return Caller(SESSION, IdentitySide.ALLOWS_ALL, role=arn), ASSUME_ROLE
    return Caller(arn, IdentitySide.ALLOWS_ALL), ASSUME_ROLE


def _account(rng: Random, patterns: Sequence[str]) -> str:
    text = _filled(rng, rng.choice([*patterns, BACKEND, STRANGERS, "9?7*"]), "0123456789")
    digits = "".join(letter for letter in text if letter.isdigit())
    return (digits + "".join(rng.choice("0123456789") for _ in range(12)))[:12]


def _filled(rng: Random, pattern: str, letters: str = "abx_1") -> str:
    """A string that matches the pattern, occasionally with a change."""
    text = "".join(
        "".join(rng.choice(letters) for _ in range(rng.randrange(4)))
        if letter == "*"
        else rng.choice(letters)
        if letter == "?"
        else letter
        for letter in pattern
    )
    if text and rng.random() < 0.15:
        place = rng.randrange(len(text))
        text = text[:place] + rng.choice(letters) + text[place + 1 :]
    return text


_NAME = re.compile(r"arn:aws:iam::[0-9]{12}:(role|user)/([!-.0-~]+/)*[\w+=,.@-]+", re.ASCII)


def is_real(request: Request) -> bool:
    """Whether AWS can see the request: the random ones also have invalid names and operations."""
    caller = request.principal
    if caller.arn == SESSION or (caller.arn.startswith("arn:aws:iam::") and ":saml-provider/" not in caller.arn):
        return caller.arn != SESSION and _NAME.fullmatch(caller.arn) is not None
    saml = ":saml-provider/" in caller.arn
    if request.context["aws:MultiFactorAuthPresent"] or (saml and request.context["sts:ExternalId"]):
        return False
    return request.action == ("sts:AssumeRoleWithSAML" if saml else ASSUME_ROLE)
