"""Finds statements of permission sets in the manifest files, and checks the Regions of the manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache, cached_property

from rolecall_generator.findings import UNKNOWN_REGION, Finding
from rolecall_generator.iam import Statement
from rolecall_generator.iam.catalog import is_known_region, nearest_region, partition_of_region
from rolecall_generator.manifest import LoadedManifest, StatementSpec
from rolecall_generator.manifest.yaml_source import Loc, Place
from rolecall_generator.planning import statement_of


class DeclaredStatements:
    """Finds the statement of a permission set that equals a statement read in a module."""

    def __init__(self, loaded: LoadedManifest) -> None:
        self._loaded = loaded
        self._cached_locate = cache(self._locate)

    def __call__(self, statement: Statement, text: str | None) -> str | None:
        """FILE:LINE of the string `text` in the statement, or else of the statement. The first of equal statements is used.

        Returns None if no permission set has the statement.
        """
        place = self._cached_locate(statement.canonical(), text)
        return None if place is None else f"{place.file}:{place.line}"

    def _locate(self, statement: Statement, text: str | None) -> Place | None:
        entry = self._statements.get(statement)
        if entry is None:
            return None
        location, spec = entry
        string_location = next((loc for loc, value in spec.strings() if value == text), ()) if text is not None else ()
        return self._loaded.places.find(
            *location, *string_location, key=bool(string_location) and string_location[-1] == text
        )

    @cached_property
    def _statements(self) -> Mapping[Statement, tuple[Loc, StatementSpec]]:
        statements: dict[Statement, tuple[Loc, StatementSpec]] = {}
        for name, permissions in self._loaded.manifest.permission_sets.items():
            for number, spec in enumerate(permissions.statements):
                location: Loc = ("permission_sets", name, "statements", number)
                statements.setdefault(statement_of(spec).canonical(), (location, spec))
        return statements


def region_findings(loaded: LoadedManifest) -> Iterator[Finding]:
    """Yield a finding for each Region in the manifest that is unknown or belongs to another partition."""
    manifest = loaded.manifest
    region_lists: list[tuple[str, Loc, tuple[str, ...]]] = [("defaults", ("defaults",), manifest.defaults.regions)]
    region_lists += [
        (entry.name, ("customers", i), entry.regions) for i, entry in enumerate(manifest.customers) if entry.regions
    ]
    for subject, location, regions in region_lists:
        for number, region in enumerate(regions):
            region_partition = partition_of_region(region)
            if region_partition == manifest.partition:
                continue
            place = loaded.places.find(*location, "regions", number)
            if region_partition is not None:
                message = f"{region} is a Region of partition {region_partition}, the accounts are in {manifest.partition}"
            elif is_known_region(region):
                message = f"{region} is not a Region that can be queried"
            else:
                message = f"{region} is not a Region known to this version of rolecall"
            nearest = nearest_region(region, manifest.partition)
            yield UNKNOWN_REGION.finding(
                subject,
                message,
                hint=f"write {nearest}" if nearest else f"write a Region of partition {manifest.partition}",
                declared=f"{place.file}:{place.line}",
            )
