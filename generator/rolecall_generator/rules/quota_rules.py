"""RC3xx and RC4xx: sizes, counts, name lengths and session durations that exceed or nearly reach AWS quotas.

The quotas and their source are in `iam/quotas.py`; the manifest's `quotas` set the adjustable ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rolecall_generator.findings import Severity
from rolecall_generator.iam import Arn, Group, Role, User, quotas
from rolecall_generator.rules.rule import CheckContext, Hit, Owner, allows, over_access, rule, trust_owner

NEAR = 0.9
"""RC302 reports sizes above this fraction of the quota."""

_NAME_LIMITS = {
    "role": quotas.ROLE_NAME_CHARACTERS,
    "user": quotas.USER_NAME_CHARACTERS,
    "group": quotas.GROUP_NAME_CHARACTERS,
    "policy": quotas.POLICY_NAME_CHARACTERS,
}


@dataclass(frozen=True, slots=True)
class _Size:
    """A size and its quota, in characters. `packed`: the policy is filled intentionally."""

    owner: Owner
    characters: int
    limit: int
    hint: str
    packed: bool = False


def _sizes(context: CheckContext) -> Iterator[_Size]:
    limit = context.quotas.trust_policy_characters
    for role, trust in context.trusts():
        yield _Size(
            trust_owner(role), context.characters(trust), limit, "trust fewer principals, or have AWS raise the quota"
        )
    for principal, limit in _principals(context):
        characters = sum(map(context.characters, principal.inline.values()))
        owner = Owner(principal.arn, "the sum of inline policies")
        yield _Size(owner, characters, limit, "move statements to a managed policy")
    backend = (context.access.roles[arn] for arn in context.backend_roles if arn in context.access.roles)
    packed = {policy for role in backend for policy in role.attached}
    for arn, policy in context.access.policies.items():
        owner = Owner(arn, "the document")
        yield _Size(
            owner,
            context.characters(policy.document),
            quotas.MANAGED_POLICY_CHARACTERS,
            "split it into two policies",
            arn in packed,
        )


def _principals(context: CheckContext) -> Iterator[tuple[Role | Group | User, int]]:
    access = context.access
    yield from ((role, quotas.ROLE_INLINE_CHARACTERS) for role in access.roles.values())
    yield from ((group, quotas.GROUP_INLINE_CHARACTERS) for group in access.groups.values())
    yield from ((user, quotas.USER_INLINE_CHARACTERS) for user in access.users.values())


@rule("RC301", "Policy over its quota", Severity.ERROR, over_access, hint="split the policy")
def policy_over_quota(context: CheckContext) -> Iterator[tuple[Owner, Hit]]:
    """Trust policies, inline policies of a principal and managed policies above the size quota."""
    for size in _sizes(context):
        if size.characters > size.limit:
            yield size.owner, Hit(f"has {size.characters:,} characters; the quota is {size.limit:,}", size.hint)


@rule("RC302", "Policy within 10 % of its quota", Severity.WARNING, over_access, hint="split the policy")
def policy_near_quota(context: CheckContext) -> Iterator[tuple[Owner, Hit]]:
    """Policies above 90 % of the size quota, except those that are filled intentionally."""
    for size in _sizes(context):
        if NEAR * size.limit < size.characters <= size.limit and not size.packed:
            yield size.owner, Hit(f"has {size.characters:,} of at most {size.limit:,} characters", size.hint)


@rule(
    "RC303",
    "Too many managed policies attached",
    Severity.ERROR,
    over_access,
    hint="join policies, or write some of them inline",
)
def attached_policies(context: CheckContext) -> Iterator[tuple[Owner, Hit]]:
    """Roles, groups and users with more managed policies than the quota allows."""
    access = context.access
    kinds = (
        (access.roles, context.quotas.role_managed_policies),
        (access.groups, quotas.GROUP_MANAGED_POLICIES),
        (access.users, quotas.USER_MANAGED_POLICIES),
    )
    for principals, limit in kinds:
        for arn, principal in principals.items():
            if (count := len(principal.attached)) > limit:
                yield (
                    Owner(arn, "the list of attached policies"),
                    Hit(f"has {count} managed policies; the quota is {limit}"),
                )


def _named_arns(context: CheckContext) -> Iterator[str]:
    access = context.access
    for parts in (access.roles, access.groups, access.users, access.policies):
        yield from parts


@rule("RC304", "Name at its limit", Severity.NOTE, over_access, hint="choose a shorter name")
def name_length(context: CheckContext) -> Iterator[tuple[Owner, Hit]]:
    """Names longer than AWS allows, and names of exactly the maximum length."""
    for arn in _named_arns(context):
        parsed = Arn.parse(arn)
        limit = _NAME_LIMITS.get(parsed.kind) if parsed else None
        if parsed is None or limit is None or len(parsed.name) < limit:
            continue
        over = len(parsed.name) > limit
        yield (
            Owner(arn, "the name"),
            Hit(
                f"has {len(parsed.name)} characters; the maximum is {limit}",
                severity=Severity.ERROR if over else Severity.NOTE,
            ),
        )


@rule("RC305", "Path too long", Severity.ERROR, over_access, hint="choose a shorter path")
def path_length(context: CheckContext) -> Iterator[tuple[Owner, Hit]]:
    """Paths longer than AWS allows."""
    for arn in _named_arns(context):
        parsed = Arn.parse(arn)
        if parsed is not None and len(parsed.path) > quotas.PATH_CHARACTERS:
            message = f"has {len(parsed.path)} characters; the maximum is {quotas.PATH_CHARACTERS}"
            yield Owner(arn, "the path"), Hit(message)


@rule("RC306", "Path and name too long for the console", Severity.ERROR, over_access, hint="choose a shorter path or name")
def switch_role_link_length(context: CheckContext) -> Iterator[tuple[Owner, Hit]]:
    """Switch roles whose path and name are too long for the console's switch-role link."""
    limit = quotas.SWITCH_ROLE_LINK_CHARACTERS
    for arn in sorted(context.switch_roles):
        parsed = Arn.parse(arn)
        if parsed is not None and len(path_and_name := f"{parsed.path}{parsed.name}".lstrip("/")) > limit:
            message = f"has {len(path_and_name)} characters; the maximum in the console's switch-role link is {limit}"
            yield Owner(arn, "path and name"), Hit(message)


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
