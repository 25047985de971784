"""A target: one role in one account, with what is needed to assume and select it. Imports nothing that reads manifests."""

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
    `previous_external_id` is valid too; `retired_external_id`, of the last rotation, must be refused. `backend_role_arn` is
    the principal that may assume it: a customer's backend role, or the root of a switch role's trusted account. `regions`
    are used by queries; `labels` and `tags` serve selection, `variables` queries and plays. `session_tags`
    and `source_identity`: whether the role's trust lets the caller pass them. `require_mfa`: a person must sign in with MFA.
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
