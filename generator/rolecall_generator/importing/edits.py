"""What an import would do, as edits of the manifest's files and as JSON; nothing is written here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rolecall_generator.importing.model import LeftOut
from rolecall_generator.importing.planning import ImportPlan
from rolecall_generator.manifest.edit import AddCustomer, Edit, SetField


def edits_of(plan: ImportPlan, into: Path | None) -> Sequence[Edit]:
    """The edits that carry a plan out. `into`: the file that new customers go to; None: where the last customer stands."""
    edits: list[Edit] = [SetField(change.customer, change.field, change.new) for change in plan.changed]
    edits += (AddCustomer(entry, into) for entry in plan.added)
    return edits


def plan_json(plan: ImportPlan) -> Mapping[str, object]:
    """What an import would do, in JSON's types."""
    return {
        "added": [dict(entry) for entry in plan.added],
        "changed": [
            {"customer": change.customer, "field": change.field, "old": change.old, "new": change.new}
            for change in plan.changed
        ],
        "known": _left_out(plan.known),
        "left_out": _left_out(plan.left_out),
        "ignored_columns": list(plan.ignored),
    }


def _left_out(accounts: Iterable[LeftOut]) -> list[dict[str, str]]:
    return [{"name": one.name, "account_id": one.account_id, "why": one.why} for one in accounts]
