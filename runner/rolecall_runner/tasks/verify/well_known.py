"""Reads that need no parameter, and AWS's well-known read-only policies by the bounds of what they allow.

AWS changes the text of its managed policies, mostly by adding to it. So `data/well_known_policies.json` holds no text but
bounds: `allows` has a few actions that the policy exists for, `services` those that it stays within; `reads_except` adds all
`reads` but the listed ones. A test checks the table against moto's policy documents.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from rolecall_generator.iam.policy import PolicyDocument, Statement


@dataclass(frozen=True, slots=True)
class WellKnown:
    """Bounds of an AWS managed policy: action patterns allowed on every resource, and services (empty: all of them)."""

    allows: tuple[str, ...]
    services: tuple[str, ...] = ()

    @property
    def least(self) -> PolicyDocument:
        """What the policy allows at least."""
        return PolicyDocument((Statement("Allow", self.allows, ("*",)),))

    @property
    def most(self) -> PolicyDocument:
        """An upper bound of what the policy allows."""
        wide = tuple(f"{service}:*" for service in self.services) or ("*",)
        return PolicyDocument((Statement("Allow", wide, ("*",)),))


def _well_known(entry: Mapping[str, Any]) -> WellKnown:
    reads = [action for action in READS if action not in entry["reads_except"]] if "reads_except" in entry else []
    return WellKnown((*reads, *entry["allows"]), tuple(entry.get("services", ())))


_TABLE: Any = json.loads(files(__package__ or "").joinpath("data", "well_known_policies.json").read_text(encoding="utf-8"))

READS: Sequence[str] = tuple(_TABLE["reads"])
"""Actions over many services whose safe call needs no parameter. A test checks that each has one and only reads."""

WELL_KNOWN: Mapping[str, WellKnown] = {name: _well_known(entry) for name, entry in _TABLE["policies"].items()}
"""Bounds by path and name of the policy, for example `job-function/ViewOnlyAccess`."""
