"""Reads the history of targets from the status file: earlier modules, and how customers apply them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rolecall_runner.inventory import Target
from rolecall_runner.status.status_file import StatusError, StatusKey, key_of, read_status
from rolecall_runner.verify import EarlierModule, ModuleHistory, decode_access


def read_module_history(path: Path, targets: Iterable[Target]) -> ModuleHistory:
    """The history of these targets; empty without a status file. Raises StatusError."""
    status = read_status(path)
    earlier: dict[StatusKey, tuple[EarlierModule, ...]] = {}
    forms: dict[StatusKey, str] = {}
    for target in targets:
        entry = status.of(target)
        try:
            found = tuple(EarlierModule(decode_access(each.access), bool(each.gone)) for each in entry.versions)
        except ValueError as error:
            hint = "restore it from version control, or delete it: runner verify writes a new one"
            raise StatusError(f"the status file is damaged ({target.name}: {error})", where=str(path), hint=hint) from error
        if found:
            earlier[key_of(target)] = found
        if entry.form:
            forms[key_of(target)] = entry.form
    return ModuleHistory(earlier, forms)
