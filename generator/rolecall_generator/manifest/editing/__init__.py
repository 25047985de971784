"""Edits of a manifest that keep comments, order and quotes."""

from rolecall_generator.manifest.editing.manifest_edits import (
    AddCustomer,
    Edit,
    Edited,
    RemoveEntry,
    RenameEntry,
    Section,
    SetField,
    UnsetField,
    apply_edits,
    write_edited,
)
from rolecall_generator.manifest.editing.text_edits import Value

__all__ = [
    "AddCustomer",
    "Edit",
    "Edited",
    "RemoveEntry",
    "RenameEntry",
    "Section",
    "SetField",
    "UnsetField",
    "Value",
    "apply_edits",
    "write_edited",
]
