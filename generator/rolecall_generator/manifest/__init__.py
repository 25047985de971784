"""The manifest: accounts.yaml to typed models, each problem with its position."""

from rolecall_generator.manifest.csv_file import (
    BOOLEAN_COLUMNS,
    COLUMNS,
    LIST_COLUMNS,
    MAP_COLUMNS,
    NUMBER_COLUMNS,
    PLAIN_COLUMNS,
    parse_csv,
)
from rolecall_generator.manifest.loader import SUFFIXES, LoadedManifest, included_by, load_manifest, names_in
from rolecall_generator.manifest.messages import translate
from rolecall_generator.manifest.models import (
    AccountRef,
    Backend,
    BackendRole,
    Customer,
    IncludedFile,
    Manifest,
    PermissionSet,
    Quotas,
    ResolvedCustomer,
    StatementSpec,
    Suppression,
    SwitchRole,
    SwitchUser,
    account_names,
    resolve_customer,
    resolve_customers,
)
from rolecall_generator.manifest.people import People, people_of
from rolecall_generator.manifest.starter import fresh_external_id, json_schema, write_starter
from rolecall_generator.manifest.validation import fold, shares_external_id

__all__ = [
    "BOOLEAN_COLUMNS",
    "COLUMNS",
    "LIST_COLUMNS",
    "MAP_COLUMNS",
    "NUMBER_COLUMNS",
    "PLAIN_COLUMNS",
    "SUFFIXES",
    "AccountRef",
    "Backend",
    "BackendRole",
    "Customer",
    "IncludedFile",
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
    "account_names",
    "fold",
    "fresh_external_id",
    "included_by",
    "json_schema",
    "load_manifest",
    "names_in",
    "parse_csv",
    "people_of",
    "resolve_customer",
    "resolve_customers",
    "shares_external_id",
    "translate",
    "write_starter",
]
