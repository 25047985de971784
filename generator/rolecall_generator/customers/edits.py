"""A new customer.

Fields of a customer that change.

Customers or switch roles that leave.

A customer or switch role that gets another name. The name is the vendor's: it is in no ARN and in no resource address
of a module, so a rename changes no AWS resource. What moves is the module's folder, with the Terraform state if it lies
there.

What a person does after a change of the manifest, as lines to read and commands to copy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from rolecall_generator.customers.proposal import Proposal, propose
from rolecall_generator.errors import SelectionError
from rolecall_generator.iam import ModuleKind
from rolecall_generator.manifest import Customer, Manifest, fresh_external_id, load_manifest
from rolecall_generator.manifest.editing import (
    AddCustomer,
    DropField,
    Edit,
    RemoveEntry,
    RenameEntry,
    Section,
    SetField,
    Value,
    write_edited,
)
from rolecall_generator.output import read_lock
from rolecall_generator.planning import BACKEND_PATH, customer_path, switch_role_path
from rolecall_generator.records import Rotation, change_rotations, read_rotations
from rolecall_generator.text import command_line, shell_word, suggest


def add_customer(
    manifest: Path,
    out: Path,
    values: Mapping[str, Value],
    *,
    file: Path | None = None,
    make_id: Callable[[], str] = fresh_external_id,
) -> Proposal:
    """Propose a customer with these fields; one without an `external_id` gets a fresh one. Raises as `propose`."""
    fields = dict(values)
    fields.setdefault("external_id", make_id())
    return propose(manifest, out, [AddCustomer(fields, file)])


def change_customer(
    manifest: Path, out: Path, name: str, values: Mapping[str, Value], *, drop: Collection[str] = ()
) -> Proposal:
    """Propose other values for a customer's fields; those in `drop` go back to the manifest's defaults.

    Mappings (tags, labels, variables) add up with what the customer has, the new values winning. Raises as `propose`, and
    SelectionError for a key in `drop` that customers do not have, or that has a value in `values`.
    """
    for key in drop:
        if key not in Customer.model_fields:
            what = f"a customer has no key {key}"
            raise SelectionError(
                what,
                where="--unset",
                hint=suggest(key, Customer.model_fields, "write a key of a customer, as in docs/manifest.md"),
            )
        if key in values:
            hint = "leave one of the two out"
            raise SelectionError(f"{key} is given a value and taken out at once", where="--unset", hint=hint)
    loaded = load_manifest(manifest)
    known = {customer.name: customer for customer in loaded.manifest.customers}
    edits: list[Edit] = [
        SetField(name, field, {**getattr(known.get(name), field, {}), **value} if isinstance(value, Mapping) else value)
        for field, value in values.items()
    ]
    edits += [DropField(name, field) for field in drop]
    return propose(manifest, out, edits, loaded=loaded)


def remove_entries(manifest: Path, out: Path, names: Sequence[str], *, section: Section = "customers") -> Proposal:
    """Propose a manifest without these customers or switch roles. Raises as `propose`."""

    def notes(before: Manifest) -> Iterator[str]:
        suppressed = {suppression.subject for suppression in before.suppress}
        for name in names:
            if name in suppressed:
                yield f"a suppression of the manifest names {name}; it suppresses nothing any more"

    return propose(manifest, out, [RemoveEntry(name, section) for name in dict.fromkeys(names)], notes=notes)


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
        raise SelectionError(f"{old} has that name already", where=str(manifest), hint="give another one")
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


_NOT_IN_A_LABEL = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True, slots=True)
class NextStep:
    """One step: `command` to copy, empty where there is none, and what it is for."""

    command: str
    why: str


def after_change(manifest: Path, out: Path, name: str, touched: Collection[str]) -> tuple[NextStep, ...]:
    """Steps after a customer was added or changed. `touched`: paths of the modules that change; no steps where none does."""
    steps = [_generate(manifest, out, "write the modules, check them")] if touched else []
    if BACKEND_PATH in touched:
        steps.append(_apply_backend(out, "let the backend role assume the customer's role"))
    if customer_path(name) in touched:
        steps.append(NextStep(command_line(f"gen bundle {name}", manifest, out), "what you hand to the customer"))
        steps.append(NextStep(command_line(f"runner verify --limit {name}", manifest, out), "after the customer's apply"))
    return tuple(steps)


def after_import(manifest: Path, out: Path) -> tuple[NextStep, ...]:
    """Steps after customers were imported, many at once."""
    return (
        _generate(manifest, out, "write the modules, check them"),
        _apply_backend(out, "let the backend role assume the customers' roles"),
        NextStep(command_line("gen bundle", manifest, out), "what you hand to the customers"),
        NextStep(command_line("runner verify", manifest, out), "after their applies"),
    )


def after_removal(
    manifest: Path, out: Path, names: Sequence[str], *, everybody: bool, section: Section
) -> tuple[NextStep, ...]:
    """Steps after entries were removed. `everybody`: no customer is left, which gen terraform wants to hear."""
    generate = _generate(manifest, out, "take the modules out of the output folder", " --prune-all" if everybody else "")
    if section == "switch_roles":
        return (NextStep("terraform destroy", "first, in both modules of the switch role, in their accounts"), generate)
    who = names[0] if len(names) == 1 else "these customers"
    return (
        generate,
        _apply_backend(out, f"ends the backend's access to {who}"),
        NextStep("terraform destroy", f"by {who}, in the module's folder: removes the role from the account"),
    )


def after_rename(manifest: Path, out: Path, old: str, new: str, section: Section) -> tuple[NextStep, ...]:
    """Steps after a rename; what Terraform keeps in the old folder moves with it."""
    steps = [_generate(manifest, out, f"write {new}'s modules, remove {old}'s")]
    locked = read_lock(out).modules
    for source, target in moved_modules(old, new, section).items():
        kept = _kept(out / source, locked[source].files if source in locked else ())
        if kept:
            files = " ".join(map(shell_word, kept))
            steps.append(NextStep(f"mv {files} {shell_word(out / target)}/", "Terraform's state goes with the folder"))
    if section == "customers":
        steps.append(NextStep(command_line(f"gen bundle {new}", manifest, out), "the customer's bundle under its new name"))
    return tuple(steps)


def moved_block(old: str, new: str) -> str:
    """The `moved` block for a root module that calls the folder as a child module of the entry's name.

    Without it Terraform would destroy the role and create it anew (Terraform language, "moved block", since 1.1).
    """
    return f"moved {{\n  from = module.{_label(old)}\n  to   = module.{_label(new)}\n}}"


def _generate(manifest: Path, out: Path, why: str, more: str = "") -> NextStep:
    return NextStep(command_line("gen terraform", manifest, out) + more, why)


def _apply_backend(out: Path, why: str) -> NextStep:
    return NextStep(f"terraform -chdir={shell_word(out / BACKEND_PATH)} apply", why)


def _kept(folder: Path, generated: Collection[str]) -> list[Path]:
    """Files and folders that stand next to the generated ones."""
    try:
        return sorted(path for path in folder.iterdir() if path.name not in generated)
    except OSError:
        return []


def _label(name: str) -> str:
    return _NOT_IN_A_LABEL.sub("_", name)
