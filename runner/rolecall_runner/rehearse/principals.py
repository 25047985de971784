"""Who must stand before the first apply, and how access from different sources is made comparable."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from rolecall_generator.iam.access import Access, ConsolePassword, Group, Role, User, access_of, union
from rolecall_generator.iam.arn import parse_arn
from rolecall_generator.iam.difference import Change, differences


def bare_principals(accesses: Iterable[Access]) -> Access:
    """Principals that the modules only look up, and roles and users that a trust names and no module makes: all bare.

    A backend role that a manifest calls existing is one of them: IAM refuses a trust that names a missing principal.
    """
    whole = union(accesses)
    existing: list[Role | Group | User] = [
        *(Role(role.arn, None, existing=True) for role in whole.roles.values() if role.existing),
        *(Group(group.arn, existing=True) for group in whole.groups.values() if group.existing),
        *(User(user.arn, existing=True) for user in whole.users.values() if user.existing),
    ]
    named = {
        principal.identifier
        for role in whole.roles.values()
        if role.trust is not None
        for statement in role.trust.statements
        for principal in statement.principals
        if principal.type == "AWS"
    }
    for arn in sorted(named - whole.roles.keys() - whole.users.keys()):
        parsed = parse_arn(arn)
        if parsed is not None and parsed.kind == "role":
            existing.append(Role(arn, None, existing=True))
        elif parsed is not None and parsed.kind == "user":
            existing.append(User(arn, existing=True))
    return access_of(*existing)


def account_differences(before: Access, intended: Iterable[Access], found: Access) -> tuple[Change, ...]:
    """How an account differs from what stood in it before, with all that was intended put on top."""
    return differences(_comparable(union([before, *intended])), _comparable(found))


def _comparable(access: Access) -> Access:
    """Without what one side cannot know: the PGP key of a first password, and whether it must be changed.

    moto 5.2.5 does not keep PasswordResetRequired of a created login profile.
    """
    users = {
        arn: replace(user, console_password=ConsolePassword() if user.console_password else None, existing=False)
        for arn, user in access.users.items()
    }
    roles = {arn: replace(role, existing=False) for arn, role in access.roles.items()}
    groups = {arn: replace(group, existing=False) for arn, group in access.groups.items()}
    return replace(access, users=users, roles=roles, groups=groups)
