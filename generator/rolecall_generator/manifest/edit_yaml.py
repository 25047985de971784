"""A YAML file under edit: which entries come, change and go, made at the end in one pass over the text as it was read."""

from __future__ import annotations

from rolecall_generator.manifest.edit_fields import drop_field, entry_node, set_field
from rolecall_generator.manifest.edit_lists import Item, add_entries, remove_entries
from rolecall_generator.manifest.edit_render import Value
from rolecall_generator.manifest.edit_splices import Splices
from rolecall_generator.manifest.models import Customer, Suppression, SwitchRole

_ORDER = {
    "customers": tuple(Customer.model_fields),
    "switch_roles": tuple(SwitchRole.model_fields),
    "suppress": tuple(Suppression.model_fields),
}


class YamlText:
    """The text of a YAML file, and the edits collected so far. Indexes count a section's entries in this file."""

    def __init__(self, text: str, file: str) -> None:
        self._splices = Splices(text, file)
        self._added: dict[str, list[Item]] = {}
        self._removed: dict[str, set[int]] = {}

    def add(self, section: str, entry: Item, /) -> None:
        """Put an entry, or a text of `include`, at the end of a section."""
        self._added.setdefault(section, []).append(entry)

    def remove(self, section: str, index: int, /) -> None:
        """Take an entry out."""
        self._removed.setdefault(section, set()).add(index)

    def set(self, section: str, index: int, field: str, value: Value, /) -> None:
        """Give a field of an entry a value. Raises EditError."""
        set_field(self._splices, entry_node(self._splices, section, index), field, value, _ORDER[section])

    def drop(self, section: str, index: int, field: str, /) -> None:
        """Take a field out of an entry. Raises EditError."""
        drop_field(self._splices, entry_node(self._splices, section, index), field)

    def result(self) -> str:
        """The text with all edits made. Raises EditError."""
        cleared = {
            section
            for section, indexes in self._removed.items()
            if remove_entries(self._splices, section, indexes, refilled=section in self._added)
        }
        for section, entries in self._added.items():
            add_entries(self._splices, section, entries, cleared=section in cleared)
        return self._splices.result()
