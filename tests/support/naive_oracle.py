"""AWS's evaluation logic for AssumeRole, implemented as plainly as possible on JSON documents and without optimization.

It shares no code with the evaluator. Pages: "How AWS enforcement code logic evaluates requests to allow or deny
access", "Cross-account policy evaluation logic", "IAM JSON policy elements: Condition operators", "AWS JSON policy elements:
Principal", "Session policies" (IAM User Guide), November 2026.

Results: allow, explicit deny, implicit deny. Cases that AWS does not document are omitted and never generated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Document = Sequence[Mapping[str, Any]]
Context = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class NaiveCaller:
    """A user, a role, or a session of a role (then `session` is its ARN); `account` is its account."""

    arn: str
    account: str
    session: str | None = None
    identity: Document = ()
    boundary: Document | None = None
    session_policies: Document | None = None

    @property
    def is_user(self) -> bool:
        return ":user/" in self.arn


def decide(
    caller: NaiveCaller, role: str, trust: Document, said: Mapping[str, Sequence[str]], tags: Mapping[str, str]
) -> str:
    """Decide one AssumeRole request."""
    context = _context(caller, role, said, tags)
    trusting = [s for s in trust if _principal_of(s, caller) is not None and _concerns(s, None, context)]
    sides = [caller.identity, caller.boundary or (), caller.session_policies or ()]
    own = [[s for s in side if _concerns(s, role, context)] for side in sides]
    if any(s["Effect"] == "Deny" for side in (trusting, *own) for s in side):
        return "explicit deny"
    reaches = [_principal_of(s, caller) for s in trusting if s["Effect"] == "Allow"]
    if not reaches:
        return "implicit deny"
    allows = [any(s["Effect"] == "Allow" for s in side) for side in own]
    bounded = (caller.boundary is None or allows[1]) and (caller.session_policies is None or allows[2])
    if caller.account != role.split(":")[4]:
        return "allow" if allows[0] and bounded else "implicit deny"
    if "direct" in reaches:
        return "allow"
    if "role" in reaches:
        return "allow" if bounded else "implicit deny"
    return "allow" if allows[0] and bounded else "implicit deny"


def _context(caller: NaiveCaller, role: str, said: Mapping[str, Sequence[str]], tags: Mapping[str, str]) -> Context:
    context = {key.lower(): list(values) for key, values in said.items()}
    for key in [key for key in context if key.startswith(("aws:resourcetag/", "iam:resourcetag/"))]:
        del context[key]
    for key, value in tags.items():
        context[f"aws:resourcetag/{key.lower()}"] = [value]
        context[f"iam:resourcetag/{key.lower()}"] = [value]
    context["aws:principalarn"] = [caller.arn]
    context["aws:principalaccount"] = [caller.account]
    context["aws:principaltype"] = ["User" if caller.is_user else "AssumedRole"]
    context["aws:username"] = [caller.arn.split("/")[-1]] if caller.is_user else []
    context["aws:principalisawsservice"] = ["false"]
    context["aws:resourceaccount"] = [role.split(":")[4]]
    return context


def _principal_of(statement: Mapping[str, Any], caller: NaiveCaller) -> str | None:
    """How the statement matches the caller: direct, role, account, or not at all."""
    principal = statement["Principal"]
    named = ["*"] if principal == "*" else _list(principal.get("AWS", []))
    if "*" in named or caller.session in named or (caller.is_user and caller.arn in named):
        return "direct"
    if not caller.is_user and caller.arn in named:
        return "role"
    if caller.account in named or f"arn:aws:iam::{caller.account}:root" in named:
        return "account"
    return None


def _concerns(statement: Mapping[str, Any], resource: str | None, context: Context) -> bool:
    """Whether action, resource and conditions match sts:AssumeRole on the resource."""
    action = "sts:assumerole"
    if "Action" in statement:
        if not any(matches(pattern.lower(), action) for pattern in _list(statement["Action"])):
            return False
    elif any(matches(pattern.lower(), action) for pattern in _list(statement["NotAction"])):
        return False
    if resource is not None and not any(matches(pattern, resource) for pattern in _list(statement["Resource"])):
        return False
    return all(
        _holds(operator, key.lower(), _list(values), context)
        for operator, keys in statement.get("Condition", {}).items()
        for key, values in keys.items()
    )


def _holds(operator: str, key: str, wanted: Sequence[str], context: Context) -> bool:
    have = list(context.get(key, []))
    if operator == "Null":
        return ("false" if [value for value in have if value] else "true") in wanted
    quantifier, _, rest = operator.rpartition(":")
    if_exists = rest.endswith("IfExists")
    rest = rest.removesuffix("IfExists")
    negated = "Not" in rest
    plain = rest.replace("Not", "")

    def one(value: str) -> bool:
        return any(_compare(plain, want, value) for want in wanted) != negated

    if quantifier == "ForAllValues":
        return all(one(value) for value in have)
    if quantifier == "ForAnyValue":
        return any(one(value) for value in have) if have else if_exists
    return one(have[0]) if have else negated or if_exists


def _compare(operator: str, want: str, have: str) -> bool:
    if operator == "StringEquals":
        return want == have
    if operator == "StringEqualsIgnoreCase":
        return want.lower() == have.lower()
    if operator == "StringLike":
        return matches(want, have)
    if operator in {"ArnLike", "ArnEquals"}:
        wants, haves = want.split(":", 5), have.split(":", 5)
        return len(haves) == 6 and all(matches(w, h) for w, h in zip(wants, haves, strict=True))
    if operator == "Bool":
        return want.lower() == have.lower()
    if operator.startswith("Numeric"):
        left, right = float(have), float(want)
        return {
            "NumericEquals": left == right,
            "NumericLessThan": left < right,
            "NumericLessThanEquals": left <= right,
            "NumericGreaterThan": left > right,
            "NumericGreaterThanEquals": left >= right,
        }[operator]
    raise AssertionError(operator)


def matches(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(matches(pattern[1:], text[place:]) for place in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and matches(pattern[1:], text[1:])


def _list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
