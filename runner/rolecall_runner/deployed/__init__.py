"""Live IAM -> the access model: a whole account (`read_account`), or one role as far as it may see itself (`read_role`)."""

from rolecall_runner.deployed.account import read_account
from rolecall_runner.deployed.documents import UnreadableDocumentError
from rolecall_runner.deployed.role import NotCheckable, RoleReading, RoleSettings, read_role

__all__ = ["NotCheckable", "RoleReading", "RoleSettings", "UnreadableDocumentError", "read_account", "read_role"]
