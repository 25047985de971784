"""The IAM calls between two states of an account.

`creation_steps` adds what is missing, `removal_steps` removes what was added.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rolecall_generator.iam import (
    Access,
    Arn,
    Group,
    InstanceProfile,
    ManagedPolicy,
    PolicyDocument,
    Principal,
    Role,
    Statement,
    User,
)


@dataclass(frozen=True, slots=True)
class IamStep:
    """One IAM call: boto3 method, ARN of its subject, arguments (left out of the repr: they may contain a password)."""

    operation: str
    subject: str
    arguments: Mapping[str, Any] = field(repr=False)


def creation_steps(found: Access, wanted: Access, *, new_password: Callable[[], str]) -> Iterator[IamStep]:
    """The calls from `found` to `wanted`, in dependency order; extra parts of `found` are kept.

    Missing parts marked `existing` are created empty, roles with a trust policy for EC2; others keep their trust policy.
    """
    for policy in wanted.policies.values():
        yield from _policy(found.policies.get(policy.arn), policy)
    for group in wanted.groups.values():
        yield from _group(found.groups.get(group.arn), group)
    for user in wanted.users.values():
        yield from _user(found.users.get(user.arn), user, new_password)
    for role in wanted.roles.values():
        yield from _role(found.roles.get(role.arn), role)
    for profile in wanted.instance_profiles.values():
        yield from _instance_profile(found.instance_profiles.get(profile.arn), profile)


def _policy(old: ManagedPolicy | None, new: ManagedPolicy) -> Iterator[IamStep]:
    if old is None:
        content = {"PolicyDocument": _text(new.document), "Description": new.description, "Tags": _tags(new.tags)}
        yield IamStep("create_policy", new.arn, _named("Policy", new.arn) | content)
        return
    if old.document.canonical() != new.document.canonical():
        arguments = {"PolicyArn": new.arn, "PolicyDocument": _text(new.document), "SetAsDefault": True}
        yield IamStep("create_policy_version", new.arn, arguments)
    yield from _tag_steps("policy", {"PolicyArn": new.arn}, new.arn, old.tags, new.tags)


def _group(old: Group | None, new: Group) -> Iterator[IamStep]:
    if old is None:
        yield IamStep("create_group", new.arn, _named("Group", new.arn))
    yield from _permissions("group", old, new)


def _user(old: User | None, new: User, new_password: Callable[[], str]) -> Iterator[IamStep]:
    name = {"UserName": arn_of(new.arn).name}
    if old is None:
        yield IamStep("create_user", new.arn, _named("User", new.arn) | {"Tags": _tags(new.tags)})
    else:
        yield from _tag_steps("user", name, new.arn, old.tags, new.tags)
    yield from _boundary("user", old, new)
    yield from _permissions("user", old, new)
    for group in sorted(new.groups - (old.groups if old else frozenset())):
        yield IamStep("add_user_to_group", new.arn, {**name, "GroupName": arn_of(group).name})
    if new.console_password is not None:
        had = old.console_password if old else None
        profile = {**name, "PasswordResetRequired": new.console_password.reset_required, "Password": new_password()}
        if had is None:
            yield IamStep("create_login_profile", new.arn, profile)
        if had is None or had.reset_required != new.console_password.reset_required:
            # moto 5.2.5 ignores PasswordResetRequired at creation, and drops the profile at an update without password.
            yield IamStep("update_login_profile", new.arn, profile)


def _role(old: Role | None, new: Role) -> Iterator[IamStep]:
    name = {"RoleName": arn_of(new.arn).name}
    if old is None:
        arguments: dict[str, Any] = _named("Role", new.arn) | {
            "AssumeRolePolicyDocument": _text(new.trust or _instances_trust(new.arn)),
            "Description": new.description,
            "MaxSessionDuration": new.max_session_seconds,
            "Tags": _tags(new.tags),
        }
        if new.boundary:
            arguments["PermissionsBoundary"] = new.boundary
        yield IamStep("create_role", new.arn, arguments)
    elif not new.existing:
        if new.trust is not None and (old.trust is None or old.trust.canonical() != new.trust.canonical()):
            yield IamStep("update_assume_role_policy", new.arn, {**name, "PolicyDocument": _text(new.trust)})
        if (old.description, old.max_session_seconds) != (new.description, new.max_session_seconds):
            settings = {"Description": new.description, "MaxSessionDuration": new.max_session_seconds}
            yield IamStep("update_role", new.arn, name | settings)
        yield from _boundary("role", old, new)
        yield from _tag_steps("role", name, new.arn, old.tags, new.tags)
    yield from _permissions("role", old, new)


def _instance_profile(old: InstanceProfile | None, new: InstanceProfile) -> Iterator[IamStep]:
    name = {"InstanceProfileName": arn_of(new.arn).name}
    if old is None:
        arguments = {**name, "Path": arn_of(new.arn).path, "Tags": _tags(new.tags)}
        yield IamStep("create_instance_profile", new.arn, arguments)
    else:
        yield from _tag_steps("instance_profile", name, new.arn, old.tags, new.tags)
    if old is not None and old.role not in {"", new.role}:
        yield IamStep("remove_role_from_instance_profile", new.arn, {**name, "RoleName": arn_of(old.role).name})
    if old is None or old.role != new.role:
        yield IamStep("add_role_to_instance_profile", new.arn, {**name, "RoleName": arn_of(new.role).name})


def _permissions(kind: str, old: Role | Group | User | None, new: Role | Group | User) -> Iterator[IamStep]:
    name = {f"{kind.capitalize()}Name": arn_of(new.arn).name}
    for policy, document in sorted(new.inline.items()):
        had = old.inline.get(policy) if old else None
        if had is None or had.canonical() != document.canonical():
            arguments = {**name, "PolicyName": policy, "PolicyDocument": _text(document)}
            yield IamStep(f"put_{kind}_policy", new.arn, arguments)
    for arn in sorted(new.attached - (old.attached if old else frozenset())):
        yield IamStep(f"attach_{kind}_policy", new.arn, {**name, "PolicyArn": arn})


def _boundary(kind: str, old: Role | User | None, new: Role | User) -> Iterator[IamStep]:
    if new.boundary is not None and (old is None or old.boundary != new.boundary):
        arguments = {f"{kind.capitalize()}Name": arn_of(new.arn).name, "PermissionsBoundary": new.boundary}
        yield IamStep(f"put_{kind}_permissions_boundary", new.arn, arguments)


def _tag_steps(
    kind: str, name: Mapping[str, Any], subject: str, old: Mapping[str, str], new: Mapping[str, str]
) -> Iterator[IamStep]:
    if missing := {key: value for key, value in new.items() if old.get(key) != value}:
        yield IamStep(f"tag_{kind}", subject, {**name, "Tags": _tags(missing)})


def _named(kind: str, arn: str) -> dict[str, Any]:
    parsed = arn_of(arn)
    return {f"{kind}Name": parsed.name, "Path": parsed.path}


def arn_of(text: str) -> Arn:
    """Parse an ARN. Raises ValueError."""
    parsed = Arn.parse(text)
    if parsed is None:
        raise ValueError(f"{text} is not an ARN")
    return parsed


def _tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def _text(document: PolicyDocument) -> str:
    return json.dumps(_without_empty_sids(document.to_json()), separators=(",", ":"))


def _without_empty_sids(body: dict[str, Any]) -> dict[str, Any]:
    # IAM rejects duplicate Sids, empty ones included ("Statement IDs must be unique").
    statements = [{key: value for key, value in item.items() if (key, value) != ("Sid", "")} for item in body["Statement"]]
    return body | {"Statement": statements}


def _instances_trust(arn: str) -> PolicyDocument:
    """A trust policy for EC2, which has another service principal in the China Regions."""
    service = "ec2.amazonaws.com.cn" if arn_of(arn).partition == "aws-cn" else "ec2.amazonaws.com"
    return PolicyDocument((Statement("Allow", ("sts:AssumeRole",), principals=(Principal("Service", service),)),))


Holder = Role | Group | User


def removal_steps(found: Access, before: Access) -> Iterator[IamStep]:
    """The calls that remove everything in `found` that is not in `before`, in an order that IAM accepts."""
    for arn, profile in found.instance_profiles.items():
        if arn not in before.instance_profiles:
            name = {"InstanceProfileName": arn_of(arn).name}
            if profile.role:
                role = arn_of(profile.role).name
                yield IamStep("remove_role_from_instance_profile", arn, {**name, "RoleName": role})
            yield IamStep("delete_instance_profile", arn, name)
    yield from _users(found.users, before.users)
    yield from _holders("group", found.groups, before.groups)
    yield from _holders("role", found.roles, before.roles)
    for arn in found.policies:
        if arn not in before.policies:
            yield IamStep("delete_policy", arn, {"PolicyArn": arn})


def _users(found: Mapping[str, User], before: Mapping[str, User]) -> Iterator[IamStep]:
    for arn, user in found.items():
        old = before.get(arn)
        name = {"UserName": arn_of(arn).name}
        for group in sorted(user.groups - (old.groups if old else frozenset())):
            yield IamStep("remove_user_from_group", arn, {**name, "GroupName": arn_of(group).name})
        if user.console_password is not None and (old is None or old.console_password is None):
            yield IamStep("delete_login_profile", arn, name)
    yield from _holders("user", found, before)


def _holders(kind: str, found: Mapping[str, Holder], before: Mapping[str, Holder]) -> Iterator[IamStep]:
    for arn, holder in found.items():
        old = before.get(arn)
        name = {f"{kind.capitalize()}Name": arn_of(arn).name}
        for policy in sorted(holder.attached - (old.attached if old else frozenset())):
            yield IamStep(f"detach_{kind}_policy", arn, {**name, "PolicyArn": policy})
        for inline in sorted(holder.inline.keys() - (old.inline.keys() if old else set())):
            yield IamStep(f"delete_{kind}_policy", arn, {**name, "PolicyName": inline})
        if old is None:
            yield IamStep(f"delete_{kind}", arn, name)
