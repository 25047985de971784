"""Combines permission sets into the policies of a role, within the quotas of AWS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rolecall_generator.errors import PlanError
from rolecall_generator.iam import Condition, ManagedPolicy, PolicyDocument, Statement, iam_arn, quotas
from rolecall_generator.manifest import PermissionSet, StatementSpec


@dataclass(frozen=True, slots=True)
class Permissions:
    """The policies of a list of permission sets, independent of the role's account."""

    inline: Mapping[str, PolicyDocument]
    managed: Mapping[str, PolicyDocument]
    attached_names: tuple[str, ...]
    descriptions: Mapping[str, str]

    def attached(self, partition: str, account_id: str, role: str) -> frozenset[str]:
        """ARNs of all attached policies: AWS managed policies, policies given by ARN, and the sets' own managed policies."""
        listed = (
            name if name.startswith("arn:") else iam_arn(partition, "aws", "policy", "/", name)
            for name in self.attached_names
        )
        own = (own_policy_arn(partition, account_id, role, name) for name in self.managed)
        return frozenset((*listed, *own))

    def policies(self, partition: str, account_id: str, role: str, tags: Mapping[str, str]) -> list[ManagedPolicy]:
        """The sets' own managed policies in the role's account."""
        return [
            ManagedPolicy(
                arn=own_policy_arn(partition, account_id, role, name),
                document=document,
                description=self.descriptions[name],
                tags=tags,
            )
            for name, document in self.managed.items()
        ]


def own_policy_arn(partition: str, account_id: str, role: str, name: str) -> str:
    """ARN of the managed policy of a permission set, named after the role and the set."""
    return iam_arn(partition, account_id, "policy", "/", f"{role}-{name}")


def permissions_of(names: Iterable[str], sets: Mapping[str, PermissionSet]) -> Permissions:
    """Combine permission sets. Raises PlanError if a policy exceeds a size quota."""
    inline: dict[str, PolicyDocument] = {}
    managed: dict[str, PolicyDocument] = {}
    attached: dict[str, None] = {}
    for name in dict.fromkeys(names):
        permission_set = sets[name]
        attached.update(dict.fromkeys(permission_set.managed_policies))
        if permission_set.statements:
            document = PolicyDocument(tuple(statement_of(spec) for spec in permission_set.statements))
            (managed if permission_set.attach == "managed" else inline)[name] = document
    _check_sizes(inline, managed)
    return Permissions(inline, managed, tuple(attached), {name: sets[name].description for name in managed})


def check_attachments(permissions: Permissions, limit: int, where: str) -> None:
    """Raise PlanError if a role would have more managed policies than the quota allows."""
    count = len(permissions.attached_names) + len(permissions.managed)
    if count > limit:
        raise PlanError(
            f"{count} managed policies on one role; the quota is {limit}",
            where=where,
            hint="join permission sets, write them inline (attach: inline), or request a quota increase from AWS and set "
            f"quotas.role_managed_policies (up to {quotas.ROLE_MANAGED_POLICIES_MAXIMUM})",
        )


def _check_sizes(inline: Mapping[str, PolicyDocument], managed: Mapping[str, PolicyDocument]) -> None:
    total = sum(document.size for document in inline.values())
    if total > quotas.ROLE_INLINE_CHARACTERS:
        raise PlanError(
            f"the inline policies of a role have {total:,} characters; the quota is {quotas.ROLE_INLINE_CHARACTERS:,}",
            where=f"permission sets {', '.join(inline)}",
            hint="write `attach: managed` on the largest of them",
        )
    for name, document in managed.items():
        if document.size > quotas.MANAGED_POLICY_CHARACTERS:
            raise PlanError(
                f"a managed policy of {document.size:,} characters; the quota is {quotas.MANAGED_POLICY_CHARACTERS:,}",
                where=f"permission set {name}",
                hint="split it into two permission sets",
            )


def statement_of(spec: StatementSpec) -> Statement:
    """Convert a statement of a permission set to an IAM statement."""
    return Statement(
        effect=spec.effect,
        sid=spec.sid,
        actions=spec.actions,
        not_actions=spec.not_actions,
        resources=spec.resources,
        not_resources=spec.not_resources,
        conditions=tuple(
            Condition(operator, key, (values,) if isinstance(values, str) else values)
            for operator, keys in spec.conditions.items()
            for key, values in keys.items()
        ),
    )
