"""Audit of an account from the customer's side: which outsiders can assume which role, and what the role may do."""

from typing import TYPE_CHECKING

from rolecall_generator.lazy import lazy_getattr

if TYPE_CHECKING:
    from rolecall_generator.audit.account import AccountData
    from rolecall_generator.audit.description import (
        describe,
        describe_chain,
        requirements,
        services_summary,
        short_name,
        summarize_access,
    )
    from rolecall_generator.audit.model import (
        UNUSED_DAYS,
        Audit,
        AuditedRole,
        AuditRule,
        audit_accounts,
        audit_rules,
        vendor_of,
    )
    from rolecall_generator.audit.outsiders import Outsider, OutsiderKind, OwnAccounts, Requirement
    from rolecall_generator.audit.permissions import RolePermissions, Scope
    from rolecall_generator.audit.sources import organization_accounts, read_account_ids, read_accounts, read_live

__all__ = [
    "UNUSED_DAYS",
    "AccountData",
    "Audit",
    "AuditRule",
    "AuditedRole",
    "Outsider",
    "OutsiderKind",
    "OwnAccounts",
    "Requirement",
    "RolePermissions",
    "Scope",
    "audit_accounts",
    "audit_rules",
    "describe",
    "describe_chain",
    "organization_accounts",
    "read_account_ids",
    "read_accounts",
    "read_live",
    "requirements",
    "services_summary",
    "short_name",
    "summarize_access",
    "vendor_of",
]

__getattr__ = lazy_getattr(__name__)
