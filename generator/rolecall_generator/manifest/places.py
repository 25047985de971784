"""Where each entry of a manifest stands, over all its files."""

from __future__ import annotations

from typing import Any

from rolecall_generator.errors import Problem
from rolecall_generator.manifest.tree import START, ListNode, Loc, MapNode, Mark, Place, mark_of, place_at

_LISTS = ("customers", "switch_roles")


class Places:
    """Lookup from an entry to its place; built from the files' trees in the manifest's order, the main file first."""

    def __init__(self, parts: list[tuple[str, Any]]) -> None:
        self._main_file, self._main = parts[0]
        self._lists: dict[str, list[tuple[str, ListNode]]] = {section: [] for section in _LISTS}
        self._sets: list[tuple[str, MapNode]] = []
        for file, tree in parts:
            if not isinstance(tree, MapNode):
                continue
            for section in _LISTS:
                if isinstance(items := tree.get(section), ListNode):
                    self._lists[section].append((file, items))
            if isinstance(sets := tree.get("permission_sets"), MapNode):
                self._sets.append((file, sets))
        self._names: dict[str, dict[str, int]] = {}

    def find(self, *path: str | int, key: bool = False) -> Place:
        """The place of an entry, as in `find("customers", "acme", "external_id")`, or of the nearest thing above it.

        Customers and switch roles go by name or by index in the merged manifest, permission sets by name; `key` asks for
        the place of the last key and not of its value. What is in no file has the main file's first line as its place.
        """
        section = path[0] if path else ""
        if section in self._lists and len(path) > 1:
            return self._in_list(str(section), path[1], path[2:], key)
        if section == "permission_sets" and len(path) > 1:
            for file, sets in self._sets:
                if path[1] in sets:
                    return place_at(file, mark_of(sets, path[1:], key=key))
        return place_at(self._main_file, mark_of(self._main, path, key=key))

    def problem(self, path: Loc, what: str, mend: str, *, key: bool = False) -> Problem:
        """A problem at the place of an entry."""
        place = self.find(*path, key=key)
        return Problem(place.file, place.line, place.column, what, mend)

    def set_marks(self) -> list[tuple[str, str, Mark]]:
        """Every permission set as (name, file, mark of its key), in the files' order, repetitions kept."""
        return [(name, file, sets.marks[name][0]) for file, sets in self._sets for name in sets]

    def _in_list(self, section: str, which: str | int, rest: Loc, key: bool) -> Place:
        index = which if isinstance(which, int) else self._index(section, which)
        for file, items in self._lists[section]:
            if 0 <= index < len(items):
                return place_at(file, mark_of(items, (index, *rest), key=key))
            index -= len(items)
        return place_at(self._main_file, START)

    def _index(self, section: str, name: str) -> int:
        if section not in self._names:
            items = [item for _, chunk in self._lists[section] for item in chunk]
            names = {item["name"]: index for index, item in reversed(list(enumerate(items)))}
            self._names[section] = names
        return self._names[section].get(name, -1)
