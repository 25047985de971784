"""Customers or switch roles that leave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rolecall_generator.customers.proposal import Proposal, propose
from rolecall_generator.manifest.edit import RemoveEntry, Section
from rolecall_generator.manifest.models import Manifest


def remove_entries(manifest: Path, out: Path, names: Sequence[str], *, section: Section = "customers") -> Proposal:
    """Propose a manifest without these customers or switch roles. Raises as `propose`."""

    def notes(before: Manifest) -> Iterator[str]:
        suppressed = {suppression.subject for suppression in before.suppress}
        for name in names:
            if name in suppressed:
                yield f"a suppression of the manifest names {name}; it suppresses nothing any more"

    return propose(manifest, out, [RemoveEntry(name, section) for name in dict.fromkeys(names)], notes=notes)
