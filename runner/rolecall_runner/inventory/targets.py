"""A target: one role in one account, with what is needed to assume and select it. Imports nothing that reads manifests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class TargetKind(StrEnum):
    """What the target is in the manifest."""

    CUSTOMER = "customer"
    SWITCH_ROLE = "switch-role"


@dataclass(frozen=True, slots=True)
class Target:
    """A role that a run assumes, or asks about.

    `name` is unique among targets of one kind. `external_id` None: the role is assumed without one. Amid a rotation
    `previous_external_id` counts too; `retired_external_id`, of the last one, must be refused. `backend_role_arn` is the
    principal that may assume it: the backend role of a customer, the trusted account's root of a switch role.
    `regions` are those that queries ask; `labels` and `tags` serve selection, `variables` queries and plays. `session_tags`
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
