"""How access from different sources is made comparable."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from rolecall_generator.iam.access import Access, ConsolePassword, union
from rolecall_generator.iam.difference import Change, differences


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
