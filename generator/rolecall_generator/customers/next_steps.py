"""What a person does after a change of the manifest, as lines to read and commands to copy."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from rolecall_generator.command_line import command_line, shell_word
from rolecall_generator.customers.renaming import moved_modules
from rolecall_generator.lock import read_lock
from rolecall_generator.manifest.edit import Section
from rolecall_generator.plan.backend import BACKEND_PATH
from rolecall_generator.plan.customer import customer_path

_NOT_IN_A_LABEL = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True, slots=True)
class Step:
    """One step: `command` to copy, empty where there is none, and what it is for."""

    command: str
    why: str


def after_change(manifest: Path, out: Path, name: str, touched: Collection[str]) -> tuple[Step, ...]:
    """Steps after a customer was added or changed. `touched`: paths of the modules that change; no steps where none does."""
    steps = [_generate(manifest, out, "write the modules, check them")] if touched else []
    if BACKEND_PATH in touched:
        steps.append(_apply_backend(out, "let the backend role assume the customer's role"))
    if customer_path(name) in touched:
        steps.append(Step(command_line(f"gen bundle {name}", manifest, out), "what you hand to the customer"))
        steps.append(Step(command_line(f"runner verify --limit {name}", manifest, out), "after the customer's apply"))
    return tuple(steps)


def after_import(manifest: Path, out: Path) -> tuple[Step, ...]:
    """Steps after customers were imported, many at once."""
    return (
        _generate(manifest, out, "write the modules, check them"),
        _apply_backend(out, "let the backend role assume the customers' roles"),
        Step(command_line("gen bundle", manifest, out), "what you hand to the customers"),
        Step(command_line("runner verify", manifest, out), "after their applies"),
    )


def after_removal(manifest: Path, out: Path, names: Sequence[str], *, everybody: bool, section: Section) -> tuple[Step, ...]:
    """Steps after entries were removed. `everybody`: no customer is left, which gen terraform wants to hear."""
    generate = _generate(manifest, out, "take the modules out of the output folder", " --prune-all" if everybody else "")
    if section == "switch_roles":
        return (Step("terraform destroy", "first, in both modules of the switch role, in their accounts"), generate)
    who = names[0] if len(names) == 1 else "these customers"
    return (
        generate,
        _apply_backend(out, f"ends the backend's access to {who}"),
        Step("terraform destroy", f"by {who}, in the module's folder: removes the role from the account"),
    )


def after_rename(manifest: Path, out: Path, old: str, new: str, section: Section) -> tuple[Step, ...]:
    """Steps after a rename; what Terraform keeps in the old folder moves with it."""
    steps = [_generate(manifest, out, f"write {new}'s modules, remove {old}'s")]
    locked = read_lock(out).modules
    for source, target in moved_modules(old, new, section).items():
        kept = _kept(out / source, locked[source].files if source in locked else ())
        if kept:
            files = " ".join(map(shell_word, kept))
            steps.append(Step(f"mv {files} {shell_word(out / target)}/", "Terraform's state goes with the folder"))
    if section == "customers":
        steps.append(Step(command_line(f"gen bundle {new}", manifest, out), "the customer's bundle under its new name"))
    return tuple(steps)


def moved_block(old: str, new: str) -> str:
    """The `moved` block for a root module that calls the folder as a child module of the entry's name.

    Without it Terraform would destroy the role and create it anew (Terraform language, "moved block", since 1.1).
    """
    return f"moved {{\n  from = module.{_label(old)}\n  to   = module.{_label(new)}\n}}"


def _generate(manifest: Path, out: Path, why: str, more: str = "") -> Step:
    return Step(command_line("gen terraform", manifest, out) + more, why)


def _apply_backend(out: Path, why: str) -> Step:
    return Step(f"terraform -chdir={shell_word(out / BACKEND_PATH)} apply", why)


def _kept(folder: Path, generated: Collection[str]) -> list[Path]:
    """Files and folders that stand beside the generated ones."""
    try:
        return sorted(path for path in folder.iterdir() if path.name not in generated)
    except OSError:
        return []


def _label(name: str) -> str:
    return _NOT_IN_A_LABEL.sub("_", name)
