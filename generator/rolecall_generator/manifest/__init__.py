"""The manifest: accounts.yaml and its includes, loaded to typed models; every problem has its position."""

from rolecall_generator.manifest.csv_file import CSV_COLUMNS, parse_csv
from rolecall_generator.manifest.loader import SUFFIXES, LoadedManifest, load_manifest, names_in
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
    resolve_customers,
)
from rolecall_generator.manifest.people import People
from rolecall_generator.manifest.starter import fresh_external_id, json_schema, write_starter
from rolecall_generator.manifest.validation import fold

__all__ = [
    "CSV_COLUMNS",
    "SUFFIXES",
    "AccountRef",
    "Backend",
    "BackendRole",
    "Customer",
    "LoadedManifest",
    "Manifest",
    "People",
    "PermissionSet",
    "Quotas",
    "ResolvedCustomer",
    "StatementSpec",
    "Suppression",
    "SwitchRole",
    "SwitchUser",
    "customer_problems",
    "fold",
    "fresh_external_id",
    "json_schema",
    "load_manifest",
    "names_in",
    "parse_csv",
    "resolve_customers",
    "write_starter",
]
