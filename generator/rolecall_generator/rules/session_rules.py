"""RC4xx: session durations."""

from __future__ import annotations

from collections.abc import Iterator

from rolecall_generator.findings import Severity
from rolecall_generator.iam import Arn, Role, quotas
from rolecall_generator.rules.rule import CheckContext, Hit, Owner, allows, over_access, rule


def _trusted_arns(role: Role) -> Iterator[str]:
    """AWS principals in the trust policy, and values of its conditions on aws:PrincipalArn."""
    for statement in allows(role.trust) if role.trust else ():
        yield from (principal.identifier for principal in statement.principals if principal.type == "AWS")
        for condition in statement.conditions:
            if condition.key.lower() == "aws:principalarn":
                yield from condition.values


def _assumed_by_role(context: CheckContext, role: Role) -> bool:
    if role.arn in context.customer_roles:
        return True
    return any(
        (parsed := Arn.parse(caller)) is not None and parsed.kind in {"role", "assumed-role"}
        for caller in _trusted_arns(role)
    )


@rule(
    "RC401",
    "Session duration limited by role chaining",
    Severity.NOTE,
    over_access,
    hint=f"set max_session_seconds to {quotas.CHAINED_SESSION_SECONDS}",
)
def capped_session(context: CheckContext) -> Iterator[tuple[Owner, Hit]]:
    """Maximum session durations above one hour on roles that another role assumes."""
    for role in context.access.roles.values():
        if role.max_session_seconds > quotas.CHAINED_SESSION_SECONDS and _assumed_by_role(context, role):
            yield (
                Owner(role.arn, "the maximum session duration"),
                Hit(
                    f"is {role.max_session_seconds:,} s, but role chaining limits sessions of other roles to "
                    f"{quotas.CHAINED_SESSION_SECONDS:,} s"
                ),
            )
