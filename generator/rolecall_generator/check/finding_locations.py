"""Source positions in the manifest: of the statements of permission sets, and findings about lists of Regions."""

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
        self._find = cache(self._locate)

    def __call__(self, statement: Statement, text: str | None) -> str | None:
        """FILE:LINE of the string in the statement, else of the statement; None if no permission set has the statement.

        The first of several equal statements is taken.
        """
        place = self._find(statement.canonical(), text)
        return None if place is None else f"{place.file}:{place.line}"

    def _locate(self, statement: Statement, text: str | None) -> Place | None:
        found = self._statements.get(statement)
        if found is None:
            return None
        at, spec = found
        inner = next((loc for loc, value in spec.strings() if value == text), ()) if text is not None else ()
        return self._loaded.places.find(*at, *inner, key=bool(inner) and inner[-1] == text)

    @cached_property
    def _statements(self) -> Mapping[Statement, tuple[Loc, StatementSpec]]:
        found: dict[Statement, tuple[Loc, StatementSpec]] = {}
        for name, permissions in self._loaded.manifest.permission_sets.items():
            for number, spec in enumerate(permissions.statements):
                at: Loc = ("permission_sets", name, "statements", number)
                found.setdefault(statement_of(spec).canonical(), (at, spec))
        return found


def region_findings(loaded: LoadedManifest) -> Iterator[Finding]:
    """Yield a finding for each Region in the manifest that AWS does not have, or has in another partition."""
    manifest = loaded.manifest
    lists: list[tuple[str, Loc, tuple[str, ...]]] = [("defaults", ("defaults",), manifest.defaults.regions)]
    lists += [(entry.name, ("customers", i), entry.regions) for i, entry in enumerate(manifest.customers) if entry.regions]
    for subject, at, regions in lists:
        for number, region in enumerate(regions):
            home = partition_of_region(region)
            if home == manifest.partition:
                continue
            place = loaded.places.find(*at, "regions", number)
            if home is not None:
                message = f"{region} is a Region of partition {home}, the accounts are in {manifest.partition}"
            elif is_known_region(region):
                message = f"{region} is not a Region that can be queried"
            else:
                message = f"{region} is not a Region known to this version of rolecall"
            close = nearest_region(region, manifest.partition)
            yield UNKNOWN_REGION.finding(
                subject,
                message,
                hint=f"write {close}" if close else f"write a Region of partition {manifest.partition}",
                declared=f"{place.file}:{place.line}",
            )
