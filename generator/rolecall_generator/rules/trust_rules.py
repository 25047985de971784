"""RC1xx: principals and conditions of trust policies.

Sources are on the pages of the rules, docs/rules/RC1xx.md.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from rolecall_generator.findings import Severity
from rolecall_generator.iam import Arn, Condition, Principal, Role, Statement
from rolecall_generator.iam.matching import find_operator, wildcard
from rolecall_generator.rules.rule import (
    CheckContext,
    Hit,
    Owner,
    named,
    over_access,
    over_all_statements,
    over_trusts,
    rule,
)

SHORT_EXTERNAL_ID_CHARACTERS = 16
"""Shorter external IDs are likely to be names or numbers that several customers share."""

_EXTERNAL_ID = "sts:externalid"
_MFA = "aws:multifactorauthpresent"
_CALLER_KEYS = frozenset({
    "aws:principalarn", "aws:principalaccount", "aws:principalorgid", "aws:principalorgpaths", "aws:userid", "aws:username",
    "aws:sourceaccount", "aws:sourcearn", "aws:sourceorgid",
})  # fmt: skip
"""Condition keys that identify the caller. The external ID does not, because it is not a secret."""
_PRINCIPAL_ID = re.compile(r"^A(ROA|IDA|GPA)[A-Z0-9]{12,}$")
_ARN_CONSTANTS = re.compile(r"\b(arn|aws(-[a-z]+)*|iam|sts|role|user|assumed-role|root)\b")
_NAME_ROLE_OR_REQUIRE_MFA = (
    "name the role as principal, or add a condition ArnEquals on aws:PrincipalArn; "
    "for users, require MFA with Bool aws:MultiFactorAuthPresent"
)
_ONLY_WILDCARDS = re.compile(r"[*?:/]*")


def _requires_value(operator: str) -> bool:
    """Whether the operator requires the key to be present and to match one of the values, as a string or ARN."""
    use = find_operator(operator, any_case=True)
    return use is not None and use.operator.text is not None and not use.operator.negated and not use.holds_when_absent


def _allows_assume_role(statement: Statement) -> bool:
    return statement.effect == "Allow" and (
        not statement.actions or any(wildcard(action.lower())("sts:assumerole") for action in statement.actions)
    )


def _restricts_caller(statement: Statement, *, within_account: bool = False) -> bool:
    """Whether a condition restricts the caller. `within_account`: only count restrictions within the account."""
    return any(
        condition.key.lower() in _CALLER_KEYS
        and not (within_account and condition.key.lower() == "aws:principalaccount")
        and _requires_value(condition.operator)
        and not any(_matches_everyone(value, within_account=within_account) for value in condition.values)
        for condition in statement.conditions
    )


def _matches_everyone(value: str, *, within_account: bool) -> bool:
    """Whether a pattern consists only of wildcards and constant parts of ARNs, as in `arn:aws:iam::*:role/*`."""
    if within_account and value.startswith("arn:"):
        value = value.split(":", 5)[-1]
    return _ONLY_WILDCARDS.fullmatch(_ARN_CONSTANTS.sub("", value)) is not None


def _requires_mfa(statement: Statement) -> bool:
    return any(
        condition.key.lower() == _MFA and condition.operator.lower() == "bool" and _all_true(condition)
        for condition in statement.conditions
    )


def _all_true(condition: Condition) -> bool:
    return {value.lower() for value in condition.values} == {"true"}


def _is_wildcard(principal: Principal) -> bool:
    return principal.type in {"*", "AWS"} and principal.identifier == "*"


def root_account(principal: Principal) -> str | None:
    """The account ID of a principal that is a whole account (root ARN or account ID); None for any other principal."""
    if principal.type != "AWS":
        return None
    parsed = Arn.parse(principal.identifier)
    if parsed is not None:
        return parsed.account_id if parsed.service == "iam" and parsed.resource == "root" else None
    return principal.identifier if re.fullmatch(r"[0-9]{12}", principal.identifier) else None


@rule(
    "RC101",
    "Trust policy with a wildcard principal",
    Severity.ERROR,
    over_trusts,
    hint="use the role that may assume it as principal",
)
def wildcard_principal(_context: CheckContext, _role: Role, statement: Statement) -> Iterator[Hit]:
    """Principal `*` without a condition on the caller."""
    if _allows_assume_role(statement) and any(map(_is_wildcard, statement.principals)) and not _restricts_caller(statement):
        yield Hit(f"trusts every AWS account: {named(statement)} has the principal * and no condition on the caller")


@rule(
    "RC102",
    "Trust policy with a whole account and no condition",
    Severity.ERROR,
    over_trusts,
    hint="name the role as principal, or add a condition ArnEquals on aws:PrincipalArn",
)
def whole_account(context: CheckContext, role: Role, statement: Statement) -> Iterator[Hit]:
    """A whole account as principal without a condition on the caller; for users, an MFA condition is enough."""
    if not _allows_assume_role(statement) or _restricts_caller(statement, within_account=True):
        return
    is_customer = role.arn in context.customer_roles
    if not is_customer and _requires_mfa(statement):
        return
    for account in filter(None, map(root_account, statement.principals)):
        yield Hit(
            f"trusts all of account {account}: {named(statement)} names the account without a condition on the caller",
            None if is_customer else _NAME_ROLE_OR_REQUIRE_MFA,
            Severity.ERROR if is_customer else Severity.WARNING,
        )


def external_ids_of(statement: Statement) -> tuple[str, ...]:
    """The external IDs that the statement requires, any of which is sufficient; empty if it requires none."""
    return tuple(
        value
        for condition in statement.conditions
        if condition.key.lower() == _EXTERNAL_ID and _requires_value(condition.operator)
        for value in condition.values
    )


@rule(
    "RC103",
    "Customer role without an external ID",
    Severity.ERROR,
    over_trusts,
    hint="generate one for this customer and require it with StringEquals on sts:ExternalId",
)
def missing_external_id(context: CheckContext, role: Role, statement: Statement) -> Iterator[Hit]:
    """Trust policies of customer roles that allow a caller without an external ID."""
    if role.arn not in context.customer_roles or not _allows_assume_role(statement) or external_ids_of(statement):
        return
    if not any(principal.type in {"AWS", "*"} for principal in statement.principals):
        return
    operator = next((c.operator for c in statement.conditions if c.key.lower() == _EXTERNAL_ID), None)
    reason = f"checks it with {operator}, which allows callers without one" if operator else "does not require one"
    yield Hit(f"allows sts:AssumeRole without an external ID: {named(statement)} {reason}")


@rule(
    "RC104",
    "External ID shared by customers",
    Severity.ERROR,
    over_access,
    hint="generate a new external ID for each of them",
)
def shared_external_ids(context: CheckContext) -> Iterator[tuple[Owner, Hit]]:
    """External IDs that more than one customer uses."""
    users: dict[str, dict[str, str]] = defaultdict(dict)
    for arn in sorted(context.customer_roles):
        for value in _external_ids(context, arn):
            users[value].setdefault(context.subject(arn), arn)
    for role_by_subject in users.values():
        for subject, arn in role_by_subject.items() if len(role_by_subject) > 1 else ():
            others = [other for other in role_by_subject if other != subject]
            more = f" and {len(others) - 1} more" if len(others) > 1 else ""
            yield (
                Owner(arn, "the external ID"),
                Hit(f"is also used by {others[0]}{more}: one customer can make the vendor act in the account of the other"),
            )


def _external_ids(context: CheckContext, arn: str) -> set[str]:
    role = context.access.roles.get(arn)
    values = {context.external_ids[arn]} if arn in context.external_ids else set()
    if role is not None and role.trust is not None:
        values.update(value for statement in role.trust.statements for value in external_ids_of(statement))
    return values


@rule("RC105", "Short external ID", Severity.WARNING, over_trusts, hint="let rolecall generate a random ID of 32 characters")
def short_external_id(_context: CheckContext, _role: Role, statement: Statement) -> Iterator[Hit]:
    """External IDs that are likely to be names or numbers."""
    for value in external_ids_of(statement):
        if len(value) < SHORT_EXTERNAL_ID_CHARACTERS:
            yield Hit(f"requires an external ID of {len(value)} characters, which is easily guessed or shared")


@rule(
    "RC106",
    "MFA condition with IfExists",
    Severity.ERROR,
    over_all_statements,
    hint="use Bool on aws:MultiFactorAuthPresent",
)
def mfa_if_exists(statement: Statement) -> Iterator[Hit]:
    """MFA conditions that are met if the key is absent, as in requests with access keys."""
    for condition in statement.conditions:
        if condition.key.lower() != _MFA or statement.effect != "Allow":
            continue
        if condition.operator.lower().endswith("ifexists") and _all_true(condition):
            yield Hit(f"checks MFA with {condition.operator}, which allows access keys without MFA: {named(statement)}")


@rule(
    "RC107",
    "NotPrincipal in a trust policy",
    Severity.ERROR,
    over_trusts,
    hint="list the principals that may assume the role with Principal",
)
def not_principal(_context: CheckContext, _role: Role, statement: Statement) -> Iterator[Hit]:
    """Trust policies with NotPrincipal."""
    if statement.not_principals:
        yield Hit(f"uses NotPrincipal, which applies to everyone except the listed principals: {named(statement)}")


@rule("RC108", "External ID with a wildcard", Severity.ERROR, over_trusts, hint="require one external ID with StringEquals")
def wildcard_external_id(_context: CheckContext, _role: Role, statement: Statement) -> Iterator[Hit]:
    """External IDs with wildcards, in conditions whose operator interprets them."""
    for condition in statement.conditions:
        if condition.key.lower() != _EXTERNAL_ID or not condition.operator.lower().removesuffix("ifexists").endswith("like"):
            continue
        if patterns := [value for value in condition.values if "*" in value or "?" in value]:
            yield Hit(f"accepts any external ID like {patterns[0]} ({condition.operator}): {named(statement)}")


@rule(
    "RC109",
    "Trust policy names a deleted principal",
    Severity.ERROR,
    over_trusts,
    hint="write the ARN of the principal that exists now, and apply again",
)
def deleted_principal(_context: CheckContext, _role: Role, statement: Statement) -> Iterator[Hit]:
    """Unique IDs as principals. AWS replaces the ARN of a deleted principal with its unique ID."""
    for principal in statement.principals:
        if principal.type == "AWS" and _PRINCIPAL_ID.match(principal.identifier):
            yield Hit(f"names {principal.identifier}, the ID of a deleted principal, which matches no one")


@rule(
    "RC110",
    "MFA required of a role session",
    Severity.ERROR,
    over_trusts,
    hint="remove the MFA condition; require the external ID instead",
)
def mfa_for_backend(context: CheckContext, role: Role, statement: Statement) -> Iterator[Hit]:
    """MFA conditions on roles that the backend role assumes."""
    if role.arn in context.customer_roles and _allows_assume_role(statement) and _requires_mfa(statement):
        yield Hit(f"requires MFA of the backend role, but role sessions never have MFA: {named(statement)}")


@rule(
    "RC111",
    "External ID on a role for the console",
    Severity.ERROR,
    over_trusts,
    hint="remove the external ID and require MFA; use another role for the backend",
)
def external_id_for_people(context: CheckContext, role: Role, statement: Statement) -> Iterator[Hit]:
    """External IDs on roles that users switch to in the console."""
    if role.arn in context.switch_roles and _allows_assume_role(statement) and external_ids_of(statement):
        yield Hit(f"requires an external ID, which the console cannot send: {named(statement)}")
