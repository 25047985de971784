"""Who must stand in the accounts before anything that names them can be made."""

from __future__ import annotations

from collections.abc import Iterable

from rolecall_generator.iam.access import Access, Group, Role, User, access_of, union
from rolecall_generator.iam.arn import parse_arn


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
