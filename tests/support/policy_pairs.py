"""Random pairs of trust policies, random requests for them, and random policies of organizations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

from policy_text import Body, document
from rolecall_generator.iam import PolicyDocument
from rolecall_generator.iam.evaluation import ASSUME_ROLE, FEDERATED_ASSUME, Caller, IdentitySide, Request
from rolecall_generator.proof.symbolic import OrganizationMembership, World

T = TypeVar("T")
ROLE = "arn:aws:iam::222222222222:role/role1"
ACCOUNTS = ("111111111111", "222222222222", "333333333333")
ROLES = tuple(f"arn:aws:iam::{a}:role/{n}" for a in ACCOUNTS for n in ("backend", "p/backend", "ops-1", "ab"))
USERS = tuple(f"arn:aws:iam::{a}:user/{n}" for a in ACCOUNTS for n in ("ann", "bob", "t/ann"))
SESSIONS = (
    "arn:aws:sts::111111111111:assumed-role/backend/s1",
    "arn:aws:sts::111111111111:assumed-role/ops-1/s2",
    "arn:aws:sts::222222222222:assumed-role/ab/s1",
)
PROVIDERS = ("arn:aws:iam::222222222222:saml-provider/idp", "token.actions.githubusercontent.com")
SERVICES = ("ec2.amazonaws.com", "lambda.amazonaws.com")
STRINGS = ("ab", "abc", "ba", "Ab", "aab", "b-b", "ann", "xx")
GLOBS = ("*", "a*", "*b", "?b", "a?*", "*a*b", "ab", "A*", "??", "*b*")
ARN_GLOBS = (
    "arn:aws:iam::*:role/*",
    "arn:aws:iam::111111111111:*",
    "*backend*",
    "arn:aws:iam::1*:role/b*",
    "*/ann",
    "arn:aws:iam::*:user/?nn",
    "*:role/*/*",
    "arn:*:iam::*:*/a*",
)
SOURCE_ARNS = ("arn:aws:s3:::a*", "arn:*:s3:::*b", "arn:a*:?3:*::a:*", "arn:aws:s3:::ab", "arn:aws:*:::a:b*")
NETWORKS = ("10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0", "2001:db8::/32", "192.0.2.7")
DATES = ("2026-01-01T00:00:00Z", "2027-01-01", "2026-06-01T00:00:00Z")
NUMBERS = ("10", "3600", "3600.5", "11")
VALUES = {
    "aws:currenttime": ("2026-01-01T00:00:00Z", "2026-12-31T23:59:59Z", "2025-01-01", "2026-03-04", "2030-01-01"),
    "aws:sourceip": ("10.0.0.1", "10.1.2.3", "192.0.2.7", "192.0.2.8", "2001:db8::1", "2002::", "11.0.0.0"),
    "aws:multifactorauthage": ("0", "9", "10", "11", "12", "3599", "3600", "3601", "99999"),
    "example.com:n": ("10", "10.5", "3600", "3600.25", "-1", "x", "", "3600.5", "11", "12"),
    "example.com:b": ("QUI=", "YWI=", "AAAA", "", "no base64"),
    "aws:multifactorauthpresent": ("true", "false"),
    "aws:securetransport": ("true", "false"),
}
"""Values of keys that are not any string."""

_STRING_OPERATORS = "StringEquals StringNotEquals StringLike StringNotLike"
_BOTH = ("true", "false")
_WHOLE_ARN_GLOBS = tuple(glob for glob in ARN_GLOBS if glob.count(":") >= 5)
ConditionRow = tuple[float, str, str, Sequence[str], int]
"""Weight, operators, keys, values, and the most values of a condition."""
CONDITIONS: tuple[ConditionRow, ...] = (
    (8, "ArnLike ArnNotLike StringLike StringEquals", "aws:SourceArn", SOURCE_ARNS, 3),
    (
        8,
        "StringEqualsIgnoreCase StringNotEqualsIgnoreCase StringEquals StringLike",
        "sts:ExternalId example.com:k",
        ("ab", "AB", "aB", "kk", "Kk", "A*"),
        2,
    ),
    (5, "StringLike", "aws:PrincipalArn", (*ARN_GLOBS, *ROLES), 3),
    (5, "StringNotLike", "aws:PrincipalArn", (*ARN_GLOBS, *USERS), 3),
    (9, "ArnLike ArnNotEquals", "aws:PrincipalArn", (*_WHOLE_ARN_GLOBS, *ROLES), 3),
    (5, "StringEquals", "aws:PrincipalArn", (*ROLES, *USERS), 3),
    (5, "StringNotEqualsIgnoreCase", "aws:PrincipalArn", (*(role.upper() for role in ROLES), *USERS), 3),
    (8, _STRING_OPERATORS, "aws:PrincipalAccount", (*ACCOUNTS, "1*", "*2", "anonymous"), 3),
    (6, "StringEquals StringLike StringNotLike StringEqualsIgnoreCase", "aws:username", ("ann", "ANN", "a*", "*"), 3),
    (4, "StringEquals StringNotEquals", "aws:PrincipalType", ("User", "AssumedRole"), 3),
    (
        16,
        f"{_STRING_OPERATORS} StringEqualsIgnoreCase StringNotEqualsIgnoreCase",
        "sts:ExternalId sts:RoleSessionName example.com:k sts:SourceIdentity aws:SourceIdentity aws:PrincipalTag/team",
        (*GLOBS, *STRINGS),
        3,
    ),
    (
        12,
        _STRING_OPERATORS,
        "aws:TagKeys example.com:k aws:CalledVia sts:TransitiveTagKeys",
        (*GLOBS, *STRINGS, "Team"),
        3,
    ),
    (4, "StringEquals StringLike", "aws:RequestTag/team", (*GLOBS, *STRINGS), 3),
    (
        6,
        "Null",
        "sts:ExternalId aws:TagKeys example.com:k aws:MultiFactorAuthAge aws:username aws:RequestTag/team",
        _BOTH,
        1,
    ),
    (5, "Bool", "aws:MultiFactorAuthPresent aws:PrincipalIsAWSService aws:SecureTransport", _BOTH, 1),
    (
        4,
        "NumericLessThan NumericEquals NumericNotEquals NumericGreaterThanEquals",
        "aws:MultiFactorAuthAge example.com:n",
        NUMBERS,
        2,
    ),
    (3, "IpAddress NotIpAddress", "aws:SourceIp", NETWORKS, 3),
    (2, "DateLessThan DateGreaterThan DateNotEquals", "aws:CurrentTime", DATES, 2),
    (1, "BinaryEquals", "example.com:b", ("QUI=", "YWI="), 2),
)
VARIABLES: tuple[ConditionRow, ...] = (
    (
        3,
        "StringEquals StringNotEquals StringLike StringEqualsIfExists",
        "sts:RoleSessionName example.com:k aws:PrincipalTag/team aws:ResourceTag/team",
        (
            "${aws:username}",
            "a-${aws:PrincipalTag/team}",
            "${aws:username, 'ann'}*",
            "${aws:ResourceAccount}",
            "ab",
            "${aws:RequestTag/team}",
            "${aws:PrincipalTag/team}",
        ),
        2,
    ),
)
_ODD_KEYS = (
    "aws:CurrentTime aws:SourceIp aws:MultiFactorAuthAge aws:SecureTransport aws:TagKeys example.com:k example.com:k "
    "sts:ExternalId aws:PrincipalAccount"
)
ODD_TYPES: tuple[ConditionRow, ...] = (
    (1, "NumericLessThan NumericGreaterThanEquals", _ODD_KEYS, NUMBERS, 2),
    (1, "DateGreaterThan DateNotEquals", _ODD_KEYS, DATES, 2),
    (0.5, "NotIpAddress", _ODD_KEYS, NETWORKS, 2),
    (0.5, "Bool", _ODD_KEYS, _BOTH, 2),
    (0.5, "StringNotLike", _ODD_KEYS, GLOBS, 2),
    (0.5, "StringEquals", _ODD_KEYS, ("10.1.2.3", "true", "10", "2026-03-04"), 2),
)


@dataclass(slots=True)
class PolicyGenerator:
    """Generates policies. `variables`: also conditions with policy variables. `odd_types`: also operators of another type
    than their key.
    """

    rng: Random
    variables: bool = True
    odd_types: bool = True

    def some(self, pool: Sequence[T], count: int = 3) -> list[T]:
        return self.rng.sample(list(pool), self.rng.randint(1, min(count, len(pool))))

    def operator(self, *names: str) -> str:
        """One of the operators, perhaps with set prefix and IfExists."""
        name = self.rng.choice(names)
        draw = self.rng.random()
        if draw < 0.12:
            name = f"ForAllValues:{name}"
        elif draw < 0.24:
            name = f"ForAnyValue:{name}"
        return name + "IfExists" * (self.rng.random() < 0.15)

    def condition(self) -> tuple[str, str, list[str]]:
        """Operator, key and values."""
        rows = (*CONDITIONS, *VARIABLES * self.variables, *ODD_TYPES * self.odd_types)
        _, names, keys, values, count = self.rng.choices(rows, [weight for weight, *_ in rows])[0]
        plain = names == "Null" or any("${" in value for value in values)
        operator = self.rng.choice(names.split()) if plain else self.operator(*names.split())
        return operator, self.rng.choice(keys.split()), self.some(values, count)

    def principal(self) -> Any:
        rng = self.rng
        roots = [f"arn:aws:iam::{account}:root" for account in ACCOUNTS]
        choices: list[tuple[int, Any]] = [
            (20, "*"),
            (15, {"AWS": rng.choice([*ACCOUNTS, *roots])}),
            (45, {"AWS": self.some([*ROLES, *USERS, *roots])}),
            (7, {"AWS": self.some([*SESSIONS, *ROLES], 2)}),
            (6, {"Service": self.some(SERVICES)}),
            (4, {"Federated": rng.choice(PROVIDERS)}),
            (3, {"AWS": rng.choice(ACCOUNTS), "Service": SERVICES[0]}),
        ]
        return rng.choices([value for _, value in choices], [weight for weight, _ in choices])[0]

    def statement(self) -> Body:
        rng = self.rng
        body: Body = {"Effect": "Allow" if rng.random() < 0.75 else "Deny", "Principal": self.principal()}
        if rng.random() < 0.04:
            body["NotAction"] = rng.choice(["sts:TagSession", "sts:AssumeRole", "s3:*"])
        else:
            body["Action"] = rng.choice(
                [
                    *["sts:AssumeRole"] * 4,
                    ["sts:AssumeRole", "sts:TagSession"],
                    "sts:*",
                    ["sts:AssumeRole", "sts:SetSourceIdentity"],
                    "sts:AssumeRole*",
                    ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
                ]
            )
        conditions: dict[str, dict[str, list[str]]] = {}
        for _ in range(rng.choice([0, 1, 1, 1, 2, 2, 3])):
            operator, key, values = self.condition()
            conditions.setdefault(operator, {})[key] = values
        if conditions:
            body["Condition"] = conditions
        return body

    def mutate(self, statements: list[Body]) -> list[Body]:
        """The statements with one change."""
        rng = self.rng
        changed: list[Body] = json.loads(json.dumps(statements))
        body = rng.choice(changed)
        draw = rng.random()
        if draw < 0.25 and "Condition" in body:
            del body["Condition"]
        elif draw < 0.5:
            operator, key, values = self.condition()
            body.setdefault("Condition", {}).setdefault(operator, {})[key] = values
        elif draw < 0.7:
            changed.append(self.statement())
        elif draw < 0.8:
            rng.shuffle(changed)
        elif draw < 0.9 and "Condition" in body:
            keys = body["Condition"][rng.choice(list(body["Condition"]))]
            values = keys[rng.choice(list(keys))]
            if len(values) > 1:
                values.pop()
        elif len(changed) > 1:
            changed.pop(rng.randrange(len(changed)))
        return changed

    def pair(self) -> tuple[PolicyDocument, PolicyDocument]:
        """Two trust policies, usually similar ones."""
        statements = [self.statement() for _ in range(self.rng.choice([1, 1, 2, 2, 3]))]
        similar = self.rng.random() < 0.8
        others = self.mutate(statements) if similar else [self.statement() for _ in range(self.rng.choice([1, 2]))]
        documents = [document(statements), document(others)]
        if self.rng.random() < 0.5:
            documents.reverse()
        return documents[0], documents[1]

    # Worlds

    def identity(self) -> PolicyDocument:
        """A control policy about the role."""
        statements = []
        for _ in range(self.rng.choice([0, 1, 1, 2])):
            body = self.statement()
            del body["Principal"]
            resources = (ROLE, "*", "arn:aws:iam::222222222222:role/*", "arn:aws:iam::*:role/other")
            body["Resource"] = self.rng.choice(resources)
            statements.append(body)
        return document(statements)

    def level(self) -> tuple[PolicyDocument, ...]:
        """The policies of one level: mostly one that allows everything, and others."""
        everything = document([{"Effect": "Allow", "Action": "*", "Resource": "*"}])
        allowing = (everything,) if self.rng.random() < 0.8 else ()
        return (*allowing, *(self.identity() for _ in range(self.rng.choice([0, 1, 1]))))

    def resource_level(self) -> tuple[PolicyDocument, ...]:
        """As `level`, with the Principal that a resource control policy has."""
        return tuple(document([{**body, "Principal": "*"} for body in each.to_json()["Statement"]]) for each in self.level())

    def world(self) -> World:
        """Control policies around both accounts, and organizations."""
        rng = self.rng
        service = {a: tuple(self.level() for _ in range(rng.choice([1, 2]))) for a in ACCOUNTS if rng.random() < 0.5}
        resource = tuple(self.resource_level() for _ in range(rng.choice([0, 0, 1, 2])))
        organizations = {"111111111111": OrganizationMembership("o-abc")} if rng.random() < 0.3 else {}
        return World(service, resource, organizations)

    # Requests

    def string(self, pool: Sequence[str]) -> str:
        """A string that matches a pattern, or nearly so."""
        rng = self.rng
        pattern = rng.choice(pool)
        letters = ["", "a", "b", "ab", "x", "A", "-", "/"]
        text = "".join(rng.choice(letters) if c == "*" else rng.choice("abxAB-") if c == "?" else c for c in pattern)
        if rng.random() < 0.3 and text:
            at = rng.randrange(len(text))
            text = text[:at] + rng.choice(["", text[at].swapcase(), "a", text[at] * 2]) + text[at + 1 :]
        return text

    def request(self) -> Request:
        """A request that is not made from cells, as AWS may see it: keys of the caller and of tags agree."""
        rng = self.rng
        strangers = ("arn:aws:iam::444444444444:role/zz", "arn:aws:iam::111111111111:role/other")
        arn = rng.choice([*ROLES, *USERS, *SESSIONS, *SERVICES, *PROVIDERS, *strangers])
        external = arn in SERVICES or arn in PROVIDERS
        context: dict[str, tuple[str, ...]] = {}
        for key, probability in (
            ("sts:ExternalId", 0.5),
            ("sts:RoleSessionName", 1.0),
            ("example.com:k", 0.5),
            ("aws:PrincipalTag/team", 0.4),
            ("aws:CalledVia", 0.3),
        ):
            absent = key == "sts:ExternalId" and arn in PROVIDERS
            absent = absent or (external and key.startswith("aws:Principal"))
            context[key] = ()
            if rng.random() < probability and not absent:
                text = self.string([*GLOBS, *STRINGS])
                short = len(text) < 2 and key.startswith("sts:")
                if key.startswith("sts:Role"):
                    text = text.replace("/", "")
                    short = len(text) < 2
                context[key] = (text + "ab" if short else text,)
                if key in {"example.com:k", "aws:CalledVia"} and rng.random() < 0.4:
                    context[key] += (self.string([*GLOBS, *STRINGS]),)
        mfa = rng.choice([(), ("true",), ("false",)]) if not external else ()
        context["aws:MultiFactorAuthPresent"] = mfa
        context["aws:MultiFactorAuthAge"] = (
            (rng.choice(VALUES["aws:multifactorauthage"]),) if mfa == ("true",) and rng.random() < 0.7 else ()
        )
        context["example.com:n"] = rng.choice([(), (rng.choice(VALUES["example.com:n"]),)])
        context["example.com:b"] = rng.choice([(), (rng.choice(VALUES["example.com:b"]),)])
        context["aws:SecureTransport"] = ("true",)
        for key in ("aws:SourceIp", "aws:CurrentTime"):
            context[key] = (rng.choice(VALUES[key.lower()]),)
        tags = rng.random() < 0.3
        context["aws:RequestTag/team"] = (rng.choice(STRINGS),) if tags and rng.random() < 0.5 else ()
        context["aws:TagKeys"] = ("Team",) * bool(context["aws:RequestTag/team"]) + (
            tuple(rng.sample(STRINGS, rng.randint(0, 2))) if tags else ()
        )
        context["sts:TransitiveTagKeys"] = ("ab",) if tags and rng.random() < 0.2 else ()
        context["sts:SourceIdentity"] = (rng.choice(STRINGS),) if rng.random() < 0.2 else ()
        kept = (":role/" in arn or ":assumed-role/" in arn) and rng.random() < 0.3
        context["aws:SourceIdentity"] = context["sts:SourceIdentity"] if kept else ()
        context["aws:SourceArn"] = (self.string(SOURCE_ARNS),) if arn in SERVICES and rng.random() < 0.5 else ()
        role = None
        if ":assumed-role/" in arn:
            account, name = arn.split(":")[4], arn.split("/")[1]
            role = f"arn:aws:iam::{account}:role/{rng.choice(['', 'p/'])}{name}"
        action = ASSUME_ROLE
        if arn in PROVIDERS:
            action = FEDERATED_ASSUME[PROVIDERS.index(arn)]
        return Request(Caller(arn, IdentitySide.ALLOWS_ALL, role), ROLE, action, context)


def seeded(seed: int) -> Random:
    """A source of random numbers that gives the same ones in every run."""
    return Random(seed)  # noqa: S311 - test data
