"""Use cases that add, change, import, remove and rename entries of the manifest.

Each returns a Proposal: the edited manifest, the difference in access, and the steps to take once it is written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from rolecall_generator.customers.proposal import NextStep, Proposal, propose
from rolecall_generator.errors import SelectionError
from rolecall_generator.iam import ModuleKind
from rolecall_generator.manifest import Customer, LoadedManifest, Manifest, fresh_external_id, load_manifest
from rolecall_generator.manifest.editing import (
    AddCustomer,
    Edit,
    Edited,
    RemoveEntry,
    RenameEntry,
    Section,
    SetField,
    UnsetField,
    Value,
    write_edited,
)
from rolecall_generator.output import read_lock
from rolecall_generator.planning import BACKEND_PATH, customer_path, switch_role_path
from rolecall_generator.records import change_rotations, read_rotations
from rolecall_generator.text import command_line, shell_word, suggest


def add_customer(
    manifest: Path,
    out: Path,
    values: Mapping[str, Value],
    *,
    file: Path | None = None,
    make_id: Callable[[], str] = fresh_external_id,
) -> Proposal:
    """Propose a customer with these fields; without an `external_id` it gets a fresh one. Raises as `propose`."""
    fields = dict(values)
    fields.setdefault("external_id", make_id())
    proposal = propose(load_manifest(manifest), out, [AddCustomer(fields, file)])
    return replace(proposal, steps=steps_after_change(manifest, out, str(fields["name"]), proposal.difference.paths))


def change_customer(
    manifest: Path, out: Path, name: str, values: Mapping[str, Value], *, unset: Collection[str] = ()
) -> Proposal:
    """Propose new values for a customer's fields; fields in `unset` fall back to the manifest's defaults.

    Mappings (tags, labels, variables) are merged with the existing ones, new values win. Raises as `propose`, and
    SelectionError for a key in `unset` that customers do not have or that is also in `values`.
    """
    for key in unset:
        if key not in Customer.model_fields:
            hint = suggest(key, Customer.model_fields, "use a key of a customer from docs/manifest.md")
            raise SelectionError(f"a customer has no key {key}", where="--unset", hint=hint)
        if key in values:
            raise SelectionError(f"{key} is both set and unset", where="--unset", hint="remove one of the two options")
    loaded = load_manifest(manifest)
    known = {customer.name: customer for customer in loaded.manifest.customers}
    edits: list[Edit] = [
        SetField(name, field, {**getattr(known.get(name), field, {}), **value} if isinstance(value, Mapping) else value)
        for field, value in values.items()
    ]
    edits += [UnsetField(name, field) for field in unset]
    proposal = propose(loaded, out, edits)
    return replace(proposal, steps=steps_after_change(manifest, out, name, proposal.difference.paths))


def import_customers(loaded: LoadedManifest, out: Path, edits: Sequence[Edit], *, notes: Sequence[str]) -> Proposal:
    """Propose the edits of an import; `notes` describe it to the user. Raises as `propose`."""
    proposal = propose(loaded, out, edits, notes=notes)
    manifest = loaded.files[0]
    steps = (
        _generate(manifest, out, "write and check the modules"),
        _apply_backend(out, "let the backend role assume the customers' roles"),
        NextStep(command_line("gen bundle", manifest, out), "bundles for the customers"),
        NextStep(command_line("runner verify", manifest, out), "after the customers have applied them"),
    )
    return replace(proposal, steps=steps)


def remove_entries(manifest: Path, out: Path, names: Sequence[str], *, section: Section = "customers") -> Proposal:
    """Propose a manifest without these customers or switch roles. Raises as `propose`."""
    loaded = load_manifest(manifest)
    suppressed = {suppression.subject for suppression in loaded.manifest.suppress}
    notes = [f"the suppression for {name} no longer matches anything" for name in names if name in suppressed]
    proposal = propose(loaded, out, [RemoveEntry(name, section) for name in dict.fromkeys(names)], notes=notes)
    return replace(proposal, steps=tuple(_steps_after_removal(proposal, out, names, section)))


def _steps_after_removal(proposal: Proposal, out: Path, names: Sequence[str], section: Section) -> Iterator[NextStep]:
    last_customer = section == "customers" and not proposal.edited.after.manifest.customers
    generate = _generate(
        proposal.edited.manifest,
        out,
        "delete the modules from the output folder",
        " --prune-all" if last_customer else "",
    )
    if section == "switch_roles":
        yield NextStep("terraform destroy", "first, in both modules of the switch role, in their accounts")
        yield generate
        return
    subject = names[0] if len(names) == 1 else "these customers"
    yield generate
    yield _apply_backend(out, f"ends the backend's access to {subject}")
    yield NextStep("terraform destroy", f"run by {subject} in the module's folder: deletes the role from the account")


def rename_entry(manifest: Path, out: Path, old: str, new: str, *, section: Section = "customers") -> Proposal:
    """Propose another name for a customer or switch role. Raises as `propose`; SelectionError when the names are equal.

    The name is the vendor's: it is in no ARN and in no resource address, so a rename changes no AWS resource. The
    module's folder moves, with any Terraform state in it.
    """
    if old == new:
        raise SelectionError(f"{old} already has that name", where=str(manifest), hint="choose a different name")
    loaded = load_manifest(manifest)
    moved = _moved_modules(old, new, section)
    proposal = propose(
        loaded, out, [RenameEntry(old, new, section)], moved=moved, notes=_lost_patterns(loaded.manifest, old, new)
    )
    steps = _steps_after_rename(manifest, out, old, new, section, moved)
    remark = f"If a root module calls the folder, add this block so that nothing is destroyed:\n\n{moved_block(old, new)}"
    if section == "customers" and old in read_rotations(out):

        def save(edited: Edited) -> None:
            write_edited(edited)  # first: a record without a customer does no harm
            change_rotations(out, lambda found: {new if name == old else name: entry for name, entry in found.items()})

        proposal = replace(proposal, save=save)
    return replace(proposal, steps=steps, remark=remark)


def _moved_modules(old: str, new: str, section: Section) -> dict[str, str]:
    """Paths of an entry's modules below the output folder: old path to new path."""
    if section == "customers":
        return {customer_path(old): customer_path(new)}
    sides = (ModuleKind.TRUSTING, ModuleKind.TRUSTED)
    return {switch_role_path(old, side): switch_role_path(new, side) for side in sides}


def _lost_patterns(manifest: Manifest, old: str, new: str) -> list[str]:
    """Notes on suppressions with wildcards that match the old name but not the new one."""
    return [
        f"the suppression of {suppression.rule} for {suppression.subject} no longer matches this entry"
        for suppression in manifest.suppress
        if suppression.subject != old and fnmatchcase(old, suppression.subject) and not fnmatchcase(new, suppression.subject)
    ]


def _steps_after_rename(
    manifest: Path, out: Path, old: str, new: str, section: Section, moved: Mapping[str, str]
) -> tuple[NextStep, ...]:
    steps = [_generate(manifest, out, f"write {new}'s modules, delete {old}'s")]
    locked = read_lock(out).modules
    for source, target in moved.items():
        kept = _other_files(out / source, locked[source].files if source in locked else ())
        if kept:
            files = " ".join(map(shell_word, kept))
            steps.append(NextStep(f"mv {files} {shell_word(out / target)}/", "move Terraform's state to the new folder"))
    if section == "customers":
        steps.append(NextStep(command_line(f"gen bundle {new}", manifest, out), "the customer's bundle under its new name"))
    return tuple(steps)


def _other_files(folder: Path, generated: Collection[str]) -> list[Path]:
    """Files and folders next to the generated ones, such as Terraform's state."""
    try:
        return sorted(path for path in folder.iterdir() if path.name not in generated)
    except OSError:
        return []


def moved_block(old: str, new: str) -> str:
    """The `moved` block for a root module that calls the folder as a child module with the entry's name.

    Without it Terraform would destroy the role and create it again (Terraform language, "moved block", since 1.1).
    """
    return f"moved {{\n  from = module.{_module_label(old)}\n  to   = module.{_module_label(new)}\n}}"


def _module_label(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)


def steps_after_change(manifest: Path, out: Path, name: str, touched: Collection[str]) -> tuple[NextStep, ...]:
    """Steps after a customer was added or changed. `touched`: paths of the modules that change; no steps without any."""
    steps = [_generate(manifest, out, "write and check the modules")] if touched else []
    if BACKEND_PATH in touched:
        steps.append(_apply_backend(out, "let the backend role assume the customer's role"))
    if customer_path(name) in touched:
        steps.append(NextStep(command_line(f"gen bundle {name}", manifest, out), "bundle for the customer"))
        verify = command_line(f"runner verify --limit {name}", manifest, out)
        steps.append(NextStep(verify, "after the customer has applied it"))
    return tuple(steps)


def _generate(manifest: Path, out: Path, why: str, more: str = "") -> NextStep:
    return NextStep(command_line("gen terraform", manifest, out) + more, why)


def _apply_backend(out: Path, why: str) -> NextStep:
    return NextStep(f"terraform -chdir={shell_word(out / BACKEND_PATH)} apply", why)
