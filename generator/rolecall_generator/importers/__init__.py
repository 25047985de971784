"""Accounts from other sources, one module per source: CSV tables, AWS Organizations, Terraform outputs."""

from functools import cache

from rolecall_generator.importers.import_plan import (
    Importer,
    ImportProblemsError,
    ImportSettings,
    Reading,
    import_edits,
    import_notes,
    plan_import,
    with_manifest_problems,
)
from rolecall_generator.lazy import registered

__all__ = [
    "ImportProblemsError",
    "ImportSettings",
    "Importer",
    "Reading",
    "all_importers",
    "import_edits",
    "import_notes",
    "plan_import",
    "with_manifest_problems",
]


@cache
def all_importers() -> tuple[Importer, ...]:
    """The importers that modules of this folder register as `IMPORTER`, by name."""
    found: list[Importer] = list(registered(__name__, "IMPORTER").values())
    return tuple(sorted(found, key=lambda importer: importer.name))
