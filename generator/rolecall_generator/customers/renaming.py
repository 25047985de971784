"""A customer or switch role that gets another name.

The name is the vendor's: it is in no ARN and in no resource address of a module, so a rename changes no AWS resource. What
moves is the module's folder, with the Terraform state if it lies there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from rolecall_generator.customers.proposal import Proposal, propose
from rolecall_generator.errors import SelectionError
from rolecall_generator.iam.module import ModuleKind
from rolecall_generator.manifest.edit import RenameEntry, Section
from rolecall_generator.manifest.edit_write import write_edited
from rolecall_generator.manifest.models import Manifest
from rolecall_generator.plan.customer import customer_path
from rolecall_generator.plan.switch_role import switch_role_path
from rolecall_generator.rotations import Rotation, change_rotations, read_rotations


@dataclass(frozen=True, slots=True, kw_only=True)
class _WithRecord(Proposal):
    """A rename of a customer whose external id was rotated: the record of it follows."""

    out: Path
    old: str
    new: str

    def write(self) -> None:
        """Write the manifest, then the record: a record without a customer does no harm. Raises OutputError."""

        def follow(before: Mapping[str, Rotation]) -> Mapping[str, Rotation]:
            return {self.new if name == self.old else name: entry for name, entry in before.items()}

        write_edited(self.edited)
        change_rotations(self.out, follow)


def rename_entry(manifest: Path, out: Path, old: str, new: str, *, section: Section = "customers") -> Proposal:
    """Propose another name for a customer or switch role. Raises as `propose`; SelectionError when the names are one."""
    if old == new:
        raise SelectionError(f"{old} has that name already", where=str(manifest), mend="give another one")
    proposal = propose(
        manifest,
        out,
        [RenameEntry(old, new, section)],
        moved=moved_modules(old, new, section),
        notes=lambda before: _lost_patterns(before, old, new),
    )
    if section == "customers" and old in read_rotations(out):
        return _WithRecord(proposal.edited, proposal.difference, proposal.notes, out=out, old=old, new=new)
    return proposal


def moved_modules(old: str, new: str, section: Section) -> dict[str, str]:
    """Paths of an entry's modules below the output folder, before and after a rename."""
    if section == "customers":
        return {customer_path(old): customer_path(new)}
    sides = (ModuleKind.TRUSTING, ModuleKind.TRUSTED)
    return {switch_role_path(old, side): switch_role_path(new, side) for side in sides}


def _lost_patterns(manifest: Manifest, old: str, new: str) -> list[str]:
    """Suppressions with wildcards that meet the old name and not the new one."""
    return [
        f"the suppression of {suppression.rule} for {suppression.subject} no longer meets this entry"
        for suppression in manifest.suppress
        if suppression.subject != old and fnmatchcase(old, suppression.subject) and not fnmatchcase(new, suppression.subject)
    ]
