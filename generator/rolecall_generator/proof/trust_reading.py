"""Determines which callers a trust policy distinguishes, and which of its conditions cannot be searched.

A policy distinguishes callers by its Principal elements and by conditions on `CALLER_KEYS`, whose values depend on the
caller. Conditions on other keys are decided in favor of the caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from functools import lru_cache

from rolecall_generator.iam import Arn, Condition, PolicyDocument, Principal, Role, Statement
from rolecall_generator.iam.evaluation import PrincipalKind, identity_of
from rolecall_generator.iam.matching import (
    NoPatterns,
    Patterns,
    UnsupportedError,
    compile_condition,
    literal,
    patterns_of,
    variables_of,
)
from rolecall_generator.proof.witnesses import CallerViews

_ARN, _ACCOUNT, _NAME = "aws:principalarn", "aws:principalaccount", "aws:username"
_SERVICE = "aws:principalisawsservice"
_SEARCHED = frozenset({_ARN, _ACCOUNT, _NAME})
CALLER_KEYS = _SEARCHED | {_SERVICE, "aws:principaltype"}
"""Condition keys (lower case) determined by the caller. The last two are the same for all users, and for all roles."""


@dataclass(frozen=True, slots=True)
class TrustReading:
    """Analysis of one role's trust policy.

    `views` are the patterns that the policy compares with users and roles. `open`: it can allow callers that its Principal
    elements do not name individually. `sessions` are ARNs of role sessions named as principals.

    `relaxed` is the policy with every condition that cannot be searched decided in favor of the caller, None if there is no
    such condition; `indeterminate` lists the reasons. `relaxed_for_providers` is the same for conditions that depend on keys
    of unsigned requests, such as those of identity providers: whether these have aws:PrincipalIsAWSService is not
    documented, and aws:PrincipalAccount may be "anonymous" ("Anonymous requests return anonymous.", AWS global condition
    context keys).
    """

    views: CallerViews
    open: bool
    sessions: tuple[str, ...]
    relaxed: PolicyDocument | None
    relaxed_for_providers: PolicyDocument | None
    indeterminate: tuple[str, ...]


CLOSED = TrustReading(CallerViews(), open=False, sessions=(), relaxed=None, relaxed_for_providers=None, indeterminate=())
"""A trust policy that only allows users, roles and services that it names individually; each is decided separately."""


def read_trust(role: Role, trust: PolicyDocument, intended: Set[str], delegated: Set[str]) -> TrustReading:
    """Analyze a trust policy. The views also distinguish the ARNs `intended` and the account IDs `delegated`."""
    if all(
        _is_closed(principal)
        for statement in trust.statements
        if statement.effect == "Allow"
        for principal in statement.principals
    ):
        return CLOSED
    parsed = Arn.parse(role.arn)
    partition = parsed.partition if parsed else "aws"
    context = role_context(role)
    variables = trust.version == PolicyDocument.VERSION
    sessions = tuple(dict.fromkeys(_sessions(trust)))
    arns: dict[Patterns, None] = {}
    accounts: dict[Patterns, None] = {}
    names: dict[Patterns, None] = {}
    indeterminate: dict[Condition, str] = {}
    for statement in trust.statements:
        _read_principals(statement.principals, partition, arns, accounts)
        for condition in statement.conditions:
            key = condition.key.lower()
            found = _patterns(condition, context, variables=variables)
            if isinstance(found, frozenset):
                {_ARN: arns, _ACCOUNT: accounts, _NAME: names}[key].setdefault(found)
            elif found is not NoPatterns.NONE_NEEDED:
                indeterminate.setdefault(condition, indeterminate_reason(condition, found))
    if intended_arns := _literals(
        arn for arn in intended if identity_of(arn).kind in {PrincipalKind.USER, PrincipalKind.ROLE}
    ):
        arns.setdefault(intended_arns)
    for account in sorted(delegated):
        accounts.setdefault(_literals([account]))
    for session in sessions:
        identity = identity_of(session)
        accounts.setdefault(_literals([identity.account_id]))
        names.setdefault(_literals([(identity.role or "").rpartition("/")[2]]))
    of_providers = {
        condition
        for statement in trust.statements
        for condition in statement.conditions
        if _depends_on_service(condition) or _distinguishes_anonymous(condition)
    }
    return TrustReading(
        CallerViews(tuple(arns), tuple(accounts), tuple(names)),
        any(map(_is_open, trust.statements)),
        sessions if arns else (),
        relax(trust, indeterminate.keys()) if indeterminate else None,
        relax(trust, of_providers) if of_providers else None,
        tuple(dict.fromkeys(indeterminate.values())),
    )


def indeterminate_reason(condition: Condition, shape: NoPatterns) -> str:
    """Why the condition cannot be searched."""
    return f"{condition.operator} on {condition.key}: {shape.value}"


def role_context(role: Role) -> Mapping[str, tuple[str, ...]]:
    """The context keys determined by the role, with their values."""
    parsed = Arn.parse(role.arn)
    tags = {f"{prefix}:resourcetag/{key.lower()}": (value,) for prefix in ("aws", "iam") for key, value in role.tags.items()}
    return {"aws:resourceaccount": (parsed.account_id if parsed else "",), **tags}


def _patterns(condition: Condition, context: Mapping[str, tuple[str, ...]], *, variables: bool) -> Patterns | NoPatterns:
    try:
        if condition.key.lower() in _SEARCHED:
            return patterns_of(condition, context, CALLER_KEYS, variables=variables)
        related = variables and any("${" in value for value in condition.values) and variables_of(condition) & CALLER_KEYS
        return NoPatterns.RELATION if related else NoPatterns.NONE_NEEDED
    except UnsupportedError:
        # The evaluator cannot decide such a condition for any caller.
        return NoPatterns.NONE_NEEDED


def _depends_on_service(condition: Condition) -> bool:
    return condition.key.lower() == _SERVICE or any(_SERVICE in value.lower() for value in condition.values)


def _distinguishes_anonymous(condition: Condition) -> bool:
    """Whether the outcome of a condition on the caller's account differs between "anonymous" and no account."""
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
    if users_and_roles := _literals(
        text for text in named if identity_of(text).kind in {PrincipalKind.USER, PrincipalKind.ROLE}
    ):
        arns.setdefault(users_and_roles)
    if accounts_named := _literals(account for text in named if (account := account_of(text, partition)) is not None):
        accounts.setdefault(accounts_named)


def account_of(principal: str, partition: str) -> str | None:
    """The account ID of a principal that is a whole account; None for any other principal or partition."""
    if principal.isdigit():
        return principal
    parsed = Arn.parse(principal)
    return parsed.account_id if parsed is not None and parsed.resource == "root" and parsed.partition == partition else None


def _is_closed(principal: Principal) -> bool:
    """Whether the principal is one user, role or service."""
    return principal.type == "Service" or identity_of(principal.identifier).kind in _ONE_PRINCIPAL


_ONE_PRINCIPAL = frozenset({PrincipalKind.USER, PrincipalKind.ROLE})


def _is_open(statement: Statement) -> bool:
    """Whether the statement allows callers that it does not name individually."""
    return statement.effect == "Allow" and any(
        principal.type in {"AWS", "*"}
        and (principal.identifier == "*" or principal.identifier.isdigit() or principal.identifier.endswith(":root"))
        for principal in statement.principals
    )


def _sessions(trust: PolicyDocument) -> Iterator[str]:
    for statement in trust.statements:
        for principal in statement.principals:
            identity = identity_of(principal.identifier)
            if (
                statement.effect == "Allow"
                and principal.type == "AWS"
                and identity.kind is PrincipalKind.SESSION
                and identity.role is not None
            ):
                yield principal.identifier


def _literals(texts: Iterable[str]) -> Patterns:
    return _literals_of(frozenset(texts))


@lru_cache(maxsize=4_096)
def _literals_of(texts: frozenset[str]) -> Patterns:
    return frozenset(map(literal, texts))


def relax(trust: PolicyDocument, conditions: Set[Condition]) -> PolicyDocument:
    """Return the policy without these conditions in Allow statements, and without Deny statements that have one of them."""
    statements = []
    for statement in trust.statements:
        remaining = tuple(condition for condition in statement.conditions if condition not in conditions)
        if len(remaining) == len(statement.conditions) or statement.effect == "Allow":
            statements.append(replace(statement, conditions=remaining))
    return PolicyDocument(tuple(statements), trust.version)
