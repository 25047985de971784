"""What an import would do, as edits of the manifest's files, and in sentences; nothing is written here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rolecall_generator.importing.planning import ImportPlan
from rolecall_generator.manifest.edit import AddCustomer, Edit, SetField
from rolecall_generator.manifest.scalars import clip


def edits_of(plan: ImportPlan, into: Path | None) -> Sequence[Edit]:
    """The edits that carry a plan out. `into`: the file that new customers go to; None: where the last customer stands."""
    edits: list[Edit] = [SetField(change.customer, change.field, change.new) for change in plan.changed]
    edits += (AddCustomer(entry, into) for entry in plan.added)
    return edits


def notes_of(plan: ImportPlan, most: int | None = None) -> Iterator[str]:
    """What a person should know of an import: who is new, known or left out, and why. `most`: so many names each."""
    changed = len({change.customer for change in plan.changed})
    same = [one for one in plan.known if not one.differs]
    differ = f", {len(plan.known) - len(same):,} that differ" if len(plan.known) > len(same) else ""
    yield f"{len(plan.added):,} new, {changed:,} changed, {len(same):,} as they are{differ}"
    differing = [f"{clip(one.name)} ({one.account_id}) {one.why}" for one in plan.known if one.differs]
    left_out = [f"left out: {clip(one.name)} ({one.account_id}): {one.why}" for one in plan.left_out]
    for sentences in (differing, left_out):
        yield from sentences[:most]
        if most is not None and len(sentences) > most:
            yield f"and {len(sentences) - most:,} more like the last: --format json names all"
    for change in plan.changed:
        if change.field == "external_id" and change.old is not None:
            yield f"{change.customer} has another external id than the manifest: the vendor makes them, never the customer"
    yield from plan.notes
    if plan.ignored:
        columns = ", ".join(clip(column) for column in plan.ignored)
        yield f"columns that are not taken over: {columns} (--column FIELD=HEADER maps one)"
