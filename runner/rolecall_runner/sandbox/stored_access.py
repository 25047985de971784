"""The IAM that is stored in the sandbox's accounts as `Access`, kept until somebody writes to IAM."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from rolecall_generator.iam.access import Access, Group, InstanceProfile, ManagedPolicy, Role, User
from rolecall_generator.iam.arn import PARTITIONS
from rolecall_generator.iam.evaluator import Evaluator
from rolecall_generator.iam.policy import PolicyDocument, policy_from_json
from rolecall_runner.sandbox.backends import World

_Account = tuple[str, str]


class StoredAccess:
    """Access over all accounts of a world; one account is read again after it was changed. Safe between threads."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.RLock()
        self._accounts: dict[_Account, Access] = {}
        self._all: tuple[Access, Evaluator] | None = None

    def changed(self, account_id: str) -> None:
        """Somebody wrote to the IAM of the account."""
        with self._lock:
            for partition in PARTITIONS:
                self._accounts.pop((account_id, partition), None)
            self._all = None

    def forget(self) -> None:
        """Read everything again."""
        with self._lock:
            self._accounts.clear()
            self._all = None

    def account(self, account_id: str, partition: str) -> Access:
        """What one account holds."""
        with self._lock:
            key = (account_id, partition)
            if key not in self._accounts:
                self._accounts[key] = read_backend(self._world.iam(account_id, partition))
            return self._accounts[key]

    def everything(self) -> tuple[Access, Evaluator]:
        """All accounts together, and the evaluator over them."""
        with self._lock:
            if self._all is None:
                access = Access({}, {}, {}, {}, {})
                for account_id, partition, _ in self._world.iam_everywhere():
                    _add(access, self.account(account_id, partition))
                self._all = access, Evaluator(access)
            return self._all


def _add(total: Any, part: Access) -> None:
    """Put one account's entries to the rest; ARNs carry the account, so nothing meets but AWS's own policies."""
    for name in ("roles", "policies", "groups", "users", "instance_profiles"):
        getattr(total, name).update(getattr(part, name))


def read_backend(backend: Any) -> Access:
    """One account's IAM, from moto's own objects: no request, no JSON on the way but the documents themselves."""
    roles = {role.arn: _role(role) for role in list(backend.roles.values())}
    groups = {
        group.arn: Group(group.arn, _inline(group.policies), frozenset(group.managed_policies))
        for group in list(backend.groups.values())
    }
    users = {user.arn: _user(user, backend) for user in list(backend.users.values())}
    profiles = {
        profile.arn: InstanceProfile(profile.arn, profile.roles[0].arn, _tags(profile.tags))
        for profile in list(backend.instance_profiles.values())
        if profile.roles
    }
    # Of AWS's own policies those that hang on somebody: an account in which they were listed knows all 1,400.
    holders: list[Role | User] = [*roles.values(), *users.values()]
    named = {arn for holder in holders for arn in (*holder.attached, holder.boundary or "")}
    named |= {arn for group in groups.values() for arn in group.attached}
    policies = {
        policy.arn: _policy(policy)
        for policy in list(backend.managed_policies.values())
        if ":iam::aws:" not in policy.arn or policy.arn in named
    }
    return Access(roles, policies, groups, users, profiles)


def _role(role: Any) -> Role:
    return Role(
        role.arn,
        document_of(role.assume_role_policy_document),
        _inline(role.policies),
        frozenset(role.managed_policies),
        role.permissions_boundary_arn,
        int(role.max_session_duration or 3_600),
        role.description or "",
        _tags(role.tags),
    )


def _user(user: Any, backend: Any) -> User:
    groups = frozenset(group.arn for group in list(backend.groups.values()) if user in group.users)
    boundary = getattr(user, "permissions_boundary", None)
    return User(
        user.arn,
        groups,
        _inline(user.policies),
        frozenset(user.managed_policies),
        boundary=boundary["PermissionsBoundaryArn"] if boundary else None,
        tags=_tags(user.tags),
    )


def _policy(policy: Any) -> ManagedPolicy:
    current = next(v for v in policy.versions if v.version_id == policy.default_version_id)
    return ManagedPolicy(policy.arn, document_of(current.document), policy.description or "", _tags(policy.get_tags()))


def _inline(policies: Mapping[str, str]) -> dict[str, PolicyDocument]:
    return {name: document_of(text) for name, text in list(policies.items())}


def _tags(tags: Any) -> dict[str, str]:
    items = tags.values() if isinstance(tags, dict) else tags or ()
    if isinstance(tags, dict) and all(isinstance(value, str) for value in tags.values()):
        return dict(tags)
    return {tag["Key"]: tag["Value"] for tag in items}


@lru_cache(maxsize=16_384)
def document_of(text: str) -> PolicyDocument:
    """A stored document. Raises ValueError when it is none, which the checks at saving exclude."""
    return policy_from_json(json.loads(text))
