"""Accounts from other sources: CSV tables, AWS Organizations, Terraform outputs."""

from rolecall_generator.importers.csv_table import parse_columns, read_csv_accounts
from rolecall_generator.importers.import_plan import ImportSettings, import_edits, import_notes, plan_import
from rolecall_generator.importers.interface import ImportProblemsError, Reading, with_manifest_problems
from rolecall_generator.importers.organizations import OrganizationSelection, make_client, read_organization
from rolecall_generator.importers.terraform_outputs import read_output_accounts

__all__ = [
    "ImportProblemsError",
    "ImportSettings",
    "OrganizationSelection",
    "Reading",
    "import_edits",
    "import_notes",
    "make_client",
    "parse_columns",
    "plan_import",
    "read_csv_accounts",
    "read_organization",
    "read_output_accounts",
    "with_manifest_problems",
]
