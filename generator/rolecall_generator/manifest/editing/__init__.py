"""Edits of a manifest that keep comments, order and quotes."""

from rolecall_generator.manifest.editing.manifest_edits import (
    AddCustomer,
    DropField,
    Edit,
    Edited,
    RemoveEntry,
    RenameEntry,
    Section,
    SetField,
    apply_edits,
    write_edited,
)
from rolecall_generator.manifest.editing.text_edits import Value

__all__ = [
    "AddCustomer",
    "DropField",
    "Edit",
    "Edited",
    "RemoveEntry",
    "RenameEntry",
    "Section",
    "SetField",
    "Value",
    "apply_edits",
    "write_edited",
]
