"""The manifest: accounts.yaml and its includes, loaded to typed models; every problem has its position."""

from typing import TYPE_CHECKING

from rolecall_generator.lazy import lazy_getattr

if TYPE_CHECKING:
    from rolecall_generator.manifest.loader import (
        CSV_COLUMNS,
        LoadedManifest,
        Read,
        entry_names,
        fresh_external_id,
        load_manifest,
        parse_csv,
        write_starter,
    )
    from rolecall_generator.manifest.messages import customer_problems
    from rolecall_generator.manifest.models import (
        AccountRef,
        Backend,
        BackendRole,
        Customer,
        Manifest,
        PermissionSet,
        Quotas,
        ResolvedCustomer,
        StatementSpec,
        Suppression,
        SwitchRole,
        SwitchUser,
        json_schema,
        resolve_customers,
    )
    from rolecall_generator.manifest.validation import SharedGroup, normalized_name

__all__ = [
    "CSV_COLUMNS",
    "AccountRef",
    "Backend",
    "BackendRole",
    "Customer",
    "LoadedManifest",
    "Manifest",
    "PermissionSet",
    "Quotas",
    "Read",
    "ResolvedCustomer",
    "SharedGroup",
    "StatementSpec",
    "Suppression",
    "SwitchRole",
    "SwitchUser",
    "customer_problems",
    "entry_names",
    "fresh_external_id",
    "json_schema",
    "load_manifest",
    "normalized_name",
    "parse_csv",
    "resolve_customers",
    "write_starter",
]

__getattr__ = lazy_getattr(__name__)
