"""Inclusion of trust policies as formulas for z3: strings, regular expressions and integers, without cells.

It shares nothing with the symbolic proof. It covers no policy variables, dates, addresses, bytes and session principals, and
up to three values of a key.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import z3

from rolecall_generator.iam import Condition, PolicyDocument, Principal, Statement
from rolecall_generator.iam.evaluation import Request
from rolecall_generator.proof.symbolic import RequestWitness

SLOTS = 3
_UNSUPPORTED = ("${", "example.com:n", "example.com:b", "SourceArn", "SourceIp", "CurrentTime", "assumed-role")
_MANY = re.compile(r"example.com:k|TagKeys|CalledVia")
_MAX_MANY = 3
_TRUE, _FALSE = z3.BoolVal(True), z3.BoolVal(False)
ROLE, USER, EC2, LAMBDA, SERVICE, SAML, OTHER_SAML, OIDC, OTHER_OIDC = range(9)
_SERVICES = {"ec2.amazonaws.com": EC2, "lambda.amazonaws.com": LAMBDA}
_OPERATIONS = ("sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity")
_UNSIGNED: dict[str, tuple[str | None, ...]] = {
    "aws:principalaccount": (None, "anonymous"),
    "aws:principaltype": (None, "Anonymous"),
    "aws:principalisawsservice": (None, "false"),
}
"""Values of keys that AWS does not document for requests of identity providers."""


def is_supported(documents: Iterable[PolicyDocument]) -> bool:
    """Whether the encoding covers the documents."""
    text = json.dumps([document.to_json() for document in documents])
    return not any(word in text for word in _UNSUPPORTED) and len(_MANY.findall(text)) <= _MAX_MANY


def is_included(one: PolicyDocument, other: PolicyDocument, milliseconds: int) -> bool | None:
    """Whether everything that `one` may allow is certainly allowed by `other`; None if z3 does not decide in time."""
    request = _Request()
    (_, maybe), (sure, _) = _allowed(request, one), _allowed(request, other)
    return _negated(_solve([z3.And(maybe, z3.Not(sure)), *request.facts], milliseconds))


def is_refuted(one: PolicyDocument, other: PolicyDocument, milliseconds: int, example: RequestWitness) -> bool | None:
    """Whether `one` certainly allows the request and `other` certainly denies it; None if z3 does not decide in time."""
    request = _Request()
    (sure, _), (_, maybe) = _allowed(request, one), _allowed(request, other)
    fixed = request.equations(example.request, has_contexts=example.point.has_contexts)
    return _solve([*fixed, z3.And(sure, z3.Not(maybe)), *request.facts], milliseconds)


def _solve(formulas: Iterable[Any], milliseconds: int) -> bool | None:
    solver = z3.Solver()
    solver.set("timeout", milliseconds)
    solver.add(*formulas)
    return {"sat": True, "unsat": False}.get(str(solver.check()))


def _negated(answer: bool | None) -> bool | None:
    return None if answer is None else not answer


def _class(characters: str) -> Any:
    parts = [z3.Re(character) for character in characters]
    return z3.Union(*parts) if len(parts) > 1 else parts[0]


_ANY = z3.Range(chr(32), chr(126))
_NO_COLON = z3.Union(z3.Range(" ", "9"), z3.Range(";", "~"))
_LETTERS = (z3.Range("a", "z"), z3.Range("A", "Z"), z3.Range("0", "9"))
_NAME = z3.Union(*_LETTERS, _class("_+=,.@-"))
_EXTERNAL_ID = z3.Union(_NAME, _class(":/"))
_TAG = z3.Union(*_LETTERS, _class(" _.:/=+-@"))
_PATH = z3.Union(z3.Range("!", "."), z3.Range("0", "~"))


def _sequence(parts: Sequence[Any]) -> Any:
    return z3.Concat(*parts) if len(parts) > 1 else parts[0] if parts else z3.Re("")


def _like(value: str, one: Any = _ANY) -> Any:
    return _sequence([z3.Star(one) if c == "*" else one if c == "?" else z3.Re(c) for c in value])


def _arn_like(value: str) -> Any:
    found: list[Any] = []
    for index, part in enumerate(value.split(":", 5)):
        if index:
            found.append(z3.Re(":"))
        if part:
            found.append(_like(part, _ANY if index == 5 else _NO_COLON))
    return _sequence(found)


def _ignoring_case(value: str) -> Any:
    return _sequence([_class("".join(sorted({c.lower(), c.upper()}))) for c in value])


def _matches(base: str, values: Iterable[str], text: Any) -> Any:
    if base == "StringEquals":
        return z3.Or(*[text == z3.StringVal(value) for value in values])
    make = {"StringEqualsIgnoreCase": _ignoring_case, "Bool": _ignoring_case, "StringLike": _like}.get(base, _arn_like)
    return z3.Or(*[z3.InRe(text, make(value)) for value in values])


Slot = tuple[Any, Any]
"""Whether the value is present, and the value."""


class _Request:
    """The variables of one request, and what AWS documents about them."""

    def __init__(self) -> None:
        self.kind, self.operation = z3.Int("kind"), z3.Int("operation")
        self.has_contexts = z3.Bool("provided contexts")
        self.account, self.path, self.name = z3.Strings("account path name")
        kind = self.kind
        self.is_principal = kind <= USER
        self.is_provider = kind >= SAML
        self.arn = z3.Concat(
            z3.StringVal("arn:aws:iam::"),
            self.account,
            z3.If(kind == ROLE, z3.StringVal(":role/"), z3.StringVal(":user/")),
            self.path,
            self.name,
        )
        saml = z3.And(kind >= SAML, kind <= OTHER_SAML)
        self.facts: list[Any] = [
            kind >= ROLE,
            kind <= OTHER_OIDC,
            self.operation == z3.If(kind < SAML, 0, z3.If(saml, 1, 2)),
            z3.Implies(self.has_contexts, kind < SAML),
            z3.InRe(self.account, z3.Loop(z3.Range("0", "9"), 12, 12)),
            z3.InRe(self.name, z3.Plus(_NAME)),
            z3.InRe(self.path, z3.Star(z3.Concat(z3.Plus(_PATH), z3.Re("/")))),
        ]
        self._slots: dict[str, list[Slot]] = {}
        self._numbers: dict[str, tuple[Any, Any, Any]] = {}

    def slots(self, key: str) -> list[Slot]:
        """The values of a key."""
        fixed = self._of_caller(key)
        if fixed is not None:
            return [fixed]
        if key not in self._slots:
            self._slots[key] = self._make_slots(key)
        return self._slots[key]

    def _of_caller(self, key: str) -> Slot | None:
        kind = self.kind
        service = z3.And(kind >= EC2, kind <= SERVICE)
        return {
            "aws:principalarn": (self.is_principal, self.arn),
            "aws:principalaccount": (self.is_principal, self.account),
            "aws:username": (kind == USER, self.name),
            "aws:principaltype": (self.is_principal, z3.If(kind == USER, z3.StringVal("User"), z3.StringVal("AssumedRole"))),
            "aws:principalisawsservice": (_TRUE, z3.If(service, z3.StringVal("true"), z3.StringVal("false"))),
        }.get(key)

    def _make_slots(self, key: str) -> list[Slot]:
        if key == "aws:sourceidentity":
            [(present, value)] = self.slots("sts:sourceidentity")
            kept = z3.Bool("kept identity")
            self.facts.append(z3.Implies(kept, z3.And(present, self.kind == ROLE)))
            return [(kept, value)]
        many = key in {"aws:tagkeys", "sts:transitivetagkeys", "aws:calledvia"} or key.startswith("example.com:")
        found = [(z3.Bool(f"{key} {i} present"), z3.String(f"{key} {i}")) for i in range(SLOTS if many else 1)]
        for before, after in pairwise(found):
            self.facts.append(z3.Implies(after[0], before[0]))
        self.facts += [z3.InRe(value, self._form(key)) for _, value in found]
        present = found[0][0]
        if key in {"sts:rolesessionname", "aws:securetransport"}:
            self.facts.append(present)
        if key.startswith("aws:multifactorauth"):
            self.facts.append(z3.Implies(present, self.is_principal))
        if key == "sts:externalid":
            self.facts.append(z3.Implies(present, z3.Not(self.is_provider)))
        if key.startswith("aws:requesttag/"):
            name = _ignoring_case(key.partition("/")[2])
            listed = z3.Or(*[z3.And(p, z3.InRe(value, name)) for p, value in self.slots("aws:tagkeys")])
            self.facts.append(present == listed)
        return found

    @staticmethod
    def _form(key: str) -> Any:
        """The values of a key. One character of a session name is not certain: it is neither in a proof nor an example."""
        forms = {
            "aws:tagkeys": z3.Plus(_TAG),
            "sts:transitivetagkeys": z3.Plus(_TAG),
            "sts:externalid": z3.Concat(_EXTERNAL_ID, z3.Plus(_EXTERNAL_ID)),
            "sts:rolesessionname": z3.Plus(_NAME),
            "sts:sourceidentity": z3.Concat(_NAME, z3.Plus(_NAME)),
            "aws:securetransport": z3.Re("true"),
            "aws:multifactorauthpresent": z3.Union(z3.Re("true"), z3.Re("false")),
        }
        return forms.get(key, z3.Star(_TAG if key.startswith("aws:requesttag/") else _ANY))

    def equations(self, example: Request, *, has_contexts: bool) -> Iterator[Any]:
        """That the request is this one."""
        arn = example.principal.arn
        yield self.has_contexts == has_contexts
        named = {**_SERVICES, "token.actions.githubusercontent.com": OIDC}
        if ":role/" in arn or ":user/" in arn:
            yield self.kind == (ROLE if ":role/" in arn else USER)
            tail = arn.split(":", 5)[5].partition("/")[2]
            path, slash, name = tail.rpartition("/")
            for variable, value in ((self.account, arn.split(":")[4]), (self.path, path + slash), (self.name, name)):
                yield variable == z3.StringVal(value)
        elif ":saml-provider/" in arn:
            yield self.kind == (OTHER_SAML if "rolecall-other" in arn else SAML)
        else:
            yield self.kind == named.get(arn, SERVICE if ".amazonaws.com" in arn else OTHER_OIDC)
        for key, values in example.context.items():
            yield from self._values(key.lower(), (values,) if isinstance(values, str) else values)

    def _values(self, key: str, values: tuple[str, ...]) -> Iterator[Any]:
        if key.endswith("age"):
            present, number = self.number(key)
            yield present if values else z3.Not(present)
            yield from (number == int(value) for value in values)
            return
        slots = self.slots(key)
        assert len(values) <= len(slots)
        for index, (present, slot) in enumerate(slots):
            yield present if index < len(values) else z3.Not(present)
            if index < len(values):
                yield slot == z3.StringVal(values[index])

    def number(self, key: str) -> tuple[Any, Any]:
        """Whether a numeric key is present, and its value."""
        if key not in self._numbers:
            present, value = z3.Bool(f"{key} present"), z3.Int(key)
            [(mfa, is_true)] = self.slots("aws:multifactorauthpresent")
            with_mfa = z3.And(self.is_principal, mfa, is_true == z3.StringVal("true"))
            self.facts += [value >= 0, z3.Implies(present, with_mfa)]
            self._numbers[key] = (present, value, None)
        return self._numbers[key][0], self._numbers[key][1]


_NEGATIONS = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NumericNotEquals": "NumericEquals",
}
_ORDERS = {
    "NumericEquals": lambda have, want: have == want,
    "NumericLessThan": lambda have, want: have < want,
    "NumericGreaterThanEquals": lambda have, want: have >= want,
}
Pair = tuple[Any, Any]
"""Requests for which something holds for certain, and for which it may hold."""


def _test(request: _Request, condition: Condition) -> Pair:
    key = condition.key.lower()
    plain = _outcome(request, condition, request.number(key) if "Age" in condition.key else None, None)
    if key not in _UNSIGNED:
        return plain
    if key == "aws:principalaccount":
        # Whether a service has the key is not documented; it is in no account that a policy names.
        sure, maybe = _outcome(request, condition, None, [_constant("0" * 12)])
        service = z3.And(request.kind >= EC2, request.kind <= SERVICE)
        plain = z3.If(service, z3.And(plain[0], sure), plain[0]), z3.If(service, z3.Or(plain[1], maybe), plain[1])
    options = [_outcome(request, condition, None, [_constant(value)]) for value in _UNSIGNED[key]]
    sure = z3.If(request.is_provider, z3.And(plain[0], *[s for s, _ in options]), plain[0])
    return sure, z3.If(request.is_provider, z3.Or(plain[1], *[m for _, m in options]), plain[1])


def _constant(value: str | None) -> Slot:
    return (_FALSE if value is None else _TRUE), z3.StringVal(value or "")


def _outcome(request: _Request, condition: Condition, number: Pair | None, slots: list[Slot] | None) -> Pair:
    parsed = re.match(r"^(?:(ForAllValues|ForAnyValue):)?([A-Za-z]+?)(IfExists)?$", condition.operator)
    assert parsed is not None
    quantifier, base, if_exists = parsed.groups()
    negated, base = base in _NEGATIONS, _NEGATIONS.get(base, base)
    if base == "Null":
        there = (
            number[0]
            if number
            else z3.Or(*[z3.And(p, v != z3.StringVal("")) for p, v in request.slots(condition.key.lower())])
        )
        formula = z3.Or(*[there if value.lower() == "false" else z3.Not(there) for value in condition.values])
        return formula, formula
    if number is not None:
        values = [(number[0], None)]
        hits = [z3.Or(*[_ORDERS[base](number[1], z3.RealVal(value)) for value in condition.values])]
        filled = [_TRUE]
    else:
        values = slots or request.slots(condition.key.lower())
        hits = [_matches(base, condition.values, value) for _, value in values]
        filled = [value != z3.StringVal("") for _, value in values]
    good = [z3.Not(hit) if negated else hit for hit in hits]
    present = values[0][0]
    several = values[1][0] if len(values) > 1 else _FALSE
    counted = [z3.And(p, z3.Or(not_empty, several)) for (p, _), not_empty in zip(values, filled, strict=True)]
    if quantifier == "ForAllValues":
        formula = z3.And(*[z3.Implies(c, g) for c, g in zip(counted, good, strict=True)])
        return formula, formula
    if quantifier == "ForAnyValue":
        some = z3.Or(*[z3.And(c, g) for c, g in zip(counted, good, strict=True)])
        formula = z3.If(present, some, z3.BoolVal(bool(if_exists)))
        return formula, formula
    sure = z3.If(present, z3.And(z3.Not(several), good[0]), z3.BoolVal(negated or bool(if_exists)))
    return sure, z3.Or(sure, several)


def _named(request: _Request, principals: Iterable[Principal]) -> Any:
    found = [_FALSE]
    for principal in principals:
        text = principal.identifier
        if text == "*":
            return _TRUE
        if principal.type == "Service":
            found.append(request.kind == _SERVICES[text])
        elif principal.type == "Federated":
            found.append(request.kind == (SAML if ":saml-provider/" in text else OIDC))
        elif text.isdigit() or text.endswith(":root"):
            account = text if text.isdigit() else text.split(":")[4]
            found.append(z3.And(request.is_principal, request.account == z3.StringVal(account)))
        else:
            found.append(z3.And(request.is_principal, request.arn == z3.StringVal(text)))
    return z3.Or(*found)


def _concerns(statement: Statement, action: str) -> bool:
    patterns = statement.actions or statement.not_actions
    matching = any(fnmatch.fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns)
    return matching is bool(statement.actions)


def _allowed(request: _Request, document: PolicyDocument) -> Pair:
    statements = []
    for statement in document.statements:
        tests = [_test(request, condition) for condition in statement.conditions]
        named = _named(request, statement.principals)
        statements.append((statement, z3.And(named, *[s for s, _ in tests]), z3.And(named, *[m for _, m in tests])))

    def action(name: str) -> Pair:
        concerned = [each for each in statements if _concerns(each[0], name)]
        allows = [each for each in concerned if each[0].effect == "Allow"]
        denies = [each for each in concerned if each[0].effect == "Deny"]
        sure = z3.And(z3.Or(_FALSE, *[s for _, s, _ in allows]), z3.Not(z3.Or(_FALSE, *[m for _, _, m in denies])))
        maybe = z3.And(z3.Or(_FALSE, *[m for _, _, m in allows]), z3.Not(z3.Or(_FALSE, *[s for _, s, _ in denies])))
        return sure, maybe

    by_action = {name: action(name) for name in (*_OPERATIONS, "sts:TagSession", "sts:SetSourceIdentity", "sts:SetContext")}
    tags = z3.Or(request.slots("aws:tagkeys")[0][0], request.slots("sts:transitivetagkeys")[0][0])
    identity = request.slots("sts:sourceidentity")[0][0]

    def whole(index: int) -> Any:
        first, second, third = (by_action[name][index] for name in _OPERATIONS)
        return z3.And(
            z3.If(request.operation == 0, first, z3.If(request.operation == 1, second, third)),
            z3.Implies(tags, by_action["sts:TagSession"][index]),
            z3.Implies(identity, by_action["sts:SetSourceIdentity"][index]),
            z3.Implies(request.has_contexts, by_action["sts:SetContext"][index]),
        )

    return whole(0), whole(1)
