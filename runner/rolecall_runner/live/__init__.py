"""Access read from live IAM."""

from rolecall_runner.live.account import read_account
from rolecall_runner.live.role import (
    GONE,
    NotCheckable,
    RoleReading,
    RoleSettings,
    UserReading,
    read_group,
    read_policy,
    read_role,
    read_user,
)

__all__ = [
    "GONE",
    "NotCheckable",
    "RoleReading",
    "RoleSettings",
    "UserReading",
    "read_account",
    "read_group",
    "read_policy",
    "read_role",
    "read_user",
]
