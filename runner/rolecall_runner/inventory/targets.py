"""A target: one role in one account, with the data to assume and select it. Does not import the manifest loader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class TargetKind(StrEnum):
    """Kind of a target in the manifest."""

    CUSTOMER = "customer"
    SWITCH_ROLE = "switch-role"


@dataclass(frozen=True, slots=True)
class Target:
    """A role that a run assumes or reads.

    `name` is unique among targets of one kind. `external_id` None: the role is assumed without one. During a rotation
    `previous_external_id` is valid too; `retired_external_id`, of the last rotation, must be denied. `backend_role_arn`: the
    principal that may assume the role: a customer's backend role, or the root of a switch role's trusted account. `regions`
    are used by queries, `labels` and `tags` by selections, `variables` by queries and plays. `session_tags` and
    `source_identity`: whether the trust policy allows the caller to set them. `require_mfa`: whether it requires MFA.
    """

    name: str
    account_id: str
    partition: str
    role_arn: str
    external_id: str | None = None
    previous_external_id: str | None = None
    retired_external_id: str | None = None
    backend_role_arn: str = ""
    regions: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    permissions: tuple[str, ...] = ()
    max_session_seconds: int = 3600
    session_tags: bool = False
    source_identity: bool = False
    kind: TargetKind = TargetKind.CUSTOMER
    require_mfa: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Kind and name, which identify the target in its manifest."""
        return str(self.kind), self.name
