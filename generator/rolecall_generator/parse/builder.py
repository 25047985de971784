"""Collects the parts of an Access while resources are read in any order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rolecall_generator.iam.access import Access, ConsolePassword, Group, InstanceProfile, ManagedPolicy, Role, User
from rolecall_generator.iam.arn import iam_arn
from rolecall_generator.iam.policy import PolicyDocument


@dataclass(slots=True)
class Draft:
    """A principal under construction; `values` are the arguments of its model."""

    kind: str
    arn: str
    existing: bool
    values: dict[str, Any] = field(default_factory=dict)
    inline: dict[str, PolicyDocument] = field(default_factory=dict)
    attached: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    console_password: ConsolePassword | None = None


class Builder:
    """Principals by kind and name (IAM: unique without regard to case), policies and profiles by ARN."""

    def __init__(self, partition: str, account_id: str) -> None:
        self.partition = partition
        self.account_id = account_id
        self.drafts: dict[tuple[str, str], Draft] = {}
        self.policies: dict[str, ManagedPolicy] = {}
        self.profiles: dict[str, InstanceProfile] = {}

    def declare(self, kind: str, name: str, arn: str, *, existing: bool, **values: Any) -> bool:
        """A principal that a block stands for. False when its name is taken; both are kept then, one as it stood."""
        key = (kind, name.lower())
        known = self.drafts.get(key)
        if known is not None and not (known.existing and existing and known.arn == arn):
            self.drafts[kind, f"{name.lower()}/{len(self.drafts)}"] = Draft(kind, arn, existing, values)
            return False
        if known is None:
            self.drafts[key] = Draft(kind, arn, existing, values)
        return True

    def named(self, kind: str, name: str) -> Draft:
        """The principal of a name; one that no block stands for exists already, at the root path."""
        key = (kind, name.lower())
        if key not in self.drafts:
            arn = iam_arn(self.partition, self.account_id, kind, "/", name)
            self.drafts[key] = Draft(kind, arn, existing=True, values={"trust": None} if kind == "role" else {})
        return self.drafts[key]

    def access(self) -> Access:
        """Everything collected."""
        parts: dict[str, dict[str, Any]] = {"role": {}, "group": {}, "user": {}}
        for draft in self.drafts.values():
            # The first of two with one ARN stays; that there are two is a finding.
            parts[draft.kind].setdefault(draft.arn, _model(draft))
        return Access(parts["role"], self.policies, parts["group"], parts["user"], self.profiles)


def _model(draft: Draft) -> Role | Group | User:
    common: dict[str, Any] = {
        "arn": draft.arn,
        "inline": draft.inline,
        "attached": frozenset(draft.attached),
        "existing": draft.existing,
        **draft.values,
    }
    if draft.kind == "role":
        return Role(**common)
    if draft.kind == "group":
        return Group(**common)
    return User(**common, groups=frozenset(draft.groups), console_password=draft.console_password)
