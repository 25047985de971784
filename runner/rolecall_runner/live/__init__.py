"""Access read from live IAM."""

from rolecall_runner.live.account import UnreadableDocumentError, document_of, read_account
from rolecall_runner.live.role import NotCheckable, RoleReading, RoleSettings, read_role
from rolecall_runner.live.users import GONE, PersonReading, read_group, read_person, read_policy

__all__ = [
    "GONE",
    "NotCheckable",
    "PersonReading",
    "RoleReading",
    "RoleSettings",
    "UnreadableDocumentError",
    "document_of",
    "read_account",
    "read_group",
    "read_person",
    "read_policy",
    "read_role",
]
