"""From what an account has back to what it had: the IAM calls that take away what came since. Pure, as `steps`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rolecall_generator.iam.access import Access, Group, Role, User
from rolecall_runner.sandbox.steps import Step, arn_of

Holder = Role | Group | User


def removal_steps(found: Access, before: Access) -> Iterator[Step]:
    """The calls that take away every part that `before` does not have, and what hangs newly on the parts that stay.

    Users go before groups and everything before the policies, since IAM deletes nothing that something hangs on.
    """
    for arn, profile in found.instance_profiles.items():
        if arn not in before.instance_profiles:
            name = {"InstanceProfileName": arn_of(arn).name}
            if profile.role:
                role = arn_of(profile.role).name
                yield Step("remove_role_from_instance_profile", arn, {**name, "RoleName": role})
            yield Step("delete_instance_profile", arn, name)
    yield from _users(found.users, before.users)
    yield from _holders("group", found.groups, before.groups)
    yield from _holders("role", found.roles, before.roles)
    for arn in found.policies:
        if arn not in before.policies:
            yield Step("delete_policy", arn, {"PolicyArn": arn})


def _users(found: Mapping[str, User], before: Mapping[str, User]) -> Iterator[Step]:
    for arn, user in found.items():
        old = before.get(arn)
        name = {"UserName": arn_of(arn).name}
        for group in sorted(user.groups - (old.groups if old else frozenset())):
            yield Step("remove_user_from_group", arn, {**name, "GroupName": arn_of(group).name})
        if user.console_password is not None and (old is None or old.console_password is None):
            yield Step("delete_login_profile", arn, name)
    yield from _holders("user", found, before)


def _holders(kind: str, found: Mapping[str, Holder], before: Mapping[str, Holder]) -> Iterator[Step]:
    for arn, holder in found.items():
        old = before.get(arn)
        name = {f"{kind.capitalize()}Name": arn_of(arn).name}
        for policy in sorted(holder.attached - (old.attached if old else frozenset())):
            yield Step(f"detach_{kind}_policy", arn, {**name, "PolicyArn": policy})
        for inline in sorted(holder.inline.keys() - (old.inline.keys() if old else set())):
            yield Step(f"delete_{kind}_policy", arn, {**name, "PolicyName": inline})
        if old is None:
            yield Step(f"delete_{kind}", arn, name)
