"""What a trust policy can tell apart about its callers, and which of its conditions cannot be searched.

The policy sees a caller through its Principal elements and through conditions on the keys of `CALLER_KEYS`, which the caller
decides. All other keys are free in the proof: a condition on them is taken as the caller wishes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from functools import lru_cache

from rolecall_generator.iam import POLICY_VERSION, Condition, PolicyDocument, Principal, Role, Statement, parse_arn
from rolecall_generator.iam.evaluation import (
    Patterns,
    PrincipalKind,
    Shape,
    UnsupportedError,
    compile_condition,
    identity_of,
    literal,
    patterns_of,
    variables_of,
)
from rolecall_generator.proof.witnesses import CallerViews

_ARN, _ACCOUNT, _NAME = "aws:principalarn", "aws:principalaccount", "aws:username"
_SERVICE = "aws:principalisawsservice"
_SEARCHED = frozenset({_ARN, _ACCOUNT, _NAME})
CALLER_KEYS = _SEARCHED | {_SERVICE, "aws:principaltype"}
"""Condition keys (lower case) that who calls decides. The last two are the same for all users, and for all roles."""


@dataclass(frozen=True, slots=True)
class TrustReading:
    """What is read of one role's trust policy.

    `views` are the patterns held against a user or role. `open`: others than those that Principal elements name one by one
    can be let in. `sessions` are ARNs of role sessions named as principals. `relaxed` is the policy in which each condition
    that cannot be searched is decided as the caller wishes, None where all can be; `doubts` say which, and why. In
    `relaxed_for_providers` only those are that depend on how AWS fills keys of requests that are not signed, as those of
    identity providers: whether they carry aws:PrincipalIsAWSService is not documented, and aws:PrincipalAccount may be
    "anonymous" ("Anonymous requests return anonymous.", AWS global condition context keys).
    """

    views: CallerViews
    open: bool
    sessions: tuple[str, ...]
    relaxed: PolicyDocument | None
    relaxed_for_providers: PolicyDocument | None
    doubts: tuple[str, ...]


CLOSED = TrustReading(CallerViews(), open=False, sessions=(), relaxed=None, relaxed_for_providers=None, doubts=())
"""A trust policy that lets in only users, roles and services that it names one by one: each of them is decided by itself."""


def read_trust(role: Role, trust: PolicyDocument, intended: Set[str], delegated: Set[str]) -> TrustReading:
    """Read a trust policy. The ARNs `intended` and the account ids `delegated` are told from all others as well."""
    if all(
        _is_closed(principal)
        for statement in trust.statements
        if statement.effect == "Allow"
        for principal in statement.principals
    ):
        return CLOSED
    parsed = parse_arn(role.arn)
    partition = parsed.partition if parsed else "aws"
    said = role_context(role)
    variables = trust.version == POLICY_VERSION
    sessions = tuple(dict.fromkeys(_sessions(trust)))
    arns: dict[Patterns, None] = {}
    accounts: dict[Patterns, None] = {}
    names: dict[Patterns, None] = {}
    doubts: dict[Condition, str] = {}
    for statement in trust.statements:
        _read_principals(statement.principals, partition, arns, accounts)
        for condition in statement.conditions:
            key = condition.key.lower()
            found = _patterns(condition, said, variables=variables)
            if isinstance(found, frozenset):
                {_ARN: arns, _ACCOUNT: accounts, _NAME: names}[key].setdefault(found)
            elif found is not Shape.NONE_NEEDED:
                doubts.setdefault(condition, doubt_of(condition, found))
    if meant := _literals(arn for arn in intended if identity_of(arn).kind in {PrincipalKind.USER, PrincipalKind.ROLE}):
        arns.setdefault(meant)
    for account in sorted(delegated):
        accounts.setdefault(_literals([account]))
    for session in sessions:
        who = identity_of(session)
        accounts.setdefault(_literals([who.account_id]))
        names.setdefault(_literals([(who.role or "").rpartition("/")[2]]))
    of_providers = {
        condition
        for statement in trust.statements
        for condition in statement.conditions
        if _asks_service(condition) or _tells_anonymous(condition)
    }
    return TrustReading(
        CallerViews(tuple(arns), tuple(accounts), tuple(names)),
        any(map(_is_open, trust.statements)),
        sessions if arns else (),
        relax(trust, doubts.keys()) if doubts else None,
        relax(trust, of_providers) if of_providers else None,
        tuple(dict.fromkeys(doubts.values())),
    )


def doubt_of(condition: Condition, shape: Shape) -> str:
    """Why the condition cannot be searched."""
    return f"{condition.operator} on {condition.key}: {shape.value}"


def role_context(role: Role) -> Mapping[str, tuple[str, ...]]:
    """The context keys that the role itself decides, with their values."""
    parsed = parse_arn(role.arn)
    tags = {f"{prefix}:resourcetag/{key.lower()}": (value,) for prefix in ("aws", "iam") for key, value in role.tags.items()}
    return {"aws:resourceaccount": (parsed.account_id if parsed else "",), **tags}


def _patterns(condition: Condition, said: Mapping[str, tuple[str, ...]], *, variables: bool) -> Patterns | Shape:
    try:
        if condition.key.lower() in _SEARCHED:
            return patterns_of(condition, said, CALLER_KEYS, variables=variables)
        related = variables and any("${" in value for value in condition.values) and variables_of(condition) & CALLER_KEYS
        return Shape.RELATION if related else Shape.NONE_NEEDED
    except UnsupportedError:
        # The evaluator refuses to decide by such a statement, whoever calls.
        return Shape.NONE_NEEDED


def _asks_service(condition: Condition) -> bool:
    return condition.key.lower() == _SERVICE or any(_SERVICE in value.lower() for value in condition.values)


def _tells_anonymous(condition: Condition) -> bool:
    """Whether a condition on the caller's account is decided otherwise for "anonymous" than without an account."""
    if any(_ACCOUNT in value.lower() for value in condition.values):
        return True
    if condition.key.lower() != _ACCOUNT:
        return False
    try:
        test = compile_condition(condition, variables=False)
    except UnsupportedError:
        return True
    return test.run({_ACCOUNT: ("anonymous",)}) is not test.run({_ACCOUNT: ()})


def _read_principals(
    principals: tuple[Principal, ...], partition: str, arns: dict[Patterns, None], accounts: dict[Patterns, None]
) -> None:
    named = [principal.identifier for principal in principals if principal.type == "AWS"]
    if people := _literals(text for text in named if identity_of(text).kind in {PrincipalKind.USER, PrincipalKind.ROLE}):
        arns.setdefault(people)
    if whole := _literals(account for text in named if (account := account_of(text, partition)) is not None):
        accounts.setdefault(whole)


def account_of(principal: str, partition: str) -> str | None:
    """The id of the account that a principal names as a whole; None for anybody else, or in another partition."""
    if principal.isdigit():
        return principal
    parsed = parse_arn(principal)
    return parsed.account_id if parsed is not None and parsed.resource == "root" and parsed.partition == partition else None


def _is_closed(principal: Principal) -> bool:
    """Whether the principal is one user, role or service."""
    return principal.type == "Service" or identity_of(principal.identifier).kind in _ONE_PRINCIPAL


_ONE_PRINCIPAL = frozenset({PrincipalKind.USER, PrincipalKind.ROLE})


def _is_open(statement: Statement) -> bool:
    """Whether the statement lets in callers that it does not name one by one."""
    return statement.effect == "Allow" and any(
        principal.type in {"AWS", "*"}
        and (principal.identifier == "*" or principal.identifier.isdigit() or principal.identifier.endswith(":root"))
        for principal in statement.principals
    )


def _sessions(trust: PolicyDocument) -> Iterator[str]:
    for statement in trust.statements:
        for principal in statement.principals:
            who = identity_of(principal.identifier)
            if (
                statement.effect == "Allow"
                and principal.type == "AWS"
                and who.kind is PrincipalKind.SESSION
                and who.role is not None
            ):
                yield principal.identifier


def _literals(texts: Iterable[str]) -> Patterns:
    return _literals_of(frozenset(texts))


@lru_cache(maxsize=4_096)
def _literals_of(texts: frozenset[str]) -> Patterns:
    return frozenset(map(literal, texts))


def relax(trust: PolicyDocument, conditions: Set[Condition]) -> PolicyDocument:
    """The policy with these conditions decided for the caller: an Allow goes without them, a Deny does not hold."""
    kept = []
    for statement in trust.statements:
        left = tuple(condition for condition in statement.conditions if condition not in conditions)
        if len(left) == len(statement.conditions) or statement.effect == "Allow":
            kept.append(replace(statement, conditions=left))
    return PolicyDocument(tuple(kept), trust.version)
