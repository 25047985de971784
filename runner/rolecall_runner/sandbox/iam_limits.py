"""IAM's limits on names, paths, sizes and attachments, which moto 5.2.5 does not hold.

Sources: "IAM and AWS STS quotas" and botocore 1.44.5's model of IAM, November 2026; texts as IAM sends them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rolecall_generator.iam import quotas
from rolecall_runner.sandbox.aws_refusal import CONFLICT, NOT_FOUND, AwsRefusalError, invalid, unconstrained
from rolecall_runner.sandbox.policy_checks import characters, limit

_NAME = re.compile(r"[\w+=,.@-]+", re.ASCII)
_PATH = re.compile(r"/|/[\x21-\x7e]+/", re.ASCII)


@dataclass(frozen=True, slots=True)
class Limits:
    """Quotas that AWS raises on request, with their defaults."""

    trust_policy_characters: int = quotas.TRUST_POLICY_CHARACTERS
    role_managed_policies: int = quotas.ROLE_MANAGED_POLICIES
    user_managed_policies: int = quotas.USER_MANAGED_POLICIES
    group_managed_policies: int = quotas.GROUP_MANAGED_POLICIES

    def attachments(self, kind: str) -> int:
        """How many managed policies a role, user or group may hold."""
        return {
            "Role": self.role_managed_policies,
            "User": self.user_managed_policies,
            "Group": self.group_managed_policies,
        }[kind]


_NAME_CHARACTERS: Mapping[str, int] = {
    "Role": quotas.ROLE_NAME_CHARACTERS,
    "User": quotas.USER_NAME_CHARACTERS,
    "Group": quotas.GROUP_NAME_CHARACTERS,
    "Policy": quotas.POLICY_NAME_CHARACTERS,
    "InstanceProfile": 128,
}
_INLINE_CHARACTERS: Mapping[str, int] = {
    "Role": quotas.ROLE_INLINE_CHARACTERS,
    "User": quotas.USER_INLINE_CHARACTERS,
    "Group": quotas.GROUP_INLINE_CHARACTERS,
}


def check_new(kind: str, form: Mapping[str, str], backend: Any) -> None:
    """Hold name and path of a new role, user, group, policy or instance profile against the limits.

    Raises AwsRefusalError.
    """
    check_name(kind, form.get(f"{kind}Name", ""))
    check_path(form.get("Path", "/"))
    check_unique(kind, form.get(f"{kind}Name", ""), backend)


def check_name(kind: str, name: str) -> None:
    """Length and characters of a name. Raises AwsRefusalError."""
    parameter = f"{kind[0].lower()}{kind[1:]}Name"
    most = _NAME_CHARACTERS[kind]
    if len(name) > most:
        raise unconstrained(parameter, name, f"have length less than or equal to {most}")
    if not name:
        raise unconstrained(parameter, name, "have length greater than or equal to 1")
    if not _NAME.fullmatch(name):
        raise invalid(
            f"The specified value for {parameter} is invalid. It must contain only alphanumeric characters and/or the "
            "following: +=,.@_-"
        )


def check_path(path: str) -> None:
    """Length and form of a path. Raises AwsRefusalError."""
    if len(path) > quotas.PATH_CHARACTERS:
        raise unconstrained("path", path, f"have length less than or equal to {quotas.PATH_CHARACTERS}")
    if not _PATH.fullmatch(path):
        raise invalid(
            "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters "
            "and/or / characters."
        )


def check_unique(kind: str, name: str, backend: Any) -> None:
    """ "Names are not distinguished by case" (IAM identifiers), which moto compares letter by letter."""
    known = {
        "Role": lambda: [role.name for role in list(backend.roles.values())],
        "User": lambda: list(backend.users),
        "Group": lambda: list(backend.groups),
        "InstanceProfile": lambda: [profile.name for profile in list(backend.instance_profiles.values())],
        "Policy": lambda: [p.name for p in list(backend.managed_policies.values()) if ":iam::aws:" not in p.arn],
    }[kind]()
    if name.lower() in {other.lower() for other in known}:
        text = f"{kind} with name {name} already exists."
        if kind == "Policy":
            text = f"A policy called {name} already exists. Duplicate names are not allowed."
        raise AwsRefusalError("EntityAlreadyExists", text, CONFLICT)


def check_session_seconds(form: Mapping[str, str]) -> None:
    """MaxSessionDuration of a role: 3,600 to 43,200 seconds. Raises AwsRefusalError."""
    text = form.get("MaxSessionDuration")
    if text is None or not text.isdecimal():
        return
    if int(text) < quotas.MINIMUM_MAX_SESSION_SECONDS:
        bound = f"greater than or equal to {quotas.MINIMUM_MAX_SESSION_SECONDS}"
    elif int(text) > quotas.MAXIMUM_MAX_SESSION_SECONDS:
        bound = f"less than or equal to {quotas.MAXIMUM_MAX_SESSION_SECONDS}"
    else:
        return
    raise unconstrained("maxSessionDuration", text, f"have value {bound}")


def check_managed_size(text: str) -> None:
    """Raises AwsRefusalError for a managed policy that is too long."""
    if characters(text) > quotas.MANAGED_POLICY_CHARACTERS:
        raise limit(f"Cannot exceed quota for PolicySize: {quotas.MANAGED_POLICY_CHARACTERS}")


def check_inline_size(kind: str, holder: Any, policy_name: str, text: str) -> None:
    """Raises AwsRefusalError when the holder's inline policies together would be too long."""
    others = [characters(other) for name, other in list(holder.policies.items()) if name != policy_name]
    if sum(others) + characters(text) > _INLINE_CHARACTERS[kind]:
        raise limit(f"Maximum policy size of {_INLINE_CHARACTERS[kind]} bytes exceeded for {kind.lower()} {holder.name}")


def check_attachment(kind: str, holder: Any, arn: str, limits: Limits) -> None:
    """Raises AwsRefusalError when the holder has all the managed policies that it may have."""
    most = limits.attachments(kind)
    if arn not in holder.managed_policies and len(holder.managed_policies) >= most:
        raise limit(f"Cannot exceed quota for PoliciesPer{kind}: {most}")


def check_boundary(arn: str, backend: Any) -> None:
    """Raises AwsRefusalError when there is no such policy."""
    if arn not in backend.managed_policies:
        raise AwsRefusalError("NoSuchEntity", f"Scope ARN: {arn} does not exist or is not attachable.", NOT_FOUND)


def check_no_attachment(arn: str, backend: Any) -> None:
    """Raises AwsRefusalError when a policy that is to be deleted hangs on somebody."""
    for holders in (backend.roles, backend.users, backend.groups):
        if any(arn in holder.managed_policies for holder in list(holders.values())):
            raise AwsRefusalError("DeleteConflict", "Cannot delete a policy attached to entities.", CONFLICT)
