"""The modules that a customer has or had, as an entry of the status file keeps them."""

from __future__ import annotations

from dataclasses import replace

from rolecall_runner.status.entry import Version

VERSIONS_KEPT = 5
"""Modules that are kept of one customer: all that the customer may have, and the newest of those that are gone."""


def with_version(versions: tuple[Version, ...], added: Version) -> tuple[Version, ...]:
    """The versions with another one at their end; of those that are gone the newest are kept."""
    same = versions[-1] if versions else None
    if same is not None and not same.gone and same.access == added.access:
        return (*versions[:-1], replace(same, module=added.module))
    known = (*(each for each in versions if not (each.gone and each.access == added.access)), added)
    spare = [each for each in known if each.gone][: max(0, len(known) - VERSIONS_KEPT)]
    return tuple(each for each in known if each not in spare)
