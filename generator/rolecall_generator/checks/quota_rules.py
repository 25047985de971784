"""RC3xx: what AWS would refuse for its size, its number or its name, and what is close to it.

The numbers and their source stand in `iam/quotas.py`; those that AWS raises come from the manifest's `quotas`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rolecall_generator.checks.context import CheckContext, Hit, Owner
from rolecall_generator.checks.finding import Severity
from rolecall_generator.checks.rule import rule, trust_owner
from rolecall_generator.iam import quotas
from rolecall_generator.iam.access import Group, Role, User
from rolecall_generator.iam.arn import parse_arn

NEAR = 0.9
"""A size above this part of its quota is near it."""

_NAME_LIMITS = {
    "role": quotas.ROLE_NAME_CHARACTERS,
    "user": quotas.USER_NAME_CHARACTERS,
    "group": quotas.GROUP_NAME_CHARACTERS,
    "policy": quotas.POLICY_NAME_CHARACTERS,
}


@dataclass(frozen=True, slots=True)
class _Size:
    """A size in characters beside its quota. `packed` policies are filled on purpose."""

    owner: Owner
    characters: int
    limit: int
    mend: str
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


def _over(context: CheckContext) -> Iterator[tuple[Owner, Hit]]:
    for size in _sizes(context):
        if size.characters > size.limit:
            yield size.owner, Hit(f"has {size.characters:,} characters; AWS takes {size.limit:,}", size.mend)


def _near(context: CheckContext) -> Iterator[tuple[Owner, Hit]]:
    for size in _sizes(context):
        if NEAR * size.limit < size.characters <= size.limit and not size.packed:
            yield size.owner, Hit(f"has {size.characters:,} of {size.limit:,} characters that AWS takes", size.mend)


def _attachments(context: CheckContext) -> Iterator[tuple[Owner, Hit]]:
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
                    Hit(f"has {count} managed policies; AWS takes {limit}", "join policies, or write some of them inline"),
                )


def _named_arns(context: CheckContext) -> Iterator[str]:
    access = context.access
    for parts in (access.roles, access.groups, access.users, access.policies):
        yield from parts


def _names(context: CheckContext) -> Iterator[tuple[Owner, Hit]]:
    for arn in _named_arns(context):
        parsed = parse_arn(arn)
        limit = _NAME_LIMITS.get(parsed.kind) if parsed else None
        if parsed is None or limit is None or len(parsed.name) < limit:
            continue
        over = len(parsed.name) > limit
        yield (
            Owner(arn, "the name"),
            Hit(
                f"has {len(parsed.name)} characters; AWS takes {limit}"
                + ("" if over else ", so nothing can be added to it"),
                "choose a shorter name",
                Severity.ERROR if over else Severity.NOTE,
            ),
        )


def _paths(context: CheckContext) -> Iterator[tuple[Owner, Hit]]:
    for arn in _named_arns(context):
        parsed = parse_arn(arn)
        if parsed is not None and len(parsed.path) > quotas.PATH_CHARACTERS:
            message = f"has {len(parsed.path)} characters; AWS takes {quotas.PATH_CHARACTERS}"
            yield Owner(arn, "the path"), Hit(message, "choose a shorter path")


def _links(context: CheckContext) -> Iterator[tuple[Owner, Hit]]:
    limit = quotas.SWITCH_ROLE_LINK_CHARACTERS
    for arn in sorted(context.switch_roles):
        parsed = parse_arn(arn)
        if parsed is not None and len(full := f"{parsed.path}{parsed.name}".lstrip("/")) > limit:
            message = f"has {len(full)} characters; the console's switch-role link takes {limit}"
            yield Owner(arn, "path and name"), Hit(message, "choose a shorter path or name")


_E, _W = Severity.ERROR, Severity.WARNING

QUOTA_RULES = (
    rule("RC301", "Policy over its quota", _E, _over),
    rule("RC302", "Policy within 10 % of its quota", _W, _near),
    rule("RC303", "Too many managed policies attached", _E, _attachments),
    rule("RC304", "Name at its limit", Severity.NOTE, _names),
    rule("RC305", "Path too long", _E, _paths),
    rule("RC306", "Path and name too long for the console", _E, _links),
)
"""The rules of this family."""
